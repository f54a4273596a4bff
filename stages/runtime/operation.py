"""What the feature operations share: how a column is read in a row and in a query, and the joins of a query."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from .contract_sql import identifier, literal

LONG = 64  # levels or grams, beyond which they are joined instead of found in a list
Feature = dict[str, Any]
Evaluate = Callable[[Mapping[str, Any]], float]


def column_sql(name: str) -> str:
    """Return the expression of a column of the table that features are made of."""
    return f"t.{identifier(name)}"


def present(feature: Feature, of: Callable[[Any], float]) -> Evaluate:
    """Return the evaluation that applies `of` to the column's value and leaves missing ones NaN."""
    column = feature["column"]

    def evaluate(values: Mapping[str, Any]) -> float:
        value = values[column]
        return math.nan if value is None else float(of(value))

    return evaluate


def number_sql(value: float) -> str:
    """Return a float as SQL reads it back, bit for bit: a literal without an exponent would be a decimal."""
    return f"'{value!r}'::DOUBLE"


def texts_sql(texts: list[str]) -> str:
    """Return a list of texts."""
    return f"[{', '.join(map(literal, texts))}]::VARCHAR[]"


def versions(feature: Feature, key: str) -> list[Any]:
    """Return the feature's own `key` and, while it is fitted, that of each fold."""
    return [feature[key], *(fold[key] for fold in feature.get("folds", []))]


def list_sql(feature: Feature, key: str, kind: str) -> str:
    """Return the list under `key`, one number an item; of a feature with folds one list of numbers an item."""
    if "folds" not in feature:
        return f"'{json.dumps(feature[key])}'::{kind}[]"
    return f"'{json.dumps([list(item) for item in zip(*versions(feature, key), strict=True)])}'::{kind}[][]"


def chosen_sql(feature: Feature, expression: str) -> str:
    """Return the number in `expression`, an item of `list_sql`: the row's fold chooses where there are folds."""
    return f"({expression})[_fold + 1]" if "folds" in feature else expression


class Joins:
    """The tables that a query joins: by level the values of long lookups, by row the sums over a text's grams.

    A join takes as long for 10,000 levels as for 100; finding them in a list 100 times as long.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.lookups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self.sums: dict[tuple[str, tuple[str, ...]], list[tuple[str, str]]] = {}

    def lookup(self, key: str, names: list[str], values: str) -> str:
        """Return the expression of the item of the list `values` at the place of `key` among `names`, or NULL."""
        columns = self.lookups.setdefault((key, tuple(names)), [])
        columns.append(values)
        return f"_l{list(self.lookups).index((key, tuple(names)))}._v{len(columns) - 1}"

    def total(self, grams: str, names: list[str], weights: str, weight: Callable[[str], str]) -> tuple[str, str]:
        """Return the expressions of a row's sum of `weights`, a list as long as `names`, and of how many it adds up.

        `grams` is the expression of the row's list of texts; `weight` gives that of a number from an item of `weights`.
        """
        columns = self.sums.setdefault((grams, tuple(names)), [])
        place = next((place for place, (known, _) in enumerate(columns) if known == weights), len(columns))
        if place == len(columns):
            columns.append((weights, weight(f"_w{place}")))
        alias = f"_s{list(self.sums).index((grams, tuple(names)))}"
        return f"coalesce({alias}._v{place}, 0)", f"coalesce({alias}._n, 0)"

    def clauses(self) -> str:
        """Return the LEFT JOINs that the expressions speak of."""
        found = []
        for place, ((key, names), values) in enumerate(self.lookups.items()):
            columns = [f"unnest({item}) AS _v{number}" for number, item in enumerate(values)]
            table = f"(SELECT unnest({texts_sql(list(names))}) AS _k, {', '.join(columns)})"
            found.append(f"LEFT JOIN {table} AS _l{place} ON _l{place}._k = {key}")
        for place, ((grams, names), weights) in enumerate(self.sums.items()):
            found.append(f"LEFT JOIN {self._sums(grams, list(names), weights)} AS _s{place} ON _s{place}._r = t._row")
        return " ".join(found)

    def _sums(self, grams: str, names: list[str], weights: list[tuple[str, str]]) -> str:
        """Return the query of (_r, _n, _v0, _v1, ...): whole numbers, so that the order of adding does not matter."""
        columns = [f"unnest({item}) AS _w{number}" for number, (item, _) in enumerate(weights)]
        table = f"(SELECT unnest({texts_sql(names)}) AS _k, {', '.join(columns)})"
        sums = [f"sum({weight}) AS _v{number}" for number, (_, weight) in enumerate(weights)]
        fold = ", t._fold" if any("_fold" in weight for _, weight in weights) else ""
        rows = f"(SELECT t._row AS _r{fold}, unnest(list_distinct({grams})) AS _g FROM {self.source} AS t)"
        return f"(SELECT _r, count(*) AS _n, {', '.join(sums)} FROM {rows} JOIN {table} ON _k = _g GROUP BY _r)"
