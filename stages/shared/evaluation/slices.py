"""Metrics of each slice with intervals, and how far they are from the rest of the rows and from all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.evaluation.members import FEWEST, Slice
from stages.shared.evaluation.resampled import (
    Sample,
    Values,
    contrast,
    metrics_within,
    over_resamples,
    summary,
    units_within,
)

Array = np.ndarray[Any, Any]
ALL = "all rows"
MOST = 200  # slices measured: each costs as much as the whole sample; the others are listed by name


def measure_slices(sample: Sample, members: list[Slice], min_rows: int) -> dict[str, Any]:
    """Return the slices by name, those too small with their rows, and all rows' own gap.

    A slice has its rows, metrics, `gap` (mean predicted minus mean observed, by class of several), and the metrics'
    paired difference from the rest and from all rows.
    """
    n_rows, classes = len(sample.rows.y), sample.contract.classes
    large = [each for each in members if each.is_inside.sum() >= min_rows]
    small = [each for each in members if each.is_inside.sum() < min_rows]
    shown, spared = large[:MOST], large[MOST:]
    everyone = np.ones(n_rows, bool)
    statistics = {ALL: metrics_within(sample, everyone)}
    for nth, each in enumerate(shown):
        statistics[f"in {nth}"] = metrics_within(sample, each.is_inside)
        if not each.is_inside.all():
            statistics[f"out {nth}"] = metrics_within(sample, ~each.is_inside)
    found = over_resamples(sample, statistics)
    described = {
        each.name: {
            "kind": each.kind,
            "rows": int(each.is_inside.sum()),
            **_described(found[f"in {nth}"], found.get(f"out {nth}"), found[ALL], sample, each.is_inside),
        }
        for nth, each in enumerate(shown)
    }
    return {
        "min_rows": min_rows,
        "all": {"rows": n_rows, "gap": _gaps(found[ALL], classes, sample.confidence, units_within(sample, everyone))},
        "slices": described,
        "too_small": {each.name: _told(each) for each in small},
        "not_measured": [each.name for each in spared],
    }


def _told(each: Slice) -> int | str:
    """Return the number of rows, of few in a sensitive slice only that they are few."""
    n_rows = int(each.is_inside.sum())
    return f"fewer than {FEWEST}" if each.is_sensitive and n_rows < FEWEST else n_rows


def _described(inside: Values, outside: Values | None, everyone: Values, sample: Sample, mask: Array) -> dict[str, Any]:
    confidence, units = sample.confidence, units_within(sample, mask)
    metrics = [name for name in inside if not name.startswith("gap")]
    told: dict[str, Any] = {
        "metrics": {name: summary(inside[name], confidence, units, name) for name in metrics},
        "gap": _gaps(inside, sample.contract.classes, confidence, units),
        "minus_rest": {},  # there is none where a slice has every row
        "minus_all": {name: contrast(name, inside[name] - everyone[name], confidence, units) for name in metrics},
    }
    if outside is not None:
        fewest = min(units, units_within(sample, ~mask))
        told["minus_rest"] = {
            name: contrast(name, inside[name] - outside[name], confidence, fewest) for name in metrics
        }
    return told


def _gaps(values: Values, classes: list[str], confidence: float, units: int) -> dict[str, Any]:
    """Return the summary of each gap by class, of one only as `score`."""
    if "gap" in values:
        return {"score": summary(values["gap"], confidence, units)}
    return {label: summary(values[f"gap {k}"], confidence, units) for k, label in enumerate(classes)}
