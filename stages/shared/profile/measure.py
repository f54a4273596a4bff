"""Describes a table by column and side in a few kilobytes: what is missing, how many values, where they lie.

The result is plain data for reports/prepare/profile.json; `page.py` shows it, `tools.diff` compares two.
The same rows give the same bytes for any number of threads: whole numbers are added, everything else is sorted.

Above a million rows quantiles, bins and values come from about half a million rows, chosen by `_row` alone, and
distinct values are estimated (HyperLogLog, off by some 2%). Rows, missing values, minimum, maximum and the target are
always taken from all rows.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.shared.profile.columns import QUANTILES, describe
from stages.shared.profile.values import Table

if TYPE_CHECKING:
    import duckdb

Profile = dict[str, Any]
SIDES = ("train", "validation", "test", "gap")
EXACT_ROWS = 1_000_000  # above, a sample
SAMPLE_ROWS = 500_000  # about
BATCH = 25  # columns of the sample in memory at once


def profile(
    connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract, like: Profile | None = None
) -> Profile:
    """Return the profile of a FROM clause with `_row`, `_split` and the contract's columns but the dropped ones.

    `like` is the profile of another table: its bins and values are used in the columns it has, so that counts compare.
    """
    rows = _rows(connection, kept)
    n_rows = sum(rows.values())
    every = 1 if n_rows <= EXACT_ROWS else -(-n_rows // SAMPLE_ROWS)
    known = {column["name"]: column for column in like["columns"] if _is_alike(column, contract)} if like else {}
    columns = []
    for first in range(0, len(contract.checked), BATCH):
        names = contract.checked[first : first + BATCH]
        table = Table(connection, kept, sampled(kept, every), {name: contract.columns[name] for name in names}, rows)
        columns += describe(table, known, is_exact=every == 1)
    return {
        "name": contract.name,
        "task": contract.task,
        "positive": contract.positive,
        "rows": rows,
        "sample": {"every": every, "rows": _rows(connection, sampled(kept, every)) if every > 1 else dict(rows)},
        "quantiles": list(QUANTILES),
        "target": _target(connection, kept, contract, list(rows)),
        "columns": columns,
    }


def _is_alike(column: Profile, contract: Contract) -> bool:
    return column["name"] in contract.columns and column["type"] == contract.columns[column["name"]].type


def sampled(kept: str, every: int) -> str:
    """Return the FROM clause of about one row in `every`, the same ones whatever else the table holds.

    Multiples of 2**32 over the golden ratio spread evenly over 2**32 (Knuth, The Art of Computer Programming 3, 6.4).
    """
    if every == 1:
        return kept
    return f"(SELECT * FROM {kept} WHERE (_row * 2654435769) & 4294967295 < {2**32 // every})"


def profile_bytes(content: Profile) -> bytes:
    """Return JSON of fixed bytes, a list or object of plain values on one line, so that Git shows what changed."""
    return (_json(content, "\n") + "\n").encode()


def _json(content: Any, line: str) -> str:
    if not isinstance(content, dict | list):
        return json.dumps(content, ensure_ascii=False, allow_nan=False)
    inner = f"{line} "
    if isinstance(content, dict):
        items = [f"{_json(key, '')}: {_json(content[key], inner)}" for key in sorted(content)]
        is_nested = any(isinstance(value, dict | list) for value in content.values())
    else:
        items = [_json(item, inner) for item in content]
        is_nested = any(isinstance(item, dict | list) for item in content)
    opening, closing = "{}" if isinstance(content, dict) else "[]"
    if is_nested:
        return f"{opening}{inner}{f',{inner}'.join(items)}{line}{closing}"
    return f"{opening}{', '.join(items)}{closing}"


def _rows(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, int]:
    """Return the rows of each side that has any, in a fixed order."""
    found = dict(connection.execute(f"SELECT _split, count(*) FROM {source} GROUP BY 1").fetchall())
    return {side: found[side] for side in SIDES if side in found}


def _target(connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract, sides: list[str]) -> Profile:
    """Return by side, over all rows: the rows of each class, or rows, mean and standard deviation (regression)."""
    name = contract.target
    column = identifier(name)
    if contract.task == "regression":
        return {"name": name, "sides": _moments(connection, kept, column)}
    query = f"SELECT _split, {column}::VARCHAR, count(*) FROM {kept} WHERE {column} IS NOT NULL GROUP BY ALL"
    counts = {(side, label): n for side, label, n in connection.execute(query).fetchall()}
    labels = contract.classes or sorted({label for _, label in counts})
    return {"name": name, "sides": {side: {label: counts.get((side, label), 0) for label in labels} for side in sides}}


def _moments(connection: duckdb.DuckDBPyConnection, kept: str, column: str) -> dict[str, dict[str, Any]]:
    """Return {side: rows, mean, standard deviation}, summed as whole numbers: float sums vary with threads."""
    [(largest,)] = connection.execute(f"SELECT max(abs({column}::DOUBLE)) FROM {kept}").fetchall()
    scale = 2.0 ** max(-1022, min(1022, 50 - math.frexp(largest or 1.0)[1]))
    scaled = f"({column}::DOUBLE * {scale!r})::BIGINT"  # below 2**50, so that its square fits a HUGEINT many times
    query = f"""SELECT _split, count({column}), sum({scaled}::HUGEINT), sum({scaled}::HUGEINT * {scaled}::HUGEINT)
        FROM {kept} GROUP BY 1"""
    found = {}
    for side, n, total, squares in connection.execute(query).fetchall():
        if n:
            spread = Fraction(squares) - Fraction(total) ** 2 / n
            deviation = math.sqrt(spread / max(1, n - 1)) / scale
            found[side] = {"rows": n, "mean": float(Fraction(total, n) / Fraction(scale)), "deviation": deviation}
    return {side: found[side] for side in SIDES if side in found}
