"""Metrics of two classes over many resamples: ranking, probabilities, decisions at the threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.draws import Draws
from stages.shared.evaluation.sums import Gaps, Ranking, mean, ratio
from stages.shared.losses import Cut, row_loss

Array = np.ndarray[Any, Any]


class Binary:
    """Rows with classes y (1 is positive), scores, shape (n_rows, 1), and the threshold, sorted once."""

    def __init__(self, y: Array, scores: Array, cut: Cut, asked: Asked) -> None:
        score, actual = scores[:, 0], y == 1
        self.ranking = Ranking(actual, score)
        self.n_called = int(np.count_nonzero(self.ranking.steps >= cut))  # steps at or above the threshold
        self.loss, self.square = row_loss("binary", y, scores), (score - actual) ** 2
        self.gaps = Gaps(score, actual)
        self.costs = asked.costs

    def measure(self, W: Draws) -> dict[str, Array]:
        """Return {metric: shape (n_resamples,)}."""
        hits, called = self.ranking.count(W)
        roc_auc, average_precision = self.ranking.areas(hits, called)
        return {
            "roc_auc": roc_auc,
            "average_precision": average_precision,
            "log_loss": mean(W, self.loss),
            "brier": mean(W, self.square),
            "ece": self.gaps.error(W),
            **self._decided(hits, called),
        }

    def _decided(self, running_hits: Array, running_called: Array) -> dict[str, Array]:
        """Return what the calls at the threshold give; precision, recall, F1 and MCC are 0 where nothing divides."""
        actual, n = (part[:, -1].astype(float) for part in (running_hits, running_called))
        hits, called = np.zeros(len(n)), np.zeros(len(n))
        if self.n_called:
            hits, called = (part[:, self.n_called - 1].astype(float) for part in (running_hits, running_called))
        found = {
            "precision": ratio(hits, called),
            "recall": ratio(hits, actual),
            "f1": ratio(2 * hits, called + actual),
            "mcc": ratio(hits * n - called * actual, np.sqrt(called * (n - called) * actual * (n - actual))),
        }
        if self.costs is not None:
            false_positive, false_negative = called - hits, actual - hits
            cost = self.costs["true_positive"] * hits + self.costs["true_negative"] * (n - called - false_negative)
            cost = cost + self.costs["false_positive"] * false_positive + self.costs["false_negative"] * false_negative
            found["cost"] = ratio(cost, n, np.nan)
        return found
