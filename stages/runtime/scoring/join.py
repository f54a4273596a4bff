"""Joins the files of parts into one, which appears whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
from pathlib import Path

from ..contract_sql import literal
from .part import connect, copy_options


def join(files: list[Path], out: Path, form: str, folder: Path) -> None:
    """Write `out` from files of one form, in their order; `folder` takes what is not whole yet."""
    draft = folder / f"joined.{form}"
    if form == "parquet":
        _join_parquet(files, draft, folder)
    else:
        _append(files, draft)  # gzip files, too, are one when they stand one behind the other
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(out)


def _join_parquet(files: list[Path], draft: Path, folder: Path) -> None:
    listed = ", ".join(literal(glob.escape(str(file))) for file in files)
    with connect(folder / "spill", len(os.sched_getaffinity(0))) as connection:
        query = f"SELECT * FROM read_parquet([{listed}])"
        connection.execute(f"COPY ({query}) TO {literal(str(draft))} ({copy_options('parquet', header=True)})")


def _append(files: list[Path], draft: Path) -> None:
    with draft.open("wb") as out:
        for path in files:
            with path.open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
