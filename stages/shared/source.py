"""Reads a source of any supported format into DuckDB as text, and counts its records by a second route."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from stages.runtime.contract_sql import identifier, literal
from stages.shared.errors import InputError
from stages.shared.tables import parquet

if TYPE_CHECKING:
    import duckdb

DAMAGED = (OSError, EOFError, zlib.error)  # what gzip raises


@dataclass(frozen=True)
class Source:
    """Where a table lies and how it is written. The dialect is declared, never guessed while running."""

    path: str = field(metadata={"doc": "The file, in data/raw/NAME/."})
    format: Literal["csv", "parquet"] = field(default="csv", metadata={"doc": "How the file is written."})
    delimiter: str = field(default=",", metadata={"doc": "The one character between fields.", "applies_to": "csv"})
    quote: str = field(
        default='"', metadata={"doc": "The one character around fields, or empty for none.", "applies_to": "csv"}
    )
    encoding: Literal["utf-8", "latin-1"] = field(
        default="utf-8", metadata={"doc": "How characters are written.", "applies_to": "csv"}
    )
    missing: list[str] = field(
        default_factory=list, metadata={"doc": "Texts that mean missing in every column, besides the empty one."}
    )


@dataclass(frozen=True)
class Layout:
    """What the second route found in a CSV: its header, its records, and those that span several lines."""

    header: list[str]
    n_records: int
    spans: list[tuple[int, int]]  # (record number, the header's being 0; line breaks inside it or before it)


def read_header(source: Source) -> list[str]:
    """Return the column names in the file's order. Raises InputError where the file cannot be read."""
    if not Path(source.path).is_file():
        raise InputError(f"{source.path}: no such file (source.path)")
    if Path(source.path).stat().st_size == 0:
        raise InputError(f"{source.path}: the file is empty")
    if source.format == "csv":
        _, header = next(_records(source), (0, []))
        if not header:
            raise InputError(f"{source.path}: the file is empty")
        return header
    import duckdb

    try:
        described = duckdb.execute(f"DESCRIBE SELECT * FROM {parquet(Path(source.path))}").fetchall()
    except duckdb.Error as error:
        raise InputError(f"{source.path}: not a readable Parquet file: {str(error).splitlines()[0]}") from None
    return [row[0] for row in described]


def load(connection: duckdb.DuckDBPyConnection, source: Source) -> int:
    """Create `raw` (_row, each column as text), `rejects` (_row, value, rule), `spans`; return the number of records.

    `_row` is the record's number in the source, from 1. Raises InputError where DuckDB and the second route disagree.
    """
    import duckdb

    connection.execute("CREATE TABLE rejects (_row BIGINT, value VARCHAR, rule VARCHAR)")
    connection.execute("CREATE TABLE spans (_row BIGINT, breaks BIGINT)")
    try:
        return _load_csv(connection, source) if source.format == "csv" else _load_parquet(connection, source)
    except duckdb.Error as error:
        raise InputError(f"{source.path}: cannot be read: {str(error).splitlines()[0]}") from None


def _load_csv(connection: duckdb.DuckDBPyConnection, source: Source) -> int:
    layout = _read_layout(source)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in layout.header)
    connection.execute(
        f"""CREATE TABLE read AS SELECT row_number() OVER () AS _good, * FROM read_csv({literal(source.path)},
            auto_detect = false, header = true, all_varchar = true, columns = {{{columns}}}, store_rejects = true,
            delim = {literal(source.delimiter)}, quote = {literal(source.quote)}, escape = {literal(source.quote)},
            encoding = {literal(source.encoding)})"""
    )
    connection.execute(
        """INSERT INTO rejects SELECT line - 1, any_value(csv_line), 'unreadable: ' || lower(min(error_type::VARCHAR))
           FROM reject_errors GROUP BY line ORDER BY line"""
    )
    # Good rows are numbered without the rejected ones; the k-th reject at record r comes after r - k good rows.
    connection.execute(
        """CREATE TABLE raw AS
           WITH shift AS (SELECT _row - _k + 1 AS _first_good, max(_k) AS _k
                          FROM (SELECT _row, row_number() OVER (ORDER BY _row) AS _k FROM rejects) GROUP BY 1)
           SELECT _good + coalesce(shift._k, 0) AS _row, read.* EXCLUDE (_good)
           FROM read ASOF LEFT JOIN shift ON read._good >= shift._first_good ORDER BY 1"""
    )
    if layout.spans:
        connection.executemany("INSERT INTO spans VALUES (?, ?)", layout.spans)
    n_read = _count(connection, "raw") + _count(connection, "rejects")
    if n_read != layout.n_records:
        raise InputError(
            f"{source.path}: {layout.n_records} records by count but {n_read} by the reader: "
            "the dialect in source: (delimiter, quote, encoding) does not fit the file"
        )
    return layout.n_records


def _load_parquet(connection: duckdb.DuckDBPyConnection, source: Source) -> int:
    relation = parquet(Path(source.path))
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    texts = [
        f"CASE WHEN NOT isnan({identifier(name)}) THEN regexp_replace({identifier(name)}::VARCHAR, '\\.0$', '') END"
        f" AS {identifier(name)}"
        if kind in ("FLOAT", "DOUBLE")
        else f"{identifier(name)}::VARCHAR AS {identifier(name)}"
        for name, kind, *_ in described
    ]
    connection.execute(f"CREATE TABLE raw AS SELECT row_number() OVER () AS _row, {', '.join(texts)} FROM {relation}")
    return _count(connection, "raw")


def line_sql(source: Source, row: str) -> str:
    """Return the expression of a record's line: its number, plus the header, plus line breaks inside records before.

    `row` is the expression of the record's number, with its table's name, since `spans` has a column of that name too.
    """
    if source.format == "parquet":
        return row
    return f"{row} + 1 + coalesce((SELECT sum(breaks) FROM spans WHERE spans._row < {row}), 0)::BIGINT"


def _read_layout(source: Source) -> Layout:
    header: list[str] = []
    spans = []
    n_records = -1
    last_line = 0
    for line, record in _records(source):
        breaks, last_line = line - last_line - 1, line
        n_records += 1
        if n_records == 0:
            header = record
        if breaks:
            spans.append((n_records, breaks))
    return Layout(header, n_records, spans)


def _records(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Yield (last line, fields) of each record, blank lines left out. Raises InputError naming the line."""
    opener = gzip.open if source.path.endswith(".gz") else open
    encoding = "utf-8-sig" if source.encoding == "utf-8" else source.encoding
    csv.field_size_limit(2**31 - 1)
    line = 0
    try:
        with cast(BinaryIO, opener(source.path, "rb")) as raw, TextIOWrapper(raw, encoding, newline="") as text:
            reader = csv.reader(
                text,
                delimiter=source.delimiter,
                quotechar=source.quote or None,
                strict=True,
                quoting=csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
            )
            for record in reader:
                line = reader.line_num
                if record:
                    yield line, record
    except UnicodeDecodeError as error:
        raise InputError(f"{source.path}, after line {line}: not {source.encoding}: {error.reason}") from None
    except csv.Error as error:
        raise InputError(f"{source.path}, record after line {line}: {error} (source.quote, source.delimiter)") from None
    except DAMAGED as error:
        raise InputError(f"{source.path}, after line {line}: the file is damaged: {error}") from None


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found[0]) if found else 0
