"""Numbers of a fit while it runs, in a metrics file that `dvc metrics show` reads meanwhile; {} when it is done."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from stages.shared.files import write_json

PACE_SECONDS = 1.0  # between two writes

_live: ContextVar[Live | None] = ContextVar("live", default=None)


class Live:
    """A metrics file, written whole at most once a second."""

    def __init__(self, path: Path) -> None:
        self.path, self.written = path, -math.inf

    def write(self, content: dict[str, float]) -> None:
        """Write numbers; a reader finds the last ones or these, never half a file."""
        draft = self.path.with_name(f".{self.path.name}.new")
        write_json(draft, content)
        draft.replace(self.path)

    def show(self, numbers: dict[str, float]) -> None:
        """Write the finite ones, if it is time to."""
        now = time.monotonic()
        if now - self.written >= PACE_SECONDS:
            self.written = now
            self.write({f"live_{name}": number for name, number in numbers.items() if math.isfinite(number)})


@contextmanager
def live(path: Path) -> Iterator[None]:
    """Keep `path` up to date with what the body's work shows; afterwards it says nothing, whatever the outcome."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = Live(path)
    own.write({})
    token = _live.set(own)
    try:
        yield
    finally:
        _live.reset(token)
        own.write({})


def show(numbers: dict[str, float]) -> None:
    """Show numbers where somebody keeps a file of them, at most once a second."""
    own = _live.get()
    if own is not None:
        own.show(numbers)
