"""The chosen model, one estimator or an ensemble: fitted, judged, fitted again with the rows that judged it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.runtime.model import Model
from stages.shared.models.ensemble import (
    Ensemble,
    fit_ensemble,
    judge_ensemble,
    refit_ensemble,
    store_ensemble,
    weights,
)
from stages.shared.models.faithful import store_faithful
from stages.shared.models.fit import Fitted, Recipe, Task, fit_declared, n_trees, refit
from stages.shared.models.judged import Judged, judge_on_validation
from stages.shared.rows import Rows


def fit_chosen(recipe: Recipe, train: Rows, validation: Rows) -> Fitted | Ensemble:
    """Return the model fitted on training rows; validation rows stop it early, or weigh the members."""
    if recipe.conf.members:
        return fit_ensemble(recipe, train, validation)
    return fit_declared(recipe, train, validation)


def fit_again(recipe: Recipe, fitted: Fitted | Ensemble, rows: Rows) -> Fitted | Ensemble:
    """Return the model fitted on train and validation rows, now that these have decided."""
    if isinstance(fitted, Ensemble):
        return refit_ensemble(recipe, fitted)
    return refit(recipe, rows, fitted)


def store_fitted(folder: Path, fitted: Fitted | Ensemble, shared: dict[str, Any], train: Rows) -> dict[str, Any]:
    """Write a fitted model into a folder; return what its model.json says."""
    if isinstance(fitted, Ensemble):
        return store_ensemble(folder, fitted, shared)
    return store_faithful(folder, fitted, shared, train.X)


def judge(model: Model, fitted: Fitted | Ensemble, task: Task, train: Rows, validation: Rows) -> Judged:
    """Return the rows that decide, with the scores of models that were not fitted on them."""
    if isinstance(fitted, Ensemble):
        return judge_ensemble(fitted, task, model, train, validation)
    if model.kind == "xgboost":  # its own evaluator is faster than ours
        return judge_on_validation(model, train, validation, lambda X: fitted.score(task, X))
    return judge_on_validation(model, train, validation)


def told_of(fitted: Fitted | Ensemble) -> dict[str, Any]:
    """Return the weights of an ensemble."""
    return {"weights": weights(fitted.selection)} if isinstance(fitted, Ensemble) else {}


def size(fitted: Fitted | Ensemble) -> dict[str, Any]:
    """Return the loss of an ensemble on rows out of fold; the number of trees where they are not the declared ones."""
    if isinstance(fitted, Ensemble):
        return {"out_of_fold_loss": round(fitted.selection.loss, 6)}
    trees = n_trees(fitted.estimator)
    return {} if trees is None else {"trees": trees}
