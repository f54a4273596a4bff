"""Feature operations on categories, and on pairs of them: a level, or what was learnt of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .contract_sql import literal
from .operation import LONG, Evaluate, Feature, Joins, chosen_sql, column_sql, list_sql, number_sql, texts_sql, versions

BETWEEN = "\x1f"  # stands between the texts of a pair


def _text(feature: Feature) -> Callable[[Mapping[str, Any]], str | None]:
    """Return the function from a row to the category's text, or to the two texts of a pair as one."""
    column, other = feature["column"], feature.get("with")
    if other is None:
        return lambda values: values[column]

    def pair(values: Mapping[str, Any]) -> str | None:
        first, second = values[column], values[other]
        return None if first is None or second is None else f"{first}{BETWEEN}{second}"

    return pair


def text_sql(feature: Feature) -> str:
    """Return the expression of the same text."""
    if "with" not in feature:
        return column_sql(feature["column"])
    return f"({column_sql(feature['column'])} || chr({ord(BETWEEN)}) || {column_sql(feature['with'])})"


def _lookup(feature: Feature) -> Evaluate:
    """Return the evaluation that gives each level its value, `other` to those that have none; null is missing."""
    text = _text(feature)
    found = dict(zip(feature["levels"], map(float, feature["values"]), strict=True))
    other = math.nan if feature["other"] is None else float(feature["other"])

    def evaluate(values: Mapping[str, Any]) -> float:
        level = text(values)
        return math.nan if level is None else found.get(level, other)

    return evaluate


def _lookup_sql(feature: Feature, joins: Joins) -> str:
    text, names = text_sql(feature), feature["levels"]
    others = ["NULL::DOUBLE" if other is None else number_sql(other) for other in versions(feature, "other")]
    other = chosen_sql(feature, f"[{', '.join(others)}]") if "folds" in feature else others[0]
    if not names:
        return f"CASE WHEN {text} IS NOT NULL THEN {other} END"
    values = list_sql(feature, "values", "DOUBLE")
    if len(names) > LONG:
        found = joins.lookup(text, names, values)
    else:
        found = f"({values})[list_position({texts_sql(names)}, {text})]"
    return f"CASE WHEN {text} IS NOT NULL THEN coalesce({chosen_sql(feature, found)}, {other}) END"


def _coded(feature: Feature) -> Feature:
    """Return the lookup that a category is: the place of its level, the number of levels for any other one."""
    n_levels = len(feature["levels"])
    return {**feature, "values": [float(place) for place in range(n_levels)], "other": float(n_levels)}


def _one_hot(feature: Feature) -> Evaluate:
    text, level = _text(feature), feature["level"]
    return lambda values: 1.0 if text(values) == level else 0.0


def _one_hot_sql(feature: Feature, joins: Joins) -> str:
    return f"coalesce({text_sql(feature)} = {literal(feature['level'])}, false)::INT"


ROW: dict[str, Callable[[Feature], Evaluate]] = {
    "category": lambda feature: _lookup(_coded(feature)),
    "one_hot": _one_hot,
    "ordered": _lookup,
    "target": _lookup,
    "frequency": _lookup,
}
SQL: dict[str, Callable[[Feature, Joins], str]] = {
    "category": lambda feature, joins: _lookup_sql(_coded(feature), joins),
    "one_hot": _one_hot_sql,
    "ordered": _lookup_sql,
    "target": _lookup_sql,
    "frequency": _lookup_sql,
}
