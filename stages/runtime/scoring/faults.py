"""What a person is told where a table cannot be scored."""

from __future__ import annotations


class BadTable(ValueError):
    """Something given to `NAME score` is wrong: one line, or one and the faults below it."""

    def __init__(self, what: str, faults: list[str] | None = None) -> None:
        super().__init__("\n  ".join([what, *(faults or [])]))
