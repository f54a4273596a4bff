"""Features of dates and timestamps: parts, their cycles, hours since other moments."""

from __future__ import annotations

import math
from datetime import datetime

from stages.runtime.contract import Contract
from stages.runtime.forms import MOMENTS
from stages.runtime.operation import Feature
from stages.shared.errors import did_you_mean
from stages.shared.features.schema import Dates

CYCLES = {"hour": (0, 24), "weekday": (1, 7), "day": (1, 31), "month": (1, 12)}  # first value, number of values
DIGITS = 12  # of a sine, so that any machine's is the same number


def date_features(name: str, contract: Contract, conf: Dates) -> list[Feature]:
    """Return the features of one date or timestamp; nothing is fitted. A date has no hour."""
    has_hour = contract.columns[name].type == "timestamp"
    features: list[Feature] = [
        {"name": f"{name}.{part}", "op": "part", "column": name, "part": part}
        for part in conf.parts
        if part != "hour" or has_hour
    ]
    for part in conf.cycles:
        if part != "hour" or has_hour:
            features += _cycle(name, part)
    for origin in conf.since:
        features += _since(name, contract, origin)
    return features


def _cycle(name: str, part: str) -> list[Feature]:
    """Return a part as a point on a circle, so that its last value is next to its first."""
    first, n_values = CYCLES[part]
    features = []
    for function in (math.sin, math.cos):
        angles = [2 * math.pi * (value - first) / n_values for value in range(first + n_values)]
        values = [round(function(angle), DIGITS) + 0.0 for angle in angles]
        feature = {"name": f"{name}.{part}_{function.__name__}", "op": "cycle", "column": name, "part": part}
        features.append({**feature, "values": values})
    return features


def _since(name: str, contract: Contract, origin: str) -> list[Feature]:
    """Return the hours since `origin`: `time` is the contract's time column, anything else a column or a date."""
    column = next(iter(contract.with_role("time")), name) if origin == "time" else origin
    if column == name:
        return []
    feature = {"op": "hours_since", "column": name}
    if column in contract.columns:
        of = "" if origin == "time" else f"_{column}"
        return [{"name": f"{name}.hours_since{of}", **feature, "origin": column}]
    return [{"name": f"{name}.hours_since_{column}", **feature, "moment": column}]


def since_faults(name: str, contract: Contract, conf: Dates) -> list[str]:
    """Return what is wrong with the origins of `since`."""
    moments = [other for other in contract.inputs if contract.columns[other].type in MOMENTS]
    faults = []
    for origin in conf.since:
        if origin == "time" or origin in moments:
            continue
        try:
            is_plain = datetime.fromisoformat(origin).tzinfo is None
        except ValueError:
            is_plain = False
        if not is_plain:
            known = f"`time`, a date or timestamp that is an input, or an ISO date{did_you_mean(origin, moments)}"
            faults.append(f"dates.since of {name}: should be {known}, got {origin!r}")
    return faults
