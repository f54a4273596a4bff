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

from stages.runtime.plan import Feature
from stages.shared.errors import InputError
from stages.shared.models.declared import ModelConf
from stages.shared.models.fit import Fitted, Task, fit_declared
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


def cross_validate(
    conf: ModelConf, where: str, seed: int, task: Task, features: list[Feature], rows: Rows, folds: list[Fold]
) -> Iterator[Scored]:
    """Yield each fold's scores of its rows held out. The same rows stop a fit early where that is declared."""
    for fold in folds:
        train, held = rows.take(fold.fitted), rows.take(fold.held)
        if task.kind == "regression":
            fitted = fit_declared(conf, where, seed, task, features, train, held)
            yield Scored(fold.held, fitted.score(task, held.X), fitted)
        else:
            fitted, scores = _fit_classes(conf, where, seed, task, features, train, held)
            yield Scored(fold.held, scores, fitted)


def _fit_classes(
    conf: ModelConf, where: str, seed: int, task: Task, features: list[Feature], train: Rows, held: Rows
) -> tuple[Fitted, Array]:
    """Return the fit and the scores of `held`: a class that none of a fold's rows has gets a probability of 0."""
    present = np.unique(train.y)
    if len(present) == len(task.classes):
        fitted = fit_declared(conf, where, seed, task, features, train, held)
        return fitted, fitted.score(task, held.X)
    if len(present) == 1:
        raise InputError(f"cross-validation: all rows of a fold are of class {task.classes[present[0]]!r}")
    classes = [task.classes[number] for number in present]
    fewer = Task("binary" if len(classes) == 2 else "multiclass", classes)
    if isinstance(conf.class_weight, dict):
        known = {label: weight for label, weight in conf.class_weight.items() if label in classes}
        conf = dataclasses.replace(conf, class_weight=known)
    stopping = held.take(np.isin(held.y, present))
    if not len(stopping.y):
        raise InputError("cross-validation: no class of a fold's held rows is among those it is fitted on")
    train, stopping = (dataclasses.replace(rows, y=np.searchsorted(present, rows.y)) for rows in (train, stopping))
    fitted = fit_declared(conf, where, seed, fewer, features, train, stopping)
    found = fitted.score(fewer, held.X)
    scores = np.zeros((len(held.y), len(task.classes)))
    scores[:, present] = found if fewer.kind == "multiclass" else np.column_stack([1 - found, found])
    return fitted, scores
