"""Opens any table that is given to tools.draft: finds its files, its format and dialect, and loads it as text."""

from __future__ import annotations

import glob
import gzip
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from stages.shared.errors import InputError
from stages.shared.source import DAMAGED, Source, load
from stages.shared.tables import connect
from tools.sniff import BLOCK, Dialect, sniff, take_sample

if TYPE_CHECKING:
    import duckdb

FORMATS = {".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
PACKED = (".gz", ".zst")
NO_TABLES = {
    b"PK\x03\x04": "a zip archive or spreadsheet: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save the sheet as CSV",
    b"SQLite format 3": "an SQLite database: name a query in source.fetch (python -m tools.fetch)",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x80\x04": "a pickle, which could run code: save it as Parquet",
    b"BZh": "packed with bzip2: unpack it, or pack it with gzip",
    b"\xfd7zXZ": "packed with xz: unpack it, or pack it with gzip",
    b"<!DO": "a web page",
    b"<html": "a web page",
}


@dataclass
class Table:
    """A table as text in DuckDB (`raw`), and how it is written."""

    connection: duckdb.DuckDBPyConnection
    source: dict[str, Any]  # of conf/data/NAME.yaml, without what is at its default
    names: list[str]
    n_rows: int
    notes: dict[str, str] = field(default_factory=dict)


def find_files(given: str) -> tuple[Path, list[Path]]:
    """Return (folder, the table's files in it) of a file, glob or folder. Raises InputError where there are none."""
    path = Path(given)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and _is_visible(file.relative_to(path)))
        kinds = {format_of(file) for file in files if _suffix(file) in (*FORMATS, ".csv", ".tsv", ".txt", ".data")}
        files = [file for file in files if len(kinds) != 1 or (format_of(file) in kinds and _suffix(file) != ".md")]
        folder = path
    elif path.is_file():
        return path.parent, [path]
    else:
        files = sorted(Path(found) for found in glob.glob(given, recursive=True) if Path(found).is_file())  # noqa: PTH207
        folder = Path(given.split("*")[0].split("?")[0].split("[")[0] + "x").parent
    if not files:
        raise InputError(f"{given}: no such file, or no file in it")
    return folder, files


def _is_visible(place: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in place.parts)


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return suffixes[-1] if suffixes else ""


def format_of(path: Path) -> str:
    """Return the format of a file by its first bytes, else by its name."""
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return "parquet"
    return FORMATS.get(_suffix(path), "csv")


def blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, unpacked. Raises InputError where it is damaged."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with cast(BinaryIO, opener(path, "rb")) as file:
            while block := file.read(BLOCK):
                yield block
    except DAMAGED as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def read_table(files: list[Path], place: str, target: str) -> Table:
    """Return the table of some files, loaded. `place` is the path, glob or folder that stands for them."""
    for file in files:
        if file.stat().st_size == 0:
            raise InputError(f"{file}: the file is empty")
    kinds = sorted({format_of(file) for file in files})
    if len(kinds) > 1:
        raise InputError(f"{place}: files of several formats ({', '.join(kinds)}) are no one table")
    if kinds == ["csv"]:
        return _read_csv(files, place, target)
    return _load(place, {} if kinds == ["csv"] else {"format": kinds[0]})


def _read_csv(files: list[Path], place: str, target: str) -> Table:
    """Return a CSV table, read in the best dialect in which prepare's own reader can read all of it."""
    candidates: list[Dialect] = []
    encodings = set()
    for file in files:
        sample = take_sample(blocks(file))
        refuse_other_files(file, sample.head, sample.encoding)
        encodings.add(sample.encoding)
        candidates = candidates or sniff(sample, target)
    encoding = candidates[0].encoding if len(encodings) == 1 else max(encodings)
    refusal: InputError | None = None
    for dialect in candidates:
        changed = {key: value for key, value in asdict(dialect).items() if value != getattr(Dialect(), key)}
        if encoding != "utf-8":
            changed["encoding"] = encoding
        try:
            return _load(place, changed)
        except InputError as error:
            refusal = refusal or error
    raise refusal or InputError(f"{place}: not a table")


def refuse_other_files(path: Path, head: bytes, encoding: str) -> None:
    """Raise InputError where a file is of a kind that is no table of text."""
    for magic, what in NO_TABLES.items():
        if head.lstrip().lower().startswith(magic.lower()):
            raise InputError(f"{path}: not a table but {what}")
    if not head.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise InputError(f"{path}: the file is empty")
    if not encoding.startswith("utf-16") and head.count(0) > 0.01 * len(head):
        raise InputError(f"{path}: not a table of text, its bytes are binary")


def _load(place: str, keys: dict[str, Any]) -> Table:
    connection = connect()
    n_rows = load(connection, Source(path=place, **keys))
    names = [row[0] for row in connection.execute("DESCRIBE raw").fetchall() if row[0] != "_row"]
    if n_rows == 0:
        raise InputError(f"{place}: a header and no rows")
    if len(names) < 2:
        raise InputError(f"{place}: one column only ({names[0]!r}): there is nothing to predict from")
    return Table(connection, keys, names, n_rows)
