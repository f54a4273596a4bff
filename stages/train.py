"""Fits the chosen model on the training rows, and beside it the linear baseline.

data/featurize, data/prepare/contract.json -> data/train/model.json and the model's own file, data/train/baseline/;
reports/train/summary.json. By hand: python -m stages.train model=boosting seed=7

Validation rows stop boosting early and set the threshold; test rows are not read.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stages.runtime.contract import Contract
from stages.runtime.dense import expand_matrix
from stages.runtime.plan import Feature
from stages.runtime.predictor import Model
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.files import read_json, replacing, write_json
from stages.shared.metrics import best_f1_threshold, mean_loss
from stages.shared.models import accepts, fit_dense, is_lightgbm, make_estimator, store
from stages.shared.progress import Progress
from stages.shared.rows import FEATURES, Rows, read_rows

if TYPE_CHECKING:
    import numpy as np

CONTRACT, DATA, REPORTS = Path("data/prepare/contract.json"), Path("data/train"), Path("reports/train")
BASELINE = {"binary": "LogisticRegression", "multiclass": "LogisticRegression", "regression": "Ridge"}
BASELINE_ARGUMENTS = {"LogisticRegression": {"C": 0.1, "max_iter": 1000}, "Ridge": {"alpha": 10.0}}


@dataclass(frozen=True)
class ModelConf:
    """The schema of conf/model/NAME.yaml."""

    inputs: Literal["native", "dense"]
    estimator: dict[str, Any]  # arguments, and `_target_` unless classifier and regressor name it
    classifier: dict[str, Any] = field(default_factory=dict)  # what is added for classes
    regressor: dict[str, Any] = field(default_factory=dict)  # what is added for a number
    # LightGBM: trees without a better validation loss
    early_stopping: int | None = field(default=None, metadata={"min": 1})
    # binary: the lowest probability that is called positive
    threshold: Literal["f1"] | float = field(default="f1", metadata={"min": 0, "max": 1})


def main() -> None:
    """Read, fit, choose the threshold, write."""
    conf, choice, seed = compose("model", ModelConf)
    contract = Contract.from_json(read_json(CONTRACT))
    features = read_json(FEATURES / "plan.json")
    train, validation = (read_rows(side, contract) for side in ("train", "validation"))
    check_target(train, contract)
    meta = {
        "task": contract.task,
        "classes": contract.classes,
        "threshold": 0.5,
        "dense": None,
        "prior": prior(train, contract),
    }
    with replacing(DATA, REPORTS) as (data, reports):
        (data / "baseline").mkdir()
        fit_baseline(data / "baseline", features, train, meta)
        if conf.inputs == "dense":
            meta["dense"] = fit_dense(features, train.X)
        estimator = fit(conf, choice, seed, features, train, validation, meta)
        kind = store(data, estimator, meta)
        scores = Model(data).score_matrix(validation.X)
        summary: dict[str, Any] = {
            "rows": len(train.y),
            "validation_loss": round(mean_loss(contract.task, validation.y, scores, validation.weight), 6),
        }
        if is_lightgbm(estimator):
            summary["trees"] = estimator.booster_.best_iteration or estimator.booster_.current_iteration()
        if contract.task == "binary":
            threshold = conf.threshold
            if threshold == "f1":
                threshold = best_f1_threshold(validation.y, scores[:, 0], validation.weight)
            store(data, estimator, {**meta, "threshold": threshold})
            summary["threshold"] = round(threshold, 6)
        write_json(reports / "summary.json", summary)
    print(
        f"train: {DATA}/model.json  {choice} ({kind}), {summary['rows']} training rows, "
        f"validation loss {summary['validation_loss']}"
    )


def check_target(train: Rows, contract: Contract) -> None:
    """Raise InputError where there is nothing to tell apart: a class without training rows, a constant number."""
    if contract.task == "regression":
        if (train.y == train.y[0]).all():
            raise InputError(f"{contract.target}: all {len(train.y)} training rows have the value {train.y[0]}")
        return
    absent = [label for number, label in enumerate(contract.classes) if not (train.y == number).any()]
    if absent:
        raise InputError(f"{contract.target}: no training rows of class {', '.join(map(repr, absent))}")


def prior(train: Rows, contract: Contract) -> list[float]:
    """Return the scores of the constant baseline: class shares, or the mean."""
    import numpy as np

    if contract.task == "regression":
        return [float(np.average(train.y, weights=train.weight))]
    shares = np.bincount(train.y, train.weight, len(contract.classes))
    shares = shares / shares.sum()
    return [float(share) for share in (shares[1:] if contract.task == "binary" else shares)]


def fit_baseline(folder: Path, features: list[Feature], train: Rows, meta: dict[str, Any]) -> None:
    """Fit and store the linear model that every other one is compared with."""
    from sklearn import linear_model

    name = BASELINE[meta["task"]]
    dense = fit_dense(features, train.X)
    estimator = getattr(linear_model, name)(**BASELINE_ARGUMENTS[name])
    fit_estimator(estimator, expand_matrix(dense, train.X), train)
    store(folder, estimator, {**meta, "dense": dense})


def fit(
    conf: ModelConf,
    choice: str,
    seed: int,
    features: list[Feature],
    train: Rows,
    validation: Rows,
    meta: dict[str, Any],
) -> Any:
    """Return the chosen estimator, fitted. Raises InputError where it refuses its arguments."""
    arguments = conf.estimator | (conf.regressor if meta["task"] == "regression" else conf.classifier)
    where = f"conf/model/{choice}.yaml"
    estimator = make_estimator(arguments, seed, where, meta["task"])
    n_rows, n_features = train.X.shape
    print(f"train: fitting {type(estimator).__name__} on {n_rows} rows x {n_features} features", file=sys.stderr)
    dense = meta["dense"]
    X, X_validation = (rows.X if dense is None else expand_matrix(dense, rows.X) for rows in (train, validation))
    extra: dict[str, Any] = {}
    progress = Progress("train", "trees", getattr(estimator, "n_estimators", 1))
    if type(estimator).__module__.startswith("lightgbm."):
        extra = lightgbm_extra(conf, estimator, features, X_validation, validation, meta, progress)
    elif conf.early_stopping is not None:
        raise InputError(f"{where}: early_stopping is LightGBM's; {type(estimator).__name__} has none")
    try:
        fit_estimator(estimator, X, train, **extra)
    except Exception as error:
        if not isinstance(error, ValueError | TypeError) and type(error).__name__ != "LightGBMError":
            raise
        raise InputError(f"{where}: {str(error).splitlines()[0]}") from error
    progress.close()
    return estimator


def lightgbm_extra(
    conf: ModelConf,
    estimator: Any,
    features: list[Feature],
    X: np.ndarray[Any, Any],
    validation: Rows,
    meta: dict[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """Return what LightGBM's `fit` is told besides: names, categories, the validation loss and when to stop."""
    import lightgbm

    def show(state: Any) -> None:
        loss = f", validation loss {state.evaluation_result_list[0][2]:.4f}" if state.evaluation_result_list else ""
        progress.update(state.iteration + 1, loss)

    def loss(actual: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> tuple[str, float, bool]:
        return "loss", mean_loss(meta["task"], actual, predicted, validation.weight), False

    extra: dict[str, Any] = {"callbacks": [show]}
    if meta["dense"] is None:
        extra["feature_name"] = [feature["name"] for feature in features]
        extra["categorical_feature"] = [feature["name"] for feature in features if feature["op"] == "category"]
    if conf.early_stopping is not None:
        estimator.set_params(metric="None")  # LightGBM's own loss is summed by threads, in an order that varies
        extra["callbacks"].append(lightgbm.early_stopping(conf.early_stopping, verbose=False))
        extra |= {"eval_X": X, "eval_y": validation.y, "eval_metric": loss}
    return extra


def fit_estimator(estimator: Any, X: np.ndarray[Any, Any], rows: Rows, **extra: Any) -> Any:
    """Return the estimator fitted, its linear algebra on one thread: sums in parallel depend on the number of cores."""
    from threadpoolctl import threadpool_limits

    if rows.weight is not None and accepts(estimator.fit, "sample_weight"):
        extra["sample_weight"] = rows.weight
    with threadpool_limits(1, "blas"):
        return estimator.fit(X, rows.y, **extra)


if __name__ == "__main__":
    run("train", main)
