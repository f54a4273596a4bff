"""Counts the values of categories in the sample `profiled` of a table: the most frequent ones, all others, new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Column
from stages.runtime.contract_sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

TOP_VALUES = 20

Found = dict[str, Any]  # what is said of one column


@dataclass(frozen=True)
class Table:
    """A FROM clause, the FROM clause of its sample, the columns to describe, and the rows of each side."""

    connection: duckdb.DuckDBPyConnection
    kept: str
    sampled: str
    columns: dict[str, Column]
    rows: dict[str, int]

    def by_side(self, expressions: list[str], source: str) -> dict[str, list[Any]]:
        """Return {side: the values of aggregate expressions over its rows}; None where the sample has no such row."""
        if not expressions:
            return {side: [] for side in self.rows}
        query = f"SELECT _split, {', '.join(expressions)} FROM {source} GROUP BY 1"
        found = {row[0]: list(row[1:]) for row in self.connection.execute(query).fetchall()}
        return {side: found.get(side, [None] * len(expressions)) for side in self.rows}


def list_values(table: Table, found: dict[str, Found], known: dict[str, Found], is_exact: bool) -> None:
    """Add the values with the largest share of any side, the rows of each, of all others, of those new in it."""
    if not found:
        return
    sides = list(table.rows)
    each = " UNION ALL ".join(_counts_query(table, name, place) for place, name in enumerate(found))
    share = ", ".join(f"n{place} / {n}" for place, n in enumerate(table.rows.values()))
    values = [known.get(name, {}).get("values") for name in found]
    named = " OR ".join(f"place = {place} AND {_among(given)}" for place, given in enumerate(values))
    sums = (f"[sum({n}), sum({n}) FILTER (n0 = 0), count(*) FILTER ({n} > 0)]" for n in _names(sides))
    query = f"""WITH counted AS MATERIALIZED ({each})
        SELECT place, [{", ".join(sums)}],
            min_by(row(value, {", ".join(_names(sides))}), (-greatest({share}), value), {TOP_VALUES}) FILTER ({named})
        FROM counted GROUP BY place"""
    rows = {place: rest for place, *rest in table.connection.execute(query).fetchall()}
    for place, column in enumerate(found.values()):
        sums_by_side, top = rows.get(place, ([[0, 0, 0]] * len(sides), []))
        _add_values(column, sides, sums_by_side, [(row[0], [int(n) for n in row[1:]]) for row in top or []])
        if is_exact:
            column["distinct"] = {side: sums_by_side[nth][2] for nth, side in enumerate(sides)}


def _counts_query(table: Table, name: str, place: int) -> str:
    counts = (f"count(*) FILTER (_split = {literal(side)}) AS n{nth}" for nth, side in enumerate(table.rows))
    column = identifier(name)
    return f"""SELECT {place} AS place, {column} AS value, {", ".join(counts)}
        FROM profiled WHERE {column} IS NOT NULL GROUP BY 2"""


def _names(sides: list[str]) -> list[str]:
    return [f"n{nth}" for nth in range(len(sides))]


def _among(values: list[str] | None) -> str:
    if values is None:
        return "true"
    return f"value IN ({', '.join(map(literal, values))})" if values else "false"


def _add_values(found: Found, sides: list[str], sums: list[list[int]], top: list[tuple[str, list[int]]]) -> None:
    """Add values and counts, the most frequent training value first; the last count is of all other values."""
    top = sorted(top, key=lambda row: ([-n for n in row[1]], row[0]))
    found["values"] = [value for value, _ in top]
    cells = [[counts[nth] for _, counts in top] for nth in range(len(sides))]
    found["counts"] = {s: [*cells[nth], int(sums[nth][0] or 0) - sum(cells[nth])] for nth, s in enumerate(sides)}
    if sides[0] == "train":
        found["unseen"] = {side: int(sums[nth][1] or 0) for nth, side in enumerate(sides) if nth}
