"""Stores a fitted model, and drops a compiled form that does not say of some rows what the library says of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.model import Model
from stages.shared.models.fit import Fitted, Task
from stages.shared.models.store import store
from stages.shared.progress import say

if TYPE_CHECKING:
    import numpy as np

COMPILED = ("linear", "network")  # forms of ours that have the library's own archive to fall back on
TOLERANCE = 1e-12  # relative, and of numbers below 1 absolute
N_ROWS = 500  # asked


def store_faithful(folder: Path, fitted: Fitted, shared: dict[str, Any], X: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Write a fitted model into a folder and return what its model.json says.

    `X` holds features, shape (n_rows, n_features), for which a compiled form must answer as the library does; where
    it does not, the library's estimator is stored, slower and faithful, and that is said.
    """
    meta = {**shared, **fitted.meta}
    stored = store(folder, fitted.estimator, meta)
    if stored["kind"] not in COMPILED:
        return stored
    off = difference(Model(folder), fitted, Task(shared["task"], shared["classes"]), X)
    if off <= TOLERANCE:
        return stored
    say(f"train: {stored['estimator']} compiled is off by {off:.1e}, limit {TOLERANCE:.0e}: its archive is kept")
    return store(folder, fitted.estimator, meta, kind="skops")


def difference(model: Model, fitted: Fitted, task: Task, X: np.ndarray[Any, Any]) -> float:
    """Return the largest difference between the stored model and the library's, before calibration."""
    import numpy as np

    some = X[np.linspace(0, len(X) - 1, min(N_ROWS, len(X))).astype(int)]
    expected = fitted.score(task, some)
    found = model.uncalibrated_matrix(some)
    return float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1.0), initial=0.0))
