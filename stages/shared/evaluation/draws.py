"""Resamples of rows that are drawn alone, in groups or in bundles, and sums over them.

A resample says how often each unit was drawn; a row stands in it as often as its unit, times its weight. Sums over the
rows are sums over the units of what their rows add up to, which is found once for all resamples. Everything is added in
a fixed order, on one thread: nothing here asks a matrix product, whose order of sums depends on the number of cores.
"""

from __future__ import annotations

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
        self._sums: dict[int, tuple[Array, Array]] = {}
        self._parts: dict[int, tuple[Array, Units]] = {}

    def sums(self, values: Array) -> Array:
        """Return what each unit's rows add up to, shape (n_units,); the same array is added only once."""
        if id(values) not in self._sums:
            weighted = values if self.weight is None else values * self.weight
            added = np.bincount(self._places, weights=weighted, minlength=self.n_units)
            self._sums[id(values)] = values, added  # held, or another array might get its id
        return self._sums[id(values)][1]

    @cached_property
    def sizes(self) -> Array:
        """The weight of each unit's rows, shape (n_units,)."""
        return np.bincount(self._places, weights=self.weight, minlength=self.n_units).astype(float)

    def within(self, is_inside: Array) -> Units:
        """Return the units of some of the rows; where rows have units, the same array gives the same object."""
        if self.of_row is None:
            return Units(weight=None if self.weight is None else self.weight[is_inside])
        if id(is_inside) not in self._parts:
            weight = None if self.weight is None else self.weight[is_inside]
            self._parts[id(is_inside)] = is_inside, Units(self.of_row[is_inside], self.n_units, weight)
        return self._parts[id(is_inside)][1]

    @property
    def _places(self) -> Array:
        if self.of_row is None:
            raise ValueError("each row is its own unit")
        return self.of_row


ROWS = Units()


class Draws:
    """How often each unit stands in each of some resamples: counts, shape (n_resamples, n_units)."""

    def __init__(self, counts: Array, units: Units = ROWS) -> None:
        self.counts = counts
        self.units = units

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def rows(self) -> Array:
        """How often each row stands in each, times its weight, shape (n_resamples, n_rows); whole without weights."""
        drawn = self.counts if self.units.of_row is None else np.take(self.counts, self.units.of_row, axis=1)
        return drawn if self.units.weight is None else drawn * self.units.weight

    def within(self, is_inside: Array) -> Draws:
        """Return the resamples of some of the rows alone."""
        counts = self.counts if self.units.of_row is not None else self.counts[:, is_inside]
        return Draws(counts, self.units.within(is_inside))

    def or_all(self, is_empty: Array) -> Draws:
        """Return the resamples, with each row once where a resample is said to be empty."""
        return Draws(np.where(is_empty[:, None], 1.0, self.counts), self.units) if is_empty.any() else self

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
