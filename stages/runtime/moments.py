"""Feature operations on dates and timestamps: parts, their cycles, time since another moment, holidays."""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
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


def _from_holidays(feature: Feature) -> tuple[date, list[int | None]]:
    """Return the first day of the years kept, and the number of each of their days: both evaluators look it up.

    `days_to_holiday` is 0 on a holiday and `days_since_holiday` too; None where no holiday is known on that side.
    """
    first, last = date(feature["first_year"], 1, 1), date(feature["last_year"], 12, 31)
    days = [date.fromisoformat(day).toordinal() for day in feature["days"]]
    if feature["op"] == "holiday":
        holidays = set(days)
        return first, [int(day in holidays) for day in range(first.toordinal(), last.toordinal() + 1)]
    found: list[int | None] = []
    for day in range(first.toordinal(), last.toordinal() + 1):
        if feature["op"] == "days_to_holiday":
            place = bisect_left(days, day)
            found.append(days[place] - day if place < len(days) else None)
        else:
            place = bisect_right(days, day)
            found.append(day - days[place - 1] if place else None)
    return first, found


def _holiday(feature: Feature) -> Evaluate:
    first, numbers = _from_holidays(feature)
    start, values = first.toordinal(), [math.nan if number is None else float(number) for number in numbers]

    def number(moment: date) -> float:
        place = moment.toordinal() - start
        return values[place] if 0 <= place < len(values) else math.nan

    return present(feature, number)


def _holiday_sql(feature: Feature, joins: Joins) -> str:
    first, numbers = _from_holidays(feature)
    place = f"date_diff('day', {literal(first.isoformat())}::DATE, {column_sql(feature['column'])}::DATE)"
    found = f"('{json.dumps(numbers)}'::BIGINT[])[{place} + 1]"
    return f"CASE WHEN {place} BETWEEN 0 AND {len(numbers) - 1} THEN {found} END"


HOLIDAYS = ("holiday", "days_to_holiday", "days_since_holiday")
ROW: dict[str, Callable[[Feature], Evaluate]] = {
    "part": _part,
    "cycle": _cycle,
    "hours_since": _hours_since,
    **dict.fromkeys(HOLIDAYS, _holiday),
}
SQL: dict[str, Callable[[Feature, Joins], str]] = {
    "part": _part_sql,
    "cycle": _cycle_sql,
    "hours_since": _hours_since_sql,
    **dict.fromkeys(HOLIDAYS, _holiday_sql),
}
