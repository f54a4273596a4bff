"""The dense encoding for models that take neither missing values nor category codes, as plain data.

Each feature becomes: a number imputed with the training median and scaled, with a flag where training rows missed it;
a category one column per level, all 0 for unseen ones. The row and the matrix route do the same IEEE operations.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Dense = list[dict[str, Any]]  # one entry a feature: {"levels": n} or {"median", "mean", "scale", "flag"}


def expand_row(dense: Dense, row: list[float]) -> list[float]:
    """Return the encoded row, shape (n_columns,), of feature values, shape (n_features,)."""
    encoded: list[float] = []
    for entry, value in zip(dense, row, strict=True):
        if "levels" in entry:
            encoded.extend(1.0 if value == code else 0.0 for code in range(entry["levels"]))
            continue
        is_missing = math.isnan(value)
        encoded.append(((entry["median"] if is_missing else value) - entry["mean"]) / entry["scale"])
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
        columns.append((np.where(is_missing, entry["median"], values) - entry["mean"]) / entry["scale"])
        if entry["flag"]:
            columns.append(is_missing.astype(float))
    return np.column_stack(columns)
