"""Resamples of rows that are drawn alone, in groups or in bundles, and sums over them.

A resample says how often each unit was drawn; a row stands in it as often as its unit, times its weight. Sums over the
rows are sums over the units of what their rows add up to, which is found once for all resamples. Everything is added in
a fixed order, on one thread: nothing here asks a matrix product, whose order of sums depends on the number of cores.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Units:
    """What is drawn: each row by itself, or the units that rows belong to."""

    def __init__(self, of_row: Array | None = None, n_units: int = 0, weight: Array | None = None) -> None:
        self.of_row = of_row  # (n_rows,), None where each row is its own
        self.n_units = n_units  # said where rows have units
        self.weight = weight  # (n_rows,)
        self._found: dict[tuple[str, int], tuple[object, Any]] = {}

    def sums(self, values: Array) -> Array:
        """Return what each unit's rows add up to, shape (n_units,); the same array is added only once."""

        def added() -> Array:
            weighted = values if self.weight is None else values * self.weight
            return np.bincount(self._places, weights=weighted, minlength=self.n_units)

        return np.asarray(self.once("sums", values, added))

    @cached_property
    def sizes(self) -> Array:
        """The weight of each unit's rows, shape (n_units,)."""
        return np.bincount(self._places, weights=self.weight, minlength=self.n_units).astype(float)

    def within(self, is_inside: Array) -> Units:
        """Return the units of some of the rows, the same object for the same array."""

        def part() -> Units:
            of_row, weight = (None if each is None else each[is_inside] for each in (self.of_row, self.weight))
            return Units(of_row, self.n_units, weight)

        found: Units = self.once("within", is_inside, part)
        return found

    def once(self, what: str, of: object, make: Callable[[], Any]) -> Any:
        """Return what `make` gives, which is asked only once for each `of`."""
        key = what, id(of)
        if key not in self._found:
            self._found[key] = of, make()  # `of` is held, or something else might get its id
        return self._found[key][1]

    @property
    def _places(self) -> Array:
        if self.of_row is None:
            raise ValueError("each row is its own unit")
        return self.of_row


class Draws:
    """How often each unit stands in each of some resamples: counts, shape (n_resamples, n_units).

    Without `units` they are weights of rows, each line by itself, and resamples of no sample.
    """

    def __init__(self, counts: Array, units: Units | None = None) -> None:
        self.counts = counts
        self.is_resampled = units is not None
        self.units = Units() if units is None else units

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def rows(self) -> Array:
        """How often each row stands in each, times its weight, shape (n_resamples, n_rows); whole without weights."""
        drawn = self.counts if self.units.of_row is None else np.take(self.counts, self.units.of_row, axis=1)
        return drawn if self.units.weight is None else drawn * self.units.weight

    def sample(self) -> Draws:
        """Return the sample itself: each unit once."""
        return Draws(np.ones((1, self.counts.shape[1]), dtype=np.int32), self.units)

    def within(self, is_inside: Array) -> Draws:
        """Return the resamples of some of the rows alone."""
        counts = self.counts if self.units.of_row is not None else self.counts[:, is_inside]
        return Draws(counts, self.units.within(is_inside) if self.is_resampled else None)

    def or_all(self, is_empty: Array) -> Draws:
        """Return the resamples, with each row once where a resample is said to be empty."""
        if not is_empty.any():
            return self
        return Draws(np.where(is_empty[:, None], 1.0, self.counts), self.units if self.is_resampled else None)

    def at(self, places: Array) -> Array:
        """Return `rows` at some places: several times faster than rows[:, places]."""
        if self.units.of_row is None:
            return np.asarray(np.take(self.rows, places, axis=1))
        drawn = np.asarray(np.take(self.counts, self.units.of_row[places], axis=1))
        return drawn if self.units.weight is None else drawn * self.units.weight[places]

    def sum(self, values: Array) -> Array:
        """Return the sums of values, shape (n_rows,), in each resample, shape (n_resamples,)."""
        if self.units.of_row is None:
            return np.asarray(np.einsum("rn,n->r", self._numbers, values))
        return np.asarray(np.einsum("rn,n->r", self._numbers, self.units.sums(values)))

    @cached_property
    def total(self) -> Array:
        """The weight of all rows of each resample, shape (n_resamples,)."""
        if self.units.of_row is None:
            return np.asarray(self.rows.sum(1))
        return np.asarray(np.einsum("rn,n->r", self._numbers, self.units.sizes))

    @cached_property
    def _numbers(self) -> Array:
        """What is multiplied, as floating point: numpy converts 32 bits more slowly than it multiplies."""
        return np.asarray(self.rows if self.units.of_row is None else self.counts).astype(float)
