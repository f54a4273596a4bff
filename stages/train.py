"""Fits the chosen model on the training rows, and beside it the linear baseline.

data/featurize, data/prepare/contract.json -> data/train/model.json and the model's own file, data/train/baseline/;
reports/train/summary.json, plots/. By hand: python -m stages.train model=boosting seed=7

Validation rows stop boosting early, calibrate, set the threshold or the interval, and rank the columns; test rows are
not read. So `validation_loss` flatters, and what evaluate finds on test rows is the number to quote.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.dense import expand_matrix
from stages.runtime.model import Model
from stages.runtime.plan import Feature
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.files import read_json, replacing, write_json
from stages.shared.models.calibrate import apply, choose_calibration
from stages.shared.models.conformal import fit_interval, usual_error
from stages.shared.models.declared import ModelConf
from stages.shared.models.dense import fit_dense
from stages.shared.models.fit import Fitted, Task, fit_declared, one_order_of_sums
from stages.shared.models.importance import permutation_importance, some
from stages.shared.models.objective import validation_loss
from stages.shared.models.reference import fit_reference
from stages.shared.models.store import store
from stages.shared.models.threshold import choose_threshold, columns, cuts, sensitivity
from stages.shared.plots import Table, thin, write_table
from stages.shared.rows import FEATURES, Rows, read_rows

if TYPE_CHECKING:
    import numpy as np

CONTRACT, DATA, REPORTS = Path("data/prepare/contract.json"), Path("data/train"), Path("reports/train")
BASELINE = {"binary": "LogisticRegression", "multiclass": "LogisticRegression", "regression": "Ridge"}
BASELINE_ARGUMENTS = {"LogisticRegression": {"C": 0.1, "max_iter": 1000}, "Ridge": {"alpha": 10.0}}
PLOT_POINTS = 200
Scores = Callable[["np.ndarray[Any, Any]"], "np.ndarray[Any, Any]"]  # (n_rows, n_features) to (n_rows, n_outputs)


def main() -> None:
    """Read, fit, decide, explain, write."""
    conf, choice, seed = compose("model", ModelConf)
    where = f"conf/model/{choice}.yaml"
    contract = Contract.from_json(read_json(CONTRACT))
    features = read_json(FEATURES / "plan.json")
    train, validation = (read_rows(side, contract) for side in ("train", "validation"))
    check_target(train, contract)
    task = Task(contract.task, contract.classes)
    shared = {"task": task.kind, "classes": task.classes, "threshold": 0.5, "prior": prior(train, contract)}
    with replacing(DATA, REPORTS) as (data, reports):
        (data / "baseline").mkdir()
        (reports / "plots").mkdir()
        store_fitted(data / "baseline", fit_baseline(task, features, train), shared)
        fitted = fit_declared(conf, where, seed, task, features, train, validation)
        meta = store_fitted(data, fitted, shared)
        decided, summary = decide(conf, where, seed, Model(data), train, validation, reports / "plots")
        write_json(data / "model.json", {**meta, **decided, "reference": fit_reference(features, train.X)})
        scores_of = quick_scores(Model(data), fitted, task)
        write_importance(reports / "plots/importance.csv", conf, task.kind, scores_of, features, validation, seed)
        summary = {"rows": len(train.y), **size(fitted.estimator), **summary}
        write_json(reports / "summary.json", summary)
    print(
        f"train: {DATA}/model.json  {choice} ({meta['kind']}), {summary['rows']} training rows, "
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


def store_fitted(folder: Path, fitted: Fitted, shared: dict[str, Any]) -> dict[str, Any]:
    """Write a fitted model into a folder; return what its model.json says."""
    return store(folder, fitted.estimator, {**shared, **fitted.meta})


def size(estimator: Any) -> dict[str, int]:
    """Return the number of trees where they are not the declared ones: boosting stops early."""
    if hasattr(estimator, "booster_"):
        return {"trees": estimator.booster_.best_iteration or estimator.booster_.current_iteration()}
    best = getattr(estimator, "best_iteration", None) if getattr(estimator, "early_stopping_rounds", None) else None
    return {"trees": best + 1} if best is not None else {}


def decide(
    conf: ModelConf, where: str, seed: int, model: Model, train: Rows, validation: Rows, plots: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (what model.json gets, what the summary says): calibration and threshold, or the interval."""
    scores = model.score_matrix(validation.X)
    loss = validation_loss(conf, model.task, validation.y, scores, validation.weight)
    summary: dict[str, Any] = {"validation_loss": round(loss, 6)}
    if model.task == "regression":
        found = None if conf.interval is None else decide_interval(conf, model, train, validation, scores)
        if conf.interval is not None:
            summary["interval"] = {"level": conf.interval.level, "quantile": found and round(found["quantile"], 6)}
        return {"interval": found}, summary
    calibration, summary["calibration"] = choose_calibration(
        conf.calibration, model.task, validation, scores, seed, where
    )
    decided: dict[str, Any] = {"calibration": calibration}
    if model.task == "binary":
        found_cuts = cuts(validation.y, apply(calibration, scores)[:, 0], validation.weight)
        decided["threshold"] = choose_threshold(conf.threshold, found_cuts, where)
        summary["threshold"] = round(decided["threshold"], 6)
        summary["threshold_sensitivity"] = sensitivity(conf.threshold, found_cuts, decided["threshold"], where)
        write_threshold(plots / "threshold.csv", conf, found_cuts, where)
    return decided, summary


def decide_interval(conf: ModelConf, model: Model, train: Rows, validation: Rows, scores: Any) -> dict[str, Any] | None:
    """Return the interval; None, and a line that says so, where validation rows are too few."""
    assert conf.interval is not None
    rows = some(train)
    scale = usual_error(rows.y, model.score_matrix(rows.X, together=True)[:, 0]) if conf.interval.scaled else ([], [])
    found = fit_interval(conf.interval, validation.y, scores[:, 0], validation.weight, scale)
    if found is None:
        too_few = f"{len(validation.y)} validation rows are too few for a level of {conf.interval.level}"
        print(f"train: no prediction interval: {too_few}", file=sys.stderr)
    return found


def write_threshold(path: Path, conf: ModelConf, found: Any, where: str) -> None:
    """Write what other thresholds would give, at most PLOT_POINTS of them."""
    import numpy as np

    by_name = {"threshold": found.threshold, **columns(conf.threshold, found, where)}
    points = thin(np.column_stack(list(by_name.values())), PLOT_POINTS)
    write_table(path, Table(list(by_name), points.tolist()))


def quick_scores(model: Model, fitted: Fitted, task: Task) -> Scores:
    """Return the function from features to calibrated scores; XGBoost's own, which is faster than our evaluator."""
    if model.kind == "xgboost":
        return lambda X: apply(model.meta.get("calibration"), fitted.score(task, X))
    return lambda X: model.score_matrix(X, together=True)


def write_importance(
    path: Path, conf: ModelConf, task: str, scores_of: Scores, features: list[Feature], validation: Rows, seed: int
) -> None:
    """Write how much the validation loss grows when a column is dealt out anew."""

    def loss_of(rows: Rows, X: np.ndarray[Any, Any]) -> float:
        return validation_loss(conf, task, rows.y, scores_of(X), rows.weight)

    with one_order_of_sums(None):
        found = permutation_importance(features, some(validation), loss_of, seed)
    write_table(path, Table(["column", "loss_increase", "spread"], found))


if __name__ == "__main__":
    run("train", main)
