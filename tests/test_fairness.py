"""Fairness is fairlearn's, with intervals; calibration and mean errors of groups are those of their rows."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from fairlearn import metrics as fairlearn
from made import made_slices, make_sample

from stages.shared.evaluation.fairness import IS_FLOOR, METRICS, absolute, measure_fairness
from stages.shared.losses import call

NAMES = {
    "demographic_parity_difference": fairlearn.demographic_parity_difference,
    "demographic_parity_ratio": fairlearn.demographic_parity_ratio,
    "equal_opportunity_difference": fairlearn.equal_opportunity_difference,
    "equal_opportunity_ratio": fairlearn.equal_opportunity_ratio,
    "equalized_odds_difference": fairlearn.equalized_odds_difference,
    "equalized_odds_ratio": fairlearn.equalized_odds_ratio,
}


@pytest.mark.parametrize("n_groups", [2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_two_classes_equal_fairlearn(name: str, n_groups: int) -> None:
    sample = make_sample("binary")
    group = np.random.default_rng(3).integers(0, n_groups, 600)
    found = measure_fairness(sample, made_slices(group), 30)["sex"]["metrics"][name]
    called = call("binary", sample.scores, 0.5)
    assert found["value"] == pytest.approx(NAMES[name](sample.rows.y, called, sensitive_features=group), abs=1e-6)
    assert found["low"] <= found["value"] <= found["high"]


@pytest.mark.parametrize("name", NAMES)
def test_the_worst_of_several_classes_counts_each_against_the_others(name: str) -> None:
    sample = make_sample("multiclass")
    group = np.random.default_rng(4).integers(0, 3, 600)
    found = measure_fairness(sample, made_slices(group), 30)["sex"]
    called = call("multiclass", sample.scores, [1.0] * 3)
    right = [NAMES[name](sample.rows.y == k, called == k, sensitive_features=group) for k in range(3)]
    assert found["metrics"][name]["value"] == pytest.approx((min if IS_FLOOR[name] else max)(right), abs=1e-6)
    values = [found["by_class"][label]["metrics"][name]["value"] for label in "abc"]
    assert values == pytest.approx(right, abs=1e-6)


def test_mean_errors_of_a_number_by_group() -> None:
    sample = make_sample("regression")
    group = np.arange(600) % 2
    scores = sample.scores + 2.0 * (group == 1)[:, None]
    found = measure_fairness(dataclasses.replace(sample, scores=scores), made_slices(group), 30)["sex"]
    error = scores[:, 0] - sample.rows.y
    means = [error[group == nth].mean() for nth in (0, 1)]
    assert [found["groups"][f"sex = {nth}"]["mean_error"]["value"] for nth in (0, 1)] == pytest.approx(means, abs=1e-6)
    assert found["metrics"]["mean_error_difference"]["value"] == pytest.approx(means[1] - means[0], abs=1e-6)
    assert found["metrics"]["mean_error_difference"]["low"] > 1.5
    assert found["metrics"]["calibration_gap"]["value"] == pytest.approx(abs(means[1]), abs=1e-6)


def test_calibration_is_told_by_group() -> None:
    sample = make_sample("binary")
    group = np.arange(600) % 2
    scores = np.clip(sample.scores + 0.3 * (group == 1)[:, None], 0, 1)
    found = measure_fairness(dataclasses.replace(sample, scores=scores), made_slices(group), 30)["sex"]
    gap = (scores[:, 0] - sample.rows.y)[group == 1].mean()
    assert found["groups"]["sex = 1"]["calibration"]["value"] == pytest.approx(gap, abs=1e-6)
    assert found["metrics"]["calibration_gap"]["value"] == pytest.approx(gap, abs=1e-6)
    assert found["metrics"]["calibration_gap"]["low"] > 0.1


def test_equal_groups_are_not_surely_apart() -> None:
    """The low end of a difference between groups that a coin made falls below 0 in nearly every draw."""
    n_apart = 0
    for seed in range(40):
        sample = make_sample("binary", seed=seed, resamples=100)
        group = np.random.default_rng([seed, 9]).integers(0, 2, 600)
        row = measure_fairness(sample, made_slices(group), 30)["sex"]["metrics"]["demographic_parity_difference"]
        n_apart += row["low"] > 0
    assert n_apart <= 6  # 5% of 40 are 2; more than 6 come in one of 300 such tests


def test_small_and_empty_groups_are_left_out_by_name() -> None:
    sample = make_sample("binary")
    group = np.where(np.arange(600) < 10, "x", np.where(np.arange(600) % 2, "f", "m"))
    members = made_slices(group)
    members.append(dataclasses.replace(members[0], name="sex = none", is_inside=np.zeros(600, bool)))
    found = measure_fairness(sample, members, 30)["sex"]
    assert found["left_out"] == ["sex = x", "sex = none"]
    assert found["empty"] == ["sex = none"]
    assert list(found["groups"]) == ["sex = f", "sex = m"]
    few = measure_fairness(sample, members, 320)["sex"]
    assert (few["groups"], few["metrics"]) == ({}, {})


def test_a_group_of_one_class_has_no_rate_of_the_other() -> None:
    sample = make_sample("binary")
    group = np.arange(600) % 2
    sample.rows.y[group == 1] = 0
    found = measure_fairness(sample, made_slices(group), 30)["sex"]
    assert found["groups"]["sex = 1"]["true_positive_rate"]["value"] is None
    assert found["metrics"]["equal_opportunity_difference"]["value"] is None
    assert found["metrics"]["demographic_parity_difference"]["value"] is not None
    json.dumps(found, allow_nan=False)


def test_every_metric_is_there_for_every_task() -> None:
    for task, names in METRICS.items():
        found = measure_fairness(make_sample(task), made_slices(np.arange(600) % 2), 30)["sex"]
        assert set(found["metrics"]) == set(names)


@pytest.mark.parametrize(
    ("row", "size"),
    [
        ({"value": -0.2, "low": -0.3, "high": -0.1}, {"value": 0.2, "low": 0.1, "high": 0.3}),
        ({"value": 0.1, "low": -0.3, "high": 0.2}, {"value": 0.1, "low": 0.0, "high": 0.3}),
        ({"value": None, "low": None, "high": None}, {"value": None, "low": None, "high": None}),
    ],
)
def test_the_size_of_a_gap(row: dict[str, float], size: dict[str, float]) -> None:
    assert absolute(row) == size
