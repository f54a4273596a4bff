"""What can be wrong: with a record, and with the packaged model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import Violation


class BrokenContract(ValueError):
    """A record that the contract refuses; `violations` says all that is wrong with it."""

    def __init__(self, violations: list[Violation], number: int | None = None) -> None:
        self.violations = violations
        self.number = number  # of the record in a batch, from 0
        where = "" if number is None else f"record {number}: "
        super().__init__(where + "; ".join(map(str, violations)))


class DamagedModel(RuntimeError):
    """A file of the packaged model is not the one that was packaged, or an answer is not the one it gave then."""
