"""How often the search for weak slices reports anything where nothing is weak, and how often it finds what is.

    python -m tests.benchmarks.weak_slices [SEEDS]

Each seed is a test set of 600 rows (of 150 groups of 4 in `grouped`) with six columns that know nothing of the losses:
the log loss of a calibrated model, or squared errors with long tails. Planted: the losses of one column's level double
in mean. At a declared rate of 0.05 the first share should be at most 0.05.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from stages.shared.evaluation.cells import Cells, level_cells, number_cells
from stages.shared.evaluation.demands import SlicesConf
from stages.shared.evaluation.search import find_weak
from stages.shared.losses import row_loss

N_ROWS, GROUP = 600, 4
Array = np.ndarray[Any, Any]


def made_cells(seed: int, is_grouped: bool = False) -> list[Cells]:
    """Return the cells of four categories and two numbers, which a group shares."""
    random = np.random.default_rng([seed, 1])
    n, repeats = (N_ROWS // GROUP, GROUP) if is_grouped else (N_ROWS, 1)
    categories = [np.repeat(random.choice(["0", "1", "2"], n, p=[0.5, 0.3, 0.2]), repeats) for _ in range(4)]
    numbers = [np.repeat(random.normal(size=n), repeats) for _ in range(2)]
    return [
        *(level_cells(f"c{nth}", f"c{nth}", values.astype(object), 1) for nth, values in enumerate(categories)),
        *(number_cells(f"n{nth}", values) for nth, values in enumerate(numbers)),
    ]


def losses(seed: int, kind: str) -> Array:
    """Return each row's loss, which no column says anything of."""
    random = np.random.default_rng([seed, 2])
    if kind == "regression":
        return np.asarray(random.standard_t(5, N_ROWS) ** 2)
    score = random.beta(1, 6, N_ROWS)
    if kind == "grouped":  # rows of one group are alike
        score = np.repeat(score[: N_ROWS // GROUP], GROUP)
        y = np.repeat(random.random(N_ROWS // GROUP), GROUP) < score
    else:
        y = random.random(N_ROWS) < score
    return row_loss("binary", y.astype(int), score[:, None])


def share_with_findings(kind: str, n_seeds: int, planted: bool = False) -> float:
    """Return the share of seeds in which any weak slice is reported; planted: in which the planted one is."""
    n_found = 0
    for seed in range(n_seeds):
        cells, loss = made_cells(seed, kind == "grouped"), losses(seed, kind)
        group = np.arange(N_ROWS) // GROUP if kind == "grouped" else None
        if planted:
            inside = cells[0].code == 0
            loss = loss + inside * loss.mean()
        found = find_weak(cells, loss, None, group, SlicesConf())
        n_found += any(row["name"] == "c0 = 0" for row in found["slices"]) if planted else found["found"] > 0
    return n_found / n_seeds


def main() -> None:
    """Print both shares of each kind of loss."""
    n_seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{n_seeds} seeds, rate declared 0.05")
    for kind in ("binary", "regression", "grouped"):
        alarms = share_with_findings(kind, n_seeds)
        print(f"{kind}: any finding {alarms:.3f}, planted one found {share_with_findings(kind, n_seeds, True):.3f}")


if __name__ == "__main__":
    main()
