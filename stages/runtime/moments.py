"""Feature operations on dates and timestamps: parts, their cycles, time since another moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from .contract_sql import literal
from .operation import Evaluate, Feature, Joins, column_sql, list_sql, present

MICROSECOND = timedelta(microseconds=1)
HOUR = 3_600_000_000.0  # microseconds
PARTS: dict[str, tuple[Callable[[Any], int], str]] = {
    "hour": (lambda moment: moment.hour if isinstance(moment, datetime) else 0, "hour"),
    "weekday": (lambda moment: moment.isoweekday(), "isodow"),
    "day": (lambda moment: moment.day, "day"),
    "month": (lambda moment: moment.month, "month"),
    "year": (lambda moment: moment.year, "year"),
}


def _part(feature: Feature) -> Evaluate:
    return present(feature, PARTS[feature["part"]][0])


def _part_sql(feature: Feature, joins: Joins) -> str:
    return f"{PARTS[feature['part']][1]}({column_sql(feature['column'])})"


def _cycle(feature: Feature) -> Evaluate:
    """Return the evaluation that looks a part up in `values`: engines and machines differ on a sine's last bit."""
    part, values = PARTS[feature["part"]][0], feature["values"]
    return present(feature, lambda moment: values[part(moment)])


def _cycle_sql(feature: Feature, joins: Joins) -> str:
    return f"({list_sql(feature, 'values', 'DOUBLE')})[{_part_sql(feature, joins)} + 1]"


def _hours_since(feature: Feature) -> Evaluate:
    """Return the evaluation of the hours from `origin`, a column, or from `moment`, a date, to the column's value."""
    column, origin = feature["column"], feature.get("origin")
    fixed = datetime.fromisoformat(feature["moment"]) if "moment" in feature else None

    def evaluate(values: Mapping[str, Any]) -> float:
        end, start = _moment(values[column]), fixed if origin is None else _moment(values[origin])
        return math.nan if end is None or start is None else ((end - start) // MICROSECOND) / HOUR

    return evaluate


def _moment(value: date | datetime | None) -> datetime | None:
    return value if value is None or isinstance(value, datetime) else datetime(value.year, value.month, value.day)


def _hours_since_sql(feature: Feature, joins: Joins) -> str:
    start = literal(feature["moment"]) if "moment" in feature else column_sql(feature["origin"])
    end, start = (f"epoch_us({moment}::TIMESTAMP)" for moment in (column_sql(feature["column"]), start))
    return f"({end} - {start})::DOUBLE / {HOUR!r}::DOUBLE"


ROW: dict[str, Callable[[Feature], Evaluate]] = {"part": _part, "cycle": _cycle, "hours_since": _hours_since}
SQL: dict[str, Callable[[Feature, Joins], str]] = {
    "part": _part_sql,
    "cycle": _cycle_sql,
    "hours_since": _hours_since_sql,
}
