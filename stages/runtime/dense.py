"""The dense encoding for models that take neither missing values nor category codes, as plain data.

Each feature becomes: a number imputed with the training median and scaled, with a flag where training rows missed it;
a category one column per level, all 0 for unseen ones. The row and the matrix route do the same IEEE operations.

Every finite or infinite number gives a finite one: beyond LARGEST it counts as LARGEST, so that no difference of two
overflows, and beyond FAR standard deviations from the mean as FAR, so that no weighted sum does. No training row is
that far: of n rows none is more than sqrt(n - 1) standard deviations from their mean. Source: Samuelson 1968.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LARGEST = 2.0**1022
FAR = 1e6
NARROW = 2.0**100
Dense = list[dict[str, Any]]  # one entry a feature: {"levels": n} or {"median", "mean", "scale", "flag"}


def expand_row(dense: Dense, row: list[float]) -> list[float]:
    """Return the encoded row, shape (n_columns,), of feature values, shape (n_features,)."""
    encoded: list[float] = []
    for entry, value in zip(dense, row, strict=True):
        if "levels" in entry:
            encoded.extend(1.0 if value == code else 0.0 for code in range(entry["levels"]))
            continue
        is_missing = math.isnan(value)
        imputed = entry["median"] if is_missing else min(max(value, -LARGEST), LARGEST)
        encoded.append(min(max((imputed - entry["mean"]) / entry["scale"], -FAR), FAR))
        if entry["flag"]:
            encoded.append(1.0 if is_missing else 0.0)
    return encoded


def expand_matrix(dense: Dense, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the encoded rows, shape (n_rows, n_columns), of feature values, shape (n_rows, n_features)."""
    import numpy as np

    columns = []
    for entry, values in zip(dense, X.T, strict=True):
        if "levels" in entry:
            columns += [(values == code).astype(float) for code in range(entry["levels"])]
            continue
        is_missing = np.isnan(values)
        imputed = np.where(is_missing, entry["median"], np.clip(values, -LARGEST, LARGEST))
        with np.errstate(over="ignore"):
            columns.append(np.clip((imputed - entry["mean"]) / entry["scale"], -FAR, FAR))
        if entry["flag"]:
            columns.append(is_missing.astype(float))
    return np.column_stack(columns)


def narrow_row(row: list[float]) -> list[float]:
    """Return the features of one row, none beyond 2 ** 100; missing ones stay NaN.

    XGBoost and scikit-learn's trees hold features as float32, whose end is at 2 ** 128, and add some up.
    """
    return [value if math.isnan(value) else min(max(value, -NARROW), NARROW) for value in row]


def narrow_matrix(X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return `narrow_row` of each row, shape (n_rows, n_features)."""
    import numpy as np

    return np.asarray(np.clip(X, -NARROW, NARROW))
