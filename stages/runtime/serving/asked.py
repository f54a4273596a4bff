"""The rows of one request, answered a slice at a time: as many records as take SLICE_SECONDS of the processor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..contract import Violation
from ..predictor import BrokenContract
from . import decode
from .replies import Refused

if TYPE_CHECKING:
    from .answering import Answer, Answering, Record

SLICE_SECONDS = 0.010  # a slice has half a millisecond of its own: a fifth of one of 2 ms
FIRST_SLICE = 8  # records


class Asked:
    """The rows of one request, answered slice by slice until all are, or all faults are known."""

    def __init__(self, answering: Answering, what: str, rows: Sequence[Any]) -> None:
        self.answering, self.what, self.rows = answering, what, rows
        self.at, self.size = 0, answering.sizes.get(what, FIRST_SLICE)
        self.records: list[Record] = []
        self.answers: list[Answer] = []
        self.broken: list[tuple[int | None, Violation]] = []

    @property
    def is_done(self) -> bool:
        """Whether no row is left."""
        return self.at >= len(self.rows)

    def _adapt(self, n_rows: int, seconds: float) -> None:
        """Choose the next slice's size by the processor's time of the last one; a short rest tells little."""
        if n_rows == self.size or seconds > SLICE_SECONDS:
            self.size = max(1, min(int(n_rows * SLICE_SECONDS / max(seconds, 1e-9)), 2 * self.size, 1000))
            self.answering.sizes[self.what] = self.size

    def take(self) -> None:
        """Answer the next rows, or, once one is broken, look for further faults only."""
        since = time.thread_time()
        start, stop = self.at, min(self.at + self.size, len(self.rows))
        self.at = stop
        sound = self._read_flat(start, stop) or self._read_each(start, stop)
        self.records += [record for _, record in sound]
        self._ask(sound)
        self._adapt(stop - start, time.thread_time() - since)

    def _read_flat(self, start: int, stop: int) -> list[tuple[int, Record]] | None:
        """Return the rows with their numbers, read all at once, where all are flat and short; None otherwise."""
        texts = self.rows[start:stop]
        if set(map(type, texts)) != {msgspec.Raw} or max(map(len, texts)) > self.answering.limits.text_length:
            return None
        records = decode.flat(texts)
        return None if records is None else list(enumerate(records, start))

    def _read_each(self, start: int, stop: int) -> list[tuple[int, Record]]:
        """Return the sound ones of the rows with their numbers; what is wrong with the others is added to `broken`."""
        sound = []
        for number in range(start, stop):
            record, n_bytes = self._read(number)
            if self.answering.is_sound(record, n_bytes):
                sound.append((number, record))
            else:
                self.broken += [(number, violation) for violation in self.answering.faults(record)]
        return sound

    def refused(self) -> Refused:
        """Return the refusal with all faults, in the order of rows; it keeps those that are told."""
        broken, self.broken = sorted(self.broken, key=lambda pair: pair[0] or 0), []
        return Refused("contract", broken)

    def _read(self, number: int) -> tuple[Any, int]:
        """Return a row and the most bytes that it can have."""
        row = self.rows[number]
        if not isinstance(row, msgspec.Raw):
            return row, self.answering.limits.body_bytes
        text = memoryview(row)
        try:
            return decode.document(text), len(text)
        except Refused as error:
            raise Refused(error.reason, row=number) from None

    def _ask(self, sound: list[tuple[int, Record]]) -> None:
        """Ask for answers; after a broken record those behind it are asked anew, for their faults."""
        while sound:
            try:
                self.answers += self.answering.together(self.what, [record for _, record in sound])
                return
            except BrokenContract as error:
                place = error.number or 0
                self.broken += [(sound[place][0], violation) for violation in error.violations]
                sound = sound[place + 1 :]
