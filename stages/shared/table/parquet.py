"""Parquet files as one table of texts: each value as the file's own types write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stages.runtime.contract import Column
from stages.runtime.contract_sql import identifier
from stages.runtime.dialect import column_names
from stages.runtime.physical import physical_text
from stages.shared.errors import InputError
from stages.shared.table.opened import Part, Table, listed
from stages.shared.table.source import Source

if TYPE_CHECKING:
    import duckdb


def open_parquet(
    connection: duckdb.DuckDBPyConnection, source: Source, files: list[Path], columns: Mapping[str, Column]
) -> Table:
    """Read each run of files of equal types by itself: another file's types must not change the text of a value."""
    is_partitioned = _is_partitioned(files)
    runs: list[tuple[list[tuple[str, str]], list[Path]]] = []
    for file in files:
        found = connection.execute(f"DESCRIBE SELECT * FROM {_parquet([file], is_partitioned)}").fetchall()
        kinds = [(row[0], row[1]) for row in found]
        if not runs or runs[-1][0] != kinds:
            runs.append((kinds, []))
        runs[-1][1].append(file)
    _check_names(runs)
    order = [name for name, _ in runs[0][0]]
    names = column_names(order)
    selects = []
    for kinds, run in runs:
        places = {name.lower(): (name, kind) for name, kind in kinds}
        texts = [
            f"{physical_text(*places[own.lower()], columns.get(name))} AS {identifier(name)}"
            for own, name in zip(order, names, strict=True)
        ]
        selects.append(f"SELECT {', '.join(texts)} FROM {_parquet(run, is_partitioned)}")
    query = f"SELECT file_name, num_rows FROM parquet_file_metadata([{listed(files)}])"
    counted = dict(connection.execute(query).fetchall())
    parts = [Part(file, file, counted[str(file)]) for file in files]
    return Table(source, names, f"({' UNION ALL '.join(selects)})", parts)


def _parquet(files: list[Path], is_partitioned: bool) -> str:
    """Return the FROM clause of files of equal types; folders such as `year=2024` are columns."""
    return f"read_parquet([{listed(files)}], hive_partitioning = {is_partitioned}, hive_types_autocast = false)"


def _check_names(runs: list[tuple[list[tuple[str, str]], list[Path]]]) -> None:
    """Raise InputError where a file has not the columns of the first, in whatever order."""
    expected = {name.lower() for name, _ in runs[0][0]}
    for kinds, files in runs:
        told = ", ".join(sorted({name.lower() for name, _ in kinds} ^ expected))
        if told:
            raise InputError(f"{files[0]}: its columns are not those of {runs[0][1][0]}: {told}")


def _is_partitioned(files: list[Path]) -> bool:
    return all(any("=" in part for part in file.parts[:-1]) for file in files)
