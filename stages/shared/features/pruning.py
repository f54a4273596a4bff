"""Which features say nothing: those with one value in all training rows, and those that repeat another one."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from stages.runtime.contract_sql import identifier
from stages.shared.tables import parquet

if TYPE_CHECKING:
    import duckdb


def constant(connection: duckdb.DuckDBPyConnection, path: Path, names: list[str]) -> list[str]:
    """Return the features that have one value, or none at all, in the training rows of a Parquet file."""
    tests = ", ".join(
        f"min({c}) IS NOT DISTINCT FROM max({c}) AND count({c}) IN (0, count(*))" for c in map(identifier, names)
    )
    [found] = connection.execute(f"SELECT {tests} FROM {parquet(path)} WHERE _split = 'train'").fetchall()
    return [name for name, is_constant in zip(names, found, strict=True) if is_constant]


def duplicates(connection: duckdb.DuckDBPyConnection, path: Path, names: list[str]) -> dict[str, str]:
    """Return {feature: the earlier one that it equals in every training row}.

    The engine's own hash only says which ones to compare; what it finds equal is then held against each other.
    """
    if not names:
        return {}
    source = f"FROM {parquet(path)} WHERE _split = 'train'"
    sums = ", ".join(f"bit_xor(hash({identifier(name)}, _row))" for name in names)
    [digests] = connection.execute(f"SELECT {sums} {source}").fetchall()
    alike = defaultdict(list)
    for name, digest in zip(names, digests, strict=True):
        alike[digest].append(name)
    pairs = [(first, other) for first, *others in alike.values() for other in others]
    if not pairs:
        return {}
    tests = ", ".join(f"bool_and({identifier(a)} IS NOT DISTINCT FROM {identifier(b)})" for a, b in pairs)
    [found] = connection.execute(f"SELECT {tests} {source}").fetchall()
    return {other: first for (first, other), is_equal in zip(pairs, found, strict=True) if is_equal}
