"""Progress on standard error: a line rewritten in place on a terminal, a new line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time

QUIET_SECONDS = 2.0  # work shorter than this says nothing
PACE_SECONDS = {True: 0.2, False: 10.0}  # between lines, on a terminal or not


class Progress:
    """Counts rows and shows how far they are, with the time left."""

    def __init__(self) -> None:
        self.is_terminal = sys.stderr.isatty()
        self.started = time.monotonic()
        self.shown = self.started + QUIET_SECONDS - PACE_SECONDS[self.is_terminal]
        self.has_line = False  # on the terminal, to be removed
        self.skipped = 0.0

    def skip(self, share: float) -> None:
        """Say that this share was done earlier: the pace of what follows tells the time left."""
        self.skipped = share

    def update(self, n_rows: int, share: float, note: str = "") -> None:
        """Say, if it is time to, that so many rows are answered, this share of all work."""
        now = time.monotonic()
        if now - self.shown < PACE_SECONDS[self.is_terminal] or share <= self.skipped:
            return
        self.shown, self.has_line = now, self.is_terminal
        left = (now - self.started) / (share - self.skipped) * (1.0 - share)
        line = f"score: {n_rows} rows, {share:.0%}, {left:.0f} s left{note}"
        start, end = ("\r\033[K", "") if self.is_terminal else ("", "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the rewritten line, if there is one."""
        if self.has_line:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
