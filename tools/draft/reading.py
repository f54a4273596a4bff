"""Opens any table that is given to tools.draft: finds its files, its format and dialect, and loads it as text."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.prepare import LARGE
from stages.runtime.contract import Column
from stages.shared.errors import InputError
from stages.shared.table.opened import unreadable
from stages.shared.table.plain import plain_file
from stages.shared.table.reader import find_rejects, open_table
from stages.shared.table.source import PACKED, SUFFIXES, Source, source_files
from stages.shared.tables import connect, plan_quickly
from tools.draft.sample import scalar
from tools.draft.sniff import BLOCK, Dialect, count_fields, sniff, take_sample

if TYPE_CHECKING:
    import duckdb

SPOILT = 0.01  # share of records that a fitting dialect may leave unread
NO_TABLES = {
    b"PK\x03\x04": "a zip archive or spreadsheet: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save the sheet as CSV",
    b"SQLite format 3": "an SQLite database: name a query in source.fetch (python -m tools.fetch)",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x80\x04": "a pickle, which could run code: save it as Parquet",
    b"<!DO": "a web page",
    b"<html": "a web page",
}


@dataclass
class Table:
    """A table as text in DuckDB (`raw`), and how it is written."""

    connection: duckdb.DuckDBPyConnection
    source: dict[str, Any]  # of conf/data/NAME.yaml, without what is at its default
    names: list[str]
    n_rows: int  # that could be read
    n_rejects: int = 0
    given: str = ""  # as on the command line
    notes: dict[str, str] = field(default_factory=dict)


def find_files(given: str) -> tuple[Path, list[Path]]:
    """Return (folder, the table's files in it) of a file, glob or folder. Raises InputError where there are none."""
    path = Path(given)
    if path.is_file():
        return path.parent, [path]
    if path.is_dir():
        kinds = [kind for kind in SUFFIXES if _files_of(path, kind)]
        if len(kinds) != 1:
            raise InputError(f"{given}: should hold the files of one table, found {' and '.join(kinds) or 'none'}")
        return path, _files_of(path, kinds[0])
    files = sorted(Path(found) for found in glob.glob(given, recursive=True) if Path(found).is_file())  # noqa: PTH207
    if not files:
        raise InputError(f"{given}: no such file")
    return Path(given[: min(given.find(mark) for mark in "*?[" if mark in given)] + "x").parent, files


def _files_of(folder: Path, kind: str) -> list[Path]:
    try:
        return source_files(Source(path=str(folder), format=kind))  # type: ignore[arg-type]
    except InputError as error:
        if error.what.endswith("empty"):
            raise
        return []


def format_of(path: Path) -> str:
    """Return the format of a file by its first bytes, else by its name."""
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return "parquet"
    name = path.name.lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return next((kind for kind, suffixes in SUFFIXES.items() if name.endswith(suffixes)), "csv")


def blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def gather(files: list[Path], base: Path, links: Path) -> str:
    """Return the path that a source of these files below `base` has: the file's, or a folder's with links to them."""
    if len(files) == 1:
        return str(files[0])
    for file in files:
        kind, link = format_of(file), links / file.relative_to(base)
        if not file.name.lower().endswith(tuple(s + p for s in SUFFIXES[kind] for p in ("", *PACKED))):
            link = link.with_name(link.name + SUFFIXES[kind][0])
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.resolve())
    return str(links)


def read_table(files: list[Path], place: str, given: str, target: str, folder: Path) -> Table:
    """Return the table of some files, loaded; `place` is their source's path, `folder` takes what is unpacked."""
    empty = [str(file) for file in files if file.stat().st_size == 0]
    kinds = sorted({format_of(file) for file in files})
    if empty:
        raise InputError(f"{empty[0]}: the file is empty")
    if len(kinds) > 1:
        raise InputError(f"{given}: files of several formats ({', '.join(kinds)}) are no one table")
    try:
        if kinds == ["csv"]:
            return _read_csv(files, place, target, folder)
        return _load({"path": place, "format": kinds[0]}, {}, folder)
    except InputError as error:
        raise InputError(error.what.replace(place, given), error.faults) from None


def _read_csv(files: list[Path], place: str, target: str, folder: Path) -> Table:
    """Return a CSV table, read in the best dialect in which prepare's own reader can read nearly all of it."""
    candidates: list[Dialect] = []
    encodings, first_fields, n_fields = set(), 0, 0
    for file in files:
        with tempfile.TemporaryDirectory(dir=folder) as unpacked:
            sample = take_sample(blocks(plain_file(file, "utf-8", Path(unpacked))))
        refuse_other_files(file, sample.head, sample.encoding)
        encodings.add(sample.encoding)
        candidates = candidates or sniff(sample, target)
        if not n_fields:
            first_fields, n_fields = count_fields(sample, candidates[0])
    encoding = candidates[0].encoding if len(encodings) == 1 else min(encodings)  # cp1252 before utf-8
    columns = {} if candidates[0].header else {str(number): Column("text") for number in range(n_fields)}
    refusal: InputError | None = None
    tables = []
    for dialect in candidates:
        changed = {key: value for key, value in asdict(dialect).items() if value != getattr(Dialect(), key)}
        changed = {key: value for key, value in changed.items() if key != "encoding"}
        try:
            tables.append(_load({"path": place, **({"encoding": encoding} if encoding != "utf-8" else {}), **changed},
                                columns, folder))  # fmt: skip
        except InputError as error:
            refusal = refusal or error
            continue
        if tables[-1].n_rejects <= SPOILT * (tables[-1].n_rows + tables[-1].n_rejects):
            break
    best = min(tables, key=lambda table: table.n_rejects, default=None)
    if first_fields != n_fields and (best is None or best.n_rejects > best.n_rows):
        raise InputError(
            f"{place}: its first line has {first_fields} fields, most others {n_fields}: take away what stands before "
            "the header, or name every column in it"
        )
    if best is None:
        raise refusal or InputError(f"{place}: not a table")
    return best


def refuse_other_files(path: Path, head: bytes, encoding: str) -> None:
    """Raise InputError where a file is of a kind that is no table of text."""
    for magic, what in NO_TABLES.items():
        if head.lstrip().lower().startswith(magic.lower()):
            raise InputError(f"{path}: not a table but {what}")
    if not head.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise InputError(f"{path}: the file is empty")
    controls = sum(head.count(byte) for byte in [*range(9), *range(14, 28)])
    if not encoding.startswith("utf-16") and controls - head.count(1) > 0.01 * len(head):
        raise InputError(f"{path}: not a table of text, its bytes are binary")


def _load(keys: dict[str, Any], columns: dict[str, Column], folder: Path) -> Table:
    """Return the table that prepare's own reader finds, as texts in `raw`."""
    import duckdb

    source = Source(**keys)
    place = Path(tempfile.mkdtemp(dir=folder))
    connection = connect(place if sum(file.stat().st_size for file in source_files(source)) > LARGE else None)
    table = open_table(connection, source, columns, place)
    plan_quickly(connection, len(table.columns))
    if len(table.columns) < 2:
        raise InputError(f"{source.path}: one column only ({table.columns[0]!r}): there is nothing to predict from")
    try:
        connection.execute(f"CREATE TABLE read AS SELECT * FROM {table.relation}")
        number = "row_number() OVER ()" if "rowid" in map(str.lower, table.columns) else "rowid + 1"
        connection.execute(f"CREATE VIEW raw AS SELECT {number} AS _row, * FROM read")
        n_rows = scalar(connection, "SELECT count(*) FROM read")
        find_rejects(connection, table, n_rows)
    except duckdb.Error as error:
        raise unreadable(source, error) from None
    if n_rows == 0:
        raise InputError(f"{source.path}: a header and no rows")
    own = {key: value for key, value in keys.items() if key != "path"}
    return Table(connection, own, table.columns, n_rows, table.n_records - n_rows)
