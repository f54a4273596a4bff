"""Gates: rules over what was measured that can stop a release, each with the number that decided it.

A gate looks at `value`, `low` or `high` (`bound`) of one number and holds it against `limit`:

    floor, ceiling   a metric, of all rows or of a slice
    baseline         by how much the model is better than a baseline, paired; at least `limit` (0), at `low` more
    revision         by how much it is better than another commit's, on that commit's own test rows; at least `limit`
    slices           by how much the worst slice is worse than all rows, paired; at most `limit`
    fairness         the largest difference, or smallest ratio, over sensitive columns, or of one
    behaviour        how many tests fail; none may
    calibration      the size of mean predicted minus mean observed; of a number in the target's standard deviations

`revision` needs Git, which a stage may not read: here it is pending, `python -m tools.gates` decides it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stages.shared.errors import did_you_mean
from stages.shared.evaluation import fairness
from stages.shared.evaluation.demands import Gate
from stages.shared.metrics import HEADLINE, HIGHER_IS_BETTER

Row = dict[str, Any]  # value, low, high
KEY_OF_BOUND = {"point": "value", "low": "low", "high": "high"}
NOTHING: Row = {"value": None, "low": None, "high": None}


@dataclass(frozen=True)
class Evidence:
    """What evaluate found, as its reports say it."""

    task: str
    metrics: Mapping[str, Row]
    minus: Mapping[str, Mapping[str, Row]]  # {baseline: {metric: paired difference}}
    slices: Mapping[str, Any]  # slices.json
    fairness: Mapping[str, Any]
    behaviour: Mapping[str, Any]
    spread: float  # of the target, where it is a number


def gate_faults(
    gates: Mapping[str, Gate],
    task: str,
    metrics: Iterable[str],
    names: Mapping[str, Iterable[str]],
    where: str,
) -> list[str]:
    """Return each metric, slice, column or test that a gate names and nothing has.

    `names` holds the known `slice`s, sensitive `column`s and behaviour `test`s.
    """
    found = []
    for name, gate in gates.items():
        own = fairness.METRICS[task] if gate.kind == "fairness" else ["headline", *metrics]
        for key, known in {"metric": own, **names}.items():
            choices, given = list(known), getattr(gate, key)
            if given is not None and given not in choices:
                hint = did_you_mean(given, choices) or (f"; there are {', '.join(choices)}" if choices else "")
                found.append(f"{where}.{name}.{key}: no {key} {given!r}{hint}")
        is_directed = gate.metric in (None, "headline", *HIGHER_IS_BETTER)
        if gate.kind in ("baseline", "revision", "slices") and gate.metric in own and not is_directed:
            found.append(f"{where}.{name}.metric: whether more of {gate.metric} is better is not known")
    return found


def judge(gates: Mapping[str, Gate], evidence: Evidence) -> list[dict[str, Any]]:
    """Return what each gate says, in their order: name, kind, metric, bound, limit, value, low, high, passed, why."""
    return [_judged(name, gate, evidence) for name, gate in gates.items()]


def _judged(name: str, gate: Gate, evidence: Evidence) -> dict[str, Any]:
    metric = metric_of(gate, evidence.task)
    limit = 0.0 if gate.limit is None else gate.limit
    told = {
        "name": name,
        "kind": gate.kind,
        "metric": metric,
        "bound": gate.bound,
        "limit": limit,
        "reason": gate.reason,
    }
    if gate.kind == "revision":
        return told | NOTHING | {"passed": None, "why": "pending: python -m tools.gates compares with another revision"}
    row, why = _MEASURED[gate.kind](gate, metric, evidence)
    is_strict = gate.kind == "baseline" and gate.bound == "low"
    return told | verdict(row, why, gate.bound, limit, is_floor(gate.kind, metric), is_strict)


def metric_of(gate: Gate, task: str) -> str:
    """Return the metric that a gate looks at, the task's headline unless it says another."""
    if gate.kind in ("behaviour", "calibration"):
        return {"behaviour": "failing tests", "calibration": "gap"}[gate.kind]
    return HEADLINE[task] if gate.metric in (None, "headline") else str(gate.metric)


def is_floor(kind: str, metric: str) -> bool:
    """Return whether a kind wants at least the limit; otherwise at most."""
    return fairness.IS_FLOOR[metric] if kind == "fairness" else kind in ("floor", "baseline", "revision")


def verdict(
    row: Row | None, why: str, bound: str, limit: float, wants_more: bool, is_strict: bool = False
) -> dict[str, Any]:
    """Return the measured part of a gate; None for a row that there is no need for, which passes."""
    if row is None:
        return NOTHING | {"passed": True, "why": why}
    parts = {key: row[key] for key in ("value", "low", "high")}
    number = row[KEY_OF_BOUND[bound]]
    if number is None:
        return parts | {"passed": False, "why": f"{why}: it has no value there" if why else "it has no value"}
    passed = number >= limit if wants_more else number <= limit
    if is_strict and number == limit:  # no better is not surely better
        passed = False
    return parts | {"passed": bool(passed), "why": why}


def better_by(metric: str, row: Row) -> Row:
    """Return a difference of a metric turned so that more is better."""
    if HIGHER_IS_BETTER[metric] or row["value"] is None:
        return {key: row[key] for key in ("value", "low", "high")}
    return {"value": -row["value"], "low": -row["high"], "high": -row["low"]}


def _metric(gate: Gate, metric: str, evidence: Evidence) -> tuple[Row | None, str]:
    if gate.slice is None:
        return evidence.metrics[metric], ""
    part = evidence.slices["slices"].get(gate.slice)
    return (NOTHING, _small(gate.slice, evidence)) if part is None else (part["metrics"][metric], gate.slice)


def _small(name: str, evidence: Evidence) -> str:
    """Return why a slice was not measured."""
    if name in evidence.slices["not_measured"]:
        return f"{name}: too many slices"
    rows = evidence.slices["too_small"][name]
    return f"{name}: {rows} rows, fewer than {evidence.slices['min_rows']}"


def _baseline(gate: Gate, metric: str, evidence: Evidence) -> tuple[Row | None, str]:
    return better_by(metric, evidence.minus[str(gate.against)][metric]), f"over {gate.against}"


def _slices(gate: Gate, metric: str, evidence: Evidence) -> tuple[Row | None, str]:
    """Return by how much the worst slice is worse than all rows, by the end of the interval that decides."""
    if gate.slice is not None and gate.slice not in evidence.slices["slices"]:
        return NOTHING, _small(gate.slice, evidence)
    parts = evidence.slices["slices"]
    shown = parts if gate.slice is None else {gate.slice: parts[gate.slice]}
    rows = {name: _worse_by(metric, part["minus_all"][metric]) for name, part in shown.items()}
    measured = {name: row for name, row in rows.items() if row["value"] is not None}
    if not shown:
        return None, "no slice with enough rows" if evidence.slices["too_small"] else "no slices declared"
    if not measured:
        return NOTHING, f"{metric} of {', '.join(rows)}"
    worst = max(measured, key=lambda name: measured[name][KEY_OF_BOUND[gate.bound]])
    without = len(rows) - len(measured)
    return measured[worst], f"worst of {len(measured)}: {worst}" + (f"; {without} without a value" if without else "")


def _worse_by(metric: str, row: Row) -> Row:
    better = better_by(metric, row)
    if better["value"] is None:
        return better
    return {"value": -better["value"], "low": -better["high"], "high": -better["low"]}


def _fairness(gate: Gate, metric: str, evidence: Evidence) -> tuple[Row | None, str]:
    """Return the worst sensitive column's number, by the end of the interval that decides."""
    if not evidence.fairness:
        return None, "no sensitive column"
    shown = [gate.column] if gate.column else list(evidence.fairness)
    metrics = {name: evidence.fairness[name]["metrics"] for name in shown}
    rows = {name: found[metric] for name, found in metrics.items() if found}
    if not rows:
        return NOTHING, f"{', '.join(shown)}: fewer than two groups of {evidence.slices['min_rows']} rows"
    empty = [name for column in shown for name in evidence.fairness[column]["empty"]]
    if empty:
        return NOTHING, f"no test rows of {', '.join(empty)}"
    undefined = [name for name, row in rows.items() if row["value"] is None]
    if undefined:
        return NOTHING, undefined[0]
    choose = min if fairness.IS_FLOOR[metric] else max
    worst = choose(rows, key=lambda name: rows[name][KEY_OF_BOUND[gate.bound]])
    few = [name for column in shown for name in evidence.fairness[column]["left_out"]]
    return rows[worst], worst + (f"; too few rows of {', '.join(few)}" if few else "")


def _behaviour(gate: Gate, metric: str, evidence: Evidence) -> tuple[Row | None, str]:
    shown = {name: test for name, test in evidence.behaviour.items() if gate.test in (None, name)}
    if not shown:
        return None, "no tests declared"
    failing = [name for name, test in shown.items() if not test["passed"]]
    why = f"failing: {', '.join(failing)}" if failing else f"{len(shown)} tests"
    return {"value": len(failing), "low": None, "high": None}, why


def _calibration(gate: Gate, metric: str, evidence: Evidence) -> tuple[Row | None, str]:
    """Return the largest size of a gap, over classes where there are several."""
    if gate.slice is not None and gate.slice not in evidence.slices["slices"]:
        return NOTHING, _small(gate.slice, evidence)
    part = evidence.slices["all"] if gate.slice is None else evidence.slices["slices"][gate.slice]
    rows = {label: fairness.absolute(row) for label, row in part["gap"].items() if row["value"] is not None}
    if not rows:
        return NOTHING, gate.slice or ""
    worst = max(rows, key=lambda label: rows[label][KEY_OF_BOUND[gate.bound]])
    unit = evidence.spread if evidence.task == "regression" else 1.0
    row = {key: round(value / unit, 6) for key, value in rows[worst].items()}
    return row, ", ".join(filter(None, [gate.slice, worst if evidence.task == "multiclass" else ""]))


_MEASURED = {
    "floor": _metric,
    "ceiling": _metric,
    "baseline": _baseline,
    "slices": _slices,
    "fairness": _fairness,
    "behaviour": _behaviour,
    "calibration": _calibration,
}
