"""Metrics of a number over many resamples: errors, share explained, errors by how large the number is."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.sums import Parts, mean, ratio, running, take, total, weighted_sum
from stages.shared.losses import Cut

Array = np.ndarray[Any, Any]
N_DECILES = 10


class Regression:
    """Rows with numbers y and answers, shape (n_rows, 1), the errors sorted once."""

    def __init__(self, y: Array, scores: Array, cut: Cut, asked: Asked) -> None:
        error = y - scores[:, 0]
        self.absolute, self.square = np.abs(error), error**2
        self.order = np.argsort(self.absolute, kind="stable")
        self.size = self.absolute[self.order]
        self.centred = y - y.mean() if len(y) else y  # or the difference of two large sums would lose its digits
        self.centred_square = self.centred**2
        self.pinball = None if asked.quantile is None else pinball(error, asked.quantile)

    def measure(self, W: Array) -> dict[str, Array]:
        """Return {metric: shape (n_resamples,)}."""
        median, W = self._median(W), W.astype(float)
        n, squares = total(W), weighted_sum(W, self.square)
        spread = weighted_sum(W, self.centred_square) - ratio(weighted_sum(W, self.centred) ** 2, n)
        return {
            "mae": mean(W, self.absolute),
            "rmse": np.sqrt(ratio(squares, n, np.nan)),
            "median_ae": median,
            "r2": np.where(spread > 0, 1 - ratio(squares, spread), np.nan),
            **({} if self.pinball is None else {"pinball": mean(W, self.pinball)}),
        }

    def _median(self, W: Array) -> Array:
        """Return the median absolute error; of an even number of rows, the mean of the two in the middle."""
        found = []
        for cumulative in running(take(W, self.order)):
            half = cumulative[-1] / 2
            places = [int(np.searchsorted(cumulative, half, side=side)) for side in ("left", "right")]
            found.append(self.size[np.minimum(places, len(self.size) - 1)].mean() if half > 0 else np.nan)
        return np.array(found)


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

    def measure(self, W: Array) -> dict[str, Array]:
        """Return {metric: shape (n_deciles, n_resamples)}: mean absolute error, and mean error (actual - predicted)."""
        n, *sums = self.parts.sums(W, *self.values.values())
        return {name: ratio(part, n, np.nan).T for name, part in zip(self.values, sums, strict=True)}
