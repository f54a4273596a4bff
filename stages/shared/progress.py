"""Progress on standard error: a line rewritten in place on a terminal, a new line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

QUIET_SECONDS = 2.0  # work shorter than this says nothing
PACE_SECONDS = {True: 0.2, False: 10.0}  # between lines, on a terminal or not


class Progress:
    """Counts steps and shows them with the time left, `train: 250/600 trees, 3 s left`; a total of 0 is unknown."""

    def __init__(self, stage: str, unit: str, total: int) -> None:
        self.stage, self.unit, self.total = stage, unit, total
        self.is_terminal = sys.stderr.isatty()
        self.started = time.monotonic()
        self.shown = self.started + QUIET_SECONDS - PACE_SECONDS[self.is_terminal]

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` steps are done, if it is time to say something."""
        now = time.monotonic()
        if now - self.shown < PACE_SECONDS[self.is_terminal] or done <= 0:
            return
        self.shown = now
        left = (now - self.started) / done * (self.total - done)
        known = f"{done}/{self.total} {self.unit}, {left:.0f} s left"
        line = f"{self.stage}: {known if self.total else f'{done} {self.unit}'}{note}"
        print(
            f"\r\033[K{line}" if self.is_terminal else line,
            end="" if self.is_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def restart(self) -> None:
        """Count from nothing again, for the next piece of work."""
        self.started = time.monotonic()

    def close(self) -> None:
        """End the rewritten line, if there is one."""
        if self.is_terminal and self.shown > self.started + QUIET_SECONDS:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextmanager
def watching(connection: duckdb.DuckDBPyConnection, stage: str, n_rows: int) -> Iterator[None]:
    """Show how far DuckDB's query is, as rows with their pace and the time left, while the body runs queries."""
    connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(connection, stage, n_rows, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(connection: duckdb.DuckDBPyConnection, stage: str, n_rows: int, done: threading.Event) -> None:
    """Poll the running query; a share that falls is the next query, with a count of its own."""
    progress, last, started = Progress(stage, "rows", n_rows), 0.0, time.monotonic()
    while not done.wait(0.2):
        share = max(0.0, connection.query_progress()) / 100
        if share < last:
            progress.restart()
            started = time.monotonic()
        last = share
        seconds = max(time.monotonic() - started, 0.001)
        progress.update(int(share * n_rows), f", {share * n_rows / seconds:.0f} rows/s")
    progress.close()
