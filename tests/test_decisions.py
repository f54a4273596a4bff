"""Threshold, calibration, interval: what is chosen on validation rows, by hand and by another route."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import PIPELINE, run_stage
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, fbeta_score, precision_score, recall_score

from stages.runtime.calibration import make_calibrate
from stages.runtime.predictor import interval
from stages.shared.errors import InputError
from stages.shared.models.calibrate import (
    FIT,
    FOLDS,
    apply,
    choose_calibration,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    folds,
)
from stages.shared.models.conformal import fit_interval, usual_error
from stages.shared.models.declared import Costs, Interval, Threshold
from stages.shared.models.factors import best_factors, choose_factors
from stages.shared.models.threshold import choose_threshold, cuts, sensitivity
from stages.shared.rows import Rows


def rows_of(y: np.ndarray, weight: np.ndarray | None = None, group: np.ndarray | None = None) -> Rows:
    return Rows(np.zeros((len(y), 1)), y, np.arange(len(y)), weight, group)


RANDOM = np.random.default_rng(5)
TRUE = RANDOM.uniform(0.02, 0.9, 3000)
Y = (RANDOM.random(3000) < TRUE).astype(int)
SCORE = TRUE.round(2)  # with ties


@pytest.mark.parametrize("beta", [0.5, 1, 2])
def test_f_beta_is_the_best_of_all_cuts(beta: float) -> None:
    chosen = choose_threshold(Threshold(f_beta=beta), cuts(Y, SCORE), "conf")
    best = max(fbeta_score(Y, cut <= SCORE, beta=beta) for cut in np.unique(SCORE))
    assert fbeta_score(Y, chosen <= SCORE, beta=beta) == pytest.approx(best, abs=1e-12)


def best_f1(y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
    return choose_threshold("f1", cuts(y, score, weight), "conf")


def by_trying_all(y: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    """The cut of the best F1 with exact fractions; the higher of equals."""

    def f1(cut: float) -> Fraction:
        called, weights = score >= cut, weight.astype(int)
        return Fraction(int(2 * weights[called & (y == 1)].sum()), int(weights[called].sum() + weights[y == 1].sum()))

    return max(sorted(set(score.tolist())), key=lambda cut: (f1(cut), cut))


@settings(deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(1, 3)), min_size=1, max_size=30))
def test_the_cut_of_the_best_f1_is_the_one_found_by_trying_all(case: list[tuple[int, int, int]]) -> None:
    y, score, weight = (np.array(part, dtype=float) for part in zip(*case, strict=True))
    if not y.any():
        assert best_f1(y, score / 10, weight) == 0.5
    else:
        assert best_f1(y, score / 10, weight) == by_trying_all(y, score / 10, weight)


@pytest.mark.parametrize(
    "costs", [Costs(1, 5), Costs(3, 1), Costs(1, 1, true_positive=-2), Costs(100, 1), Costs(1, 100)]
)
def test_costs_are_the_least_of_all_cuts_and_of_calling_none(costs: Costs) -> None:
    def cost(cut: float) -> float:
        called = cut <= SCORE
        parts = [(called & (Y == 0), costs.false_positive), (~called & (Y == 1), costs.false_negative),
                 (called & (Y == 1), costs.true_positive), (~called & (Y == 0), costs.true_negative)]  # fmt: skip
        return float(sum(rows.sum() * price for rows, price in parts))

    chosen = choose_threshold(Threshold(costs=costs), cuts(Y, SCORE), "conf")
    assert cost(chosen) == pytest.approx(min(cost(cut) for cut in [*np.unique(SCORE), 2.0]))


def test_a_floor_is_kept_and_the_other_is_the_most_there_is() -> None:
    found = cuts(Y, SCORE)
    by_precision = choose_threshold(Threshold(precision=0.7), found, "conf")
    enough = [cut for cut in np.unique(SCORE) if precision_score(Y, cut <= SCORE) >= 0.7]
    assert by_precision in enough
    assert recall_score(Y, by_precision <= SCORE) == max(recall_score(Y, cut <= SCORE) for cut in enough)
    by_recall = choose_threshold(Threshold(recall=0.8), found, "conf")
    enough = [cut for cut in np.unique(SCORE) if recall_score(Y, cut <= SCORE) >= 0.8]
    assert precision_score(Y, by_recall <= SCORE) == max(precision_score(Y, cut <= SCORE) for cut in enough)


def test_a_precision_that_no_cut_has_is_one_line() -> None:
    y, score = np.array([0, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6])
    with pytest.raises(
        InputError, match=r"^c: threshold.precision: no cut reaches 0.9 .* is 0.500, with a recall of 0.5"
    ):
        choose_threshold(Threshold(precision=0.9), cuts(y, score), "c")


@pytest.mark.parametrize("asked", [Threshold(), Threshold(f_beta=1, recall=0.5)])
def test_not_exactly_one_rule_is_refused(asked: Threshold) -> None:
    with pytest.raises(InputError, match="exactly one of f_beta, costs, precision, recall"):
        choose_threshold(asked, cuts(Y, SCORE), "conf")


def test_sensitivity_is_what_other_thresholds_give() -> None:
    told = sensitivity("f1", cuts(Y, SCORE), 0.5, "conf")
    for name, cut in (("at", 0.5), ("10_percent_lower", 0.45), ("10_percent_higher", 0.55)):
        assert told[name]["precision"] == pytest.approx(precision_score(Y, cut <= SCORE), abs=1e-6)
        assert told[name]["recall"] == pytest.approx(recall_score(Y, cut <= SCORE), abs=1e-6)
        assert told[name]["f1"] == pytest.approx(fbeta_score(Y, cut <= SCORE, beta=1), abs=1e-6)


def test_platt_is_logistic_regression_of_the_log_odds() -> None:
    wrong = 1 / (1 + np.exp(-(2 * np.log(TRUE / (1 - TRUE)) + 1)))[:, None]  # over-confident
    fitted = fit_platt(Y, wrong, None)
    x = np.log(wrong / (1 - wrong))
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(x, Y)
    assert fitted["slope"] == pytest.approx(expected.coef_[0, 0], rel=0.01)
    assert fitted["intercept"] == pytest.approx(expected.intercept_[0], rel=0.01)
    assert fitted["slope"] == pytest.approx(0.5, abs=0.05)


def test_isotonic_knots_are_the_steps_of_least_squares() -> None:
    score = np.sort(RANDOM.random(400))
    y = (RANDOM.random(400) < score**2).astype(int)
    fitted = fit_isotonic(y, score[:, None], None)
    steps = isotonic_regression(np.concatenate([[1], y, [0]]).astype(float), y_min=0, y_max=1)
    np.testing.assert_allclose(np.unique(fitted["y"][1:-1]), np.unique(steps), atol=1e-12)


def test_isotonic_keeps_the_order_of_rows_that_differ() -> None:
    calibrated = apply(fit_isotonic(Y, TRUE[:, None], None), TRUE[:, None])[:, 0]
    order = np.argsort(TRUE)
    assert (np.diff(calibrated[order]) > 0).all()
    assert 0 < calibrated.min() < calibrated.max() < 1


def test_temperature_finds_what_sharpened_the_probabilities() -> None:
    p = RANDOM.dirichlet([1, 2, 3], 4000)
    y = np.array([RANDOM.choice(3, p=row) for row in p])
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    fitted = fit_temperature(y, sharp, None)
    assert fitted["inverse"] == pytest.approx(1 / 3, rel=0.1)
    assert (apply(fitted, sharp).argmax(1) == sharp.argmax(1)).all()


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@settings(deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=30), st.floats(0, 1))
def test_any_rows_give_a_rising_calibration_within_bounds(method: str, case: list, at: float) -> None:
    y, score = np.array([row[0] for row in case]), np.array([[row[1]] for row in case])
    calibrate = make_calibrate(json.loads(json.dumps(FIT[method](y, score, None))))
    low, high = calibrate([min(at, 0.5)])[0], calibrate([max(at, 0.5)])[0]
    assert 0 <= low <= high <= 1


def test_auto_calibrates_what_is_wrong_and_leaves_what_is_right() -> None:
    right, wrong = TRUE[:, None], (TRUE**3)[:, None]
    assert choose_calibration("auto", "binary", rows_of(Y), right, 1, "c")[0] is None
    calibration, report = choose_calibration("auto", "binary", rows_of(Y), wrong, 1, "c")
    assert calibration["method"] == report["method"] != "none"
    losses = report["left_out_log_loss"]
    assert losses[report["method"]] == min(losses.values())


def test_auto_leaves_few_rows_alone() -> None:
    y = np.array([1] * 5 + [0] * 200)
    calibration, report = choose_calibration("auto", "binary", rows_of(y), np.full((205, 1), 0.9), 1, "c")
    assert calibration is None
    assert report["reason"] == "5 validation rows of the rarest class, 20 needed"


@pytest.mark.parametrize(("task", "asked"), [("binary", "temperature"), ("multiclass", "isotonic")])
def test_a_method_of_the_other_task_is_one_line(task: str, asked: str) -> None:
    scores = np.full((9, 1 if task == "binary" else 3), 0.3)
    with pytest.raises(InputError, match=rf"^c: calibration: {asked} is not for \d classes; these have none, auto"):
        choose_calibration(asked, task, rows_of(np.arange(9) % 2), scores, 1, "c")


def test_a_group_lies_in_one_fold_and_classes_are_even() -> None:
    group = RANDOM.integers(0, 60, 600)
    fold = folds(rows_of(Y[:600], group=group), 1)
    assert all(len(set(fold[group == one])) == 1 for one in np.unique(group))
    fold = folds(rows_of(Y), 1)
    positives = np.bincount(fold[Y == 1], minlength=FOLDS)
    assert positives.max() - positives.min() <= 1


def test_conformal_quantile_is_the_one_of_the_theorem() -> None:
    y = np.arange(1.0, 20.0)  # 19 errors 1..19: ceil(0.9 * 20) = 18th
    fitted = fit_interval(Interval(0.9, scaled=False), y, np.zeros(19), None, ([], []))
    assert fitted is not None
    assert fitted["quantile"] == 18.0
    assert interval({"interval": fitted}, 5.0) == [-13.0, 23.0]
    assert fit_interval(Interval(0.9, scaled=False), y[:8], np.zeros(8), None, ([], [])) is None
    doubled = fit_interval(Interval(0.9, scaled=False), y, np.zeros(19), np.full(19, 2.0), ([], []))
    assert doubled == fitted


def test_scaled_intervals_cover_and_are_narrow_where_errors_are_small() -> None:
    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        predicted = RANDOM.uniform(1, 10, n)
        return predicted + predicted * RANDOM.normal(0, 0.2, n), predicted

    scale = usual_error(*draw(4000))
    fitted = fit_interval(Interval(0.9, scaled=True), *draw(4000), None, scale)
    y, predicted = draw(4000)
    bounds = np.array([interval({"interval": fitted}, value) for value in predicted])
    inside = (bounds[:, 0] <= y) & (y <= bounds[:, 1])
    for part in (predicted < 3, predicted > 8, predicted > 0):
        assert inside[part].mean() == pytest.approx(0.9, abs=0.035)
    assert np.ptp(bounds[predicted.argmin()]) < np.ptp(bounds[predicted.argmax()]) / 3


def test_equal_predictions_have_one_width() -> None:
    assert usual_error(np.arange(50.0), np.full(50, 3.0)) == ([], [])


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    target = tmp_path / "workspace"
    shutil.copytree(small, target)
    return target


@pytest.mark.slow
def test_costs_and_isotonic_run_through_to_the_wheel(folder: Path) -> None:
    path = folder / "conf/model/boosting.yaml"
    text = path.read_text().replace("threshold: f1 ", "threshold: {costs: {false_positive: 1, false_negative: 9}} ")
    path.write_text(text.replace("calibration: auto", "calibration: isotonic"))
    run_stage(folder, "train", *PIPELINE["train"])
    run_stage(folder, "evaluate", *PIPELINE["evaluate"])
    assert "all equal" in run_stage(folder, "package", *PIPELINE["package"]).stdout
    why = json.loads((folder / "reports/train/decisions.json").read_text())
    assert set(why["threshold_sensitivity"]["at"]) == {"called", "precision", "recall", "cost"}
    header = (folder / "reports/train/plots/threshold.csv").read_text().splitlines()[0]
    assert header == "threshold,called,precision,recall,cost"
    assert json.loads((folder / "data/train/model.json").read_text())["calibration"]["method"] == "isotonic"


def test_faults_of_a_threshold_are_named_within_it(folder: Path) -> None:
    path = folder / "conf/model/boosting.yaml"
    path.write_text(path.read_text().replace("threshold: f1 ", "threshold: {costs: {false_positiv: 1}} "))
    done = run_stage(folder, "train", *PIPELINE["train"], check=False)
    assert "threshold.costs.false_positiv: unknown key; did you mean 'false_positive'?" in done.stderr
    assert "threshold.costs.false_negative: missing" in done.stderr


def probabilities(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes, one of them rare, and what a good model would say of them."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 1.5, n)
    raw = np.column_stack([np.full(n, 2.5), x + 1, -x - 1])
    p = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    y = (random.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1)
    return np.minimum(y, 2), p


def best_by_trying(y: np.ndarray, p: np.ndarray) -> float:
    grid = np.geomspace(1 / 20, 20, 25)
    return max(
        f1_score(y, (p * [1.0, b, c]).argmax(axis=1), average="macro", zero_division=0) for b in grid for c in grid
    )


def test_factors_give_the_macro_f1_that_trying_many_gives() -> None:
    y, p = probabilities(400, 1)
    found = f1_score(y, (p * best_factors(y, p, np.ones(400))).argmax(axis=1), average="macro", zero_division=0)
    assert found >= best_by_trying(y, p) - 0.01
    assert found > f1_score(y, p.argmax(axis=1), average="macro", zero_division=0) + 0.05


def test_factors_help_on_rows_that_they_were_not_found_on_and_say_how_much() -> None:
    y, p = probabilities(3000, 2)
    factors, told = choose_factors(rows_of(y), p)
    y_new, p_new = probabilities(20_000, 3)
    plain, weighed = (
        f1_score(y_new, (p_new * given).argmax(axis=1), average="macro", zero_division=0) for given in (1.0, factors)
    )
    assert weighed > plain + 0.05
    assert told["factors"] == pytest.approx(weighed, abs=0.05)
    assert told["plain"] == pytest.approx(plain, abs=0.05)


def test_factors_that_do_no_better_on_rows_left_out_are_one() -> None:
    random = np.random.default_rng(4)
    y = np.arange(90) % 3
    p = random.dirichlet([1, 1, 1], 90)  # says nothing
    factors, told = choose_factors(rows_of(y), p)
    assert (told["factors"] > told["plain"]) == (factors != [1.0, 1.0, 1.0])
    sure = np.eye(3)[y] * 0.8 + 0.1
    assert choose_factors(rows_of(y), sure)[0] == [1.0, 1.0, 1.0]


def test_factors_count_rows_by_their_weight_and_bear_a_class_without_rows() -> None:
    y, p = probabilities(300, 5)
    weight = np.where(y == 1, 30.0, 1.0)
    as_often = np.repeat(np.arange(300), weight.astype(int))
    assert best_factors(y, p, weight) == pytest.approx(best_factors(y[as_often], p[as_often], np.ones(len(as_often))))
    assert best_factors(y[y < 2], p[y < 2], np.ones(int((y < 2).sum())))[2] == 1.0
