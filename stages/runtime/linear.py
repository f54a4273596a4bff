"""Linear models as weights, and what each column of a row adds to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Linear:
    """Weights, shape (n_raw, n_columns), and intercepts, shape (n_raw,); `centre` holds the training means."""

    def __init__(self, meta: dict[str, Any]) -> None:
        self.weights, self.intercept = meta["weights"], meta["intercept"]
        self.centre: list[float] = meta.get("centre", [])

    def raw_matrix(self, X: np.ndarray[Any, Any]) -> list[list[float]]:
        """Return log odds or values, shape (n_rows, n_raw)."""
        import numpy as np

        raw = np.empty((len(X), len(self.intercept)))
        for output, (weights, intercept) in enumerate(zip(self.weights, self.intercept, strict=True)):
            total = np.full(len(X), intercept)
            for column, weight in enumerate(weights):  # column by column: the same additions as for one row
                total += X[:, column] * weight
            raw[:, output] = total
        return raw.tolist()

    def raw_row(self, row: list[float]) -> list[float]:
        """Return `raw_matrix` of one row, bit for bit."""
        raw = []
        for weights, intercept in zip(self.weights, self.intercept, strict=True):
            total = intercept
            for value, weight in zip(row, weights, strict=True):
                total += value * weight
            raw.append(total)
        return raw

    def contributions(self, row: list[float]) -> list[list[float]]:
        """Return what each column adds to the mean training row's raw value, and that value last, by output."""
        found = []
        for weights, intercept in zip(self.weights, self.intercept, strict=True):
            parts = [w * (value - mean) for w, value, mean in zip(weights, row, self.centre, strict=True)]
            found.append([*parts, intercept + sum(w * mean for w, mean in zip(weights, self.centre, strict=True))])
        return found
