"""Fits the dense encoding that stages/runtime/dense.py evaluates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.runtime.dense import LARGEST, Dense
from stages.runtime.plan import Feature

if TYPE_CHECKING:
    import numpy as np


def fit_dense(features: list[Feature], X: np.ndarray[Any, Any]) -> Dense:
    """Return the dense encoding fitted on training rows, shape (n_rows, n_features)."""
    import numpy as np

    dense: Dense = []
    for feature, values in zip(features, X.T, strict=True):
        if feature["op"] == "category":
            dense.append({"levels": len(feature["levels"]) + 1})
            continue
        is_missing = np.isnan(values)
        present = np.clip(values[~is_missing], -LARGEST, LARGEST)
        median = float(np.median(present)) if len(present) else 0.0
        imputed = np.full(len(values), median)
        imputed[~is_missing] = present
        mean, scale = mean_and_deviation(imputed)
        dense.append({"median": median, "mean": mean, "scale": scale, "flag": bool(is_missing.any())})
    return dense


def mean_and_deviation(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return the mean of finite numbers and their standard deviation, 1 where it is 0.

    They are divided by a power of two before and multiplied after: no sum or square overflows, none of tiny numbers
    becomes 0, and of all others no bit changes.
    """
    import numpy as np

    exponent = int(np.frexp(np.abs(values).max())[1])
    scaled = np.ldexp(values, -exponent)
    deviation = float(np.ldexp(np.std(scaled), exponent))
    return float(np.ldexp(np.mean(scaled), exponent)), deviation if deviation > 0 else 1.0
