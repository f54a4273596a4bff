"""Records answered over HTTP: one at once, many in slices between which everybody else is served.

A slice is as many records as take SLICE_SECONDS of the processor, read and answered together. Slices run on one thread
aside, one request's at a time, while the event loop answers single records and /health; the loop need not wait for a
slice's end, as worker.py makes the thread give way every millisecond. On the loop itself, single records beside lists
of 5000 took 33 ms, since the system lets a thread that never sleeps wait for its turn. A record that takes longer than
SLOW_SECONDS by itself (a stored scikit-learn forest, sampled explanations) goes to the thread too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from ..contract import Violation
from ..predictor import BrokenContract, Predictor
from . import decode
from .replies import Refused
from .settings import Limits

SLICE_SECONDS = 0.010  # a slice has half a millisecond of its own: a fifth of one of 2 ms
SLOW_SECONDS = 0.005
FIRST_SLICE = 8  # records
T = TypeVar("T")
Record = dict[str, Any]
Answer = dict[str, Any]


class Answering:
    """Asks the model for records: `alone` for one, `many` for a list, by `what`: "predict" or "explain"."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor, self.limits = predictor, limits
        self.slow: set[str] = set()
        self.sizes: dict[str, int] = {}  # of the last slice of each kind, with which the next request begins
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "aside")

    def warm_up(self, records: Sequence[Record]) -> None:
        """Ask each kind once unmeasured, then learn which are slow, so that no client pays for either."""
        for what, ask in (("predict", self.predictor.predict), ("explain", self.predictor.explain)):
            for record in records[:1]:
                ask(record)
                start = time.perf_counter()
                ask(record)
                if time.perf_counter() - start > SLOW_SECONDS:
                    self.slow.add(what)
        self.predictor.predict_many(records)

    def alone(self, what: str, record: Any, n_bytes: int) -> Answer:
        """Return the answer to one record, of so many bytes. Raises Refused with all that is wrong with it."""
        if not self.is_sound(record, n_bytes):
            raise Refused("contract", [(None, violation) for violation in self.faults(record)])
        try:
            return self.predictor.predict(record) if what == "predict" else self.predictor.explain(record)
        except BrokenContract as error:
            raise Refused("contract", [(None, violation) for violation in error.violations]) from None

    async def one(self, what: str, record: Any, n_bytes: int) -> Answer:
        """Return what `alone` does, aside: for what is slow."""
        return await self.aside(self.alone, what, record, n_bytes)

    async def aside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what a function does on the thread aside."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def many(self, what: str, rows: Sequence[Any]) -> tuple[list[Record], list[Answer]]:
        """Return the records and the answers to them. Raises Refused with the faults of all rows, or for one too late.

        `rows` are records, or JSON texts of them (msgspec.Raw) that are read slice by slice.
        """
        if len(rows) > self.limits.rows:
            raise Refused("too_many_rows")
        deadline = time.monotonic() + self.limits.seconds
        asked = Asked(self, what, rows)
        is_short = len(rows) <= FIRST_SLICE and what not in self.slow
        while not asked.is_done:
            async with self._turn:
                if is_short:
                    asked.take()
                else:
                    await self.aside(asked.take)
            if time.monotonic() > deadline:
                raise Refused("slow")
        if asked.broken:
            raise asked.refused() if is_short else await self.aside(asked.refused)
        return asked.records, asked.answers

    def together(self, what: str, records: list[Record]) -> list[Answer]:
        """Return the answers to some records. Raises BrokenContract with the number of the first broken one."""
        if what == "predict":
            return self.predictor.predict_many(records)
        answers = []
        for number, record in enumerate(records):
            try:
                answers.append(self.predictor.explain(record))
            except BrokenContract as error:
                raise BrokenContract(error.violations, number) from None
        return answers

    def is_sound(self, record: Any, n_bytes: int) -> bool:
        """Return whether it is a record whose texts may be held against patterns: none is longer than all its bytes."""
        longest = self.limits.text_length
        return type(record) is dict and (
            n_bytes <= longest or all(type(value) is not str or len(value) <= longest for value in record.values())
        )

    def faults(self, record: Any) -> list[Violation]:
        """Return all that is wrong with what is not sound: too long texts, and what the contract says of the rest."""
        if type(record) is not dict:
            return [Violation("", "object", None)]
        longest = self.limits.text_length
        long = [column for column, value in record.items() if type(value) is str and len(value) > longest]
        try:
            self.predictor.predict({**record, **dict.fromkeys(long)})
            others = []
        except BrokenContract as error:
            others = [violation for violation in error.violations if violation.column not in long]
        return [Violation(column, "text_length", None) for column in long] + others


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
