"""Periods of the test rows: calendar units, too few rows joined, metrics of exactly those rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, roc_auc_score

from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.declared import EvaluationConf
from stages.shared.evaluation.periods import (
    about_periods,
    longest_unit,
    name_of,
    periods_table,
    split_by_time,
    start_of,
)
from stages.shared.rows import Rows

CONF = EvaluationConf(resamples=50, confidence=0.95, plot_points=10, periods="month")
START = datetime(2013, 10, 1)


def seconds(days: list[float]) -> np.ndarray:
    return np.array([((START - datetime(1970, 1, 1)) + timedelta(days=day)).total_seconds() for day in days])


def table(days: list[float], y: np.ndarray, **more: Any) -> Rows:
    return Rows(np.zeros((len(y), 1)), y, np.arange(len(y)), None, None, time=seconds(days), **more)


@pytest.mark.parametrize(
    ("unit", "start", "name"),
    [
        ("hour", datetime(2020, 12, 31, 23), "2020-12-31 23h"),
        ("day", datetime(2020, 12, 31), "2020-12-31"),
        ("week", datetime(2020, 12, 28), "2020-W53"),
        ("month", datetime(2020, 12, 1), "2020-12"),
        ("quarter", datetime(2020, 10, 1), "2020-Q4"),
        ("year", datetime(2020, 1, 1), "2020"),
    ],
)
def test_a_moment_belongs_to_the_calendar_period_with_its_usual_name(unit, start, name):
    assert start_of(datetime(2020, 12, 31, 23, 59, 59), unit) == start
    assert name_of(start, unit) == name


@pytest.mark.parametrize(
    ("days", "unit"),
    [(2000, "year"), (600, "quarter"), (110, "month"), (30, "week"), (5, "day"), (0.5, "hour"), (0.01, "hour")],
)
def test_auto_takes_the_longest_unit_that_gives_four_periods(days, unit):
    assert longest_unit([START + timedelta(days=days * i / 200) for i in range(201)]) == unit


def test_every_row_is_in_one_period_and_in_the_right_one():
    days = np.random.default_rng(1).uniform(0, 92, 900)
    unit, periods = split_by_time(seconds(days.tolist()), np.arange(900.0), "regression", "month")
    assert (unit, [period.name for period in periods]) == ("month", ["2013-10", "2013-11", "2013-12"])
    for period, (first, last) in zip(periods, [(0, 31), (31, 61), (61, 92)], strict=True):
        assert sorted(period.places.tolist()) == np.flatnonzero((first <= days) & (days < last)).tolist()


def test_few_rows_are_joined_with_the_next_and_the_last_ones_with_the_one_before():
    days = [0.0] * 10 + [31.0] * 25 + [61.0] * 40 + [92.0] * 5
    _, periods = split_by_time(seconds(days), np.arange(80.0), "regression", "month")
    assert [(it.name, len(it.places), it.n_merged) for it in periods] == [
        ("2013-10 to 2013-11", 35, 2),
        ("2013-12 to 2014-01", 45, 2),
    ]


def test_a_period_of_two_classes_has_five_rows_of_each():
    days = [0.0] * 40 + [31.0] * 40
    y = np.array([1] * 4 + [0] * 36 + [1] * 20 + [0] * 20)
    _, [only] = split_by_time(seconds(days), y, "binary", "month")
    assert (only.name, only.n_merged, len(only.places)) == ("2013-10 to 2013-11", 2, 80)


@pytest.mark.parametrize("y", [np.zeros(3), np.array([1.0, 2.0, 3.0])])
def test_a_handful_of_rows_is_one_period(y):
    _, [only] = split_by_time(seconds([0.0, 40.0, 80.0]), y, "regression", "day")
    assert (len(only.places), only.n_merged) == (3, 3)


def test_there_are_never_more_than_a_hundred_periods():
    days = (np.arange(20_000) / 24).tolist()
    _, periods = split_by_time(seconds(days), np.arange(20_000.0), "regression", "hour")
    assert len(periods) == 100
    assert sum(len(it.places) for it in periods) == 20_000


def test_a_moment_before_1970_or_in_the_year_one_has_its_period():
    early = np.array([(datetime(1, 1, 3) - datetime(1970, 1, 1)).total_seconds()] * 40)
    _, [only] = split_by_time(early, np.arange(40.0), "regression", "week")
    assert only.name == "0001-W01"


def test_metrics_of_a_period_are_those_of_its_rows():
    random = np.random.default_rng(2)
    y = random.integers(0, 2, 200)
    scores = {name: np.clip(0.3 * y + random.random(200), 0, 1)[:, None] for name in ("model", "linear", "constant")}
    rows = table([0.0] * 100 + [31.0] * 100, y)
    found = about_periods("binary", rows, {n: (s, 0.5) for n, s in scores.items()}, CONF, 1, Asked())
    assert (found["unit"], found["headline"], len(found["list"])) == ("month", "roc_auc", 2)
    for part, places in zip(found["list"], [slice(100), slice(100, 200)], strict=True):
        assert part["rows"] == 100
        for key, which in (("metrics", "model"), ("linear", "linear")):
            expected = roc_auc_score(y[places], scores[which][places, 0])
            assert part[key]["roc_auc"]["value"] == pytest.approx(expected, abs=1e-6)
            assert part[key]["roc_auc"]["low"] <= expected <= part[key]["roc_auc"]["high"] + 1e-6
        assert part["minus_linear"]["roc_auc"]["verdict"] in ("better", "worse", "cannot tell")
    written = periods_table("roc_auc", found["list"])
    assert [row[:3] for row in written.rows] == [["2013-10", 100, "roc_auc"], ["2013-11", 100, "roc_auc"]]


def test_a_change_over_time_is_seen_in_its_period_alone():
    y = np.random.default_rng(3).normal(size=120)
    scores = np.where(np.arange(120) < 60, y, y + 5.0)[:, None]
    rows = table([0.0] * 60 + [31.0] * 60, y)
    parts = {"model": (scores, 0.0), "linear": (y[:, None] + 1, 0.0)}
    first, second = about_periods("regression", rows, parts, CONF, 1, Asked())["list"]
    assert (first["minus_linear"]["mae"]["verdict"], second["minus_linear"]["mae"]["verdict"]) == ("better", "worse")
    assert second["metrics"]["mae"]["value"] == pytest.approx(mean_absolute_error(y[60:], scores[60:, 0]), abs=1e-6)


def test_rows_without_time_have_no_periods():
    y = np.arange(4.0)
    assert about_periods("regression", Rows(y[:, None], y, y, None, None), {}, CONF, 1, Asked()) == {}
