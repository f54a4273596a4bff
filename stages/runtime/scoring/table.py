"""A table that is to be scored: its form by its name, its columns, and its parts."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract import Contract
from ..contract_sql import literal
from ..dialect import Dialect
from .faults import BadTable
from .text import Piece, TextTable

if TYPE_CHECKING:
    import duckdb

INPUTS = {
    "parquet": (".parquet", ".pq"),
    "csv": tuple(kind + packed for kind in (".csv", ".tsv", ".txt") for packed in ("", ".gz", ".bz2", ".xz")),
}
OUTPUTS = {"parquet": (".parquet", ".pq"), "csv": (".csv",), "csv.gz": (".csv.gz",)}
MOST_ROWS = 122_880  # of a part: as many as DuckDB puts into one row group of Parquet
MOST_NUMBERS = 8_000_000  # of a part's features, so that a wide table has parts of fewer rows


def form_of(path: Path, forms: dict[str, tuple[str, ...]]) -> str:
    """Return the form that a file's name says. Raises BadTable for any other name."""
    for form, suffixes in forms.items():
        if path.name.lower().endswith(suffixes):
            return form
    known = ", ".join(suffix for suffixes in forms.values() for suffix in suffixes)
    raise BadTable(f"{path}: its name should end in one of {known}")


def rows_of_part(n_features: int) -> int:
    """Return the number of rows of a part, which must not depend on the machine."""
    return max(1024, min(MOST_ROWS, MOST_NUMBERS // max(n_features, 1)))


@dataclass
class Opened:
    """A table and what its parts are cut from."""

    kinds: dict[str, str]  # type of each column, in their order
    n_rows: int | None  # None for a CSV, whose records are counted on the way
    text: TextTable | None

    def ranges(self, n_part: int) -> Iterator[tuple[int, int]]:
        """Yield (records before, records) of each part of a Parquet table."""
        assert self.n_rows is not None
        for start in range(0, self.n_rows, n_part):
            yield start, min(n_part, self.n_rows - start)

    def pieces(self) -> Iterator[Piece]:
        """Yield the parts of a CSV."""
        assert self.text is not None
        return self.text.pieces()


def open_table(
    connection: duckdb.DuckDBPyConnection, path: Path, dialect: Dialect, contract: Contract, n_part: int
) -> Opened:
    """Return the table. Raises BadTable where there is none, or it cannot be read."""
    import duckdb

    form = form_of(path, INPUTS)
    if not path.is_file():
        raise BadTable(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise BadTable(f"{path}: the file is empty")
    if form == "csv":
        text = TextTable(path, dialect, list(contract.columns), n_part)
        return Opened(dict.fromkeys(text.columns, "VARCHAR"), None, text)
    try:
        named = literal(glob.escape(str(path)))
        found = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({named})").fetchall()
        [(n_rows,)] = connection.execute(f"SELECT num_rows FROM parquet_file_metadata({named})").fetchall()
    except duckdb.Error as error:
        raise BadTable(f"{path}: not readable as Parquet: {first_line(error)}") from None
    return Opened({row[0]: row[1] for row in found}, int(n_rows), None)


def kept_columns(contract: Contract, found: list[str], asked: str | None) -> list[str]:
    """Return the columns to write beside the answers: those asked for, `*` all, or else the contract's keys."""
    if asked == "*":
        return found
    if asked is None:
        return [name for name in contract.with_role("key") if name in found]
    return [name for name in asked.split(",") if name]


def check_columns(path: Path, contract: Contract, found: list[str], kept: list[str], own: list[str]) -> None:
    """Raise BadTable where an input is absent, a column unknown to the contract and not kept, or a kept one is named as
    one of our `own`."""
    faults = [f"{name}: not in the file{_near(name, found)}" for name in contract.inputs if name not in found]
    faults += [f"--keep {name}: not in the file{_near(name, found)}" for name in kept if name not in found]
    known = {*contract.columns, *kept}
    faults += [
        f"{name}: in the file, not in the contract{_near(name, list(contract.columns))} (--keep '*' lets it pass)"
        for name in found
        if name not in known
    ]
    taken = {name.lower() for name in own}
    faults += [f"--keep {name}: an output column has this name" for name in kept if name.lower() in taken]
    faults += [f"--keep {name}: named twice" for place, name in enumerate(kept) if name in kept[:place]]
    if faults:
        raise BadTable(f"{path} does not have the columns of the model's contract", faults)


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
