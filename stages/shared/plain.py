"""Brings a text file into the one form that is read: plain UTF-8, not compressed, one kind of line end."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import sys
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from stages.shared.errors import InputError

CHUNK = 1 << 16  # bytes; small enough for an error to name a line near to it
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)  # what decompressors raise
UTF8 = ("utf-8", "utf_8", "utf8", "utf-8-sig", "ascii")


def plain_file(path: Path, encoding: str, folder: Path) -> Path:
    """Return `path` where it is plain UTF-8 already, otherwise a new file in `folder` that is.

    Raises InputError naming file and line where it cannot be decompressed or is not in that encoding. (Bytes that are
    not UTF-8 in a file said to be UTF-8 pass: the reader sets their rows aside, by line.)
    """
    is_utf8 = encoding.lower() in UTF8
    if is_utf8 and path.suffix not in (".gz", ".zst", ".bz2", ".xz"):
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
    except DAMAGED as error:
        raise InputError(f"{path}, after line {n_lines}: the file is damaged: {error}") from None
    return copy


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".zst":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        return cast(BinaryIO, zstd.open(path, "rb"))
    opener = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(path.suffix, open)
    return cast(BinaryIO, opener(path, "rb"))  # type: ignore[operator]


def with_line_feeds(path: Path, quote: str, folder: Path) -> Path:
    """Return a copy of a text whose lines outside quotes all end in a line feed; what stands in quotes is not touched.

    For files whose lines end now in one way, now in another, as several pasted together do.
    """
    copy = folder / f"lines-{len(list(folder.glob('lines-*')))}.txt"
    mark = quote.encode() if quote else None
    is_quoted = False
    with path.open("rb") as file, copy.open("wb") as out:
        while chunk := file.read(CHUNK):
            while chunk.endswith(b"\r") and (more := file.read(1)):
                chunk += more
            parts = chunk.split(mark) if mark else [chunk]
            for place, part in enumerate(parts):
                if place:
                    is_quoted = not is_quoted
                    out.write(cast(bytes, mark))
                out.write(part if is_quoted else part.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    return copy
