"""DuckDB as every stage opens it, and the columns of a Parquet file as NumPy arrays."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import numpy as np


UNWANTED = "in_clause"  # of DuckDB's optimizers
WIDE = 100  # columns
MEMORY = "1200MB"  # of DuckDB; beyond it goes to disk. No result depends on it


def connect(folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return an empty database that keeps the order of rows: in memory, or in a folder, for large tables."""
    import duckdb

    connection = duckdb.connect(str(folder / "prepare.duckdb") if folder else ":memory:")
    connection.execute("SET preserve_insertion_order = true; SET enable_progress_bar = false")
    # IN with five constants and more would become a join, which gives rows in another order and takes more time.
    connection.execute(f"SET disabled_optimizers = '{UNWANTED}'; SET memory_limit = '{MEMORY}'")
    if folder:
        connection.execute(f"SET temp_directory = '{folder}/spill'")
    return connection


def plan_quickly(connection: duckdb.DuckDBPyConnection, n_columns: int) -> None:
    """Spare the search for common expressions where there are many columns: it takes the square of them, minutes."""
    if n_columns > WIDE:
        connection.execute(f"SET disabled_optimizers = '{UNWANTED},common_subexpressions'")


@cache
def _reader() -> duckdb.DuckDBPyConnection:
    """Return a connection in which nothing is ever created; opening one costs 50 ms."""
    return connect()


def read_arrays(source: str, columns: str = "*") -> dict[str, np.ndarray[Any, Any]]:
    """Return {column: array, shape (n_rows,)} of a FROM clause; a missing number is NaN, any other missing None."""
    import numpy as np

    fetched = _reader().execute(f"SELECT {columns} FROM {source}").fetchnumpy()
    arrays = {}
    for name, array in fetched.items():
        if isinstance(array, np.ma.MaskedArray):
            is_number = array.dtype.kind in "fiub"
            filled = array.data.astype(float if is_number else object)
            filled[np.ma.getmaskarray(array)] = np.nan if is_number else None
            array = filled
        arrays[name] = array
    return arrays


def parquet(path: Path) -> str:
    """Return the FROM clause of one Parquet file."""
    return f"read_parquet('{str(path).replace(chr(39), chr(39) * 2)}')"


def copy_to_parquet(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write a query (with its own ORDER BY) to a Parquet file of fixed bytes; return the number of rows."""
    connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    found = connection.execute(f"SELECT count(*) FROM '{path}'").fetchone()
    assert found is not None
    return int(found[0])
