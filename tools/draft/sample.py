"""Draws the rows that a draft is inferred from, and counts the texts of each column in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.runtime.contract_sql import identifier, present_sql, stripped_sql
from tools.draft.columns import Texts

if TYPE_CHECKING:
    import duckdb

SAMPLE_ROWS = 200_000
DISTINCT_KEPT = 20_000  # of a column; of more, the most frequent and an arbitrary but fixed choice of the others


def draw(connection: duckdb.DuckDBPyConnection, names: list[str], n_rows: int) -> int:
    """Create `sample` (_row, stripped texts, NULL for blank) from `raw`; return its rows.

    A row is drawn by its number alone, so that rows appended later change little.
    """
    stripped = ", ".join(f"{stripped_sql(name)} AS s{place}" for place, name in enumerate(names))
    texts = ", ".join(f"{present_sql(f's{place}', [])} AS {identifier(name)}" for place, name in enumerate(names))
    drawn = "true"
    if n_rows > SAMPLE_ROWS:  # Knuth's multiplicative hash, whose high bits spread row numbers evenly
        drawn = f"((_row * 2654435761) % 4294967296) < {int(SAMPLE_ROWS / n_rows * 2**32)}"
    connection.execute(
        f"CREATE OR REPLACE TABLE sample AS SELECT _row, {texts} "
        f"FROM (SELECT _row, {stripped} FROM raw WHERE {drawn}) ORDER BY _row"
    )
    return scalar(connection, "SELECT count(*) FROM sample")


def count_texts(connection: duckdb.DuckDBPyConnection, name: str, n_rows: int) -> Texts:
    """Return one column of `sample` as its distinct texts with their numbers of rows."""
    column = identifier(name)
    query = f"""SELECT {column}, count(*) FROM sample WHERE {column} IS NOT NULL GROUP BY 1
        ORDER BY 2 DESC, md5({column}) LIMIT {DISTINCT_KEPT}"""
    counts = connection.execute(query).fetchall()
    n_distinct, n_present = len(counts), sum(n for _, n in counts)
    if n_distinct == DISTINCT_KEPT:
        query = f"SELECT count(DISTINCT {column}), count({column}) FROM sample"
        [(n_distinct, n_present)] = connection.execute(query).fetchall()
    return Texts(name, counts, n_rows, n_rows - n_present, n_distinct)


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the one number that a query gives."""
    [(found,)] = connection.execute(query).fetchall()
    return int(found)
