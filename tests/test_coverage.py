"""Intervals hold as often as they say, and equally good models are seldom called different: a small simulation."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import coverage

from stages.shared import bootstrap
from stages.shared.metrics import HEADLINE

REPEATS = 400  # a share of 95% has a standard error of 1.1%, one of 2.5% has 0.8%


@pytest.mark.slow
@pytest.mark.parametrize("is_grouped", [False, True], ids=["plain", "grouped"])
@pytest.mark.parametrize("task", coverage.TASKS)
def test_intervals_hold_and_twins_are_not_told_apart(task, is_grouped, monkeypatch):
    monkeypatch.setattr(coverage, "TRUTH_ROWS", 200_000)
    holds, _, _, better, worse = coverage.simulate(task, 300, is_grouped, REPEATS, 300, seed=3)[HEADLINE[task]]
    assert 0.92 <= holds <= 0.98
    assert max(better, worse) <= 0.05


@pytest.mark.slow
def test_the_simulation_notices_that_groups_are_taken_for_rows(monkeypatch):
    """Rows drawn one by one although they come in groups: intervals that are too narrow."""
    monkeypatch.setattr(coverage, "TRUTH_ROWS", 200_000)
    whole = bootstrap.resample

    def one_by_one(rows, n_resamples, seed):
        return whole(bootstrap.Rows(rows.X, rows.y, rows.number, rows.weight, None), n_resamples, seed)

    monkeypatch.setattr(bootstrap, "resample", one_by_one)
    found = coverage.simulate("regression", 300, True, 200, 200, seed=3)
    assert found["r2"][0] < 0.92
    assert found["r2"][3] + found["r2"][4] > 0.08


def test_a_draw_of_groups_has_rows_that_go_together():
    rows, [scores, _] = coverage.draw("regression", 20_000, True, np.random.default_rng(1))
    assert rows.group is not None
    pairs = scores[:, 0].reshape(-1, coverage.GROUP)[:, :2]
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.5, abs=0.03)
