"""Where a table lies and how it is written: the schema, its files in their fixed order, the names of its columns."""

from __future__ import annotations

import csv
import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stages.runtime.dialect import Dialect
from stages.shared.errors import InputError

PACKED = (".gz", ".zst", ".bz2", ".xz")
SUFFIXES = {
    "csv": (".csv", ".tsv", ".tab", ".txt", ".data", ".dat"),
    "parquet": (".parquet", ".pq"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}


@dataclass(frozen=True)
class Fetch:
    """Where `python -m tools.fetch NAME` gets the source from; it writes `source.path` and the pin `source.sha256`."""

    url: str | None = field(
        default=None, metadata={"doc": "Anything fsspec opens: `https://`, `s3://`, ...; a glob where it can list."}
    )
    query: str | None = field(
        default=None, metadata={"doc": "SQL that ends in ORDER BY, so that equal rows give equal bytes."}
    )
    connection: str | None = field(
        default=None,
        metadata={"doc": "With `query`: the environment variable that holds the connection string (never the string)."},
    )


@dataclass(frozen=True)
class Source:
    """Where a table lies and how it is written. The dialect is declared, never guessed while running."""

    path: str = field(
        metadata={
            "doc": "A file, a glob or a folder in data/raw/NAME/. Several files are one table, in the order of their "
            "names; `.gz`, `.zst`, `.bz2` and `.xz` are unpacked; folders named `key=value` are columns of Parquet."
        }
    )
    format: Literal["csv", "parquet", "jsonl"] = field(
        default="csv", metadata={"doc": "How the files are written; `jsonl`: one JSON object a line."}
    )
    delimiter: str = field(
        default=",", metadata={"doc": 'The character between fields; a tab is `"\\t"`.', "applies_to": "csv"}
    )
    quote: str = field(
        default='"', metadata={"doc": "The character around fields, or empty for none.", "applies_to": "csv"}
    )
    escape: str = field(
        default="",
        metadata={"doc": "What stands before a quote inside quotes; empty: it is doubled.", "applies_to": "csv"},
    )
    header: bool = field(
        default=True,
        metadata={
            "doc": "Whether the first record names the columns; otherwise they are the contract's, in its order. A "
            "field without a name is `column_N`, N its place from 1; a name that stands twice gets `_2`.",
            "applies_to": "csv",
        },
    )
    encoding: str = field(
        default="utf-8",
        metadata={
            "doc": "How characters are written, as Python names it: `cp1252`, `utf-16`, ...; a byte order mark is "
            "skipped.",
            "applies_to": "csv, jsonl",
        },
    )
    decimal: Literal[".", ","] = field(
        default=".", metadata={"doc": "What stands before decimals; a column may say its own."}
    )
    thousands: Literal["", ",", ".", " ", "'"] = field(
        default="", metadata={"doc": "What stands between groups of three digits; a column may say its own."}
    )
    missing: list[str] = field(
        default_factory=list, metadata={"doc": "Texts that mean missing in every column, besides the empty one."}
    )
    fetch: Fetch | None = field(default=None, metadata={"doc": "Where `python -m tools.fetch NAME` gets it from."})
    sha256: str | None = field(
        default=None,
        metadata={
            "doc": "Pin: what tools.fetch brought (of one file as `sha256sum` prints it). Other content is refused."
        },
    )


def source_files(source: Source) -> list[Path]:
    """Return the files of a source in the order of their names. Raises InputError where there is none, or an empty one.

    A folder stands for all files below it that have a usual suffix of the format; hidden files are left out.
    """
    path = Path(source.path)
    if path.is_dir():
        found = [file for file in path.rglob("*") if has_suffix(file.name, source.format)]
        wanted = f"no file ending in {', '.join(SUFFIXES[source.format])} in this folder"
    elif path.is_file():
        found, wanted = [path], ""
    else:
        is_glob = glob.has_magic(source.path) and not path.is_absolute()
        found = list(Path().glob(source.path)) if is_glob else []
        wanted = "no file has such a name" if is_glob else "no such file"
        if source.fetch and not is_glob:
            wanted += "; `python -m tools.fetch` brings it"
    files = sorted((file for file in found if file.is_file() and not _is_hidden(file)), key=Path.as_posix)
    if not files:
        raise InputError(f"{source.path}: {wanted} (source.path)")
    empty = [str(file) for file in files if file.stat().st_size == 0]
    if empty:
        raise InputError(f"{empty[0]}: the file is empty")
    return files


def has_suffix(name: str, form: str) -> bool:
    """Say whether a file in a folder is one of the source's, by its name."""
    return name.lower().endswith(tuple(suffix + packed for suffix in SUFFIXES[form] for packed in ("", *PACKED)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts if part != "..")


def dialect_faults(source: Source) -> list[str]:
    """Return what is wrong with the keys of a source, beyond the type of each."""
    faults = []
    for key, may_be_empty in (("delimiter", False), ("quote", True), ("escape", True)):
        text = getattr(source, key)
        if len(text) != 1 and not (may_be_empty and text == ""):
            faults.append(f'source.{key}: should be one character (a tab is "\\t" in double quotes), got {text!r}')
        elif text in ("\n", "\r"):
            faults.append(f"source.{key}: should not be a line end")
        elif key != "delimiter" and not text.isascii():
            faults.append(f"source.{key}: should be an ASCII character, got {text!r}")
    if source.quote and source.quote in (source.delimiter, source.escape):
        faults.append("source.quote: should differ from delimiter and escape (a doubled quote needs no escape)")
    if source.escape and (not source.quote or source.escape == source.delimiter):
        faults.append("source.escape: should differ from delimiter, and there should be a quote for it to stand before")
    if source.thousands == source.decimal:
        faults.append(f"source.thousands: should differ from decimal, got {source.thousands!r} for both")
    try:
        "".encode(source.encoding)
    except LookupError:
        faults.append(
            f"source.encoding: should be one that Python knows, such as utf-8, cp1252, got {source.encoding!r}"
        )
    if source.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", source.sha256):
        faults.append(f"source.sha256: should be 64 hexadecimal digits, got {source.sha256!r}")
    return faults


def dialect_of(source: Source) -> Dialect:
    """Return how the source's files are written, for the contract: tables that are scored are read like them."""
    return Dialect(source.delimiter, source.quote, source.escape, source.header, source.encoding)


def csv_options(source: Source) -> dict[str, Any]:
    """Return what Python's csv module needs to know to read as the reader of tables does."""
    csv.field_size_limit(2**31 - 1)
    return {
        "delimiter": source.delimiter,
        "quotechar": source.quote or None,
        "escapechar": source.escape or None,
        "doublequote": not source.escape,
        "skipinitialspace": source.delimiter != " ",
        "quoting": csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
    }


def records(path: Path, source: Source) -> Iterator[tuple[int, list[str]]]:
    """Yield (last line, fields) of each record of a plain UTF-8 CSV, blank lines left out.

    Raises InputError naming the line where Python's csv module, which is strict, cannot go on.
    """
    line = 0
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
            reader = csv.reader(text, strict=True, **csv_options(source))
            for record in reader:
                line = reader.line_num
                if record:
                    yield line, record
    except csv.Error as error:
        what = "a quote is opened and never closed" if "end of data" in str(error) else str(error)
        raise InputError(f"{source.path}, record after line {line}: {what} (source.quote, source.delimiter)") from None
