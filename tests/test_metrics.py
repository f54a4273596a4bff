"""Metrics, thresholds, curves and bootstrap verdicts, each against scikit-learn's function or a count by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from stages.shared import plots
from stages.shared.bootstrap import compare, difference, interval, resample
from stages.shared.losses import best_f1_threshold, mean_loss
from stages.shared.metrics import HEADLINE, HIGHER_IS_BETTER, compute
from stages.shared.rows import Rows

N = 200
RANDOM = np.random.default_rng(3)
W = np.vstack([np.ones(N, int), RANDOM.multinomial(N, np.full(N, 1 / N), size=20)])
WEIGHTED = W * RANDOM.uniform(0.1, 3, N)
THRESHOLD = 0.4


def binary() -> tuple[np.ndarray, np.ndarray]:
    y = RANDOM.integers(0, 2, N)
    return y, np.clip(np.round((0.3 * y + RANDOM.random(N)) / 1.3, 1), 0.05, 0.95)[:, None]  # about twenty rows a score


def multiclass() -> tuple[np.ndarray, np.ndarray]:
    scores = RANDOM.dirichlet([1, 1, 1, 0.2], N)
    scores[:20] = 0.25  # ties
    return RANDOM.integers(0, 4, N), scores


def regression() -> tuple[np.ndarray, np.ndarray]:
    y = RANDOM.normal(5, 2, N)
    return y, (y + RANDOM.normal(0, 1, N))[:, None]


def label(scores):
    return (scores[:, 0] >= THRESHOLD).astype(int)


SKLEARN = {
    ("binary", "roc_auc"): lambda y, s, w: sk.roc_auc_score(y, s[:, 0], sample_weight=w),
    ("binary", "average_precision"): lambda y, s, w: sk.average_precision_score(y, s[:, 0], sample_weight=w),
    ("binary", "log_loss"): lambda y, s, w: sk.log_loss(y, s[:, 0], sample_weight=w),
    ("binary", "brier"): lambda y, s, w: sk.brier_score_loss(y, s[:, 0], sample_weight=w),
    ("binary", "precision"): lambda y, s, w: sk.precision_score(y, label(s), sample_weight=w),
    ("binary", "recall"): lambda y, s, w: sk.recall_score(y, label(s), sample_weight=w),
    ("binary", "f1"): lambda y, s, w: sk.f1_score(y, label(s), sample_weight=w),
    ("multiclass", "accuracy"): lambda y, s, w: sk.accuracy_score(y, s.argmax(1), sample_weight=w),
    ("multiclass", "macro_f1"): lambda y, s, w: sk.f1_score(y, s.argmax(1), average="macro", sample_weight=w),
    ("multiclass", "log_loss"): lambda y, s, w: sk.log_loss(y, s, labels=[0, 1, 2, 3], sample_weight=w),
    ("regression", "mae"): lambda y, s, w: sk.mean_absolute_error(y, s[:, 0], sample_weight=w),
    ("regression", "rmse"): lambda y, s, w: sk.root_mean_squared_error(y, s[:, 0], sample_weight=w),
    ("regression", "r2"): lambda y, s, w: sk.r2_score(y, s[:, 0], sample_weight=w),
}
TABLES = {"binary": binary(), "multiclass": multiclass(), "regression": regression()}


@pytest.mark.parametrize("weights", [W, WEIGHTED], ids=["counts", "weighted"])
@pytest.mark.parametrize(("task", "name"), SKLEARN, ids="-".join)
def test_metric_equals_scikit_learns_on_every_resample(task, name, weights):
    y, scores = TABLES[task]
    expected = [SKLEARN[task, name](y, scores, row) for row in weights]
    np.testing.assert_allclose(compute(task, y, scores, THRESHOLD, weights)[name], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("task", TABLES)
def test_every_metric_is_compared_and_has_a_direction(task):
    names = set(compute(task, *TABLES[task], THRESHOLD, W))
    assert names == {name for other, name in SKLEARN if other == task}
    assert HEADLINE[task] in names <= set(HIGHER_IS_BETTER)


def test_r2_keeps_its_digits_where_the_mean_is_large():
    y, scores = TABLES["regression"]
    shifted = y + 1e6
    expected = [sk.r2_score(shifted, scores[:, 0] + 1e6, sample_weight=row) for row in W]
    np.testing.assert_allclose(compute("regression", shifted, scores + 1e6, 0, W)["r2"], expected, rtol=1e-9)


def test_resamples_are_the_same_in_blocks_of_any_size(monkeypatch):
    whole = drawn(6, 10, seed=1)
    monkeypatch.setattr("stages.shared.bootstrap.BLOCK_CELLS", 3 * 6)
    assert (drawn(6, 10, seed=1) == whole).all()


def test_a_metric_without_a_value_is_nan_and_an_absent_class_does_not_count():
    ones = np.ones((1, 3))
    assert np.isnan(compute("regression", np.full(3, 5.0), np.array([[1.0], [9.0], [100.0]]), 0, ones)["r2"]).all()
    perfect = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1]])
    assert compute("multiclass", np.array([0, 1, 0]), perfect, [1.0] * 3, ones)["macro_f1"] == 1
    assert np.isnan(compute("binary", np.array([1, 1, 1]), perfect[:, :1], 0.5, ones)["roc_auc"]).all()


def test_the_threshold_counts_rows_by_their_weight():
    y, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.6])
    assert best_f1_threshold(y, score) == 0.7
    assert best_f1_threshold(y, score, np.array([1.0, 50.0, 0.1, 1.0])) == 0.9


def test_nothing_called_positive_gives_zero_not_an_error():
    found = compute("binary", np.array([0, 1]), np.array([[0.1], [0.2]]), 0.9, np.ones((1, 2)))
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


@pytest.mark.parametrize("task", TABLES)
def test_mean_loss_is_the_log_loss_or_the_root_mean_squared_error(task):
    y, scores = TABLES[task]
    name = "rmse" if task == "regression" else "log_loss"
    assert mean_loss(task, y, scores) == pytest.approx(SKLEARN[task, name](y, scores, None), rel=1e-12)


def brute_force(y, score):
    """The best threshold by trying every score, with exact fractions; the higher of equals."""

    def f1(threshold):
        called = score >= threshold
        return Fraction(int(2 * (called & (y == 1)).sum()), int(called.sum() + (y == 1).sum()))

    return max(sorted(set(score.tolist())), key=lambda threshold: (f1(threshold), threshold))


@pytest.mark.parametrize("seed", range(40))
def test_best_threshold_is_the_one_found_by_trying_all(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 30))
    y, score = random.integers(0, 2, n), np.round(random.random(n), 1)
    y[0] = 1
    assert best_f1_threshold(y, score) == brute_force(y, score)


@pytest.mark.parametrize("y", [[], [0, 0]])
def test_threshold_without_positives_is_one_half(y):
    assert best_f1_threshold(np.array(y), np.full(len(y), 0.3)) == 0.5


def test_roc_is_scikit_learns():
    y, scores = TABLES["binary"]
    false_positive, true_positive, _ = sk.roc_curve(y, scores[:, 0], drop_intermediate=False)
    np.testing.assert_allclose(
        plots.roc(y == 1, scores[:, 0]), np.column_stack([false_positive, true_positive]), rtol=1e-12
    )


def test_precision_recall_is_scikit_learns():
    y, scores = TABLES["binary"]
    precision, recall, _ = sk.precision_recall_curve(y, scores[:, 0])
    expected = np.column_stack([recall, precision])[-2::-1]  # theirs ends in a point (0, 1) that no score has
    np.testing.assert_allclose(plots.precision_recall(y == 1, scores[:, 0]), expected, rtol=1e-12)


def test_calibration_is_scikit_learns_with_bins_of_equal_count():
    y, score = TABLES["binary"][0], RANDOM.permutation(N) / N
    observed, predicted = calibration_curve(y, score, n_bins=10, strategy="quantile")
    expected = np.column_stack([predicted, observed, np.full(10, N / 10)])
    np.testing.assert_allclose(plots.calibration(score, y), expected, rtol=1e-12)


@pytest.mark.parametrize(("n", "most", "kept"), [(5, 9, [0, 1, 2, 3, 4]), (9, 5, [0, 2, 4, 6, 8]), (4, 2, [0, 3])])
def test_thinned_curve_keeps_its_ends(n, most, kept):
    points = np.column_stack([np.arange(n), np.arange(n)])
    assert plots.thin(points, most)[:, 0].tolist() == kept


def test_interval_is_of_the_resamples_and_the_value_of_the_sample():
    values = np.append(0.1234567, np.arange(101) / 100)
    assert interval(values, 0.9) == {"value": 0.123457, "low": 0.05, "high": 0.95}


@pytest.mark.parametrize(
    ("name", "resamples", "verdict"),
    [
        ("roc_auc", [0.1, 0.2, 0.3], "better"), ("roc_auc", [-0.3, -0.2, -0.1], "worse"),
        ("roc_auc", [-0.1, 0, 0.1], "cannot tell"),
        ("log_loss", [0.1, 0.2, 0.3], "worse"), ("log_loss", [-0.3, -0.2, -0.1], "better"),
        ("rmse", [0.0, 0.0, 0.0], "cannot tell"),
        ("r2", [0.0, 0.0, 1.0], "cannot tell"),
    ],
)  # fmt: skip
def test_difference_is_called_only_where_its_interval_excludes_zero(name, resamples, verdict):
    assert difference(name, np.array([0.0, *resamples]), 0.95)["verdict"] == verdict


def test_models_are_compared_resample_by_resample():
    noise = np.linspace(-10, 10, 51)  # far larger than the difference, and shared by both models
    measured = {"model": {"mae": noise + 1}, "linear": {"mae": noise + 2}, "constant": {"mae": noise}}
    found = compare(measured, 0.95)
    assert found["minus_linear"]["mae"] == {"value": -1.0, "low": -1.0, "high": -1.0, "verdict": "better"}
    assert found["minus_constant"]["mae"]["verdict"] == "worse"
    assert (found["metrics"]["mae"]["value"], found["linear"]["mae"]["value"]) == (-9.0, -8.0)


def drawn(n_rows: int, n_resamples: int, seed: int, **extra) -> np.ndarray:
    place = np.arange(n_rows)
    return np.vstack(
        list(
            resample(
                Rows(**{"X": place[:, None], "y": place, "number": place, "weight": None, "group": None} | extra),
                n_resamples,
                seed,
            )
        )
    )


def test_resample_draws_as_many_rows_as_there_are():
    counts = drawn(50, 30, seed=1)
    assert counts.shape == (31, 50)
    assert counts[0].tolist() == [1] * 50
    assert counts.sum(1).tolist() == [50] * 31
    assert len({tuple(row) for row in counts.tolist()}) == 31


def test_resample_draws_whole_groups():
    counts = drawn(6, 100, seed=1, group=np.array(["b", "a", "b", "c", "a", "b"], dtype=object))
    for rows in ([0, 2, 5], [1, 4]):
        assert (counts[:, rows] == counts[:, rows[:1]]).all()
    assert (counts[:, [0, 1, 3]].sum(1) == 3).all()
    assert counts[:, 0].max() > 1


def test_resample_multiplies_by_the_weight_and_repeats_by_seed():
    weight = np.array([0.5, 1.0, 2.0, 0.0])
    plain = drawn(4, 10, seed=2)
    assert (drawn(4, 10, seed=2, weight=weight) == plain * weight).all()
    assert (drawn(4, 10, seed=3) != plain).any()
