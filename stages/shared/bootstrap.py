"""Metrics over bootstrap resamples of rows: intervals, and paired differences of models.

Intervals are percentiles over resamples of the rows (of groups where there are any), the same resamples for every
model, so that differences are paired. Source: Efron & Tibshirani 1993, chapters 13 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stages.shared.evaluation.asked import Asked
from stages.shared.metrics import HIGHER_IS_BETTER, NOTHING, Cut, prepare
from stages.shared.progress import Progress
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]
BLOCK_CELLS = 250_000  # resamples x rows held at once: what fits a processor's cache is also fastest


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
    measures: dict[str, Callable[[Array], dict[str, Array]]], rows: Rows, n_resamples: int, seed: int
) -> dict[str, dict[str, Array]]:
    """Return what each function gives of the resamples, {name: {metric: shape (..., 1 + n_resamples)}}."""
    parts: dict[str, list[dict[str, Array]]] = {name: [] for name in measures}
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


def resample(rows: Rows, n_resamples: int, seed: int) -> Iterator[Array]:
    """Yield how often each row stands in each resample, times its weight, in blocks of shape (block, n_rows).

    The first block is the sample itself. Whole groups are drawn where the contract has a group. Without weights the
    blocks hold whole numbers.
    """
    n_rows = len(rows.y)
    clusters = None if rows.group is None else np.unique(rows.group, return_inverse=True)[1]
    n = n_rows if clusters is None else int(clusters.max()) + 1
    random = np.random.default_rng(seed)
    once = np.ones((1, n_rows), dtype=np.int32)
    yield once if rows.weight is None else once * rows.weight
    block = max(1, BLOCK_CELLS // n_rows)
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        drawn = random.integers(0, n, size=(size, n))  # 64 bits each: no block's size changes what comes next
        drawn += np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.int32)
        counts = counts if clusters is None else counts[:, clusters]
        yield counts if rows.weight is None else counts * rows.weight


def compare(measured: dict[str, dict[str, Array]], confidence: float) -> dict[str, Any]:
    """Return value, low and high of each model's metrics, and of the model's difference from each baseline."""
    compared: dict[str, Any] = {
        "metrics": {name: interval(values, confidence) for name, values in measured["model"].items()}
    }
    for other in ("linear", "constant"):
        compared[other] = {name: interval(values, confidence) for name, values in measured[other].items()}
        compared[f"minus_{other}"] = {
            name: difference(name, measured["model"][name] - measured[other][name], confidence)
            for name in measured["model"]
        }
    return compared


def interval(values: Array, confidence: float) -> dict[str, Any]:
    """Return the sample's value and the percentile interval of the resamples, to 6 decimals.

    Resamples in which the metric has no value (no positive row was drawn) are left out and counted as `undefined`.
    """
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(values[1:], [tail, 1 - tail])
    row = {"value": round(float(values[0]), 6), "low": round(float(low), 6), "high": round(float(high), 6)}
    undefined = int(np.isnan(values[1:]).sum())
    return {**row, "undefined": undefined} if undefined else row


def difference(name: str, values: Array, confidence: float) -> dict[str, Any]:
    """Return the interval of a paired difference and whether it says better, worse or nothing."""
    row = interval(values, confidence)
    is_higher, is_lower = row["low"] > 0, row["high"] < 0
    if not (is_higher or is_lower):
        return {**row, "verdict": "cannot tell"}
    return {**row, "verdict": "better" if is_higher == HIGHER_IS_BETTER[name] else "worse"}
