"""Records answered over HTTP: one at once, many in slices between which everybody else is served.

Slices (asked.py) run on one thread aside, one request's at a time, while the event loop answers single records and
/health; the loop need not wait for a slice's end, as worker.py makes the thread give way every millisecond. On the loop
itself, single records beside lists of 5000 took 33 ms, since the system lets a thread that never sleeps wait for its
turn. A record that takes longer than SLOW_SECONDS by itself (a stored scikit-learn forest, sampled explanations) goes
to the thread too.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ..contract import Violation
from ..predictor import BrokenContract, Predictor
from .asked import FIRST_SLICE, Asked
from .breadth import check_breadth
from .replies import Refused
from .settings import LONG_BYTES, Limits

SLOW_SECONDS = 0.005
T = TypeVar("T")
Record = dict[str, Any]
Answer = dict[str, Any]


class Answering:
    """Asks the model for records: `alone` for one, `many` for a list, by `what`: "predict" or "explain"."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor, self.limits = predictor, limits
        self.most_values = max(limits.lists, limits.rows * (len(predictor.contract.columns) + 1))
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

    def read(self, function: Callable[[bytes | bytearray], T], body: bytes | bytearray) -> T:
        """Return what a function reads from a JSON body; a long one is held against its limits before."""
        if len(body) <= LONG_BYTES:
            return function(body)
        check_breadth(body, self.limits.lists, self.most_values)
        gc.disable()  # it would walk over what is read again and again, while nobody is answered: 190 ms of 290
        try:
            return function(body)
        finally:
            gc.enable()

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

    async def many(
        self, what: str, rows: Sequence[Any], n_bytes: int, since: float
    ) -> tuple[list[Record], list[Answer]]:
        """Return the records and the answers to them. Raises Refused with the faults of all rows, or for one too late.

        `rows` are records, or JSON texts of them (msgspec.Raw) that are read slice by slice; all came in `n_bytes`,
        at the moment `since` of the monotonic clock.
        """
        if len(rows) > self.limits.rows:
            raise Refused("too_many_rows")
        deadline = since + self.limits.seconds
        asked = Asked(self, what, rows)
        is_short = len(rows) <= FIRST_SLICE and n_bytes <= LONG_BYTES and what not in self.slow
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
