"""The reference row that sampled explanations start from: made of the training rows' usual values, none of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.runtime.plan import Feature

if TYPE_CHECKING:
    import numpy as np


def fit_reference(features: list[Feature], X: np.ndarray[Any, Any]) -> list[float | None]:
    """Return each feature's usual value in training rows, shape (n_rows, n_features), whatever their weights.

    A category's most frequent code, the lowest of equals; for all else the median, the lower one of two. Missing values
    do not count; a feature that has no others is missing (None).
    """
    import numpy as np

    usual: list[float | None] = []
    for feature, values in zip(features, X.T, strict=True):
        present = np.sort(values[~np.isnan(values)])
        if not len(present):
            usual.append(None)
        elif feature["op"] == "category":
            usual.append(float(np.argmax(np.bincount(present.astype(int)))))
        else:
            usual.append(float(present[(len(present) - 1) // 2]))
    return usual
