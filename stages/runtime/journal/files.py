"""The files of a prediction log: one at a time a process, held by a lock while it is written to, mended when it is not.

A process that is killed leaves at most one line without an end, the last one. Whoever finds the file next, a service
that starts or `NAME log compact`, takes that line off and notes it: no line before it is ever touched.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STEM, JSONL, PARQUET = "predictions-", ".jsonl", ".parquet"
BLOCK = 1 << 16  # bytes read at once, from the end, to find the last line's end


def new_file(folder: Path) -> tuple[int, Path]:
    """Return the descriptor and path of a new file that this process alone appends to; names in order of time."""
    while True:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = folder / f"{STEM}{now}-{os.getpid()}{JSONL}"
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        except FileExistsError:
            continue
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file, path


def log_files(folder: Path) -> list[Path]:
    """Return the files of JSON lines in the order of time."""
    return sorted(folder.glob(f"{STEM}*{JSONL}"))


@contextmanager
def owned(path: Path) -> Iterator[int | None]:
    """Yield the descriptor of a file that no process writes to, None where one does or the file is gone."""
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file
    finally:
        os.close(file)


def mend(file: int) -> int:
    """Take off a last line without an end, note it in its place, and return how many there were: 0 or 1."""
    size = os.fstat(file).st_size
    end = _end_of_lines(file, size)
    if end == size:
        return 0
    os.ftruncate(file, end)
    os.write(file, note("torn", 1))
    os.fsync(file)
    return 1


def _end_of_lines(file: int, size: int) -> int:
    place = size
    while place:
        start = max(0, place - BLOCK)
        found = os.pread(file, place - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        place = start
    return 0


def mend_all(folder: Path) -> int:
    """Mend the files that nobody writes to; return the number of lines that were torn."""
    n_torn = 0
    for path in log_files(folder):
        with owned(path) as file:
            n_torn += mend(file) if file is not None else 0
    return n_torn


def note(what: str, n_lost: int) -> bytes:
    """Return the line that says in the log itself that something is not in it."""
    return json.dumps({"time": told(datetime.now(UTC).timestamp()), "note": what, "lost": n_lost}).encode() + b"\n"


def told(seconds: float) -> str:
    """Return a moment as ISO 8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a file, also of one that is being written."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
