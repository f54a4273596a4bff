"""Metrics of predictions, many bootstrap resamples at once.

W says how often each row stands in each resample, times its weight where rows have one; a row of ones gives the plain
metric. Tests hold each metric equal to scikit-learn's function that the glossary names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.binary import Binary
from stages.shared.evaluation.draws import Draws
from stages.shared.evaluation.glossary import GLOSSARY
from stages.shared.evaluation.multiclass import Multiclass
from stages.shared.evaluation.regression import Regression
from stages.shared.losses import Cut, call

__all__ = ["HEADLINE", "HIGHER_IS_BETTER", "NOTHING", "Cut", "call", "compute", "prepare"]
Array = np.ndarray[Any, Any]
HIGHER_IS_BETTER = {
    name: entry.higher_is_better for name, entry in GLOSSARY.items() if entry.higher_is_better is not None
}
HEADLINE = {"binary": "roc_auc", "multiclass": "macro_f1", "regression": "r2"}
TASKS: dict[str, type[Binary] | type[Multiclass] | type[Regression]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "regression": Regression,
}
NOTHING = Asked()


def prepare(task: str, y: Array, scores: Array, cut: Cut, asked: Asked = NOTHING) -> Binary | Multiclass | Regression:
    """Return the rows, sorted once, whose `measure(W)` gives {metric: shape (n_resamples,)} in a fixed order."""
    return TASKS[task](y, scores, cut, asked)


def compute(task: str, y: Array, scores: Array, cut: Cut, W: Array, asked: Asked = NOTHING) -> dict[str, Array]:
    """Return {metric: shape (n_resamples,)} of the task, in a fixed order; W has shape (n_resamples, n_rows)."""
    return prepare(task, y, scores, cut, asked).measure(Draws(W))
