"""Metrics of several classes over many resamples: calls, ranking of each class, probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.draws import Draws
from stages.shared.evaluation.sums import Gaps, Parts, Ranking, mean, ratio
from stages.shared.losses import Cut, call, row_loss

Array = np.ndarray[Any, Any]


class Multiclass:
    """Rows with class numbers y, scores, shape (n_rows, n_classes), and the factors that call, sorted once."""

    def __init__(self, y: Array, scores: Array, cut: Cut, asked: Asked) -> None:
        self.n_classes = scores.shape[1]
        self.pairs = Parts(y * self.n_classes + call("multiclass", scores, cut), self.n_classes**2)
        self.rankings = [Ranking(y == number, scores[:, number]) for number in range(self.n_classes)]
        self.loss = row_loss("multiclass", y, scores)
        self.gaps = Gaps(scores.max(axis=1), scores.argmax(axis=1) == y)

    def measure(self, W: Draws) -> dict[str, Array]:
        """Return {metric: shape (n_resamples,)}.

        Means over classes leave out a class that a resample has neither in its rows nor among its calls (of ROC AUC,
        one without rows), so that a rare class does not undo a resample.
        """
        confusion = self._confusion(W)
        hits, called, actual = _margins(confusion)
        n = actual.sum(1)
        f1 = _f1(hits, called, actual)
        roc_auc = np.stack([ranking.areas(*ranking.count(W))[0] for ranking in self.rankings])
        accuracy = ratio(hits.sum(1), n, np.nan)
        return {
            "accuracy": accuracy,
            "macro_f1": _mean_of_known(f1),
            "micro_f1": accuracy,  # where each row has one class and gets one call, every miss is both of its errors
            "weighted_f1": ratio((np.nan_to_num(f1) * actual.T).sum(0), n, np.nan),
            "mcc": _correlation(hits, called, actual),
            "macro_roc_auc": _mean_of_known(roc_auc),
            "log_loss": mean(W, self.loss),
            "ece": self.gaps.error(W),
        }

    def by_class(self, W: Draws) -> dict[str, Array]:
        """Return {metric: shape (n_classes, n_resamples)}: NaN for a class that is not there."""
        hits, called, actual = _margins(self._confusion(W))
        is_there = (called + actual).T > 0
        precision, recall = (np.where(is_there, ratio(hits, part).T, np.nan) for part in (called, actual))
        return {"precision": precision, "recall": recall, "f1": _f1(hits, called, actual)}

    def _confusion(self, W: Draws) -> Array:
        """Return the weight of each pair (actual, called), shape (n_resamples, n_classes, n_classes)."""
        [weights] = self.pairs.sums(W)
        return weights.reshape(len(W), self.n_classes, self.n_classes)


def _margins(confusion: Array) -> tuple[Array, Array, Array]:
    """Return what was rightly called, called and actual of each class, each of shape (n_resamples, n_classes)."""
    return confusion.diagonal(axis1=1, axis2=2), confusion.sum(1), confusion.sum(2)


def _f1(hits: Array, called: Array, actual: Array) -> Array:
    """Return each class's F1, shape (n_classes, n_resamples), NaN where it is neither there nor called."""
    return ratio(2 * hits, called + actual, np.nan).T


def _mean_of_known(values: Array) -> Array:
    """Return the means over classes, shape (n_resamples,), of those that have a value; NaN where none has."""
    is_known = ~np.isnan(values)
    return ratio(np.where(is_known, values, 0.0).sum(0), is_known.sum(0), np.nan)


def _correlation(hits: Array, called: Array, actual: Array) -> Array:
    """Return Matthews' correlation of calls and classes, 0 where either has one value: Gorodkin 2004, equation 8."""
    hits, called, actual = (part.astype(float) for part in (hits, called, actual))
    n = actual.sum(1)
    both = hits.sum(1) * n - (called * actual).sum(1)
    return ratio(both, np.sqrt((n**2 - (called**2).sum(1)) * (n**2 - (actual**2).sum(1))))
