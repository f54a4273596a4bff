"""Metrics of a number over many resamples: errors, share explained, errors by how large the number is."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.draws import Draws
from stages.shared.evaluation.sums import Parts, mean, ratio, running
from stages.shared.losses import Cut

Array = np.ndarray[Any, Any]
N_DECILES = 10


class Regression:
    """Rows with numbers y and answers, shape (n_rows, 1), the errors sorted once."""

    def __init__(self, y: Array, scores: Array, cut: Cut, asked: Asked) -> None:
        error = y - scores[:, 0]
        self.absolute, self.square = np.abs(error), error**2
        self.middle = Middle(self.absolute)
        self.centred = y - y.mean() if len(y) else y  # or the difference of two large sums would lose its digits
        self.centred_square = self.centred**2
        self.pinball = None if asked.quantile is None else pinball(error, asked.quantile)

    def measure(self, W: Draws) -> dict[str, Array]:
        """Return {metric: shape (n_resamples,)}."""
        n, squares = W.total, W.sum(self.square)
        spread = W.sum(self.centred_square) - ratio(W.sum(self.centred) ** 2, n)
        return {
            "mae": mean(W, self.absolute),
            "rmse": np.sqrt(ratio(squares, n, np.nan)),
            "median_ae": self.middle.median(W),
            "r2": np.where(spread > 0, 1 - ratio(squares, spread), np.nan),
            **({} if self.pinball is None else {"pinball": mean(W, self.pinball)}),
        }


class Middle:
    """Numbers in rising order, of which few are near the median of any resample: the others are only counted."""

    NEAR = 4  # times the root of the rows, to either side: eight standard errors of the place of the median

    def __init__(self, values: Array) -> None:
        self.order = np.argsort(values, kind="stable")
        self.sorted = values[self.order]
        n, near = len(values), int(self.NEAR * len(values) ** 0.5)
        self.start, self.end = max(0, n // 2 - near), min(n, n // 2 + near)
        place = np.empty(n, dtype=int)
        place[self.order] = np.arange(n)
        self.is_below = (place < self.start).astype(float)

    def median(self, W: Draws) -> Array:
        """Return the median of each resample; of an even number of rows, the mean of the two in the middle."""
        found, is_near = self._between(W, self.start, self.end, W.sum(self.is_below))
        if not is_near.all():  # groups of very different sizes, or large weights
            found = np.where(is_near, found, self._between(W, 0, len(self.order), np.zeros(len(W)))[0])
        return found

    def _between(self, W: Draws, start: int, end: int, below: Array) -> tuple[Array, Array]:
        """Return the medians as if they lay between two places, NaN without rows, and whether they do."""
        if start == end:
            return np.full(len(W), np.nan), np.ones(len(W), bool)
        half = W.total[:, None] / 2
        up_to = below[:, None] + running(W.at(self.order[start:end]))
        places = [start + part.sum(1) for part in (up_to < half, up_to <= half)]
        pair = self.sorted[np.minimum(places, len(self.sorted) - 1)]
        is_near = (below < half[:, 0]) & (up_to[:, -1] > half[:, 0])
        return np.where(half[:, 0] > 0, pair.mean(0), np.nan), is_near


def pinball(error: Array, quantile: float) -> Array:
    """Return each row's pinball loss of errors y - answer: Koenker & Bassett 1978."""
    return np.asarray(np.maximum(quantile * error, (quantile - 1) * error))


class Deciles:
    """The rows by the size of the number, in ten parts of equal count, equal numbers together."""

    def __init__(self, y: Array, predicted: Array) -> None:
        order = np.argsort(y, kind="stable")
        ranks = np.empty(len(y), dtype=int)
        ranks[order] = np.searchsorted(y[order], y[order], side="left")
        self.number = ranks * N_DECILES // len(y)
        self.parts = Parts(self.number, N_DECILES)
        error = (y - predicted)[self.parts.order]
        self.values = {"mae": np.abs(error), "mean_error": error}

    def measure(self, W: Draws) -> dict[str, Array]:
        """Return {metric: shape (n_deciles, n_resamples)}: mean absolute error, and mean error (actual - predicted)."""
        n, *sums = self.parts.sums(W, *self.values.values())
        return {name: ratio(part, n, np.nan).T for name, part in zip(self.values, sums, strict=True)}
