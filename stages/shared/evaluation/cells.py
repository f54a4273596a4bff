"""Candidates for weak slices: the values of one input column, or of two, as codes a row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.runtime.forms import MOMENTS, NUMBERS
from stages.shared.evaluation.members import read_test_rows

Array = np.ndarray[Any, Any]
BINS = 4  # of a number
MOST_PAIRS = 2000  # of columns, in the contract's order
PARTS = {"month": 1, "weekday": 1, "hour": 6}  # of a moment, and how many values of it are one cell


@dataclass(frozen=True)
class Cells:
    """A partition of the rows: the cell of each, -1 for none, and the cells' names."""

    source: str  # the column it comes from
    code: Array  # (n_rows,)
    names: list[str]


def single_cells(contract: Contract, numbers: Array) -> list[Cells]:
    """Return the cells of each input column: a category's levels, a number's quarters, a moment's parts, missing."""
    kinds = {name: contract.columns[name].type for name in contract.inputs}
    if not kinds:
        return []
    columns = {f"c{nth}": sql for nth, sql in enumerate(s for name in kinds for s in _expressions(name, kinds[name]))}
    arrays = read_test_rows(", ".join(f"{sql} AS {place}" for place, sql in columns.items()), numbers)
    places = iter(columns)
    found = []
    for name, kind in kinds.items():
        for label, width in _labels(name, kind):
            values = arrays[next(places)]
            found.append(number_cells(name, values) if kind in NUMBERS else level_cells(name, label, values, width))
    return found


def pair_cells(cells: list[Cells]) -> tuple[list[tuple[Cells, Cells]], int]:
    """Return the pairs of cells of different columns, and how many pairs are left out because there are too many."""
    pairs = [(a, b) for a, b in combinations(cells, 2) if a.source != b.source]
    return pairs[:MOST_PAIRS], max(0, len(pairs) - MOST_PAIRS)


def crossed(a: Cells, b: Cells) -> Cells:
    """Return the cells of two columns together."""
    code = np.where((a.code >= 0) & (b.code >= 0), a.code * len(b.names) + b.code, -1)
    return Cells(f"{a.source} & {b.source}", code, [f"{x} & {y}" for x in a.names for y in b.names])


def _labels(name: str, kind: str) -> list[tuple[str, int]]:
    """Return (name, values a cell) of each array that a column gives."""
    if kind not in MOMENTS:
        return [(name, 1)]
    return [(f"{name}.{part}", width) for part, width in PARTS.items() if part != "hour" or kind == "timestamp"]


def _expressions(name: str, kind: str) -> list[str]:
    column = identifier(name)
    if kind in NUMBERS:
        return [f"{column}::DOUBLE"]
    if kind not in MOMENTS:
        return [f"({column} IS NULL)::VARCHAR" if kind == "text" else f"{column}::VARCHAR"]
    parts = [label.removeprefix(f"{name}.") for label, _ in _labels(name, kind)]
    return [f"{'isodow' if part == 'weekday' else part}({column})::DOUBLE" for part in parts]


def number_cells(name: str, values: Array) -> Cells:
    """Return the quarters of a number by its own quantiles, each holding its lower edge, and missing as the last."""
    is_missing = np.isnan(values.astype(float))
    present = values[~is_missing].astype(float)
    edges = np.unique(np.quantile(present, np.arange(1, BINS) / BINS, method="higher")) if len(present) else np.empty(0)
    edges = edges[edges > present.min()] if len(present) else edges
    code = np.where(is_missing, len(edges) + 1, np.searchsorted(edges, values, side="right"))
    texts = [f"{edge:.6g}" for edge in edges]
    between = [f"{low} <= {name} < {high}" for low, high in pairwise(texts)]
    names = [f"{name} < {texts[0]}", *between, f"{name} >= {texts[-1]}"] if texts else [f"{name} is present"]
    return Cells(name, code, [*names, f"{name} is missing"])


def level_cells(name: str, label: str, values: Array, width: int) -> Cells:
    """Return the cells of a category, or of a moment's part with `width` values a cell; missing is the last."""
    if values.dtype.kind == "f":
        is_missing = np.isnan(values)
        levels, code = np.unique(np.where(is_missing, 0, values) // width * width, return_inverse=True)
        names = [f"{label} = {v:g}" if width == 1 else f"{v:g} <= {label} < {v + width:g}" for v in levels]
    else:
        texts = np.array([None if value is None else str(value) for value in values], dtype=object)
        is_missing = np.array([text is None for text in texts], dtype=bool)
        levels, code = np.unique(np.where(is_missing, "", texts).astype(str), return_inverse=True)
        names = [f"{label} = {level}" for level in levels]
    return Cells(name, np.where(is_missing, len(names), code), [*names, f"{label} is missing"])
