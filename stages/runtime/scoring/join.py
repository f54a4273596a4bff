"""Joins the files of parts into one, which appears whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
from pathlib import Path

from ..contract_sql import literal
from .part import MEMORY as PART_MEMORY
from .part import connect, copy_options

MEMORY = "200MB"  # so that joining takes no more than scoring did; the bytes do not depend on it


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
    import duckdb

    try:
        _copy(files, draft, folder, len(os.sched_getaffinity(0)), MEMORY)
    except duckdb.OutOfMemoryException:  # rows of long texts
        _copy(files, draft, folder, 1, PART_MEMORY)


def _copy(files: list[Path], draft: Path, folder: Path, threads: int, memory: str) -> None:
    listed = ", ".join(literal(glob.escape(str(file))) for file in files)
    with connect(folder / "spill", threads) as connection:
        connection.execute(f"SET memory_limit = '{memory}'")
        query = f"SELECT * FROM read_parquet([{listed}])"
        connection.execute(f"COPY ({query}) TO {literal(str(draft))} ({copy_options('parquet', header=True)})")


def _append(files: list[Path], draft: Path) -> None:
    with draft.open("wb") as out:
        for path in files:
            with path.open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
