"""Counters that several workers keep in one piece of shared memory: each adds to its own row, any can tell the sums.

The memory is made before the workers are forked, so a worker that dies leaves its counts, and no file remains.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

WIDTH = 1 << 20
Labels = tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """One metric: a counter, a gauge, or a histogram with upper bounds `bounds`, for each of `labels`."""

    name: str
    kind: str
    help: str
    label_names: tuple[str, ...] = ()
    labels: tuple[Labels, ...] = ((),)
    bounds: tuple[float, ...] = ()
    places: dict[Labels, int] = field(default_factory=dict)  # filled by Counters

    @property
    def width(self) -> int:
        """How many numbers one set of labels takes: a histogram has its buckets, one beyond them, and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


def shared_memory(n_workers: int) -> list[memoryview[Any]]:
    """Return a row of WIDTH doubles for each worker; memory that is never written to takes no room."""
    doubles: memoryview[Any] = memoryview(mmap.mmap(-1, 8 * WIDTH * n_workers)).cast("d")
    return [doubles[number * WIDTH : (number + 1) * WIDTH] for number in range(n_workers)]


class Counters:
    """The numbers of all families in the rows of `shared_memory`, of which `worker` writes its own."""

    def __init__(self, families: Sequence[Family], rows: Sequence[memoryview], worker: int) -> None:
        self.families, self.width = list(families), 0
        for family in self.families:
            for labels in family.labels:
                family.places[labels] = self.width
                self.width += family.width
        if self.width > WIDTH:
            raise ValueError(f"metrics should be at most {WIDTH} numbers, got {self.width}")
        self.rows = [row[: self.width] for row in rows]
        self.row: Any = self.rows[worker]
        self._end_what_was_under_way()

    def _end_what_was_under_way(self) -> None:
        """Set this worker's gauges to 0: they were its dead predecessor's."""
        for family in self.families:
            if family.kind == "gauge":
                for place in family.places.values():
                    self.row[place] = 0.0

    def observe(self, family: Family, place: int, value: float) -> None:
        """Add one value to a histogram."""
        row, bounds = self.row, family.bounds
        row[place + bisect_left(bounds, value)] += 1.0
        row[place + len(bounds) + 1] += value

    def observe_all(self, family: Family, place: int, values: Sequence[float]) -> None:
        """Add many values to a histogram, in a fifth of the time."""
        for bucket, number in Counter(map(partial(bisect_left, family.bounds), values)).items():
            self.row[place + bucket] += number
        self.row[place + len(family.bounds) + 1] += sum(values)

    def text(self) -> str:
        """Return the sums over all workers in Prometheus's text format.

        Source: https://prometheus.io/docs/instrumenting/exposition_formats
        """
        sums = [sum(column) for column in zip(*(row.tolist() for row in self.rows), strict=True)]
        lines: list[str] = []
        for family in self.families:
            lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
            for labels, place in family.places.items():
                lines += _lines(family, labels, sums[place : place + family.width])
        return "\n".join(lines) + "\n"


def _lines(family: Family, labels: Labels, numbers: list[float]) -> Iterable[str]:
    pairs = list(zip(family.label_names, labels, strict=True))
    if family.kind != "histogram":
        return [] if pairs and not numbers[0] and family.kind == "counter" else [_line(family.name, pairs, numbers[0])]
    *counts, total = numbers
    if not any(counts) and pairs:
        return []
    lines, running = [], 0.0
    for bound, count in zip([*map(_number, family.bounds), "+Inf"], counts, strict=True):
        running += count
        lines.append(_line(f"{family.name}_bucket", [*pairs, ("le", bound)], running))
    return [*lines, _line(f"{family.name}_sum", pairs, total), _line(f"{family.name}_count", pairs, running)]


def _line(name: str, pairs: list[tuple[str, str]], number: float) -> str:
    told = ",".join(f'{key}="{_escaped(value)}"' for key, value in pairs)
    return f"{name}{{{told}}} {_number(number)}" if told else f"{name} {_number(number)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
