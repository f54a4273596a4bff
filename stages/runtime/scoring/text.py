"""Cuts a CSV of any size into texts of whole records, each small enough to be read by itself, and counts its records.

A line end is a record's when an even number of quotes stands before it. That holds while every quote opens or closes a
field and lines end alike; a piece where they do not is gone through line by line, as `prepare` does, and brought into
that form. Blank lines are no records, but in a table of one column.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..contract_sql import literal
from ..dialect import Dialect, column_names
from ..quotes import Quotes
from .faults import BadTable

if TYPE_CHECKING:
    import duckdb

SIZE = 8_000_000  # bytes read ahead, from which a piece is cut
LONGEST = 64_000_000  # bytes of a record
OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
UTF8 = ("utf-8", "utf_8", "utf8", "utf-8-sig", "ascii")


@dataclass(frozen=True)
class Piece:
    """Whole records of a CSV; `n_bytes` is what was read of the file up to them."""

    start: int  # records before, the header not counted
    n_rows: int
    text: bytes
    n_bytes: int


def read_text(path: Path, dialect: Dialect, names: list[str]) -> str:
    """Return the FROM clause of one piece: every field as text, what cannot be read kept aside."""
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    text = path.read_bytes()
    end, longest = r"\r\n" if text.endswith(b"\r\n") else r"\n", len(text) + 2
    return f"""read_csv({literal(str(path))}, auto_detect = false, all_varchar = true, columns = {{{types}}},
        header = false, delim = {literal(dialect.delimiter)}, quote = {literal(dialect.quote)},
        escape = {literal(dialect.escape or dialect.quote)}, new_line = {literal(end)}, store_rejects = true,
        max_line_size = {longest}, buffer_size = {2 * longest})"""


def set_rejects_aside(connection: duckdb.DuckDBPyConnection, start: int, n_records: int) -> bool:
    """Give the rows of `checked` the numbers that what could not be read left; return whether there was any.

    Then `unreadable` has their (row, rule, value). Raises BadTable where records read and left out are not all that
    were counted.
    """
    [(n_read,)] = connection.execute("SELECT count(*) FROM checked").fetchall()
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE unreadable AS SELECT {start} + line AS "row",
                'unreadable: ' || lower(min(error_type::VARCHAR)) AS rule,
                ltrim(any_value(csv_line), chr(10) || chr(13)) AS value FROM reject_errors GROUP BY line ORDER BY line;
            DROP TABLE reject_errors; DROP TABLE reject_scans"""
    )
    [(n_rejects,)] = connection.execute("SELECT count(*) FROM unreadable").fetchall()
    if n_read + n_rejects != n_records:
        raise BadTable(
            f"records {start + 1} to {start + n_records}: {n_records} by count but {n_read + n_rejects} by the reader: "
            "the dialect does not fit (--delimiter), or a long run of rows has too many or too few fields"
        )
    if n_rejects:
        numbers = f"""SELECT _row, {start} + row_number() OVER (ORDER BY _row) AS _place
            FROM range({start + 1}, {start + n_records + 1}) AS every(_row)
            WHERE _row NOT IN (SELECT "row" FROM unreadable)"""
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE checked AS SELECT n._row, c.* EXCLUDE (_row)
                FROM checked AS c JOIN ({numbers}) AS n ON c._row = n._place ORDER BY n._row"""
        )
    return bool(n_rejects)


class TextTable:
    """A CSV that is open: its columns, then its pieces, once."""

    def __init__(self, path: Path, dialect: Dialect, names: list[str], n_rows: int) -> None:
        self.path, self.dialect, self.n_rows = path, dialect, n_rows
        self.source = _Source(path, dialect.encoding)
        self.keeps_blank = False
        self.n_records = 0  # so far
        if not self.source.more():
            raise BadTable(f"{path}: the file is empty")
        self.columns = self._header() if dialect.header else names
        self.keeps_blank = len(self.columns) == 1

    def _header(self) -> list[str]:
        found = self._take(1)
        if found is None:
            raise BadTable(f"{self.path}: the file is empty")
        fields = next(csv.reader(io.StringIO(found[0].decode("utf-8", "replace"), newline=""), **self._options()), [])
        return column_names(fields)

    def _options(self) -> dict[str, Any]:
        """Return what Python's csv module needs to know to read a header as the reader of tables does."""
        own = self.dialect
        quoting = csv.QUOTE_MINIMAL if own.quote else csv.QUOTE_NONE
        return {
            "delimiter": own.delimiter,
            "quotechar": own.quote or None,
            "escapechar": own.escape or None,
            "doublequote": not own.escape,
            "skipinitialspace": own.delimiter != " ",
            "quoting": quoting,
        }

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces. Raises BadTable where a quote is never closed, or the file is damaged."""
        try:
            while found := self._take(self.n_rows):
                text, n_records = found
                yield Piece(self.n_records, n_records, text, self.source.n_bytes)
                self.n_records += n_records
        finally:
            self.source.close()

    def _take(self, n_wanted: int) -> tuple[bytes, int] | None:
        """Return the text of up to `n_wanted` records and their number, None at the end."""
        source = self.source
        while True:
            while len(source.text) < SIZE and source.more():
                pass
            if not source.text:
                return None
            cut = Cut(self.dialect, self.keeps_blank, source.text, source.is_over, n_wanted)
            text, n_records, n_used, is_open = cut.fast() or cut.slow()
            source.text = source.text[n_used:]
            if n_records:
                return text, n_records
            if source.is_over and not is_open and not source.text:
                return None
            if not source.is_over and len(source.text) <= LONGEST:
                source.more(len(source.text))
            elif is_open or source.text:
                raise BadTable(
                    f"{self.path}, after record {self.n_records}: a quote is opened and never closed, or a record is "
                    f"longer than {LONGEST // 1_000_000} MB"
                )


class _Source:
    """The file's text as UTF-8, read ahead."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self.raw = path.open("rb")
        opener = OPENERS.get(path.suffix.lower())
        self.file = cast(BinaryIO, opener(self.raw, "rb") if opener else self.raw)  # type: ignore[operator]
        is_utf8 = encoding.lower() in UTF8
        self.encoding = encoding
        self.decoder = None if is_utf8 else codecs.getincrementaldecoder(encoding)("strict")
        self.text, self.is_over, self.is_begun = b"", False, False
        self.n_bytes = 0  # of the file, that were read

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.raw.close()

    def more(self, n_bytes: int = SIZE) -> bool:
        """Read on; return whether there was anything. Raises BadTable for a damaged file."""
        if self.is_over:
            return False
        try:
            chunk = self.file.read(n_bytes)
            if chunk.endswith(b"\r"):
                chunk += self.file.read(1)  # never between the two bytes of a line end
        except DAMAGED as error:
            raise BadTable(f"{self.path}: the file is damaged: {error}") from None
        self.is_over = not chunk
        self.n_bytes = self.raw.tell()
        if self.decoder is not None:
            try:
                chunk = self.decoder.decode(chunk, final=self.is_over).encode()
            except UnicodeError as error:
                raise BadTable(f"{self.path}: not {self.encoding}: {getattr(error, 'reason', error)}") from None
        if not self.is_begun:
            chunk, self.is_begun = chunk.removeprefix(codecs.BOM_UTF8), True
        self.text += chunk
        return not self.is_over


class Cut:
    """Where a text may be cut. Both ways return (text of whole records, their number, bytes used up, is_open)."""

    def __init__(self, dialect: Dialect, keeps_blank: bool, text: bytes, is_last: bool, n_wanted: int) -> None:
        self.dialect, self.keeps_blank, self.n_wanted = dialect, keeps_blank, n_wanted
        self.text, self.is_last = text, is_last

    def fast(self) -> tuple[bytes, int, int, bool] | None:
        """None where the text is not in the one form in which line ends and quotes say where records end."""
        import numpy as np

        array = np.frombuffer(self.text, np.uint8)
        ends = np.flatnonzero(array == 10)
        if not len(ends) or (self.is_last and array[-1] != 10):
            return None
        n_returns = self.text.count(b"\r")
        is_crlf = n_returns > 0
        if n_returns and (n_returns != len(ends) or ends[0] == 0 or (array[ends - 1] != 13).any()):
            return None
        quote = self.dialect.quote.encode()
        if quote and quote in self.text:
            quotes = np.flatnonzero(array == quote[0])
            if self._has_strays(array, quotes):
                return None
            ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
        lengths = np.diff(ends, prepend=-1) - 1 - is_crlf
        if (lengths == 0).any() and not self.keeps_blank:
            return None
        n_records = min(len(ends), self.n_wanted)
        if not n_records:
            return None
        n_used = int(ends[n_records - 1]) + 1
        return self.text[:n_used], n_records, n_used, False

    def _has_strays(self, array: Any, quotes: Any) -> bool:
        """Say whether a quote neither opens nor closes a field."""
        import numpy as np

        is_edge = np.zeros(256, bool)
        delimiter = self.dialect.delimiter.encode()
        is_edge[[*b"\r\n", *self.dialect.quote.encode(), delimiter[0], delimiter[-1]]] = True
        opening, closing = quotes[0::2], quotes[1::2]
        opening, closing = opening[opening > 0], closing[closing + 1 < len(array)]
        if self.dialect.escape and (array[quotes[quotes > 0] - 1] == ord(self.dialect.escape)).any():
            return True
        return not (is_edge[array[opening - 1]].all() and is_edge[array[closing + 1]].all())

    def slow(self) -> tuple[bytes, int, int, bool]:
        """Line by line: blank lines are left out, every record ends in a line feed."""
        quotes = Quotes(self.dialect.quote, self.dialect.delimiter, self.dialect.escape)
        lines: list[str] = []
        n_records = n_used = n_read = begun = 0
        is_quoted = is_inside = False
        for line in io.StringIO(self.text.decode("latin-1"), newline=""):
            n_read += len(line)
            if not line.endswith(("\n", "\r")) and not self.is_last:
                break
            is_quoted = quotes.goes_on(line, is_quoted)
            is_blank = not is_inside and not self.keeps_blank and not line.rstrip("\r\n")
            if not is_blank:
                lines.append(line if is_quoted else line.rstrip("\r\n") + "\n")
            is_inside = is_quoted
            if not is_quoted:
                n_records, n_used, begun = n_records + (not is_blank), n_read, len(lines)
            if n_records == self.n_wanted:
                break
        return "".join(lines[:begun]).encode("latin-1"), n_records, n_used, is_quoted
