"""Reads the files of a source as one table of texts, and numbers its records by a second count of its own.

CSV, Parquet and JSON lines become the same thing: an expression to select from (each column as text, rows in the order
of the files), the rows that could not be read, and the place of every record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stages.runtime.contract import Column
from stages.runtime.contract_sql import literal
from stages.runtime.dialect import column_names
from stages.shared.errors import InputError
from stages.shared.table.jsonl import open_jsonl
from stages.shared.table.layout import count_strictly, scan
from stages.shared.table.opened import Part, Table, line_limit, listed, stored_rejects, unreadable
from stages.shared.table.parquet import open_parquet
from stages.shared.table.plain import check_width, plain_file, with_line_feeds
from stages.shared.table.source import Source, records, source_files

if TYPE_CHECKING:
    import duckdb


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
            return open_parquet(connection, source, files, columns)
        plain = [plain_file(file, source.encoding, folder) for file in files]
        if source.format == "jsonl":
            return open_jsonl(connection, replace(source, quote=""), files, plain, columns, folder)
        return _open_csv(source, files, plain, list(columns), folder)
    except duckdb.Error as error:
        raise unreadable(source, error) from None


def find_rejects(connection: duckdb.DuckDBPyConnection, table: Table, n_read: int) -> None:
    """Fill `table.rejects` after the relation was read and gave `n_read` rows.

    Raises InputError where the rows read and left out are not all the records that were counted.
    """
    if table.source.format == "csv":
        table.rejects = stored_rejects(connection, table.parts)
    n_rejects = len(table.rejects["row"]) if table.rejects else 0
    if n_read + n_rejects != table.n_records:
        raise InputError(
            f"{table.source.path}: {table.n_records} records by count but {n_read + n_rejects} by the reader: "
            "the dialect in source: (delimiter, quote, escape, encoding) does not fit, or a long run of rows has too "
            "many or too few fields"
        )


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
    limit = line_limit([part.layout for part in parts if part.layout])
    paths = listed(part.plain for part in parts)
    escape = source.escape or source.quote
    return f"""read_csv([{paths}], auto_detect = false, all_varchar = true, columns = {{{types}}},
        header = {source.header}, skip = {skips.pop()}, delim = {literal(source.delimiter)},
        quote = {literal(source.quote)}, escape = {literal(escape)}, new_line = {literal(end)},
        store_rejects = true{limit})"""
