"""Metrics over bootstrap resamples of rows: intervals, and paired differences of models.

Intervals are percentiles over resamples of the rows (of groups where there are any), the same resamples for every
model, so that differences are paired. Two corrections move the percentiles. Where the sample's value is not the
resamples' median, both move by twice the distance in standard normal units (bias-corrected percentiles: Efron &
Tibshirani 1993, 14.3). And both move outwards where rows or groups are few, since resamples spread less than samples do
(expanded percentiles: Hesterberg 2015, 5.3). Of the calibration error, which chance only raises, the ends are found by
inverting a test (sums.Gaps). In simulation (tests/benchmarks/coverage.py) these cover better than plain
percentiles for R2, and for macro F1 of few groups; an acceleration (BCa) added nothing that could be measured.

More rows (or groups) than MOST_DRAWN are drawn in bundles that are dealt at random once: a resample of 10,000 bundles
spreads as one of single rows does, but for the factor 1 - 1/10,000 of its variance, and costs a fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.draws import Draws, Units
from stages.shared.metrics import HIGHER_IS_BETTER, NOTHING, Cut, prepare
from stages.shared.progress import Progress
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]
BLOCK_CELLS = 250_000  # resamples x rows held at once: what fits a processor's cache is also fastest
MOST_DRAWN, N_BUNDLES = 20_000, 10_000  # rows or groups drawn one by one; bundles that more of them are dealt into
BY_INVERSION = ("ece",)  # its resamples say what explains the sample (sums.Gaps): not shifted to its value
MOST_SHIFT = 1.0  # standard normal units from the resamples' median to the value: further off, nothing is known


def measure(
    task: str,
    rows: Rows,
    predictions: dict[str, tuple[Array, Cut]],
    n_resamples: int,
    seed: int,
    asked: Asked = NOTHING,
) -> dict[str, dict[str, Array]]:
    """Return {model: {metric: shape (1 + n_resamples,)}} of {model: (scores, cut)}, the sample's value first."""
    prepared = {name: prepare(task, rows.y, scores, cut, asked) for name, (scores, cut) in predictions.items()}
    return over_resamples({name: one.measure for name, one in prepared.items()}, rows, n_resamples, seed)


def over_resamples(
    measures: Mapping[str, Callable[[Draws], Mapping[str, Array]]], rows: Rows, n_resamples: int, seed: int
) -> dict[str, dict[str, Array]]:
    """Return what each function gives of the resamples, {name: {metric: shape (..., 1 + n_resamples)}}."""
    parts: dict[str, list[Mapping[str, Array]]] = {name: [] for name in measures}
    progress, done = Progress("evaluate", "resamples", n_resamples), 0
    for W in resample(rows, n_resamples, seed):
        for name, function in measures.items():
            parts[name].append(function(W))
        done += len(W)
        progress.update(done - 1)  # the first is the sample itself
    progress.close()
    return {
        name: {m: np.concatenate([part[m] for part in found], axis=-1) for m in found[0]}
        for name, found in parts.items()
    }


def resample(rows: Rows, n_resamples: int, seed: int) -> Iterator[Draws]:
    """Yield how often each row stands in each resample, times its weight, a few resamples at a time.

    The first one is the sample itself. Whole groups are drawn where the contract has a group.
    """
    random = np.random.default_rng(seed)
    n, units = deal(rows, random)
    yield Draws(np.ones((1, n), dtype=np.int32), units)
    block = max(1, BLOCK_CELLS // len(rows.y))
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        drawn = random.integers(0, n, size=(size, n))  # 64 bits each: no block's size changes what comes next
        drawn += np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.int32)
        yield Draws(counts, units)


def deal(rows: Rows, random: np.random.Generator) -> tuple[int, Units]:
    """Return how many units are drawn, and what they are: rows, groups, or random bundles of either of equal count."""
    of_row = None if rows.group is None else np.unique(rows.group, return_inverse=True)[1]
    n = len(rows.y) if of_row is None else int(of_row.max()) + 1
    if n > MOST_DRAWN:
        bundle = random.permutation(n) % N_BUNDLES
        n, of_row = N_BUNDLES, bundle if of_row is None else bundle[of_row]
    return n, Units(of_row, n, rows.weight)


def compare(measured: dict[str, dict[str, Array]], confidence: float, units: int | None = None) -> dict[str, Any]:
    """Return value, low and high of each model's metrics, and of the model's difference from each other one."""
    model = measured["model"]
    compared: dict[str, Any] = {"metrics": intervals(model, confidence, units)}
    for other in (name for name in measured if name != "model"):
        compared[other] = intervals(measured[other], confidence, units)
        compared[f"minus_{other}"] = {
            name: difference(name, model[name] - measured[other][name], confidence, units) for name in model
        }
    return compared


def intervals(metrics: dict[str, Array], confidence: float, units: int | None = None) -> dict[str, dict[str, Any]]:
    """Return the interval of each metric."""
    return {name: interval(values, confidence, units, name) for name, values in metrics.items()}


def interval(values: Array, confidence: float, units: int | None = None, name: str = "") -> dict[str, Any]:
    """Return the sample's value and the interval, to 6 decimals; `units` is how many rows or groups were drawn from.

    Resamples in which the metric has no value (no positive row was drawn) are left out and counted as `undefined`; a
    sample without value has None for all three. The percentiles of a metric that chance only raises (`ece`: sums.Gaps)
    need not lie about the sample's value.
    """
    found = values[1:][~np.isnan(values[1:])]
    undefined = len(values) - 1 - len(found)
    counted = {"undefined": undefined} if undefined else {}
    if np.isnan(values[0]) or not len(found):
        return {"value": None, "low": None, "high": None, **counted}
    value = float(values[0])
    shares = ends(None if name in BY_INVERSION else value, found, confidence, units)
    low, high = np.quantile(found, shares, method="weibull").tolist()  # (n + 1) p: others lie inwards
    low, high = min(low, value), max(high, value)
    return {"value": round(value, 6), "low": round(low, 6), "high": round(high, 6), **counted}


def ends(value: float | None, found: Array, confidence: float, units: int | None) -> tuple[float, float]:
    """Return the two shares of the resamples between which the interval lies: 0.025 and 0.975 where nothing corrects.

    Without a value the place of the median is not corrected, without units the spread is not.
    Student's quantile by its expansion about the normal one: Abramowitz & Stegun 26.7.5.
    """
    normal = NormalDist()
    z, shift = -normal.inv_cdf((1 - confidence) / 2), 0.0
    if units is not None:
        n = max(1, units - 1)
        terms = (
            z,
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        )
        z = sum(term / n**power for power, term in enumerate(terms)) * ((n + 1) / n) ** 0.5
    if value is not None:
        below = float(((found < value).mean() + (found <= value).mean()) / 2)
        furthest = normal.cdf(MOST_SHIFT)
        shift = 2 * normal.inv_cdf(min(max(below, 1 - furthest), furthest))
    return normal.cdf(shift - z), normal.cdf(shift + z)


def units_of(rows: Rows) -> int:
    """Return how many rows, groups or bundles a resample draws from."""
    return deal(rows, np.random.default_rng(0))[0]


def difference(name: str, values: Array, confidence: float, units: int | None = None) -> dict[str, Any]:
    """Return the interval of a paired difference and whether it says better, worse or nothing."""
    row = interval(values, confidence, units, name)
    if row["value"] is None or row["low"] <= 0 <= row["high"]:
        return {**row, "verdict": "cannot tell"}
    return {**row, "verdict": "better" if (row["low"] > 0) == HIGHER_IS_BETTER[name] else "worse"}
