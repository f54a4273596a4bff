"""The feature plan: fitted operations as plain data, evaluated on one row in Python and on a table in DuckDB.

A plan is a list of features, each `{"name", "op", "column", ...}`. Both evaluators give the same float64 for the same
typed values, bit for bit; missing is NaN in Python and NULL in DuckDB. A property test holds them equal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from .contract_sql import identifier, literal

Feature = dict[str, Any]
Evaluate = Callable[[Mapping[str, Any]], float]

MICROSECOND = timedelta(microseconds=1)
HOUR = 3_600_000_000.0  # microseconds
WORD = "[^ \\t\\n\\r\\f\\v]+"
PARTS: dict[str, tuple[Callable[[Any], int], str]] = {
    "hour": (lambda moment: moment.hour if isinstance(moment, datetime) else 0, "hour"),
    "weekday": (lambda moment: moment.isoweekday(), "isodow"),
    "day": (lambda moment: moment.day, "day"),
    "month": (lambda moment: moment.month, "month"),
}


def compile_row(features: list[Feature]) -> Callable[[Mapping[str, Any]], list[float]]:
    """Return the function from {column: typed value} to the feature values, shape (n_features,)."""
    steps = [_ROW[feature["op"]](feature) for feature in features]
    return lambda values: [step(values) for step in steps]


def select_sql(features: list[Feature]) -> str:
    """Return the SELECT list that gives the same features, one DOUBLE column each."""
    return ", ".join(
        f"({_SQL[feature['op']](feature)})::DOUBLE AS {identifier(feature['name'])}" for feature in features
    )


def _present(feature: Feature, of: Callable[[Any], float]) -> Evaluate:
    """Return the evaluation that applies `of` to the column's value and leaves missing ones NaN."""
    column = feature["column"]

    def evaluate(values: Mapping[str, Any]) -> float:
        value = values[column]
        return math.nan if value is None else float(of(value))

    return evaluate


def _category(feature: Feature) -> Evaluate:
    codes = {level: float(code) for code, level in enumerate(feature["levels"])}
    other = float(len(codes))
    return _present(feature, lambda value: codes.get(value, other))


def _category_sql(feature: Feature) -> str:
    column, levels = identifier(feature["column"]), feature["levels"]
    codes = f"list_position([{', '.join(map(literal, levels))}]::VARCHAR[], {column})"
    return f"CASE WHEN {column} IS NOT NULL THEN coalesce({codes} - 1, {len(levels)}) END"


def _hours_since(feature: Feature) -> Evaluate:
    column, origin = feature["column"], feature["origin"]

    def evaluate(values: Mapping[str, Any]) -> float:
        end, start = _moment(values[column]), _moment(values[origin])
        return math.nan if end is None or start is None else ((end - start) // MICROSECOND) / HOUR

    return evaluate


def _moment(value: date | datetime | None) -> datetime | None:
    return value if value is None or isinstance(value, datetime) else datetime(value.year, value.month, value.day)


def _hours_since_sql(feature: Feature) -> str:
    end, start = (f"epoch_us({identifier(feature[key])}::TIMESTAMP)" for key in ("column", "origin"))
    return f"({end} - {start})::DOUBLE / {HOUR!r}::DOUBLE"


_ROW: dict[str, Callable[[Feature], Evaluate]] = {
    "number": lambda feature: _present(feature, float),
    "category": _category,
    "part": lambda feature: _present(feature, PARTS[feature["part"]][0]),
    "hours_since": _hours_since,
    "length": lambda feature: _present(feature, len),
    "words": lambda feature: _present(feature, lambda text: len(re.findall(WORD, text))),
}
_SQL: dict[str, Callable[[Feature], str]] = {
    "number": lambda feature: identifier(feature["column"]),
    "category": _category_sql,
    "part": lambda feature: f"{PARTS[feature['part']][1]}({identifier(feature['column'])})",
    "hours_since": _hours_since_sql,
    "length": lambda feature: f"length({identifier(feature['column'])})",
    "words": lambda feature: f"len(regexp_extract_all({identifier(feature['column'])}, {literal(WORD)}))",
}
