"""What is said of the model alone: each class, each decile of the target, its prediction intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.shared.bootstrap import interval, intervals
from stages.shared.evaluation.draws import Draws
from stages.shared.evaluation.regression import Deciles, pinball
from stages.shared.evaluation.sums import mean
from stages.shared.plots import Table

Array = np.ndarray[Any, Any]


class Inside:
    """Rows with numbers y and their prediction intervals, shape (n_rows, 2), of a declared level."""

    def __init__(self, y: Array, around: Array, level: float) -> None:
        low, high = around[:, 0], around[:, 1]
        self.values = {
            "coverage": ((low <= y) & (y <= high)).astype(float),
            "interval_width": high - low,
            "pinball_low": pinball(y - low, (1 - level) / 2),
            "pinball_high": pinball(y - high, (1 + level) / 2),
        }

    def measure(self, W: Draws) -> dict[str, Array]:
        """Return {metric: shape (n_resamples,)}."""
        return {name: mean(W, values) for name, values in self.values.items()}


def about_classes(
    contract: Contract, y: Array, measured: dict[str, Array], confidence: float, units: int
) -> dict[str, Any]:
    """Return {class: rows and metrics} of what `Multiclass.by_class` gave."""
    return {
        label: {
            "rows": int((y == number).sum()),
            **intervals({name: values[number] for name, values in measured.items()}, confidence, units),
        }
        for number, label in enumerate(contract.classes)
    }


def about_deciles(
    y: Array, deciles: Deciles, measured: dict[str, Array], confidence: float, units: int
) -> list[dict[str, Any]]:
    """Return rows, smallest and largest number and errors of each decile of the target that has rows."""
    found = []
    for number in np.unique(deciles.number).tolist():
        own = y[deciles.number == number]
        errors = {name: interval(values[number], confidence, units) for name, values in measured.items()}
        span = {"from": round(float(own.min()), 6), "to": round(float(own.max()), 6)}
        found.append({"decile": number + 1, "rows": len(own), **span, **errors})
    return found


def deciles_table(deciles: list[dict[str, Any]]) -> Table:
    """Return the mean absolute error of each decile with its interval."""
    header = ["decile", "rows", "from", "to", "mae", "low", "high"]
    rows = [
        [*(part[key] for key in header[:4]), *(part["mae"][key] for key in ("value", "low", "high"))]
        for part in deciles
    ]
    return Table(header, rows)
