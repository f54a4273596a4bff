"""Metrics of predictions, many bootstrap resamples at once.

Every function takes W, shape (n_resamples, n_rows): how often each row stands in each resample; a row of ones gives the
plain metric. It returns shape (n_resamples,). Tests hold each equal to scikit-learn's function of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Cut = float | list[float]  # the threshold of two classes; of more, what each probability is multiplied by
EPSILON = 1e-15  # probabilities are kept this far from 0 and 1 in the log loss
HIGHER_IS_BETTER = {
    "roc_auc": True, "average_precision": True, "log_loss": False, "brier": False, "precision": True, "recall": True,
    "f1": True, "accuracy": True, "macro_f1": True, "mae": False, "rmse": False, "r2": True,
}  # fmt: skip
HEADLINE = {"binary": "roc_auc", "multiclass": "macro_f1", "regression": "r2"}


def row_loss(task: str, y: Array, scores: Array) -> Array:
    """Return each row's loss, shape (n_rows,): log loss for classes, squared error for a number."""
    if task == "regression":
        return np.asarray((y - scores.reshape(len(y), -1)[:, 0]) ** 2)
    if task == "binary":
        p = scores.reshape(len(y), -1)[:, -1]
        chosen = np.where(y == 1, p, 1 - p)
    else:
        chosen = scores[np.arange(len(y)), y.astype(int)]
    return np.asarray(-np.log(np.clip(chosen, EPSILON, 1 - EPSILON)))


def mean_loss(task: str, y: Array, scores: Array, weight: Array | None = None) -> float:
    """Return the mean log loss for classes, the root mean squared error for a number."""
    mean = float(np.average(row_loss(task, y, scores), weights=weight))
    return mean**0.5 if task == "regression" else mean


def best_f1_threshold(y: Array, score: Array, weight: Array | None = None) -> float:
    """Return the score that, as the lowest one called positive, gives the highest F1; the higher one of equals."""
    order = np.argsort(-score, kind="stable")
    weight = np.ones(len(y)) if weight is None else weight
    hits, called = np.cumsum((y == 1)[order] * weight[order]), np.cumsum(weight[order])
    if not len(hits) or not hits[-1]:
        return 0.5
    f1 = 2 * hits / np.maximum(called + hits[-1], EPSILON)
    is_last_of_ties = np.append(np.diff(score[order]) != 0, True)
    return float(score[order][np.argmax(np.where(is_last_of_ties, f1, -1))])


def call(task: str, scores: Array, cut: Cut) -> Array:
    """Return the number of the class called of each row: by the threshold of two, by the factors of more."""
    if task == "binary":
        return (scores[:, 0] >= cut).astype(int)
    return np.asarray((scores * np.asarray(cut)).argmax(axis=1))


def compute(task: str, y: Array, scores: Array, cut: Cut, W: Array) -> dict[str, Array]:
    """Return {metric: shape (n_resamples,)} of the task, in a fixed order."""
    return _TASKS[task](y, scores, cut, W.astype(float))


def _binary(y: Array, scores: Array, cut: Cut, W: Array) -> dict[str, Array]:
    score, loss = scores[:, 0], row_loss("binary", y, scores)
    called, actual = call("binary", scores, cut) == 1, y == 1
    hits, n_called, n_actual, n = (
        W[:, mask].sum(1) for mask in (called & actual, called, actual, np.ones(len(y), bool))
    )
    roc_auc, average_precision = _ranking(actual, score, W)
    return {
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "log_loss": _sum(W, loss) / n,
        "brier": _sum(W, (score - actual) ** 2) / n,
        "precision": _ratio(hits, n_called),
        "recall": _ratio(hits, n_actual),
        "f1": _ratio(2 * hits, n_called + n_actual),
    }


def _ranking(actual: Array, score: Array, W: Array) -> tuple[Array, Array]:
    """Return ROC AUC and average precision, NaN without rows of both kinds; rows of equal score count as one step."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(score[order]) != 0))
    sorted_weights = W[:, order]
    positives = np.add.reduceat(sorted_weights * actual[order], starts, axis=1)
    everyone = np.add.reduceat(sorted_weights, starts, axis=1)
    hits, called = positives.cumsum(1), everyone.cumsum(1)
    n_positive, n_negative = hits[:, -1], called[:, -1] - hits[:, -1]
    negatives = everyone - positives
    below = (hits - positives / 2) * negatives  # pairs where the positive stands above, ties half
    precision = _ratio(hits, called)
    is_defined = (n_positive > 0) & (n_negative > 0)
    roc_auc = _ratio(below.sum(1), n_positive * n_negative)
    average_precision = _ratio((precision * positives).sum(1), n_positive)
    return np.where(is_defined, roc_auc, np.nan), np.where(is_defined, average_precision, np.nan)


def _multiclass(y: Array, scores: Array, cut: Cut, W: Array) -> dict[str, Array]:
    called = call("multiclass", scores, cut)
    n = W.sum(1)
    f1 = []
    for number in range(scores.shape[1]):
        is_called, is_actual = called == number, y == number
        hits, total = W[:, is_called & is_actual].sum(1), W[:, is_called].sum(1) + W[:, is_actual].sum(1)
        f1.append(np.where(total > 0, _ratio(2 * hits, total), np.nan))  # neither there nor called: no value
    return {
        "accuracy": W[:, called == y].sum(1) / n,
        "macro_f1": np.nanmean(f1, axis=0),
        "log_loss": _sum(W, row_loss("multiclass", y, scores)) / n,
    }


def _regression(y: Array, scores: Array, cut: Cut, W: Array) -> dict[str, Array]:
    error = y - scores[:, 0]
    n = W.sum(1)
    squares = _sum(W, error**2)
    centred = y - y.mean()  # or the difference of two large sums would lose its digits
    spread = _sum(W, centred**2) - _sum(W, centred) ** 2 / n
    return {
        "mae": _sum(W, np.abs(error)) / n,
        "rmse": np.sqrt(squares / n),
        "r2": np.where(spread > 0, 1 - _ratio(squares, spread), np.nan),
    }


def _sum(W: Array, values: Array) -> Array:
    """Return the weighted sums, shape (n_resamples,), added in an order that no number of cores changes."""
    return np.einsum("rn,n->r", W, values)  # type: ignore[no-any-return]


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotient, 0 where the denominator is 0."""
    return np.asarray(np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator != 0))


_TASKS: dict[str, Callable[[Array, Array, Cut, Array], dict[str, Array]]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
}
