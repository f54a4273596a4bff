"""Brings a text file into the one form that is read: plain UTF-8, not compressed, one kind of line end."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from stages.shared.errors import InputError
from stages.shared.table.layout import lines_of
from stages.shared.table.source import Source, csv_options

CHUNK = 1 << 16  # bytes; small enough for an error to name a line near to it
LONG = 50_000  # bytes of a record
MANY = 50_000_000  # bytes that the reader may need for what it sets aside: a copy of a record for each field too many
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)  # what decompressors raise
UTF8 = ("utf-8", "utf_8", "utf8", "utf-8-sig", "ascii")


def plain_file(path: Path, encoding: str, folder: Path) -> Path:
    """Return `path` where it is plain UTF-8 already, otherwise a new file in `folder` that is.

    Raises InputError naming file and line where it cannot be decompressed or is not in that encoding. (Bytes that are
    not UTF-8 in a file said to be UTF-8 pass: the reader sets their rows aside, by line.)
    """
    is_utf8 = encoding.lower() in UTF8
    if is_utf8 and path.suffix.lower() not in (".gz", ".zst", ".bz2", ".xz"):
        return path
    copy = folder / f"plain-{len(list(folder.glob('plain-*')))}.txt"
    decoder = None if is_utf8 else codecs.getincrementaldecoder(encoding)("strict")
    n_lines = 0
    try:
        with _open(path) as file, copy.open("wb") as out:
            while chunk := file.read(CHUNK):
                text = chunk if decoder is None else decoder.decode(chunk).encode()
                n_lines += text.count(b"\n")
                out.write(text)
            if decoder is not None:
                out.write(decoder.decode(b"", True).encode())
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"{path}, after line {n_lines}: not {encoding}: {reason} (source.encoding)") from None
    except _damaged(path) as error:
        raise InputError(f"{path}, after line {n_lines}: the file is damaged: {error}") from None
    return copy


def _damaged(path: Path) -> tuple[type[Exception], ...]:
    return (*DAMAGED, _zstd().ZstdError) if path.suffix.lower() == ".zst" else DAMAGED


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".zst":
        return cast(BinaryIO, _zstd().open(path, "rb"))
    opener = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(path.suffix.lower(), open)
    return cast(BinaryIO, opener(path, "rb"))  # type: ignore[operator]


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def with_line_feeds(path: Path, source: Source, folder: Path) -> Path:
    """Return a copy of a text whose lines outside quotes all end in a line feed; what stands in quotes is not touched.

    For files whose lines end now in one way, now in another, as several pasted together do.
    """
    copy = folder / f"lines-{len(list(folder.glob('lines-*')))}.txt"
    with copy.open("w", encoding="latin-1", newline="") as out:
        for line, is_quoted in lines_of(path, source):
            out.write(line if is_quoted else line.rstrip("\r\n") + "\n")
    return copy


def check_width(path: Path, source: Source, n_columns: int, longest: int) -> None:
    """Raise InputError where records are so much too wide that setting them aside would take the reader gigabytes.

    That is so where all rows are, and of a long record with many fields. Empty fields at the end do no harm.
    """
    rows = islice(_records(path, source), source.header, 100)
    widths = [(line, _width(record, source)) for line, record in rows if record.strip()]
    if widths and min(width for _, width in widths) > n_columns:
        line, width = widths[0]
        raise InputError(
            f"{source.path}, line {line}: {width} fields for {n_columns} columns, and none of the next has fewer"
        )
    size = 0
    for line, record in _records(path, source) if longest > LONG else ():
        width = _width(record, source) if len(record) > LONG else 0
        size += max(0, width - n_columns) * len(record)
        if size > MANY:
            raise InputError(
                f"{source.path}, line {line}: {width} fields for {n_columns} columns (source.quote, source.delimiter)"
            )


def _records(path: Path, source: Source) -> Iterator[tuple[int, str]]:
    """Yield (first line, text) of each record and blank line, a character a byte."""
    lines: list[str] = []
    for number, (line, is_quoted) in enumerate(lines_of(path, source), start=1):
        lines.append(line)
        if not is_quoted:
            yield number - len(lines) + 1, "".join(lines)
            lines.clear()


def _width(record: str, source: Source) -> int:
    """Return the number of fields up to the last one that is not empty."""
    bare = record.rstrip("\r\n").encode("latin-1").decode("utf-8", "replace")
    fields = next(csv.reader(io.StringIO(bare, newline=""), **csv_options(source)), [])
    return max((place for place, field in enumerate(fields, start=1) if field), default=0)
