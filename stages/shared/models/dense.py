"""Fits the dense encoding that stages/runtime/dense.py evaluates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.runtime.dense import Dense
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
        present = values[~is_missing]
        median = float(np.median(present)) if len(present) else 0.0
        imputed = np.where(is_missing, median, values)
        scale = float(np.std(imputed))
        dense.append(
            {
                "median": median,
                "mean": float(np.mean(imputed)),
                "scale": scale if scale > 0 else 1.0,
                "flag": bool(is_missing.any()),
            }
        )
    return dense
