"""What every model stands beside: the linear baseline, and the constant one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.runtime.contract import Contract
from stages.runtime.dense import expand_matrix
from stages.runtime.model import Model
from stages.runtime.plan import Feature
from stages.shared.files import write_json
from stages.shared.models.decisions import decide_baseline
from stages.shared.models.dense import fit_dense
from stages.shared.models.faithful import store_faithful
from stages.shared.models.fit import Fitted, Recipe, Task, one_order_of_sums
from stages.shared.models.judged import judge_on_validation
from stages.shared.rows import Rows, together

BASELINE = {"binary": "LogisticRegression", "multiclass": "LogisticRegression", "regression": "Ridge"}
BASELINE_ARGUMENTS = {"LogisticRegression": {"C": 0.1, "max_iter": 1000}, "Ridge": {"alpha": 10.0}}


def prior(train: Rows, contract: Contract) -> list[float]:
    """Return the scores of the constant baseline: class shares, or the mean."""
    import numpy as np

    if contract.task == "regression":
        return [float(np.average(train.y, weights=train.weight))]
    shares = np.bincount(train.y, train.weight, len(contract.classes))
    shares = shares / shares.sum()
    return [float(share) for share in (shares[1:] if contract.task == "binary" else shares)]


def fit_baseline(task: Task, features: list[Feature], train: Rows) -> Fitted:
    """Return the linear model that every other one is compared with."""
    from sklearn import linear_model

    name = BASELINE[task.kind]
    dense = fit_dense(features, train.X)
    estimator = getattr(linear_model, name)(**BASELINE_ARGUMENTS[name])
    X = expand_matrix(dense, train.X)
    with one_order_of_sums(estimator):
        estimator.fit(X, train.y, sample_weight=train.weight)
    return Fitted(estimator, dense, X.mean(axis=0).tolist())


def store_baseline(folder: Path, recipe: Recipe, train: Rows, validation: Rows, shared: dict[str, Any]) -> None:
    """Fit the linear baseline, decide by the same rules, fit again on as many rows as the model, and write it."""
    fitted = fit_baseline(recipe.task, recipe.features, train)
    store_faithful(folder, fitted, shared, train.X)
    judged = judge_on_validation(Model(folder), train, validation)
    decided = decide_baseline(recipe, judged)
    rows = together(train, validation) if recipe.conf.refit else train
    fitted = fit_baseline(recipe.task, recipe.features, rows)
    meta = store_faithful(folder, fitted, shared, train.X)
    write_json(folder / "model.json", {**meta, **decided})
