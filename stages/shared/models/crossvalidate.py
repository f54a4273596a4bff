"""Folds that respect groups and time, and the scores of rows that a fit has not seen: what tuning and ensembles share.

Without a time, a fold is a set of whole buckets (`stages/shared/features/crossfit.py`): a group is on one side. By
time, the rows are cut into equal spans and each is scored by a fit on all that lies before it, less the split's gap.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.shared.errors import InputError
from stages.shared.models.fit import Fitted, Recipe, Task, fit_declared, one_order_of_sums
from stages.shared.models.store import kind_of
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]
SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Fold:
    """Places of rows."""

    fitted: Array  # (n_fitted,)
    held: Array  # (n_held,)


@dataclass(frozen=True)
class Scored:
    """What one fold gave."""

    held: Array  # (n_held,), places of rows
    scores: Array  # (n_held, n_outputs), not calibrated
    fitted: Fitted
    classes: list[int] | None = None  # the numbers of those that the fold's rows had; None: all

    def score(self, task: Task, X: Array) -> Array:
        """Return scores of other rows, shape (n_rows, n_outputs of the task), the same bits for any number of cores."""
        if self.classes is None:
            return steady_scores(self.fitted, task, X)
        fewer = some_classes(task, self.classes)
        return spread(steady_scores(self.fitted, fewer, X), fewer, self.classes, len(task.classes))


def make_folds(rows: Rows, n_folds: int, gap_days: float = 0.0) -> list[Fold]:
    """Return the folds; those with nothing on one side are left out. Raises InputError where none is left."""
    folds = _by_bucket(rows, n_folds) if rows.time is None else _by_time(rows.time, n_folds, gap_days)
    folds = [fold for fold in folds if len(fold.fitted) and len(fold.held)]
    if not folds:
        raise InputError(f"cross-validation: {len(rows.y)} rows give no fold with rows on both sides")
    return folds


def _by_bucket(rows: Rows, n_folds: int) -> list[Fold]:
    assert rows.bucket is not None
    place = rows.bucket % n_folds
    return [Fold(np.flatnonzero(place != fold), np.flatnonzero(place == fold)) for fold in range(n_folds)]


def _by_time(time: Array, n_folds: int, gap_days: float) -> list[Fold]:
    """Equal numbers of rows by rank; rows of one moment stay together."""
    starts = np.quantile(time, np.arange(1, n_folds + 1) / (n_folds + 1), method="higher")
    span = np.searchsorted(starts, time, side="right")  # 0: never scored
    folds = []
    for number, start in enumerate(starts, start=1):
        before = time < start - gap_days * SECONDS_A_DAY
        folds.append(Fold(np.flatnonzero(before), np.flatnonzero(span == number)))
    return folds


def cross_validate(recipe: Recipe, rows: Rows, folds: list[Fold]) -> Iterator[Scored]:
    """Yield each fold's scores of its rows held out. The same rows stop a fit early where that is declared."""
    task = recipe.task
    for fold in folds:
        train, held = rows.take(fold.fitted), rows.take(fold.held)
        if task.kind == "regression" or len(present := np.unique(train.y)) == len(task.classes):
            found = Scored(fold.held, held.y, fit_declared(recipe, train, held))
        else:
            fitted = _fit_fewer(recipe, train, held, present.tolist())
            found = Scored(fold.held, held.y, fitted, present.tolist())
        yield dataclasses.replace(found, scores=found.score(task, held.X))


def _fit_fewer(recipe: Recipe, train: Rows, held: Rows, present: list[int]) -> Fitted:
    """Return the fit where the fold's rows lack a class, which then gets a probability of 0."""
    conf, task = recipe.conf, recipe.task
    if len(present) == 1:
        raise InputError(f"cross-validation: all rows of a fold are of class {task.classes[present[0]]!r}")
    fewer = some_classes(task, present)
    if isinstance(conf.class_weight, dict):
        known = {label: weight for label, weight in conf.class_weight.items() if label in fewer.classes}
        conf = dataclasses.replace(conf, class_weight=known)
    stopping = held.take(np.isin(held.y, present))
    if not len(stopping.y):
        raise InputError("cross-validation: no class of a fold's held rows is among those it is fitted on")
    train, stopping = (dataclasses.replace(rows, y=np.searchsorted(present, rows.y)) for rows in (train, stopping))
    return fit_declared(dataclasses.replace(recipe, conf=conf, task=fewer), train, stopping)


def some_classes(task: Task, numbers: list[int]) -> Task:
    """Return the task with the classes of these numbers only."""
    return Task("binary" if len(numbers) == 2 else "multiclass", [task.classes[number] for number in numbers])


def spread(scores: Array, fewer: Task, numbers: list[int], n_classes: int) -> Array:
    """Return probabilities of all classes, shape (n_rows, n_classes), 0 for those that are not among `numbers`."""
    full = np.zeros((len(scores), n_classes))
    full[:, numbers] = scores if fewer.kind == "multiclass" else np.column_stack([1 - scores, scores])
    return full


def steady_scores(fitted: Fitted, task: Task, X: Array) -> Array:
    """Return the scores with sums in one order: linear algebra and forests on one thread."""
    estimator = fitted.estimator
    known = estimator.get_params() if kind_of(estimator) == "skops" else {}
    jobs = {name: value for name, value in known.items() if name == "n_jobs" or name.endswith("__n_jobs")}
    with one_order_of_sums(estimator):
        estimator.set_params(**dict.fromkeys(jobs, 1))
        scores = fitted.score(task, X)
        estimator.set_params(**jobs)  # they are stored
    return scores
