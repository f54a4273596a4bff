"""Describes some columns of a table at once: what is counted over all rows, then what is taken from a sample.

Nobody should be found in the result: a key, an id or a group shows counts only, a text only its length, a sensitive
column neither minimum nor maximum, and None where fewer than ten rows speak. A guard, not a proof: what is left of a
sum may still give one row away.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stages.runtime.contract import Column
from stages.runtime.contract_sql import identifier
from stages.runtime.forms import MOMENTS
from stages.shared.profile.bins import EPOCH, moment_edges, number_edges
from stages.shared.profile.values import Found, Table, list_values

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
ENDS = (0.005, 0.995)  # of the training rows, between which the bins lie
FEWEST = 10  # rows, for anything said of a sensitive column
COUNTED_AT_ONCE = 2_000_000  # distinct values in memory
LISTED_ROWS = 50_000
LONGEST = 60  # characters of a category's value
COUNTED = ("category", "boolean")
COUNTS_ONLY = ("key", "id", "group")
WHOLE = ("integer", "text")  # a text's length


def describe(table: Table, known: dict[str, Found], *, is_exact: bool) -> list[Found]:
    """Return what there is to say of each column; bins and values are those of `known` where it has the column."""
    found = {name: _head(name, column) for name, column in table.columns.items()}
    measured = {name: found[name] for name, column in table.columns.items() if _is_measured(column)}
    counted = {name: found[name] for name, column in table.columns.items() if _is_counted(column)}
    _count(table, found, measured, is_exact)
    if measured or counted:
        values = ", ".join(f"{_value(table, name)} AS {identifier(name)}" for name in [*measured, *counted])
        query = f"SELECT _split, {values} FROM {table.sampled}"
        table.connection.execute(f"CREATE OR REPLACE TEMP TABLE profiled AS {query}")
        _measure(table, measured)
        _bin(table, measured, known)
        list_values(table, counted, known, is_exact)
        table.connection.execute("DROP TABLE profiled")
    if is_exact:
        _count_distinct(table, {name: column for name, column in found.items() if name not in counted})
    for column in [*measured.values(), *counted.values()]:
        if column.get("sensitive"):
            _hide(column, table.rows)
    return list(found.values())


def _head(name: str, column: Column) -> Found:
    head: Found = {"name": name, "type": column.type, "role": column.role, "unit": column.unit}
    head |= {"description": column.description, "sensitive": column.sensitive or None}
    return {key: value for key, value in head.items() if value is not None}


def _is_measured(column: Column) -> bool:
    return column.role not in COUNTS_ONLY and column.type not in COUNTED


def _is_counted(column: Column) -> bool:
    return column.role not in COUNTS_ONLY and column.type in COUNTED


def _value(table: Table, name: str) -> str:
    """Return the expression of what is said of a value: itself, a text's length, a long category's start and digest."""
    kind, column = table.columns[name].type, identifier(name)
    if kind == "text":
        return f"length({column})"
    if kind == "category":
        cut = f"left({column}, {LONGEST - 10}) || '… ' || left(md5({column}), 8)"
        return f"CASE WHEN length({column}) > {LONGEST} THEN {cut} ELSE {column} END"
    return f"{column}::VARCHAR" if kind == "boolean" else column


def _count(table: Table, found: dict[str, Found], measured: dict[str, Found], is_exact: bool) -> None:
    """Add what is missing, minimum and maximum, over all rows in one pass; and distinct values if estimated."""
    expressions = {(name, "present"): f"count({identifier(name)})" for name in found}
    if not is_exact:
        expressions |= {(name, "distinct"): f"approx_count_distinct({identifier(name)})" for name in found}
    expressions |= {(name, end): f"{end}({_value(table, name)})" for name in measured for end in ("min", "max")}
    rows = table.by_side(list(expressions.values()), table.kept)
    for place, (name, key) in enumerate(expressions):
        found[name][key] = {side: _short(rows[side][place]) for side in table.rows}
    for column in found.values():
        present = column.pop("present")
        column["missing"] = {side: n - present[side] for side, n in table.rows.items()}
        if not is_exact:
            column["approximate"] = True


def _count_distinct(table: Table, found: dict[str, Found]) -> None:
    """Add the number of distinct values, with as many columns at once as memory allows."""
    names, n_rows = list(found), sum(table.rows.values())
    # The list is three times faster on a small table and three times slower on a large one.
    form = "list_unique(list({}))" if n_rows < LISTED_ROWS else "count(DISTINCT {})"
    at_once = max(1, COUNTED_AT_ONCE // max(1, n_rows))
    for first in range(0, len(names), at_once):
        some = names[first : first + at_once]
        counts = table.by_side([form.format(identifier(name)) for name in some], table.kept)
        for place, name in enumerate(some):
            found[name]["distinct"] = {side: counts[side][place] for side in table.rows}


def _measure(table: Table, found: dict[str, Found]) -> None:
    """Add quantiles, values that occur, and the edges of the bins."""
    asked = [ENDS[0], *QUANTILES, ENDS[1]]
    rows = table.by_side([f"quantile_disc({identifier(name)}, {asked})" for name in found], "profiled")
    for place, (name, column) in enumerate(found.items()):
        lists = {side: rows[side][place] for side in table.rows if rows[side][place]}
        column["quantiles"] = {side: [_short(value) for value in values[1:-1]] for side, values in lists.items()}
        column["edges"] = _edges(table.columns[name], list(lists.values())) if lists else []


def _edges(column: Column, lists: list[list[Any]]) -> list[float | str]:
    """Return edges around the middle 99% of the training rows, 90% if sensitive; of all sides for dates.

    A split by time leaves no dates of the other sides inside. Without training rows the next side speaks for them.
    """
    sides = lists if column.type in MOMENTS else lists[:1]
    at = 2 if column.sensitive else 0
    low, high = min(values[at] for values in sides), max(values[-1 - at] for values in sides)
    if column.type not in MOMENTS:
        return list(number_edges(low, high, is_whole=column.type in WHOLE))
    ends = [datetime.fromisoformat(str(moment)) for moment in (low, high)]
    is_date = column.type == "date"
    return [str(edge.date() if is_date else edge) for edge in moment_edges(*ends, is_date=is_date)]


def _bin(table: Table, found: dict[str, Found], known: dict[str, Found]) -> None:
    """Add the rows of each bin: below the first edge, from each edge up to below the next, from the last edge on.

    DuckDB's bins hold their upper boundary; so it is asked of the negated values.
    """
    asked, expressions = [], []
    for name, column in found.items():
        column["edges"] = known.get(name, {}).get("edges", column["edges"])
        if not column["edges"]:
            column["counts"] = {side: [] for side in table.rows}
            continue
        boundaries = [-_number(edge) for edge in reversed(column["edges"])]
        is_moment = table.columns[name].type in MOMENTS
        value = f"epoch({identifier(name)})" if is_moment else f"{identifier(name)}::DOUBLE"
        asked.append((name, boundaries))
        expressions.append(f"map_values(histogram(-{value}, {boundaries}::DOUBLE[]))")
    rows = table.by_side(expressions, "profiled")
    for place, (name, boundaries) in enumerate(asked):
        counts = {side: list(rows[side][place] or []) for side in table.rows}
        n_bins = len(boundaries) + 1
        found[name]["counts"] = {side: (cells + [0] * (n_bins - len(cells)))[::-1] for side, cells in counts.items()}


def _number(edge: float | str) -> float:
    return (datetime.fromisoformat(edge) - EPOCH).total_seconds() if isinstance(edge, str) else float(edge)


def _hide(found: Found, rows: dict[str, int]) -> None:
    """Take from a sensitive column what fewer than ten rows say: ends, outer quantiles, rare values, small counts."""
    for key in ("min", "max"):
        found.pop(key, None)
    for side, values in found.get("quantiles", {}).items():
        n = rows[side] - found["missing"][side]
        inner = [min(share, 1 - share) * n >= FEWEST for share in QUANTILES]
        found["quantiles"][side] = [value if is_inner else None for value, is_inner in zip(values, inner, strict=True)]
    if "values" in found:
        _merge_rare(found)
    for side, counts in found["counts"].items():
        found["counts"][side] = [None if n is not None and 0 < n < FEWEST else n for n in counts]


def _merge_rare(found: Found) -> None:
    """Count values of fewer than ten rows in all among the others."""
    totals = [sum(cell) for cell in zip(*found["counts"].values(), strict=True)]
    kept = [place for place, n in enumerate(totals[:-1]) if n >= FEWEST]
    found["values"] = [found["values"][place] for place in kept]
    for side, counts in found["counts"].items():
        shown = [counts[place] for place in kept]
        found["counts"][side] = [*shown, sum(counts) - sum(shown)]


def _short(value: Any) -> Any:
    """Return a number with six significant digits (a whole one with all), or a date as text."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        rounded = float(f"{value:.6g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
    return str(value)
