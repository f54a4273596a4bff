"""Resamples of rows, groups and bundles: what a row's sums are by unit, against the rows written out."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sk

from stages.shared import bootstrap
from stages.shared.bootstrap import interval, measure, resample, units_of
from stages.shared.evaluation.draws import Draws, Units
from stages.shared.evaluation.regression import Middle
from stages.shared.rows import Rows

RANDOM = np.random.default_rng(5)
N = 600
GROUP = RANDOM.integers(0, 130, N)
WEIGHT = RANDOM.uniform(0.1, 3, N)


def make_rows(n: int = N, weight=None, group=None, seed: int = 1) -> tuple[Rows, np.ndarray]:
    """Return rows with a number to predict, and a model's answers."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=n)
    rows = Rows(np.zeros((n, 1)), signal + random.normal(size=n), np.arange(n), weight, group)
    return rows, signal[:, None]


@pytest.fixture
def few_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 100 rows or groups are drawn in 30 bundles."""
    monkeypatch.setattr(bootstrap, "MOST_DRAWN", 100)
    monkeypatch.setattr(bootstrap, "N_BUNDLES", 30)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["counts", "weighted"])
@pytest.mark.parametrize("group", [None, GROUP], ids=["rows", "groups"])
def test_sums_by_bundle_are_those_of_the_rows(few_bundles, weight, group):
    rows, scores = make_rows(weight=weight, group=group)
    values, is_inside, places = scores[:, 0], rows.y > 0.3, RANDOM.permutation(N)[:50]
    for W in resample(rows, 20, 3):
        assert W.counts.shape[1] == 30
        np.testing.assert_allclose(W.sum(values), W.rows @ values, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(W.total, W.rows.sum(1), rtol=1e-12)
        assert (W.at(places) == W.rows[:, places]).all()
        part = W.within(is_inside)
        assert (part.rows == W.rows[:, is_inside]).all()
        np.testing.assert_allclose(part.sum(values[is_inside]), W.rows[:, is_inside] @ values[is_inside], rtol=1e-11)


def test_bundles_have_the_same_number_of_rows_and_keep_groups_whole(few_bundles):
    [first, *_] = resample(make_rows()[0], 1, 3)
    assert np.bincount(first.units.of_row).tolist() == [20] * 30
    [first, *_] = resample(make_rows(group=GROUP)[0], 1, 3)
    assert all(len(np.unique(first.units.of_row[each == GROUP])) == 1 for each in np.unique(GROUP))


def test_the_sample_itself_comes_first_and_each_resample_draws_every_bundle_once_on_average(few_bundles):
    blocks = list(resample(make_rows()[0], 50, 3))
    assert (blocks[0].rows == 1).all()
    assert {int(total) for W in blocks for total in W.total} == {N}


def test_units_are_the_rows_up_to_the_limit_and_then_the_bundles(monkeypatch):
    rows = make_rows()[0]
    assert units_of(rows) == N
    monkeypatch.setattr(bootstrap, "MOST_DRAWN", N - 1)
    assert units_of(rows) == bootstrap.N_BUNDLES


@pytest.mark.parametrize("group", [None, GROUP], ids=["rows", "groups"])
def test_every_metric_of_a_bundled_resample_is_scikit_learns_on_the_rows_it_drew(few_bundles, group):
    rows, scores = make_rows(group=group)
    found = measure("regression", rows, {"model": (scores, 0.0)}, 40, 3)["model"]
    functions = {
        "mae": sk.mean_absolute_error, "rmse": sk.root_mean_squared_error,
        "median_ae": sk.median_absolute_error, "r2": sk.r2_score,
    }  # fmt: skip
    counts = np.vstack([W.rows for W in resample(rows, 40, 3)])
    for name, function in functions.items():
        drawn = [np.repeat(np.arange(N), row) for row in counts]
        expected = [function(rows.y[places], scores[places, 0]) for places in drawn]
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)


def test_bundles_spread_as_rows_do(monkeypatch):
    rows, scores = make_rows(20_000)
    alone = measure("regression", rows, {"model": (scores, 0.0)}, 1000, 3)["model"]
    monkeypatch.setattr(bootstrap, "MOST_DRAWN", 10_000)
    bundled = measure("regression", rows, {"model": (scores, 0.0)}, 1000, 3)["model"]
    for name, values in alone.items():
        assert bundled[name].std() == pytest.approx(values.std(), rel=0.1), name  # each is known to 2%
        assert interval(bundled[name], 0.95)["value"] == pytest.approx(interval(values, 0.95)["value"], abs=1e-6)


def repeated_median(values: np.ndarray, counts: np.ndarray) -> list[float]:
    return [float(np.median(np.repeat(values, row))) if row.sum() else np.nan for row in counts]


@pytest.mark.parametrize("n", [1, 2, 5, 64, 65, 2000, 2001])
def test_median_is_that_of_the_rows_written_out(n):
    values = np.random.default_rng(n).integers(0, max(2, n // 3), n).astype(float)  # many are equal
    counts = np.vstack([np.ones(n, int), np.random.default_rng(n).multinomial(n, np.full(n, 1 / n), 30)])
    np.testing.assert_array_equal(Middle(values).median(Draws(counts)), repeated_median(values, counts))


def test_median_is_found_where_a_resample_moves_it_far_away():
    n = 3000
    values, counts = np.arange(float(n)), np.ones((4, n), int)
    counts[1, : n // 2], counts[2, n // 2 :], counts[3] = 0, 0, 0  # the upper half alone, the lower half, nothing
    np.testing.assert_array_equal(Middle(values).median(Draws(counts)), repeated_median(values, counts))


def test_sums_of_arrays_that_come_and_go_are_not_taken_for_each_other():
    units = Units(np.array([0, 1, 1]), 2)
    for number in range(50):
        assert units.sums(np.full(3, float(number))).tolist() == [number, 2 * number]


MEASURE = """
import hashlib, numpy as np
from stages.shared.bootstrap import measure
from stages.shared.progress import muted
from stages.shared.rows import Rows
random = np.random.default_rng(1)
y = random.normal(size=30_000)
rows = Rows(np.zeros((len(y), 1)), y, np.arange(len(y)), None, None)
with muted():
    found = measure("regression", rows, {"model": (y[:, None] + random.normal(size=(len(y), 1)), 0.0)}, 50, 1)["model"]
print(hashlib.md5(b"".join(found[name].tobytes() for name in sorted(found))).hexdigest())
"""


def test_bundled_resamples_are_equal_byte_for_byte_with_any_number_of_threads():
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    seen = {
        subprocess.run(
            [sys.executable, "-c", MEASURE],
            env=os.environ | dict.fromkeys(threads, str(n)),
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for n in (1, 2, 4)
    }  # fmt: skip
    assert len(seen) == 1
    assert seen != {hashlib.md5(b"").hexdigest()}
