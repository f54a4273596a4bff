"""A source that is open: its files, an expression to select its rows from, and what could not be read."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract_sql import literal
from stages.shared.errors import InputError
from stages.shared.table.layout import Layout
from stages.shared.table.source import Source

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    Array = np.ndarray[Any, Any]

LINE_LIMIT = 2_000_000  # bytes of a line, the reader's own limit unless told


@dataclass
class Part:
    """One file of a source."""

    path: Path  # as the contract names it
    plain: Path  # what is read
    n_records: int  # rows of the table, the header not counted
    layout: Layout | None = None  # of a text file
    n_header: int = 0  # records before the first row


@dataclass
class Table:
    """A source that is open: select `columns` from `relation`; then `find_rejects` tells what was left out."""

    source: Source
    columns: list[str]
    relation: str
    parts: list[Part]
    rejects: dict[str, Array] = field(default_factory=dict)  # row, value, rule of each record that cannot be read

    @property
    def n_records(self) -> int:
        """All rows of the source, readable or not."""
        return sum(part.n_records for part in self.parts)

    def place(self, rows: Array) -> tuple[Array, Array]:
        """Return the place in `parts` and the line of each row (its number in the source, from 1).

        A row of Parquet, which has no lines, has its number in the file.
        """
        import numpy as np

        starts = np.cumsum([0, *(part.n_records for part in self.parts)])
        numbers = np.searchsorted(starts, rows - 1, "right") - 1
        lines = rows - starts[numbers]
        for number, part in enumerate(self.parts):
            if part.layout:
                here = numbers == number
                lines[here] = part.layout.line(lines[here] - 1 + part.n_header)
        return numbers, lines


def unreadable(source: Source, error: Exception) -> InputError:
    """Return the InputError of what DuckDB says of a source."""
    said = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    return InputError(f"{source.path}: not readable as {source.format}: {said}")


def listed(paths: Iterable[Path]) -> str:
    """Return files as a list in SQL; the reader would take `[a].csv` for a glob."""
    return ", ".join(literal(glob.escape(str(path))) for path in paths)


def line_limit(layouts: list[Layout]) -> str:
    """Return the reader's options for lines longer than it takes by itself."""
    longest = max(layout.longest for layout in layouts)
    return f", max_line_size = {longest + 2}, buffer_size = {16 * longest}" if longest >= LINE_LIMIT else ""


def stored_rejects(connection: duckdb.DuckDBPyConnection, parts: list[Part]) -> dict[str, Array]:
    """Return row (its number in the source), value and rule of each line that a scan with store_rejects left out."""
    import numpy as np

    found = connection.execute(
        """SELECT file_path, line, any_value(csv_line) AS value,
                  'unreadable: ' || lower(min(error_type::VARCHAR)) AS rule
           FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY line"""
    ).fetchnumpy()
    start, rows, order = 0, [], []
    for part in parts:
        assert part.layout is not None
        here = np.flatnonzero(found["file_path"] == str(part.plain))
        rows.append(start + part.layout.record(found["line"][here].astype(np.int64)) + 1 - part.n_header)
        order.append(here)
        start += part.n_records
    places = np.concatenate(order)
    if not len(places):
        return {}
    values = np.array([str(line).lstrip("\r\n") for line in found["value"][places]], object)
    return {"row": np.concatenate(rows), "value": values, "rule": found["rule"][places].astype(object)}
