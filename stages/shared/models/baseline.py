"""What every model stands beside: the linear baseline, and the constant one."""

from __future__ import annotations

from stages.runtime.contract import Contract
from stages.runtime.dense import expand_matrix
from stages.runtime.plan import Feature
from stages.shared.models.dense import fit_dense
from stages.shared.models.fit import Fitted, Task, one_order_of_sums
from stages.shared.rows import Rows

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
