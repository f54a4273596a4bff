"""How much worse the model gets when the values of one input column are dealt out anew. Source: Breiman 2001.

All features made from the column are dealt together, from one row to another: what a column gives in any form counts.
Columns that say the same stand in for each other, and each then looks less important than it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stages.runtime.operation import columns_of
from stages.runtime.plan import Feature
from stages.shared.progress import Progress
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]
REPEATS = 5
MOST_ROWS = 5000  # validation rows looked at


def permutation_importance(
    features: list[Feature], rows: Rows, loss_of: Callable[[Rows, Array], float], seed: int
) -> list[list[Any]]:
    """Return [column, mean increase of the loss, its standard deviation over repeats], most important first.

    `loss_of` gives the loss of rows whose features, shape (n_rows, n_features), are replaced.
    """
    columns = list(dict.fromkeys(name for feature in features for name in columns_of(feature)))
    before = loss_of(rows, rows.X)
    progress, found = Progress("train", "columns permuted", len(columns)), []
    for number, column in enumerate(columns):
        places = [place for place, feature in enumerate(features) if column in columns_of(feature)]
        increases = [loss_of(rows, dealt(rows.X, places, (seed, number, i))) - before for i in range(REPEATS)]
        found.append([column, float(np.mean(increases)), float(np.std(increases, ddof=1))])
        progress.update(number + 1)
    progress.close()
    return sorted(found, key=lambda row: (-row[1], columns.index(row[0])))


def dealt(X: Array, places: list[int], seed: tuple[int, ...]) -> Array:
    """Return X with the columns at `places` dealt out anew, together."""
    X = X.copy()
    X[:, places] = X[np.random.default_rng(seed).permutation(len(X))][:, places]
    return X


def some(rows: Rows) -> Rows:
    """Return at most MOST_ROWS rows, at even places."""
    return rows.take(even_places(len(rows.y)))


def even_places(n_rows: int) -> Array:
    """Return at most MOST_ROWS places of `n_rows`, evenly."""
    if n_rows <= MOST_ROWS:
        return np.arange(n_rows)
    return np.unique(np.linspace(0, n_rows - 1, MOST_ROWS).round().astype(int))
