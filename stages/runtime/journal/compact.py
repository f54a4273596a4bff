"""JSON lines of a prediction log into Parquet, file by file: `predictions-X.jsonl` becomes `predictions-X.parquet`.

A file of lines goes only after its Parquet file is whole and on the disk. Killed between the two, the next run makes
the same Parquet file again; until then readers take the one and leave the other (reading.py).
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract_sql import literal
from .files import PARQUET, STEM, log_files, mend, owned

if TYPE_CHECKING:
    import duckdb

COLUMNS = {
    "time": "TIMESTAMP", "request_id": "VARCHAR", "version": "VARCHAR", "route": "VARCHAR", "row": "BIGINT",
    "latency_ms": "DOUBLE", "inputs": "JSON", "output": "JSON", "redacted": "VARCHAR[]", "note": "VARCHAR",
    "lost": "BIGINT",
}  # fmt: skip
MEMORY = "500MB"
LONGEST = 100_000_000  # bytes of a line: a record is never longer than a request


class DamagedLog(ValueError):
    """A line in the middle of a file is not what a log holds."""


def compact(folder: Path) -> tuple[int, int, int]:
    """Return the numbers of files compacted, of lines that were torn, and of files left because they are written to.

    Raises DamagedLog for a file that cannot be read; it stays, and so do those behind it.
    """
    n_done = n_torn = n_live = 0
    for draft in folder.glob(f".{STEM}*.draft"):
        draft.unlink()
    with connect() as connection:
        for path in log_files(folder):
            with owned(path) as file:
                if file is None:
                    n_live += path.exists()
                    continue
                n_torn += mend(file)
                if os.fstat(file).st_size:
                    _to_parquet(connection, path)
                path.unlink()
                n_done += 1
    return n_done, n_torn, n_live


def connect() -> duckdb.DuckDBPyConnection:
    """Return a database in memory, on one thread, that keeps the order of lines."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = 1; SET memory_limit = '{MEMORY}'; SET enable_progress_bar = false")
    return connection


def _to_parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    import duckdb

    draft = path.with_name(f".{path.stem}.draft")
    query = f"SELECT * REPLACE (inputs::VARCHAR AS inputs, output::VARCHAR AS output) FROM {lines_sql(path)}"
    try:
        connection.execute(f"COPY ({query}) TO {literal(str(draft))} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.InvalidInputException as error:
        said = str(error).splitlines()[0]
        place = said.partition('", ')[2] or said
        raise DamagedLog(f"{path}: not lines of JSON: {place}") from None
    with draft.open("rb") as file:
        os.fchmod(file.fileno(), path.stat().st_mode & 0o777)  # who may not read the lines may not read these
        os.fsync(file.fileno())
    draft.replace(path.with_suffix(PARQUET))


def lines_sql(path: Path) -> str:
    """Return the FROM clause of a file of lines."""
    types = ", ".join(f"{name}: {literal(kind)}" for name, kind in COLUMNS.items())
    return f"""read_json({literal(glob.escape(str(path)))}, format = 'newline_delimited', columns = {{{types}}},
        maximum_object_size = {LONGEST})"""
