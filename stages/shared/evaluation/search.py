"""Searches weak slices: cells of one or two input columns whose rows the model predicts worse than the others.

Each candidate's mean loss is compared with that of all other rows by a one-sided Welch test whose variance is over
groups where there are any (the cluster-robust one of a mean; Cameron & Miller 2015). Over all candidates together
Benjamini & Hochberg's procedure (1995) holds the expected share of false ones among those reported at the declared
rate; where no slice is weak, that is the chance of reporting any. Losses have long tails to the right, which make this
side of the test cautious. Slices overlap: told are the simplest, then what is still weak once the mean loss of those
told before is taken off their rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.shared.evaluation.cells import Cells, crossed, pair_cells
from stages.shared.evaluation.demands import SlicesConf
from stages.shared.progress import Progress

Array = np.ndarray[Any, Any]
FEWEST_GROUPS = 10  # fewer say nothing of their spread
MOST_SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """A candidate and how it was measured."""

    name: str
    n_columns: int
    cells: Cells
    cell: int
    n_rows: int
    loss: float
    rest: float
    p: float

    @property
    def is_inside(self) -> Array:
        """Where its rows are, shape (n_rows,)."""
        return np.asarray(self.cells.code == self.cell)


def find_weak(
    cells: list[Cells], loss: Array, weight: Array | None, group: Array | None, conf: SlicesConf
) -> dict[str, Any]:
    """Return the weak slices, the simplest of each heap, and how many candidates were tried. Nothing is random."""
    sums = Sums(loss, weight, group)
    pairs, n_left_out = pair_cells(cells)
    candidates = [found for each in cells for found in sums.measure(each, 1, conf.min_rows)]
    progress = Progress("evaluate", "pairs of columns searched", len(pairs))
    for done, (a, b) in enumerate(pairs, start=1):
        candidates += sums.measure(crossed(a, b), 2, conf.min_rows)
        progress.update(done)
    progress.close()
    cutoff = benjamini_hochberg(np.array([each.p for each in candidates]), conf.false_discovery)
    weak = [each for each in candidates if each.p <= cutoff and _is_large(each, conf)]
    kept = simplest(weak, loss, weight, group, cutoff)
    return {
        "candidates": len(candidates),
        "false_discovery": conf.false_discovery,
        "pairs_left_out": n_left_out,
        "found": len(kept),
        "slices": [_told(each, like) for each, like in kept[:MOST_SHOWN]],
    }


def _is_large(each: Finding, conf: SlicesConf) -> bool:
    return each.loss > each.rest + conf.min_effect * abs(each.rest)


def _told(each: Finding, like: list[Finding]) -> dict[str, Any]:
    worst = max(like, key=lambda other: other.loss, default=None)
    row = {"name": each.name, "rows": each.n_rows, "loss": round(each.loss, 6), "rest": round(each.rest, 6)}
    row |= {"p": float(f"{each.p:.3g}"), "alike": len(like)}
    return row | ({"worst_alike": worst.name, "worst_alike_loss": round(worst.loss, 6)} if worst else {})


class Sums:
    """What is the same for all candidates: each row's loss, weight and group."""

    def __init__(self, loss: Array, weight: Array | None, group: Array | None) -> None:
        self.weight = np.ones(len(loss)) if weight is None else weight
        self.weighted = self.weight * loss
        self.is_grouped = group is not None
        self.group = np.arange(len(loss)) if group is None else np.unique(group, return_inverse=True)[1]
        self.n_groups = int(self.group.max()) + 1
        self.group_weight = np.bincount(self.group, self.weight, self.n_groups)
        self.group_loss = np.bincount(self.group, self.weighted, self.n_groups)

    def measure(self, cells: Cells, n_columns: int, min_rows: int) -> Iterable[Finding]:
        """Yield the cells with enough rows and groups, inside and outside, with their p values."""
        inside = np.flatnonzero(cells.code >= 0)
        code, size = cells.code[inside], len(cells.names)
        n_rows = np.bincount(code, minlength=size)
        wanted = np.flatnonzero((n_rows >= min_rows) & (len(cells.code) - n_rows >= min_rows))
        if not len(wanted):
            return
        # One entry for each group in each cell; without groups a row is its own.
        of_cell, of_group = code, self.group[inside]
        weight, loss = self.weight[inside], self.weighted[inside]
        if self.is_grouped:
            keys, places = np.unique(code * self.n_groups + of_group, return_inverse=True)
            weight, loss = np.bincount(places, weight), np.bincount(places, loss)
            of_cell, of_group = np.divmod(keys, self.n_groups)
        order = np.argsort(of_cell, kind="stable")
        ends = np.searchsorted(of_cell[order], np.arange(size + 1))
        for cell in wanted.tolist():
            places = order[ends[cell] : ends[cell + 1]]
            if len(places) < FEWEST_GROUPS:
                continue
            found = self.test(weight[places], loss[places], of_group[places])
            if found is not None:
                yield Finding(cells.names[cell], n_columns, cells, cell, int(n_rows[cell]), *found)

    def p_of(self, is_inside: Array) -> float:
        """Return the p value of the rows inside; 1 where nothing varies."""
        size = self.n_groups
        weight = np.bincount(self.group[is_inside], self.weight[is_inside], size)
        loss = np.bincount(self.group[is_inside], self.weighted[is_inside], size)
        groups = np.unique(self.group[is_inside])
        found = self.test(weight[groups], loss[groups], groups)
        return 1.0 if found is None else found[2]

    def test(self, weight: Array, loss: Array, groups: Array) -> tuple[float, float, float] | None:
        """Return (mean loss inside, outside, one-sided p) of a cell, from its groups' sums; None without any spread."""
        n, total = weight.sum(), self.group_weight.sum()
        outside_weight, outside_loss = self.group_weight.copy(), self.group_loss.copy()
        outside_weight[groups] -= weight
        outside_loss[groups] -= loss
        if n <= 0 or total - n <= 0:
            return None
        mean, rest = loss.sum() / n, outside_loss.sum() / (total - n)
        part = -(outside_loss - rest * outside_weight) / (total - n)
        part[groups] += (loss - mean * weight) / n
        n_inside = len(groups)
        variance = float((part**2).sum()) * n_inside / (n_inside - 1)
        if variance <= 0:
            return None
        return float(mean), float(rest), student_above((mean - rest) / math.sqrt(variance), n_inside - 1)


def student_above(t: float, freedom: int) -> float:
    """Return the chance of a Student's t above `t`, by Wallace's normal approximation (1959), within 5% from 9 on."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    z = math.copysign(scale * math.sqrt(freedom * math.log1p(t * t / freedom)), t)
    return 0.5 * math.erfc(z / math.sqrt(2))


def benjamini_hochberg(p: Array, rate: float) -> float:
    """Return the largest p value that is rejected with the false discovery rate held at `rate`, -1 where none is."""
    ordered = np.sort(p)
    below = np.flatnonzero(ordered <= rate * np.arange(1, len(p) + 1) / max(1, len(p)))
    return float(ordered[below[-1]]) if len(below) else -1.0


def simplest(
    weak: list[Finding], loss: Array, weight: Array | None, group: Array | None, cutoff: float
) -> list[tuple[Finding, list[Finding]]]:
    """Return the slices of fewest columns and then smallest p that others do not explain, each with those it does.

    A slice is explained when the kept ones' mean losses, taken off their rows, leave a p value above the cutoff.
    """
    kept: list[tuple[Finding, list[Finding]]] = []
    atom, left = np.zeros(len(loss), int), Sums(loss, weight, group)  # rows of one atom are in the same kept slices
    for each in sorted(weak, key=lambda one: (one.n_columns, one.p, one.name)):
        if left.p_of(each.is_inside) > cutoff:
            max(kept, key=lambda pair: int((pair[0].is_inside & each.is_inside).sum()))[1].append(each)
            continue
        kept.append((each, []))
        atom = np.unique(atom * 2 + each.is_inside, return_inverse=True)[1]
        mean = np.bincount(atom, left.weight * loss) / np.maximum(np.bincount(atom, left.weight), np.finfo(float).tiny)
        left = Sums(loss - mean[atom], weight, group)
    return sorted(kept, key=lambda pair: (pair[0].p, pair[0].name))
