"""Fits several declared models and weighs them by the scores of rows they have not seen.

Not split by time: train and validation rows are cut into folds together (crossvalidate.py), every member is fitted once
a fold and scores the rows held out, by which selection.py weighs the members. A member that was picked answers with the
mean of its fold models: validation rows are fitted on too, and each row still has scores of models that were not fitted
on it, so that all rows calibrate, set the threshold and the interval.

Split by time: there is one fold, train rows before validation rows, and so a member is what it would be by itself. Old
spans are no guide to the time after the last: weights from four growing spans did worse on the span to come than those
from the latest alone (rides -1.9% and -0.9% against boosting, houses +4.9% and +4.9%), for five times the fits.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.model import Model
from stages.shared.errors import InputError
from stages.shared.files import write_json
from stages.shared.models.constraints import row_weights
from stages.shared.models.crossvalidate import Fold, Scored, cross_validate, make_folds, some_classes
from stages.shared.models.declared import NotOffered
from stages.shared.models.faithful import store_faithful
from stages.shared.models.fit import Fitted, Recipe, Task, n_trees, refit
from stages.shared.models.judged import Judged, judge_on_validation
from stages.shared.models.objective import validation_loss
from stages.shared.models.selection import Selection, select, weighted
from stages.shared.plots import Table
from stages.shared.progress import say
from stages.shared.rows import Rows, together

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Part:
    """One fitted model of the ensemble."""

    member: str
    fitted: Fitted
    classes: list[int] | None  # the numbers of those it knows; None: all


@dataclass(frozen=True)
class Ensemble:
    """The members and what was found out about them."""

    selection: Selection
    parts: list[Part]  # of the members picked, in the file's order, by fold
    scored: dict[str, list[Scored]]  # by member and fold
    rows: Rows  # train, then validation
    folds: list[Fold]


def fit_ensemble(recipe: Recipe, train: Rows, validation: Rows) -> Ensemble:
    """Return the members, fitted and weighed. Raises InputError, naming the member, for what an estimator refuses."""
    conf, where, task = recipe.conf, recipe.where, recipe.task
    rows, n_train = together(train, validation), len(train.y)
    by_time = [Fold(np.arange(n_train), np.arange(n_train, len(rows.y)))]
    folds = make_folds(rows, conf.folds) if rows.time is None else by_time
    scored = dict(_cross_validate_members(recipe, rows, folds))
    if not scored:
        raise InputError(f"{where}: no member can do what is declared for all")
    held = rows.take(np.concatenate([fold.held for fold in folds]))
    weight = row_weights(held, conf.class_weight, task.classes, where)

    def loss_of(scores: Array) -> float:
        return validation_loss(conf, task.kind, held.y, scores, weight)

    scores = {name: np.concatenate([fold.scores for fold in found]) for name, found in scored.items()}
    selection = select(scores, loss_of, conf.rounds)
    picked = [name for name, count in selection.picks.items() if count]
    parts = [Part(name, fold.fitted, fold.classes) for name in picked for fold in scored[name]]
    return Ensemble(selection, parts, scored, rows, folds)


def _cross_validate_members(recipe: Recipe, rows: Rows, folds: list[Fold]) -> Iterator[tuple[str, list[Scored]]]:
    """Yield what the folds gave, by member; one that cannot do what is declared for all is left out, and it says so."""
    members = recipe.conf.members
    for number, name in enumerate(members, start=1):
        say(f"train: member {number} of {len(members)}, {name}, {len(folds)} fits")
        began = time.monotonic()
        try:
            found = list(cross_validate(recipe.member(name), rows, folds))
        except NotOffered as error:
            say(f"train: left out: {error}")
            continue
        say(f"train: {name} took {time.monotonic() - began:.1f} s")
        yield name, found


def refit_ensemble(recipe: Recipe, ensemble: Ensemble) -> Ensemble:
    """Return the ensemble with its members fitted on all rows, where the only fold left the latest ones out."""
    if ensemble.rows.time is None:
        return ensemble
    parts = [
        dataclasses.replace(part, fitted=refit(recipe.member(part.member), ensemble.rows, part.fitted))
        if part.classes is None
        else part
        for part in ensemble.parts
    ]
    return dataclasses.replace(ensemble, parts=parts)


def store_ensemble(folder: Path, ensemble: Ensemble, shared: dict[str, Any]) -> dict[str, Any]:
    """Write each part into a folder of its own; return what model.json says."""
    task = Task(shared["task"], shared["classes"])
    parts, numbers = [], dict.fromkeys(ensemble.selection.picks, 0)
    for part in ensemble.parts:
        numbers[part.member] += 1
        name = f"members/{part.member}/{numbers[part.member]}"
        known = task if part.classes is None else some_classes(task, part.classes)
        (folder / name).mkdir(parents=True, exist_ok=True)
        own = {"task": known.kind, "classes": known.classes}
        store_faithful(folder / name, part.fitted, own, ensemble.rows.X)
        parts.append({"folder": name, "count": ensemble.selection.picks[part.member], "classes": part.classes})
    told = ", ".join(f"{weight:.2f} {name}" for name, weight in weights(ensemble.selection).items() if weight)
    meta = {**shared, "kind": "ensemble", "estimator": f"ensemble: {told}", "dense": None, "parts": parts}
    write_json(folder / "model.json", meta)
    return meta


def judge_ensemble(ensemble: Ensemble, task: Task, model: Model, train: Rows, validation: Rows) -> Judged:
    """Return the rows that decide: all, each scored by the fold models that were not fitted on it; by time the
    validation rows."""
    rows, picks = ensemble.rows, ensemble.selection.picks
    if rows.time is not None:
        return judge_on_validation(model, train, validation)
    fold_of = np.empty(len(rows.y), dtype=int)
    for number, fold in enumerate(ensemble.folds):
        fold_of[fold.held] = number

    def score(places: Array, X: Array) -> Array:
        scores = np.empty((len(places), model.n_outputs))
        for number in range(len(ensemble.folds)):
            own = fold_of[places] == number
            if not own.any():
                continue
            found = {name: fold[number].score(task, X[own]) for name, fold in ensemble.scored.items() if picks[name]}
            scores[own] = weighted(found, picks)
        return scores

    scores = np.empty((len(rows.y), model.n_outputs))
    for number, fold in enumerate(ensemble.folds):
        scores[fold.held] = weighted({name: found[number].scores for name, found in ensemble.scored.items()}, picks)
    return Judged(rows, len(validation.y), scores, score, lambda: (rows.y, scores[:, 0]))


def weights(selection: Selection) -> dict[str, float]:
    """Return each member's share of the picks."""
    total = sum(selection.picks.values())
    return {name: round(count / total, 6) for name, count in selection.picks.items()}


def members_table(ensemble: Ensemble, folder: Path) -> Table:
    """Return each member's loss on rows held out, its weight, and its cost: trees fitted in all folds, bytes stored."""
    selection, shares = ensemble.selection, weights(ensemble.selection)
    rows: list[list[Any]] = []
    for name, loss in selection.losses.items():
        trees = sum(n_trees(fold.fitted.estimator) or 0 for fold in ensemble.scored[name])
        rows.append([name, loss, shares[name], trees, _stored_bytes(folder / "members" / name)])
    whole = ["ensemble", selection.loss, 1.0, sum(row[3] for row in rows), sum(row[4] for row in rows)]
    return Table(["member", "loss", "weight", "trees", "bytes"], [*rows, whole])


def _stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/*"))  # none where it was not picked
