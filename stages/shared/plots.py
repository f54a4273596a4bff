"""Curves of the predictions as small tables, for `dvc plots` and for the pictures drawn from them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.runtime.contract import Contract
from stages.shared.losses import Cut, call

Array = np.ndarray[Any, Any]
BINS = 10


class Table(NamedTuple):
    """A header and its rows."""

    header: list[str]
    rows: list[list[Any]]


def write_table(path: Path, table: Table) -> None:
    """Write a CSV, numbers to 6 decimals."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.header)
        writer.writerows([[round(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in table.rows])


def thin(points: Array, most: int) -> Array:
    """Return at most `most` of the points, shape (n, 2), evenly by position, ends kept."""
    if len(points) <= most:
        return points
    return np.asarray(points[np.unique(np.linspace(0, len(points) - 1, most).round().astype(int))])


def roc(actual: Array, score: Array) -> Array:
    """Return (false positive rate, true positive rate) at each distinct score, from (0, 0) to (1, 1)."""
    hits, called = _steps(actual, score)
    misses = called - hits
    return np.column_stack([misses / max(1, misses[-1]), hits / max(1, hits[-1])])


def precision_recall(actual: Array, score: Array) -> Array:
    """Return (recall, precision) at each distinct score, highest score first."""
    hits, called = _steps(actual, score)
    return np.column_stack([hits[1:] / max(1, hits[-1]), hits[1:] / called[1:]])


def lift(actual: Array, score: Array) -> Array:
    """Return (share of rows called, precision over the base rate) at each distinct score, highest score first."""
    hits, called = _steps(actual, score)
    share = called[1:] / max(1, called[-1])
    return np.column_stack([share, hits[1:] / called[1:] / max(actual.mean(), 1 / len(actual))])


def _steps(actual: Array, score: Array) -> tuple[Array, Array]:
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    hits = np.append(0, np.cumsum(actual[order])[ends])
    return hits, np.append(0, ends + 1)


def calibration(predicted: Array, observed: Array) -> Array:
    """Return (mean predicted, mean observed, rows) in up to ten bins of equal count, by predicted value."""
    order = np.argsort(predicted, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    return np.array([[predicted[part].mean(), observed[part].mean(), len(part)] for part in bins])


def tables(contract: Contract, y: Array, scores: Array, cut: Cut, most: int) -> dict[str, Table]:
    """Return every table of the task by name: calibration for all; confusion for classes; roc, precision_recall and
    lift for two of them; predicted against actual, and residuals, for a number. Curves are thinned to `most` points.
    """
    predicted, observed = (scores.max(1), scores.argmax(1) == y) if contract.task == "multiclass" else (scores[:, 0], y)
    found = {"calibration": Table(["predicted", "observed", "rows"], calibration(predicted, observed).tolist())}
    if contract.task == "regression":
        order = np.argsort(predicted, kind="stable")
        points = thin(np.column_stack([predicted, y])[order], most)
        found["predicted"] = Table(["predicted", "actual"], points.tolist())
        points[:, 1] -= points[:, 0]
        return found | {"residuals": Table(["predicted", "residual"], points.tolist())}
    called = call(contract.task, scores, cut)
    pairs = [[contract.classes[a], contract.classes[p]] for a, p in zip(y, called, strict=True)]
    found["confusion"] = Table(["actual", "predicted"], pairs)
    if contract.task == "binary":
        curve = thin(roc(y == 1, predicted), most)
        found["roc"] = Table(["false_positive_rate", "true_positive_rate"], curve.tolist())
        curve = thin(precision_recall(y == 1, predicted), most)
        found["precision_recall"] = Table(["recall", "precision"], curve.tolist())
        found["lift"] = Table(["share", "lift"], thin(lift(y == 1, predicted), most).tolist())
    return found
