"""Applies a contract to the table `raw` and accounts for every row of it: kept, quarantined or merged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier, literal, rule_sql, text_sql, value_sql
from stages.shared.source import Source, line_sql
from stages.shared.split import Split, content_sql, side_sql
from stages.shared.tables import copy_to_parquet

if TYPE_CHECKING:
    import duckdb


SOUND = """SELECT * FROM checked ANTI JOIN violations ON checked._row = violations._row
    ANTI JOIN merged ON checked._row = merged._row"""


def apply_contract(
    connection: duckdb.DuckDBPyConnection, contract: Contract, split: Split, *, merges_duplicates: bool
) -> None:
    """Create `violations` (_row, column, rule, value), `merged` (_row) and `kept` (_row, _split, typed columns)."""
    _check(connection, contract, split)
    for place, name in enumerate(contract.checked):
        _collect(connection, name, f"SELECT _row, r{place} AS _rule FROM checked WHERE r{place} IS NOT NULL")
    _merge(connection, contract, merges_duplicates)
    for place, name in enumerate(contract.checked):
        if contract.columns[name].unique:
            _collect(connection, name, _later_ones(place))
    typed = ", ".join(f"v{place} AS {identifier(name)}" for place, name in enumerate(contract.checked))
    times = [f"v{contract.checked.index(name)}" for name in contract.with_role("time")]
    side = side_sql(split, "_content", *times or ["NULL"])
    connection.execute(f"CREATE TABLE kept AS SELECT _row, {side} AS _split, {typed} FROM ({SOUND})")


def _check(connection: duckdb.DuckDBPyConnection, contract: Contract, split: Split) -> None:
    """Create `checked`: of each row its content hash and, per checked column, text t, typed value v, broken rule r."""
    columns = [(f"{place}", name, contract.columns[name]) for place, name in enumerate(contract.checked)]
    texts = ", ".join(f"{text_sql(name, contract.missing)} AS t{place}" for place, name, _ in columns)
    values = ", ".join(f"{value_sql(column, f't{place}')} AS v{place}" for place, _, column in columns)
    rules = ", ".join(f"{rule_sql(column, f't{place}', f'v{place}')} AS r{place}" for place, _, column in columns)
    connection.execute(
        f"""CREATE TABLE checked AS SELECT *, {rules} FROM (SELECT *, {values} FROM (
            SELECT _row, {content_sql(contract, split)} AS _content, {texts} FROM raw))"""
    )
    connection.execute("CREATE TABLE merged (_row BIGINT)")
    connection.execute('CREATE TABLE violations (_row BIGINT, "column" VARCHAR, rule VARCHAR, value VARCHAR)')


def _collect(connection: duckdb.DuckDBPyConnection, name: str, broken: str) -> None:
    """Add the rows of a query (_row, _rule) to `violations`, with the column's value as it stands in the source."""
    connection.execute(
        f"""INSERT INTO violations SELECT _row, {literal(name)}, _rule, raw.{identifier(name)}
            FROM ({broken}) JOIN raw USING (_row)"""
    )


def _merge(connection: duckdb.DuckDBPyConnection, contract: Contract, merges_duplicates: bool) -> None:
    """Fill `merged`: of sound rows that are equal in every field of the source, all but the first."""
    if merges_duplicates:
        every = ", ".join(f"raw.{identifier(name)}" for name in contract.columns)
        connection.execute(
            f"""INSERT INTO merged SELECT _row FROM (
                SELECT raw._row, row_number() OVER (PARTITION BY {every} ORDER BY raw._row) AS _nth
                FROM raw SEMI JOIN ({SOUND}) AS sound ON raw._row = sound._row) WHERE _nth > 1"""
        )


def _later_ones(place: int) -> str:
    """Return the query of rows that repeat a value of an earlier sound row in a unique column."""
    return f"""SELECT _row, 'unique' AS _rule FROM (
        SELECT _row, row_number() OVER (PARTITION BY v{place} ORDER BY _row) AS _nth FROM ({SOUND})
        WHERE v{place} IS NOT NULL) WHERE _nth > 1"""


def count_fates(connection: duckdb.DuckDBPyConnection, n_rows: int) -> dict[str, int]:
    """Return the fate of every row, each counted by itself; it is our fault if they do not add up."""
    query = """SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM merged),
        (SELECT count(*) FROM rejects) + (SELECT count(DISTINCT _row) FROM violations)"""
    [(kept, merged, quarantined)] = connection.execute(query).fetchall()
    if kept + merged + quarantined != n_rows:
        raise RuntimeError(f"{n_rows} rows in, but {kept} kept + {quarantined} quarantined + {merged} merged")
    return {"in": n_rows, "kept": kept, "merged": merged, "quarantined": quarantined}


def write_quarantine(connection: duckdb.DuckDBPyConnection, source: Source, columns: list[str], path: Path) -> None:
    """Write every broken rule: source, line, column, rule, value and the whole record (JSON, or the line itself)."""
    packed = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in columns)
    copy_to_parquet(
        connection,
        f"""SELECT {literal(source.path)} AS source, {line_sql(source, "violations._row")} AS line,
                   "column", rule, value, record
            FROM violations JOIN (SELECT _row, to_json(struct_pack({packed}))::VARCHAR AS record FROM raw) USING (_row)
            UNION ALL
            SELECT {literal(source.path)}, {line_sql(source, "rejects._row")}, NULL, rule, NULL, value FROM rejects
            ORDER BY line, "column" NULLS FIRST, rule""",
        path,
    )


def count_broken_rules(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Return {column: {rule: number of rows}} of what was set aside; `row` stands for lines that could not be read."""
    broken: dict[str, dict[str, int]] = {}
    query = """SELECT "column", rule, count(*) FROM violations GROUP BY ALL
        UNION ALL SELECT 'row', rule, count(*) FROM rejects GROUP BY rule"""
    for column, rule, n in connection.execute(query).fetchall():
        broken.setdefault(column, {})[rule] = n
    return broken
