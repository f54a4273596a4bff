"""Stops a fit by the loss on validation rows, as each library has it; our own sum of losses where theirs varies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.runtime.plan import Feature
from stages.shared.errors import InputError
from stages.shared.models.declared import ModelConf
from stages.shared.models.make import accepts
from stages.shared.models.objective import validation_loss
from stages.shared.progress import Progress
from stages.shared.rows import Rows

if TYPE_CHECKING:
    import numpy as np


def fit(
    conf: ModelConf,
    where: str,
    estimator: Any,
    task: str,
    features: list[Feature],
    train: Rows,
    validation: Rows | None,
) -> None:
    """Fit the estimator on `train`, stopped early where it is declared, the library can and rows are given for it.

    Raises InputError where `early_stopping` is declared for one that cannot.
    """
    import numpy as np

    module, name = type(estimator).__module__, type(estimator).__name__
    extra: dict[str, Any] = {}
    if train.weight is not None and accepts(estimator.fit, "sample_weight"):
        extra["sample_weight"] = train.weight
    if module.startswith("lightgbm."):
        extra |= _lightgbm(conf, estimator, task, features, validation)
    elif module.startswith("xgboost."):
        extra |= _xgboost(conf, estimator, task, features, validation)
    elif name.startswith("HistGradientBoosting"):
        extra |= _histogram(conf, estimator, validation)
    elif conf.early_stopping is not None:
        if name not in ("MLPClassifier", "MLPRegressor"):
            raise InputError(f"{where}: early_stopping: {name} has none")
        _fit_epochs(conf, estimator, task, train, validation)
        return
    estimator.fit(train.X, train.y, **extra)
    if name.startswith("HistGradientBoosting") and conf.early_stopping is not None and validation is not None:
        best = int(np.argmax(estimator.validation_score_))  # the first is before any tree
        del estimator._predictors[max(1, best) :]  # scikit-learn keeps the trees that made it worse


def _lightgbm(conf: ModelConf, estimator: Any, task: str, features: list[Feature], stop: Rows | None) -> dict[str, Any]:
    """Return what LightGBM's `fit` is told besides: names, categories, the validation loss and when to stop."""
    import lightgbm

    progress = Progress("train", "trees", estimator.n_estimators)

    def show(state: Any) -> None:
        losses = [result[2] for result in state.evaluation_result_list or []]
        note, numbers = told(losses[0]) if losses else ("", {})
        progress.update(state.iteration + 1, note, **numbers)
        if state.iteration + 1 == state.end_iteration:
            progress.close()

    weight = None if stop is None else stop.weight

    def loss(actual: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> tuple[str, float, bool]:
        return "loss", validation_loss(conf, task, actual, predicted, weight), False

    extra: dict[str, Any] = {"callbacks": [show]}
    if conf.inputs == "native":
        extra["feature_name"] = [feature["name"] for feature in features]
        extra["categorical_feature"] = [feature["name"] for feature in features if feature["op"] == "category"]
    if conf.early_stopping is not None and stop is not None:
        estimator.set_params(metric="None")  # LightGBM's own loss is summed by threads, in an order that varies
        extra["callbacks"].append(lightgbm.early_stopping(conf.early_stopping, verbose=False))
        extra |= {"eval_X": stop.X, "eval_y": stop.y, "eval_metric": loss}
    return extra


def _xgboost(conf: ModelConf, estimator: Any, task: str, features: list[Feature], stop: Rows | None) -> dict[str, Any]:
    """Return what XGBoost's `fit` is told besides; categories and the loss are arguments of the estimator."""

    weight = None if stop is None else stop.weight

    def loss(actual: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> float:
        return validation_loss(conf, task, actual, predicted, weight)

    if conf.inputs == "native":
        kinds = ["c" if feature["op"] == "category" else "q" for feature in features]
        estimator.set_params(enable_categorical=True, feature_types=kinds)
    if conf.early_stopping is None or stop is None:
        return {}
    estimator.set_params(early_stopping_rounds=conf.early_stopping, eval_metric=loss)
    return {"eval_set": [(stop.X, stop.y)], "verbose": False}


def _histogram(conf: ModelConf, estimator: Any, validation: Rows | None) -> dict[str, Any]:
    """Return what HistGradientBoosting's `fit` is told besides; its own loss is summed in one order.

    Category codes stay numbers: with categories it holds functions of scikit-learn, which no safe archive may.
    """
    if conf.early_stopping is None:
        return {}
    if validation is None:
        estimator.set_params(early_stopping=False)
        return {}
    estimator.set_params(early_stopping=True, n_iter_no_change=conf.early_stopping, tol=0.0)
    extra = {"X_val": validation.X, "y_val": validation.y}
    return extra if validation.weight is None else {**extra, "sample_weight_val": validation.weight}


def _fit_epochs(conf: ModelConf, estimator: Any, task: str, train: Rows, validation: Rows | None) -> None:
    """Fit a perceptron epoch by epoch, at most `max_iter`, and give it the weights of its best one back, if judged.

    A number is fitted in standard deviations from its mean, which the last layer then undoes.
    """
    import numpy as np

    seed, patience, n_epochs = estimator.random_state, conf.early_stopping or 0, estimator.max_iter
    estimator.set_params(random_state=np.random.RandomState(seed))  # else every epoch has the same order of rows
    if estimator.batch_size != "auto":  # scikit-learn does so too, and warns every epoch
        estimator.set_params(batch_size=min(estimator.batch_size, len(train.y)))
    mean, scale = (float(np.mean(train.y)), float(np.std(train.y)) or 1.0) if task == "regression" else (0.0, 1.0)
    y = (train.y - mean) / scale if task == "regression" else train.y
    extra: dict[str, Any] = {} if task == "regression" else {"classes": np.unique(train.y)}
    if train.weight is not None:
        extra["sample_weight"] = train.weight
    progress = Progress("train", "epochs", n_epochs)
    best, best_epoch = np.inf, 0
    weights: list[Any] = [[], []]
    for epoch in range(n_epochs):
        estimator.partial_fit(train.X, y, **extra)
        if validation is None:
            progress.update(epoch + 1)
            continue
        is_number = task == "regression"
        scores = estimator.predict(validation.X) * scale + mean if is_number else estimator.predict_proba(validation.X)
        loss = validation_loss(conf, task, validation.y, scores, validation.weight)
        note, numbers = told(loss)
        progress.update(epoch + 1, note, **numbers)
        if loss < best:
            best, best_epoch = loss, epoch
            weights = [[part.copy() for part in parts] for parts in (estimator.coefs_, estimator.intercepts_)]
        elif epoch - best_epoch >= patience:
            break
    progress.close()
    if validation is not None:
        estimator.coefs_, estimator.intercepts_ = weights
        estimator.best_epoch_ = best_epoch + 1
    estimator.coefs_[-1] *= scale
    estimator.intercepts_[-1] = estimator.intercepts_[-1] * scale + mean
    estimator.set_params(random_state=seed)


def told(loss: float) -> tuple[str, dict[str, float]]:
    """Return what progress says of a validation loss, and what live metrics do."""
    return f", validation loss {loss:.4f}", {"validation_loss": loss}
