"""Compares the rows of two prepared tables: by key where rows have one, else by content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.shared.tables import parquet

if TYPE_CHECKING:
    import duckdb

KEYS_SHOWN = 5
NUMBERS = ("BIGINT", "DOUBLE")


def compare_rows(
    connection: duckdb.DuckDBPyConnection, base: tuple[Path, Contract], head: tuple[Path, Contract]
) -> dict[str, Any]:
    """Return how many rows were added, removed, changed and moved to another side; which columns changed."""
    paths, contracts = (base[0], head[0]), (base[1], head[1])
    values = forms_alike(connection, *paths)
    compared = {name: form for name, form in values.items() if form and not name.startswith("_")}
    found: dict[str, Any] = {"not_compared": [n for n, form in values.items() if not form]}
    keys = contracts[0].with_role("key")
    found["key"] = keys if keys == contracts[1].with_role("key") and set(keys) <= set(compared) else []
    for name, path in zip("ab", paths, strict=True):
        packed = ", ".join(form.format(identifier(column)) for column, form in compared.items()) or "0"
        chosen = ", ".join(f"{identifier(key)} AS k{place}" for place, key in enumerate(found["key"])) or "0 AS k0"
        query = f"SELECT _row, {chosen}, _split AS side, hash({packed}) AS content FROM {parquet(path)}"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
    if found["key"] and not all(_is_unique(connection, name, len(found["key"])) for name in "ab"):
        found["key_not_unique"], found["key"] = found["key"], []
    if not found["key"]:
        return {**found, **_by_content(connection)}
    is_hidden = any(contract.columns[key].sensitive for contract in contracts for key in found["key"])
    return {**found, **_by_key(connection, paths, found["key"], compared, is_hidden)}


def forms_alike(connection: duckdb.DuckDBPyConnection, base: Path, head: Path) -> dict[str, str]:
    """Return, of each column that both tables have, the form in which its values compare, empty where none does."""
    before, after = _types(connection, base), _types(connection, head)
    return {name: _alike(before[name], after[name]) for name in before if name in after}


def _types(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {parquet(path)}").fetchall()}


def _alike(first: str, second: str) -> str:
    """Return the form in which values of two types compare, empty where they do not."""
    if first == second:
        return "{}"
    return "{}::DOUBLE" if first in NUMBERS and second in NUMBERS else ""


def _is_unique(connection: duckdb.DuckDBPyConnection, table: str, n_keys: int) -> bool:
    names = [f"k{place}" for place in range(n_keys)]
    nulls = " OR ".join(f"{name} IS NULL" for name in names)
    grouped = f"SELECT count(*) AS n, {', '.join(names)} FROM {table} GROUP BY ALL"
    query = f"SELECT count(*), count(*) FILTER ({nulls}) FROM ({grouped})"
    [(n_distinct, n_null)] = connection.execute(query).fetchall()
    [(n_rows,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return bool(n_distinct == n_rows and not n_null)


def _by_key(
    connection: duckdb.DuckDBPyConnection,
    paths: tuple[Path, Path],
    keys: list[str],
    compared: dict[str, str],
    is_hidden: bool,
) -> dict[str, Any]:
    same = " AND ".join(f"a.k{place} = b.k{place}" for place in range(len(keys)))
    fates = """CASE WHEN a._row IS NULL THEN 'added' WHEN b._row IS NULL THEN 'removed'
        WHEN a.content <> b.content THEN 'changed' ELSE 'same' END"""
    chosen = ", ".join(f"coalesce(a.k{place}, b.k{place}) AS k{place}" for place in range(len(keys)))
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE pairs AS SELECT {fates} AS fate, {chosen}, a._row AS row_a, b._row AS row_b,
            a.side AS side_a, b.side AS side_b FROM a FULL JOIN b ON {same}"""
    )
    counts = dict(connection.execute("SELECT fate, count(*) FROM pairs GROUP BY 1").fetchall())
    found: dict[str, Any] = {fate: counts.get(fate, 0) for fate in ("added", "removed", "changed", "same")}
    found["moved"] = _moved(connection, "SELECT side_a, side_b, fate = 'same' AS is_same, 1 AS n FROM pairs")
    found["first"] = "hidden" if is_hidden else _first_keys(connection, len(keys))
    found["columns"] = _changed_columns(connection, paths, compared) if found["changed"] else {}
    return found


def _moved(connection: duckdb.DuckDBPyConnection, pairs: str) -> dict[str, Any]:
    """Return the rows that changed sides: all, those with equal values, and how many from where to where."""
    query = f"""SELECT side_a, side_b, sum(n)::BIGINT, coalesce(sum(n) FILTER (is_same), 0)::BIGINT FROM ({pairs})
        WHERE side_a <> side_b GROUP BY ALL ORDER BY 3 DESC, 1, 2"""
    rows = connection.execute(query).fetchall()
    between = {f"{first} to {second}": n for first, second, n, _ in rows}
    return {"rows": sum(row[2] for row in rows), "unchanged": sum(row[3] for row in rows), "between": between}


def _first_keys(connection: duckdb.DuckDBPyConnection, n_keys: int) -> dict[str, list[str]]:
    names = ", ".join(f"k{place}" for place in range(n_keys))
    shown = {}
    for fate in ("added", "removed", "changed"):
        query = f"SELECT {names} FROM pairs WHERE fate = '{fate}' ORDER BY {names} LIMIT {KEYS_SHOWN}"
        shown[fate] = [", ".join(map(str, row)) for row in connection.execute(query).fetchall()]
    return shown


def _changed_columns(
    connection: duckdb.DuckDBPyConnection, paths: tuple[Path, Path], compared: dict[str, str]
) -> dict[str, int]:
    """Return {column: in how many changed rows it changed}, the most frequent first."""
    first, second = (
        f"""(SELECT * FROM {parquet(path)}
            SEMI JOIN (SELECT row_{name} AS _row FROM pairs WHERE fate = 'changed') USING (_row))"""
        for name, path in zip("ab", paths, strict=True)
    )
    sides = [(form.format(f"x.{identifier(n)}"), form.format(f"y.{identifier(n)}")) for n, form in compared.items()]
    counts = ", ".join(f"count(*) FILTER ({before} IS DISTINCT FROM {after})" for before, after in sides)
    query = f"""SELECT {counts} FROM {first} AS x JOIN (SELECT row_a, row_b FROM pairs) AS pairs ON x._row = pairs.row_a
        JOIN {second} AS y ON y._row = pairs.row_b"""
    [row] = connection.execute(query).fetchall()
    found = {name: n for name, n in zip(compared, row, strict=True) if n}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _by_content(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Rows that are equal in every compared column are one; a changed row is one only in base and one only in head."""
    grouped = (f"SELECT content, count(*) AS n, min(side) AS side FROM {name} GROUP BY 1" for name in "ab")
    pairs = """SELECT coalesce(a.n, 0) AS n_a, coalesce(b.n, 0) AS n_b, a.side AS side_a, b.side AS side_b
        FROM ({}) AS a FULL JOIN ({}) AS b USING (content)""".format(*grouped)
    query = f"SELECT sum(greatest(n_b - n_a, 0)), sum(greatest(n_a - n_b, 0)), sum(least(n_a, n_b)) FROM ({pairs})"
    [counts] = connection.execute(query).fetchall()
    found: dict[str, Any] = {f: int(n or 0) for f, n in zip(("added", "removed", "same"), counts, strict=True)}
    found["moved"] = _moved(connection, f"SELECT side_a, side_b, true AS is_same, least(n_a, n_b) AS n FROM ({pairs})")
    return found
