"""Fairness between the groups of each sensitive column, as fairlearn defines it, with intervals.

selection rate: share called positive; true and false positive rate: share called positive of the positive, of the
negative rows. demographic parity compares selection rates, equal opportunity true positive rates, equalized odds both
rates, the worse one counting (Hardt et al. 2016; Agarwal et al. 2018). A difference is the largest group's minus the
smallest's, a ratio the smallest's over the largest's. Of several classes each is taken against all others, and the
table's number is the worst class's. A predicted number has no calls: its groups' mean errors are compared.

Resampling pushes a largest difference up. So its low end is that of the two groups which differ most in the sample,
which may fall below 0, and its high end that of the largest difference of each resample; of ratios the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from stages.shared.evaluation.draws import Draws
from stages.shared.evaluation.members import Slice
from stages.shared.evaluation.resampled import Sample, Statistic, gaps_of, over_resamples, summary, units_within
from stages.shared.evaluation.sums import mean
from stages.shared.losses import call

Array = np.ndarray[Any, Any]
Rates = dict[str, Array]  # {rate: shape (1 + n_resamples, n_groups)}
PARITIES = {
    "demographic_parity": ["selection_rate"],
    "equal_opportunity": ["true_positive_rate"],
    "equalized_odds": ["true_positive_rate", "false_positive_rate"],
}
METRICS = {
    "regression": ["mean_error_difference", "calibration_gap"],
    "binary": [*(f"{parity}_{kind}" for parity in PARITIES for kind in ("difference", "ratio")), "calibration_gap"],
}
METRICS["multiclass"] = METRICS["binary"]
IS_FLOOR = {name: name.endswith("_ratio") for names in METRICS.values() for name in names}


def measure_fairness(sample: Sample, members: list[Slice], min_rows: int) -> dict[str, Any]:
    """Return {sensitive column: {"groups", "left_out", "empty", "metrics", "by_class" of several}}.

    Groups of fewer than `min_rows` are left out; a column with fewer than two others has no metrics. A value that the
    contract declares and no row has is also `empty`.
    """
    found: dict[str, Any] = {}
    for column in dict.fromkeys(each.family[0] for each in members if each.kind == "sensitive"):
        groups = [each for each in members if each.kind == "sensitive" and each.family[0] == column]
        large = [each for each in groups if each.is_inside.sum() >= min_rows]
        few = [each for each in groups if each.is_inside.sum() < min_rows]
        found[column] = {
            "left_out": [each.name for each in few],
            "empty": [each.name for each in few if not each.is_inside.any()],
            "groups": {},
            "metrics": {},
        }
        if len(large) >= 2:
            found[column] |= _of_column(sample, large)
    return found


def _of_column(sample: Sample, groups: list[Slice]) -> dict[str, Any]:
    task, scores = sample.contract.task, sample.scores
    masks = [each.is_inside for each in groups]
    labels = _labels(task, sample.contract.classes)
    called = None if task == "regression" else call(task, scores, sample.cut)
    statistics = {
        f"{label} {nth}": _rates(task, sample.rows.y, scores, called, number, mask)
        for label, number in labels.items()
        for nth, mask in enumerate(masks)
    }
    values = over_resamples(sample, statistics)
    by_label = {}
    for label in labels:
        each = [values[f"{label} {nth}"] for nth in range(len(groups))]
        rates = {name: np.column_stack([one[name] for one in each]) for name in each[0]}
        by_label[label] = _compared(sample, rates, groups)
    if task != "multiclass":
        return next(iter(by_label.values()))
    worst = {name: _worst(name, (part["metrics"][name] for part in by_label.values())) for name in METRICS[task]}
    return {"metrics": worst, "by_class": by_label, "groups": {each.name: int(each.is_inside.sum()) for each in groups}}


def _labels(task: str, classes: list[str]) -> dict[str, int]:
    """Return {what is called: its number}: the positive class, or each of several."""
    return {label: k for k, label in enumerate(classes)} if task == "multiclass" else {"score": 1}


def _rates(task: str, y: Array, scores: Array, called: Array | None, number: int, mask: Array) -> Statistic:
    """Return the statistic that gives the rates of one group, NaN where a resample has no row to take them over."""
    gap = gaps_of(task, y[mask], scores[mask])[f"gap {number}" if task == "multiclass" else "gap"]
    if called is None:
        return lambda W: {"mean_error": mean(W.within(mask), gap)}
    is_called, is_actual = called[mask] == number, y[mask] == number
    is_true, is_false = is_called & is_actual, is_called & ~is_actual
    is_other = ~is_actual

    def statistic(W: Draws) -> dict[str, Array]:
        own = W.within(mask)
        return {
            "selection_rate": own.within(is_called).total / own.total,
            "true_positive_rate": own.within(is_true).total / own.within(is_actual).total,
            "false_positive_rate": own.within(is_false).total / own.within(is_other).total,
            "calibration": mean(own, gap),
        }

    return statistic


def _compared(sample: Sample, rates: Rates, groups: list[Slice]) -> dict[str, Any]:
    confidence, units = sample.confidence, [units_within(sample, each.is_inside) for each in groups]
    described = {
        each.name: {"rows": int(each.is_inside.sum())}
        | {name: summary(values[:, nth], confidence, units[nth]) for name, values in rates.items()}
        for nth, each in enumerate(groups)
    }
    if "mean_error" in rates:
        error = rates["mean_error"]
        metrics = {"mean_error_difference": _extreme(error, _difference, confidence, units)}
        return {"groups": described, "metrics": metrics | {"calibration_gap": largest_gap(error, confidence, units)}}
    metrics = {}
    for parity, names in PARITIES.items():
        for kind, between in (("difference", _difference), ("ratio", _ratio)):
            name = f"{parity}_{kind}"
            metrics[name] = _worst(name, (_extreme(rates[rate], between, confidence, units) for rate in names))
    metrics["calibration_gap"] = largest_gap(rates["calibration"], confidence, units)
    return {"groups": described, "metrics": metrics}


def _difference(high: Array, low: Array) -> Array:
    return np.asarray(high - low)


def _ratio(high: Array, low: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(low / high)


def _extreme(
    values: Array, between: Callable[[Array, Array], Array], confidence: float, units: list[int]
) -> dict[str, Any]:
    """Return the difference, or the ratio, of the highest and the lowest group; values of shape (1 + n, n_groups)."""
    if np.isnan(values[0]).any():
        return {"value": None, "low": None, "high": None}
    high, low = values[0].argmax(), values[0].argmin()
    pair = summary(between(values[:, high], values[:, low]), confidence, min(units[high], units[low]))
    widest = summary(between(values.max(1), values.min(1)), confidence, min(units))
    if pair["value"] is None or widest["value"] is None:
        return {"value": None, "low": None, "high": None}
    if between is _ratio:
        return {"value": pair["value"], "low": widest["low"], "high": pair["high"]}
    return {"value": pair["value"], "low": pair["low"], "high": widest["high"]}


def _worst(name: str, found: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the smallest ratio, or the largest difference; without a value where one of them has none."""
    rows = list(found)
    if any(row["value"] is None for row in rows):
        return {"value": None, "low": None, "high": None}
    choose = min if IS_FLOOR[name] else max
    return choose(rows, key=lambda row: row["value"])


def largest_gap(values: Array, confidence: float, units: list[int]) -> dict[str, Any]:
    """Return the largest absolute gap of some, shape (1 + n_resamples, n): low is 0 where its interval holds 0."""
    rows = [absolute(summary(column, confidence, n)) for column, n in zip(values.T, units, strict=True)]
    return max((row for row in rows if row["value"] is not None), key=lambda row: row["value"], default=rows[0])


def absolute(row: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a gap's size from that of the gap."""
    if row["value"] is None:
        return row
    ends = sorted(abs(row[key]) for key in ("low", "high"))
    holds_zero = row["low"] <= 0 <= row["high"]
    return {"value": abs(row["value"]), "low": 0.0 if holds_zero else ends[0], "high": ends[1]}
