"""Reads the files of a source as one table of texts, and numbers its records by a second count of its own.

CSV, Parquet and JSON lines become the same thing: an expression to select from (each column as text, rows in the order
of the files), the rows that could not be read, and the place of every record.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Column
from stages.runtime.contract_sql import identifier, literal, number_text_sql
from stages.shared.errors import InputError
from stages.shared.table.layout import Layout, count_strictly, scan
from stages.shared.table.plain import check_width, plain_file, with_line_feeds
from stages.shared.table.source import Source, column_names, records, source_files

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


def open_table(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: Mapping[str, Column], folder: Path
) -> Table:
    """Return the table of a source; `columns` name it where it has no header, `folder` takes what is unpacked.

    Raises InputError where files are absent, damaged, not of the format, or not all of the same columns.
    """
    import duckdb

    files = source_files(source)
    try:
        if source.format == "parquet":
            return _open_parquet(connection, source, files, columns)
        plain = [plain_file(file, source.encoding, folder) for file in files]
        if source.format == "jsonl":
            return _open_jsonl(connection, replace(source, quote=""), files, plain, folder)
        return _open_csv(source, files, plain, list(columns), folder)
    except duckdb.Error as error:
        raise unreadable(source, error) from None


def unreadable(source: Source, error: Exception) -> InputError:
    """Return the InputError of what DuckDB says of a source."""
    said = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    return InputError(f"{source.path}: not readable as {source.format}: {said}")


def find_rejects(connection: duckdb.DuckDBPyConnection, table: Table, n_read: int) -> None:
    """Fill `table.rejects` after the relation was read and gave `n_read` rows.

    Raises InputError where the rows read and left out are not all the records that were counted.
    """
    if table.source.format == "csv":
        _find_csv_rejects(connection, table, n_read)
    n_rejects = len(table.rejects["row"]) if table.rejects else 0
    if n_read + n_rejects != table.n_records:
        raise InputError(
            f"{table.source.path}: {table.n_records} records by count but {n_read + n_rejects} by the reader: "
            "the dialect in source: (delimiter, quote, escape, encoding) does not fit, or a long run of rows has too "
            "many or too few fields"
        )


def _listed(paths: Iterable[Path]) -> str:
    """Return files as a list in SQL; the reader would take `[a].csv` for a glob."""
    return ", ".join(literal(glob.escape(str(path))) for path in paths)


# CSV


def _open_csv(source: Source, files: list[Path], plain: list[Path], names: list[str], folder: Path) -> Table:
    parts: list[Part] = []
    columns: list[str] = []
    for file, text in zip(files, plain, strict=True):
        own = replace(source, path=str(file))
        _, first = next(records(text, own), (0, []))
        if not first:
            raise InputError(f"{file}: the file is empty")
        found = column_names(first) if source.header else names
        columns = columns or found
        if found != columns:
            raise InputError(f"{file}: its columns are not those of {files[0]}: {', '.join(found)}")
        keeps_blank = len(columns) == 1  # an empty line is a row of a table of one column
        layout = scan(text, source.quote, keeps_blank, source.delimiter, source.escape)
        if layout.has_strays or layout.is_open or layout.is_mixed:
            text = with_line_feeds(text, source, folder)
            layout = count_strictly(text, own, keeps_blank)
        check_width(text, own, len(columns), layout.longest)
        parts.append(Part(file, text, layout.n_records - source.header, layout, int(source.header)))
    ends = {part.layout.end for part in parts if part.layout}
    for part in parts if len(ends) > 1 else []:
        part.plain = with_line_feeds(part.plain, source, folder)
    end = ends.pop() if len(ends) == 1 else r"\n"
    return Table(source, columns, _csv_relation(source, columns, parts, end), parts)


def _csv_relation(source: Source, columns: list[str], parts: list[Part], end: str) -> str:
    """Return the FROM clause; files that begin with the same number of blank lines are read together.

    The reader is told how lines end: it would take the first end in the file, which may be within quotes.
    """
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
    skips = {part.layout.n_leading if part.layout and len(columns) > 1 else 0 for part in parts}
    if len(skips) > 1:
        raise InputError(f"{source.path}: some of its files begin with blank lines and some do not")
    limit = _line_limit([part.layout for part in parts if part.layout])
    paths = _listed(part.plain for part in parts)
    escape = source.escape or source.quote
    return f"""read_csv([{paths}], auto_detect = false, all_varchar = true, columns = {{{types}}},
        header = {source.header}, skip = {skips.pop()}, delim = {literal(source.delimiter)},
        quote = {literal(source.quote)}, escape = {literal(escape)}, new_line = {literal(end)},
        store_rejects = true{limit})"""


def _line_limit(layouts: list[Layout]) -> str:
    longest = max(layout.longest for layout in layouts)
    return f", max_line_size = {longest + 2}, buffer_size = {16 * longest}" if longest >= LINE_LIMIT else ""


def _find_csv_rejects(connection: duckdb.DuckDBPyConnection, table: Table, n_read: int) -> None:
    import numpy as np

    found = connection.execute(
        """SELECT file_path, line, any_value(csv_line) AS value,
                  'unreadable: ' || lower(min(error_type::VARCHAR)) AS rule
           FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY line"""
    ).fetchnumpy()
    start, rows, order = 0, [], []
    for part in table.parts:
        assert part.layout is not None
        here = np.flatnonzero(found["file_path"] == str(part.plain))
        rows.append(start + part.layout.record(found["line"][here].astype(np.int64)) + 1 - part.n_header)
        order.append(here)
        start += part.n_records
    places = np.concatenate(order)
    if not len(places):
        return
    values = np.array([str(line).lstrip("\r\n") for line in found["value"][places]], object)
    table.rejects = {"row": np.concatenate(rows), "value": values, "rule": found["rule"][places].astype(object)}


# Parquet


def _open_parquet(
    connection: duckdb.DuckDBPyConnection, source: Source, files: list[Path], columns: Mapping[str, Column]
) -> Table:
    paths = _listed(files)
    _check_names(connection, files)
    relation = f"""read_parquet([{paths}], hive_partitioning = {_is_partitioned(files)}, hive_types_autocast = false,
        union_by_name = {len(files) > 1})"""  # the wider type of each column, not that of the first file
    counted = dict(connection.execute(f"SELECT file_name, num_rows FROM parquet_file_metadata([{paths}])").fetchall())
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    names = column_names([row[0] for row in described])
    texts = [
        f"{_physical_text(row[0], row[1], columns.get(name))} AS {identifier(name)}"
        for name, row in zip(names, described, strict=True)
    ]
    parts = [Part(file, file, counted[str(file)]) for file in files]
    return Table(source, names, f"(SELECT {', '.join(texts)} FROM {relation})", parts)


def _check_names(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> None:
    """Raise InputError where a file has not the columns of the first, in whatever order."""
    expected: list[str] = []
    for file in files if len(files) > 1 else []:
        described = connection.execute(f"DESCRIBE FROM read_parquet([{_listed([file])}], hive_partitioning = false)")
        found = sorted(row[0].lower() for row in described.fetchall())
        expected = expected or found
        if found != expected:
            told = ", ".join(sorted({*found} ^ {*expected}))
            raise InputError(f"{file}: its columns are not those of {files[0]}: {told}")


def _is_partitioned(files: list[Path]) -> bool:
    return all(any("=" in part for part in file.parts[:-1]) for file in files)


def _physical_text(name: str, kind: str, column: Column | None) -> str:
    """Return the expression of a column's text: whole floats without .0, NaN missing, times with a zone in UTC."""
    if re.match("FLOAT|DOUBLE|DECIMAL", kind):
        return number_text_sql(column or Column("number"), name)
    quoted = identifier(name)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {quoted})::VARCHAR" + (" || 'Z'" if column and column.timezone else "")
    if re.search(r"\[|STRUCT|MAP|UNION|VARIANT", kind):
        return f"to_json({quoted})::VARCHAR"
    return f"{quoted}::VARCHAR"


# JSON lines


def _open_jsonl(
    connection: duckdb.DuckDBPyConnection, source: Source, files: list[Path], plain: list[Path], folder: Path
) -> Table:
    """Read lines as texts, then each object into the columns that any of them has; nested values stay JSON."""
    layouts = [scan(text, "", keeps_blank=False) for text in plain]
    pairs = zip(plain, layouts, strict=True)
    plain = [with_line_feeds(text, source, folder) if layout.is_mixed else text for text, layout in pairs]
    parts = [
        Part(file, text, layout.n_records, layout) for file, text, layout in zip(files, plain, layouts, strict=True)
    ]
    paths = _listed(plain)
    connection.execute(
        f"""CREATE TABLE json_lines AS SELECT line, CASE WHEN NOT json_valid(line) THEN 'NONE'
            WHEN list_unique(json_keys(line)) < len(json_keys(line)) THEN 'TWICE' ELSE json_type(line) END AS kind
            FROM read_csv([{paths}], auto_detect = false, header = false, columns = {{'line': 'VARCHAR'}},
            delim = chr(1), quote = '', escape = '' {_line_limit(layouts)}) WHERE line IS NOT NULL"""
    )
    keys = connection.execute(
        """SELECT key FROM (SELECT rowid AS n, unnest(json_keys(line)) AS key FROM json_lines WHERE kind = 'OBJECT')
           GROUP BY key ORDER BY min(n), key"""
    ).fetchall()
    fields = [row[0] for row in keys]
    if not fields:
        raise InputError(f"{files[0]}: no line holds a JSON object")
    structure = json.dumps(dict.fromkeys(fields, "VARCHAR"), ensure_ascii=False)
    names = column_names(fields)
    texts = ", ".join(f"record[{literal(key)}] AS {identifier(name)}" for key, name in zip(fields, names, strict=True))
    relation = f"""(SELECT {texts} FROM (SELECT from_json(line, {literal(structure)}) AS record FROM json_lines
        WHERE kind = 'OBJECT'))"""
    bad = connection.execute(
        """SELECT rowid + 1 AS row, line AS value, CASE kind WHEN 'TWICE' THEN 'unreadable: a key stands twice'
               ELSE 'unreadable: not a json object' END AS rule
           FROM json_lines WHERE kind <> 'OBJECT' ORDER BY 1"""
    ).fetchnumpy()
    rejects = {key: array if key == "row" else array.astype(object) for key, array in bad.items()}
    rejects = rejects if len(bad["row"]) else {}
    return Table(source, names, relation, parts, rejects)
