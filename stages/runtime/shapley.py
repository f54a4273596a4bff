"""What each column adds to the answer of any model: Shapley values against one reference row, sampled.

An order of the columns is a path: the reference row takes over the row's columns one by one, and each column is
credited with the step that the answer takes. The steps of any path add up to the way from the reference's answer to the
row's, hence so does their mean over paths; over all orders that mean is the Shapley value. Sources: Castro, Gomez &
Tejada 2009, section 3 (orders drawn); Strumbelj & Kononenko 2014, algorithm 1 (of a model's inputs); Sundararajan &
Najmi 2020, arXiv:1908.08474 (against one row).

Eight fixed orders are taken, each forwards and backwards: exact where no more than two columns act upon each other,
an estimate elsewhere, and always the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .operation import columns_of

if TYPE_CHECKING:
    import numpy as np

ORDERS = 8  # each is walked both ways
CELLS = 4_000_000  # of the rows that are asked together, 32 MB
Parts = tuple[float, dict[str, float]]  # base, {column: what it adds}


def source_of(feature: dict[str, Any]) -> str:
    """Return the name that a feature's part goes to: its column, `a x b` where it is made of more."""
    return " x ".join(columns_of(feature))


def by_column(columns: list[str], parts: list[float]) -> dict[str, float]:
    """Return the features' parts, shape (n_features,), added up by the column of each."""
    sums = dict.fromkeys(columns, 0.0)
    for column, part in zip(columns, parts, strict=True):
        sums[column] += part
    return sums


def sampled_parts(
    raw_matrix: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
    reference: list[float],
    row: list[float],
    columns: list[str],
) -> list[Parts]:
    """Return what each column adds to the reference row's raw value, by output.

    `raw_matrix` gives raw values, shape (n_rows, n_outputs), of features, shape (n_rows, n_features); `columns` names
    the column of each feature, and features of one column change together. Base and parts add up to the row's own raw
    value, up to rounding. A column that is as in the reference row adds 0.
    """
    import numpy as np

    start, end = np.array(reference), np.array(row)
    differs = (start != end) & ~(np.isnan(start) & np.isnan(end))
    places: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        places.setdefault(column, []).append(place)
    orders = both_ways([column for column in places if differs[places[column]].any()])
    paths = [_path(start, end, [places[column] for column in order]) for order in orders]
    block = max(1, CELLS // paths[0].size)
    asked = [raw_matrix(np.concatenate(paths[first : first + block])) for first in range(0, len(paths), block)]
    values = np.concatenate(asked).reshape(len(paths), len(paths[0]), -1)
    totals = {column: np.zeros(values.shape[2]) for column in places}
    for order, steps in zip(orders, np.diff(values, axis=1), strict=True):
        for column, step in zip(order, steps, strict=True):
            totals[column] += step / len(orders)
    return [
        (float(base), {column: float(total[output]) for column, total in totals.items()})
        for output, base in enumerate(values[0, 0])
    ]


def both_ways(columns: list[str]) -> list[list[str]]:
    """Return the orders: by a hash of number and name, so that they hang on nothing else, then each reversed."""
    forwards = [
        sorted(columns, key=lambda column: hashlib.sha256(f"{number} {column}".encode()).digest())
        for number in range(ORDERS)
    ]
    return [*forwards, *(order[::-1] for order in forwards)]


def _path(start: np.ndarray[Any, Any], end: np.ndarray[Any, Any], steps: list[list[int]]) -> np.ndarray[Any, Any]:
    """Return the rows, shape (n_steps + 1, n_features), from `start` on: each step sets the features at its places."""
    import numpy as np

    rows = np.tile(start, (len(steps) + 1, 1))
    for number, places in enumerate(steps, start=1):
        rows[number:, places] = end[places]
    return rows
