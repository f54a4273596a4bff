"""Progress on standard error: a line rewritten in place on a terminal, a new line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from stages.shared import live

if TYPE_CHECKING:
    import duckdb

QUIET_SECONDS = 2.0  # work shorter than this says nothing
PACE_SECONDS = {True: 0.2, False: 10.0}  # between lines, on a terminal or not

_muted: ContextVar[bool] = ContextVar("muted", default=False)


@contextmanager
def muted() -> Iterator[None]:
    """Let work in the body say nothing: it is part of a longer one that says how far it is."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


def say(line: str) -> None:
    """Print a line on standard error, unless muted."""
    if not _muted.get():
        print(line, file=sys.stderr, flush=True)


class Progress:
    """Counts steps and shows them with the time left, `train: 250/600 trees, 3 s left`; a total of 0 is unknown."""

    def __init__(self, stage: str, unit: str, total: int) -> None:
        self.stage, self.unit, self.total = stage, unit, total
        self.is_muted, self.skipped = _muted.get(), 0
        self.is_terminal = sys.stderr.isatty()
        self.started = time.monotonic()
        self.shown = self.started + QUIET_SECONDS - PACE_SECONDS[self.is_terminal]
        self.has_line = False  # on the terminal, to be removed

    def update(self, done: int, note: str = "", **numbers: float) -> None:
        """Say that `done` steps are done, if it is time to say something; `numbers` are what live metrics show too."""
        now = time.monotonic()
        if not self.is_muted:
            live.show({self.unit.replace(" ", "_"): done, **numbers})
        if self.is_muted or now - self.shown < PACE_SECONDS[self.is_terminal] or done <= self.skipped:
            return
        self.shown, self.has_line = now, self.is_terminal
        left = (now - self.started) / (done - self.skipped) * (self.total - done)
        known = f"{done}/{self.total} {self.unit}, {left:.0f} s left"
        line = f"{self.stage}: {known if self.total else f'{done} {self.unit}'}{note}"
        print(
            f"\r\033[K{line}" if self.is_terminal else line,
            end="" if self.is_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def skip(self, done: int) -> None:
        """Say that `done` steps were done earlier: the pace of those that follow tells the time left."""
        self.skipped = done

    def restart(self, at: float | None = None) -> None:
        """Count from nothing again, for the next piece of work, which began `at` that moment or now."""
        self.started = time.monotonic() if at is None else at

    def close(self) -> None:
        """End the rewritten line, if there is one."""
        if self.has_line:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextmanager
def watching(connection: duckdb.DuckDBPyConnection, stage: str, n_rows: int) -> Iterator[Callable[[str], None]]:
    """Show how far DuckDB's query is, as rows with their pace and the time left, while the body runs queries.

    Yields a function to call with the name of each piece of work before it begins; the time left is that piece's.
    """
    connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
    watch = Watch(connection, stage, n_rows)
    watcher = threading.Thread(target=watch.run, daemon=True)
    watcher.start()
    try:
        yield watch.begin
    finally:
        watch.done.set()
        watcher.join()


class Watch:
    """Polls the running query; a share that falls, or another name, is the next piece, with a count of its own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, stage: str, n_rows: int) -> None:
        self.connection, self.n_rows, self.name = connection, n_rows, ""
        self.progress, self.done = Progress(stage, "rows", n_rows), threading.Event()
        self.last, self.looked = 0.0, time.monotonic()

    def begin(self, name: str) -> None:
        """Name the work that is next."""
        self.name, self.last = name, 1.0

    def run(self) -> None:
        """Look five times a second."""
        while not self.done.wait(0.2):
            self.look()
        self.progress.close()

    def look(self) -> None:
        """Say how far the query is; between queries there is nothing to say."""
        share, now = max(0.0, self.connection.query_progress()) / 100, time.monotonic()
        if share < self.last or not self.last:  # it began after the last look
            self.progress.restart(self.looked)
        self.last, self.looked = share, now
        pace = share * self.n_rows / max(now - self.progress.started, 0.001)
        note = f", {pace:.0f} rows/s"
        self.progress.update(int(share * self.n_rows), f"{note}, {self.name}" if self.name else note)
