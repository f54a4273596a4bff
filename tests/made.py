"""A made sample of each task: test rows, scores and contract, without running a stage."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.runtime.contract import Column, Contract
from stages.shared.evaluation.members import Slice
from stages.shared.evaluation.resampled import Sample
from stages.shared.rows import Rows

LABELS = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "regression": None}


def make_sample(task: str, n_rows: int = 600, seed: int = 0, group: Any = None, resamples: int = 50) -> Sample:
    """Return rows whose scores say something of the target, and a model that is right more often than not."""
    random = np.random.default_rng(seed)
    if task == "binary":
        scores = random.uniform(0.02, 0.98, (n_rows, 1))
        y: Any = (random.random(n_rows) < scores[:, 0]).astype(int)
    elif task == "multiclass":
        scores = random.dirichlet([0.6] * 3, n_rows)
        y = np.array([random.choice(3, p=row) for row in scores])
    else:
        scores = random.normal(10, 3, (n_rows, 1))
        y = scores[:, 0] + random.normal(0, 1, n_rows)
    kind = "number" if task == "regression" else "category"
    columns = {"x": Column("number"), "y": Column(kind, "target", values=LABELS[task])}
    contract = Contract("made", task, "yes" if task == "binary" else None, columns, [])
    rows = Rows(np.zeros((n_rows, 1)), y, np.arange(n_rows), None, group)
    cut: Any = [1.0] * 3 if task == "multiclass" else 0.5
    return Sample(contract, rows, scores, cut, resamples, seed, 0.95)


def made_slices(codes: Any, column: str = "sex", kind: str = "sensitive") -> list[Slice]:
    """Return a slice for each value of an array."""
    return [
        Slice(f"{column} = {value}", kind, codes == value, (column,), kind == "sensitive") for value in np.unique(codes)
    ]
