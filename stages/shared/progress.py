"""Progress on standard error: a line rewritten in place on a terminal, a new line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time

QUIET_SECONDS = 2.0  # work shorter than this says nothing
PACE_SECONDS = {True: 0.2, False: 10.0}  # between lines, on a terminal or not


class Progress:
    """Counts steps of known number and shows them with the time left: `train: 250/600 trees, 3 s left`."""

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
        line = f"{self.stage}: {done}/{self.total} {self.unit}, {left:.0f} s left{note}"
        print(
            f"\r\033[K{line}" if self.is_terminal else line,
            end="" if self.is_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """End the rewritten line, if there is one."""
        if self.is_terminal and self.shown > self.started + QUIET_SECONDS:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
