"""The loss of each row, and the class that is called: what fitting, deciding and measuring share."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Cut = float | list[float]  # the threshold of two classes; of more, what each probability is multiplied by
EPSILON = 1e-15  # probabilities are kept this far from 0 and 1 in the log loss


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


def call(task: str, scores: Array, cut: Cut) -> Array:
    """Return the number of the class called of each row: by the threshold of two, by the factors of more."""
    if task == "binary":
        return (scores[:, 0] >= cut).astype(int)
    return np.asarray((scores * np.asarray(cut)).argmax(axis=1))
