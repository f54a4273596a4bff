"""Metrics, thresholds, curves and bootstrap verdicts, each against scikit-learn's function or a count by hand."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from stages.shared import plots
from stages.shared.bootstrap import compare, difference, interval, intervals, measure, resample, units_of
from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.draws import Draws
from stages.shared.evaluation.glossary import GLOSSARY
from stages.shared.evaluation.multiclass import Multiclass
from stages.shared.evaluation.regression import Deciles
from stages.shared.evaluation.sums import explaining_share
from stages.shared.losses import mean_loss
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


COSTS = {"false_positive": 1.0, "false_negative": 5.0, "true_positive": -2.0, "true_negative": 0.25}
ASKED = Asked(COSTS, 0.8)


def there(y, w):
    return [number for number in range(4) if w[y == number].sum() > 0]


def one_vs_rest(y, s, w):
    return np.mean([sk.roc_auc_score(y == k, s[:, k], sample_weight=w) for k in there(y, w)])


SKLEARN = {
    ("binary", "roc_auc"): lambda y, s, w: sk.roc_auc_score(y, s[:, 0], sample_weight=w),
    ("binary", "average_precision"): lambda y, s, w: sk.average_precision_score(y, s[:, 0], sample_weight=w),
    ("binary", "log_loss"): lambda y, s, w: sk.log_loss(y, s[:, 0], sample_weight=w),
    ("binary", "brier"): lambda y, s, w: sk.brier_score_loss(y, s[:, 0], sample_weight=w),
    ("binary", "precision"): lambda y, s, w: sk.precision_score(y, label(s), sample_weight=w),
    ("binary", "recall"): lambda y, s, w: sk.recall_score(y, label(s), sample_weight=w),
    ("binary", "f1"): lambda y, s, w: sk.f1_score(y, label(s), sample_weight=w),
    ("binary", "mcc"): lambda y, s, w: sk.matthews_corrcoef(y, label(s), sample_weight=w),
    ("multiclass", "accuracy"): lambda y, s, w: sk.accuracy_score(y, s.argmax(1), sample_weight=w),
    ("multiclass", "macro_f1"): lambda y, s, w: sk.f1_score(y, s.argmax(1), average="macro", sample_weight=w),
    ("multiclass", "micro_f1"): lambda y, s, w: sk.f1_score(y, s.argmax(1), average="micro", sample_weight=w),
    ("multiclass", "weighted_f1"): lambda y, s, w: sk.f1_score(y, s.argmax(1), average="weighted", sample_weight=w),
    ("multiclass", "mcc"): lambda y, s, w: sk.matthews_corrcoef(y, s.argmax(1), sample_weight=w),
    ("multiclass", "macro_roc_auc"): one_vs_rest,
    ("multiclass", "log_loss"): lambda y, s, w: sk.log_loss(y, s, labels=[0, 1, 2, 3], sample_weight=w),
    ("regression", "mae"): lambda y, s, w: sk.mean_absolute_error(y, s[:, 0], sample_weight=w),
    ("regression", "rmse"): lambda y, s, w: sk.root_mean_squared_error(y, s[:, 0], sample_weight=w),
    ("regression", "median_ae"): lambda y, s, w: sk.median_absolute_error(y, s[:, 0], sample_weight=w),
    ("regression", "r2"): lambda y, s, w: sk.r2_score(y, s[:, 0], sample_weight=w),
    ("regression", "pinball"): lambda y, s, w: sk.mean_pinball_loss(y, s[:, 0], alpha=0.8, sample_weight=w),
}
OURS = {("binary", "ece"), ("binary", "cost"), ("multiclass", "ece")}  # no function of scikit-learn gives them
TABLES = {"binary": binary(), "multiclass": multiclass(), "regression": regression()}


@pytest.mark.parametrize("weights", [W, WEIGHTED], ids=["counts", "weighted"])
@pytest.mark.parametrize(("task", "name"), SKLEARN, ids="-".join)
def test_metric_equals_scikit_learns_on_every_resample(task, name, weights):
    y, scores = TABLES[task]
    expected = [SKLEARN[task, name](y, scores, row) for row in weights]
    cut = [1.0] * 4 if task == "multiclass" else THRESHOLD
    found = compute(task, y, scores, cut, weights, ASKED)[name]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_macro_roc_auc_is_scikit_learns_where_every_class_is_there():
    y, scores = TABLES["multiclass"]
    found = compute("multiclass", y, scores, [1.0] * 4, np.ones((1, N)))["macro_roc_auc"]
    assert found[0] == pytest.approx(sk.roc_auc_score(y, scores, multi_class="ovr"), rel=1e-12)


@pytest.mark.parametrize("task", TABLES)
def test_every_metric_is_explained_compared_and_has_a_direction(task):
    names = set(compute(task, *TABLES[task], [1.0] * 4 if task == "multiclass" else THRESHOLD, W, ASKED))
    assert names == {name for other, name in {*SKLEARN, *OURS} if other == task}
    assert HEADLINE[task] in names <= set(HIGHER_IS_BETTER)
    assert all(task in GLOSSARY[name].tasks for name in names)


def test_costs_and_quantile_are_measured_only_where_declared():
    assert "cost" not in compute("binary", *TABLES["binary"], THRESHOLD, W)
    assert "pinball" not in compute("regression", *TABLES["regression"], 0, W)


@pytest.mark.parametrize("weights", [W, WEIGHTED], ids=["counts", "weighted"])
def test_cost_is_that_of_the_four_outcomes(weights):
    y, scores = TABLES["binary"]
    price = {(0, 1): "false_positive", (1, 0): "false_negative", (1, 1): "true_positive", (0, 0): "true_negative"}
    each = np.array([COSTS[price[pair]] for pair in zip(y.tolist(), label(scores).tolist(), strict=True)])
    expected = [np.average(each, weights=row) for row in weights]
    np.testing.assert_allclose(compute("binary", y, scores, THRESHOLD, weights, ASKED)["cost"], expected, rtol=1e-12)


def test_calibration_error_is_that_of_ten_bins_of_equal_count():
    y, score = TABLES["binary"][0], RANDOM.permutation(N) / N
    observed, predicted = calibration_curve(y, score, n_bins=10, strategy="quantile")
    found = compute("binary", y, score[:, None], 0.5, np.ones((1, N)))["ece"]
    assert found[0] == pytest.approx(np.abs(observed - predicted).mean(), rel=1e-12)


def test_calibration_error_keeps_rows_of_equal_score_together():
    y = np.array([1] * 30 + [0] * 70)
    assert compute("binary", y, np.full((100, 1), 0.3), 0.5, np.ones((1, 100)))["ece"][0] == pytest.approx(0, abs=1e-15)
    assert compute("binary", y, np.full((100, 1), 0.5), 0.5, np.ones((1, 100)))["ece"][0] == pytest.approx(0.2)


def test_calibration_error_of_several_classes_asks_whether_the_likeliest_is_right():
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.8, 0.0], [0.5, 0.2, 0.3], [0.1, 0.2, 0.7]])
    found = compute("multiclass", np.array([0, 1, 2, 2]), scores, [1.0, 9.0, 1.0], np.ones((1, 4)))["ece"]
    assert found[0] == pytest.approx((0.4 + 0.2 + 0.5 + 0.3) / 4)  # four bins of one row; factors do not matter


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_each_class_has_scikit_learns_numbers(name):
    y, scores = TABLES["multiclass"]
    found = Multiclass(y, scores, [1.0] * 4, Asked()).by_class(Draws(WEIGHTED))[name]
    function = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}[name]
    expected = [function(y, scores.argmax(1), average=None, sample_weight=row) for row in WEIGHTED]
    np.testing.assert_allclose(found.T, expected, rtol=1e-12)


def test_deciles_are_those_of_the_target_with_the_errors_of_their_rows():
    y, scores = np.arange(40.0)[::-1], np.arange(40.0)[::-1, None] + np.repeat([1.0, -2.0], 20)[:, None]
    found = Deciles(y, scores[:, 0]).measure(Draws(np.ones((1, 40))))
    assert found["mae"][:, 0].tolist() == [2.0] * 5 + [1.0] * 5
    assert found["mean_error"][:, 0].tolist() == [2.0] * 5 + [-1.0] * 5


def test_a_decile_without_rows_in_a_resample_has_no_value():
    found = Deciles(np.arange(10.0), np.zeros(10)).measure(Draws(np.array([[0] + [1] * 9])))
    assert np.isnan(found["mae"][0, 0])
    assert not np.isnan(found["mae"][1:, 0]).any()


@pytest.mark.parametrize("task", TABLES)
def test_a_resample_without_rows_has_no_value_and_no_error(task):
    found = compute(task, *TABLES[task], [1.0] * 4 if task == "multiclass" else 0.5, np.zeros((1, N)), ASKED)
    zero = {"precision", "recall", "f1", "mcc"}
    assert {name for name, values in found.items() if not np.isnan(values[0])} <= zero


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


def test_nothing_called_positive_gives_zero_not_an_error():
    found = compute("binary", np.array([0, 1]), np.array([[0.1], [0.2]]), 0.9, np.ones((1, 2)))
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


@pytest.mark.parametrize("task", TABLES)
def test_mean_loss_is_the_log_loss_or_the_root_mean_squared_error(task):
    y, scores = TABLES[task]
    name = "rmse" if task == "regression" else "log_loss"
    assert mean_loss(task, y, scores) == pytest.approx(SKLEARN[task, name](y, scores, None), rel=1e-12)


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
    values = np.append(0.5, np.arange(1, 100) / 100)  # the 5th and the 95th of 99
    assert interval(values, 0.9) == {"value": 0.5, "low": 0.05, "high": 0.95}


def test_interval_follows_the_value_away_from_the_median_of_the_resamples():
    resamples = np.linspace(0, 1, 2001)
    found = interval(np.append(0.6, resamples), 0.9)  # 0.6 is 0.2533 standard normal units above the median
    normal = NormalDist()
    shift = 2 * normal.inv_cdf(0.6)
    assert found["low"] == pytest.approx(normal.cdf(shift - 1.6448536), abs=1e-3)
    assert found["high"] == pytest.approx(normal.cdf(shift + 1.6448536), abs=1e-3)


@pytest.mark.parametrize(("units", "quantile"), [(5, 2.776445), (30, 2.045230), (1000, 1.962341)])
def test_interval_of_few_groups_is_as_much_wider_as_students_quantile(units, quantile):
    normal = NormalDist()
    resamples = np.array([normal.inv_cdf((i + 0.5) / 20001) for i in range(20001)])
    found = interval(np.append(0.0, resamples), 0.95, units)
    assert found["high"] == pytest.approx(quantile * (units / (units - 1)) ** 0.5, rel=0.01)
    assert found["low"] == pytest.approx(-found["high"], rel=0.01)


def test_interval_holds_its_value_even_where_no_resample_reaches_it():
    assert interval(np.append(2.0, np.linspace(0, 1, 50)), 0.95)["high"] == 2.0


def test_calibration_error_is_not_shifted_to_its_value():
    values = np.append(0.05, np.linspace(0, 0.1, 101) ** 2)  # the value is far above the median
    found = intervals({"ece": values, "brier": values}, 0.9)
    assert found["ece"]["low"] == pytest.approx(0.005**2, abs=1e-5)
    assert found["ece"]["high"] == 0.05
    assert found["brier"]["low"] > 0.001


@pytest.mark.parametrize("seed", range(20))
def test_the_share_of_the_gaps_makes_the_samples_error_with_this_chance(seed):
    random = np.random.default_rng(seed)
    gaps, chance = random.normal(size=10) * (random.random(10) < 0.8), random.normal(size=(50, 10)) * 0.7
    shares, size = explaining_share(gaps, chance), np.abs(gaps).sum()
    grid = np.linspace(0, 20, 20_001)
    for share, own in zip(shares, chance, strict=True):
        sums = np.abs(grid[:, None] * gaps + own).sum(1)
        assert (sums[grid > share + 1e-9] > size).all()  # no larger share does
        if share:
            assert np.abs(share * gaps + own).sum() == pytest.approx(size, rel=1e-9)


def test_without_chance_the_whole_error_is_the_gaps_own():
    gaps = np.array([0.1, -0.2, 0.0, 1e-18])
    assert explaining_share(gaps, np.zeros((1, 4))).tolist() == [1.0]
    assert explaining_share(np.zeros(4), np.ones((1, 4))).tolist() == [0.0]
    assert np.isnan(explaining_share(gaps, np.full((1, 4), np.nan))).all()


def test_calibration_error_of_the_sample_is_the_plain_one_whatever_is_drawn():
    y, scores = TABLES["binary"]
    for weight in (None, np.arange(1.0, N + 1)):
        rows = Rows(np.zeros((N, 1)), y, np.arange(N), weight, None)
        found = measure("binary", rows, {"model": (scores, THRESHOLD)}, 20, 1)["model"]["ece"]
        plain = compute("binary", y, scores, THRESHOLD, np.ones((1, N)) if weight is None else weight[None])["ece"]
        assert found[0] == pytest.approx(plain[0], rel=1e-12)
        assert len(set(found.tolist())) > 15


def test_calibration_error_of_a_calibrated_model_may_be_nothing():
    random = np.random.default_rng(1)
    score = random.random(400)
    rows = Rows(np.zeros((400, 1)), (random.random(400) < score).astype(int), np.arange(400), None, None)
    measured = measure("binary", rows, {"model": (score[:, None], 0.5)}, 300, 1)["model"]["ece"]
    found = interval(measured, 0.95, 400, "ece")
    assert found["low"] == 0
    assert found["value"] > 0.03
    assert np.median(measured[1:]) < 0.7 * found["value"]  # the rest is chance


def test_a_metric_without_a_value_says_so():
    assert interval(np.array([np.nan, 0.1, np.nan]), 0.95) == {"value": None, "low": None, "high": None, "undefined": 1}
    assert difference("r2", np.full(9, np.nan), 0.95)["verdict"] == "cannot tell"


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
    assert difference(name, np.array([resamples[1], *resamples]), 0.95)["verdict"] == verdict


def test_models_are_compared_resample_by_resample():
    noise = np.linspace(-10, 10, 51)  # far larger than the difference, and shared by both models
    measured = {"model": {"mae": noise + 1}, "linear": {"mae": noise + 2}, "constant": {"mae": noise}}
    found = compare(measured, 0.95)
    assert found["minus_linear"]["mae"] == {"value": -1.0, "low": -1.0, "high": -1.0, "verdict": "better"}
    assert found["minus_constant"]["mae"]["verdict"] == "worse"
    assert (found["metrics"]["mae"]["value"], found["linear"]["mae"]["value"]) == (-9.0, -8.0)


def drawn(n_rows: int, n_resamples: int, seed: int, **extra) -> np.ndarray:
    place = np.arange(n_rows)
    plain = {"X": place[:, None], "y": place, "number": place, "weight": None, "group": None}
    return np.vstack([block.rows for block in resample(Rows(**plain | extra), n_resamples, seed)])


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


def test_lift_is_the_precision_of_the_highest_scores_over_the_base_rate():
    y, scores = TABLES["binary"]
    found = plots.lift(y == 1, scores[:, 0])
    for share, lift in found[:: max(1, len(found) // 20)]:
        called = np.sort(scores[:, 0])[::-1][: round(share * N)].min()
        assert lift == pytest.approx(y[scores[:, 0] >= called].mean() / y.mean())
    assert found[-1].tolist() == [1.0, 1.0]


def test_resamples_without_weights_are_whole_numbers():
    place = np.arange(4)
    assert {block.rows.dtype.kind for block in resample(Rows(place[:, None], place, place, None, None), 3, 1)} == {"i"}


def test_rows_and_groups_are_counted_as_what_is_drawn():
    place = np.arange(4)
    assert units_of(Rows(place[:, None], place, place, None, None)) == 4
    assert units_of(Rows(place[:, None], place, place, None, np.array(["a", "b", "a", "a"], dtype=object))) == 2


@pytest.mark.parametrize("task", TABLES)
def test_blocks_of_any_size_give_the_same_metrics(monkeypatch, task):
    y, scores = TABLES[task]
    rows = Rows(np.zeros((N, 1)), y, np.arange(N), None, None)
    cut = [1.0] * 4 if task == "multiclass" else 0.4
    whole = measure(task, rows, {"model": (scores, cut)}, 30, 1)["model"]
    monkeypatch.setattr("stages.shared.bootstrap.BLOCK_CELLS", 7 * N)
    for name, values in measure(task, rows, {"model": (scores, cut)}, 30, 1)["model"].items():
        assert values.tobytes() == whole[name].tobytes(), name
