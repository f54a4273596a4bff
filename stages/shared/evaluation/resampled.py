"""Statistics of some of the rows over the bootstrap's resamples: the same resamples for all, so that all is paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.shared import bootstrap
from stages.shared.evaluation.draws import Draws, Units
from stages.shared.evaluation.sums import mean
from stages.shared.metrics import HIGHER_IS_BETTER, Cut, prepare
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]
Values = dict[str, Array]  # {statistic: shape (1 + n_resamples,)}, the sample's own first
Statistic = Callable[[Draws], Mapping[str, Array]]
NEED_POSITIVES = ("recall", "f1")  # that the library gives as 0 without any positive row: here they have no value


@dataclass(frozen=True)
class Sample:
    """The test rows with the model's scores, and how they are resampled."""

    contract: Contract
    rows: Rows
    scores: Array  # (n_rows, n_outputs)
    cut: Cut
    resamples: int
    seed: int
    confidence: float

    @cached_property
    def units(self) -> Units:
        """What a resample draws."""
        return bootstrap.deal(self.rows, np.random.default_rng(self.seed))[1]


def over_resamples(sample: Sample, statistics: Mapping[str, Statistic]) -> dict[str, Values]:
    """Return {name: {statistic: shape (1 + n_resamples,)}}, NaN where a resample gives no value."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return bootstrap.over_resamples(statistics, sample.rows, sample.resamples, sample.seed)


def units_within(sample: Sample, is_inside: Array) -> int:
    """Return how many of the rows, groups or bundles that are drawn have rows inside."""
    of_row = sample.units.of_row
    return int(np.count_nonzero(is_inside if of_row is None else np.bincount(of_row[is_inside])))


def metrics_within(sample: Sample, is_inside: Array) -> Statistic:
    """Return the statistic that gives every metric of the rows inside, and their `gap`s; NaN where none is drawn."""
    task, y, scores = sample.contract.task, sample.rows.y[is_inside], sample.scores[is_inside]
    prepared, is_positive, gaps = prepare(task, y, scores, sample.cut), y == 1, gaps_of(task, y, scores)

    def statistic(W: Draws) -> dict[str, Array]:
        own = W.within(is_inside)
        is_empty = own.total == 0
        own = own.or_all(is_empty)
        found = prepared.measure(own) | {name: mean(own, gap) for name, gap in gaps.items()}
        if task == "binary":
            has_none = own.within(is_positive).total == 0
            found |= {name: np.where(has_none, np.nan, found[name]) for name in NEED_POSITIVES if name in found}
        return {name: np.where(is_empty, np.nan, values) for name, values in found.items()}

    return statistic


def gaps_of(task: str, y: Array, scores: Array) -> dict[str, Array]:
    """Return each row's predicted minus observed: `gap`, of several classes `gap 0`, `gap 1`, ... each."""
    if task == "multiclass":
        return {f"gap {k}": scores[:, k] - (y == k) for k in range(scores.shape[1])}
    return {"gap": scores[:, 0] - y}


def summary(values: Array, confidence: float, units: int, name: str = "") -> dict[str, Any]:
    """Return value, low and high; None for each where the sample, or every resample, has no value.

    `units` is how many rows or groups the values come from: few of them spread less in resamples than in samples.
    """
    if np.isnan(values[0]) or np.isnan(values[1:]).all():
        return {"value": None, "low": None, "high": None}
    return bootstrap.interval(values, confidence, units, name)


def contrast(metric: str, values: Array, confidence: float, units: int) -> dict[str, Any]:
    """Return the summary of a paired difference and whether it says better, worse or nothing."""
    row = summary(values, confidence, units, metric)
    if row["value"] is None or metric not in HIGHER_IS_BETTER:
        return row
    return bootstrap.difference(metric, values, confidence, units)
