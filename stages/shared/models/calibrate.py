"""Fits, on validation rows, the calibration that stages/runtime/calibration.py evaluates.

Which method, if any, is decided by the log loss of rows that were left out while it was fitted: five folds of the
validation rows, whole groups where the contract has them. `none` stays unless another is better by more than one
standard error of the paired difference. More than two classes have `temperature`, one number for all of them: it leaves
the order of the classes, hence every prediction, and does not overfit rare ones, as one curve a class would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stages.runtime.calibration import TINY, make_calibrate
from stages.shared.errors import InputError
from stages.shared.losses import row_loss
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]
Calibration = dict[str, Any]
METHODS = {"binary": ("platt", "isotonic"), "multiclass": ("temperature",)}
FOLDS = 5
FEWEST = 20  # validation rows of the rarest class: with fewer there is nothing to choose by
STEPS = 60  # of Newton's method, and of the golden section


def choose_calibration(asked: str, task: str, rows: Rows, scores: Array, seed: int, where: str) -> tuple[Any, Any]:
    """Return (the calibration or None, its report) from validation rows and their scores, shape (n_rows, n_outputs).

    Raises InputError for a method that the task does not have.
    """
    if task == "regression" or asked == "none":
        return None, {"method": "none"}
    methods = METHODS[task]
    if asked != "auto" and asked not in methods:
        raise InputError(f"{where}: calibration: {asked} is not for {scores.shape[1] + (task == 'binary')} classes; "
                         f"these have none, auto, {', '.join(methods)}")  # fmt: skip
    rarest = min(np.bincount(rows.y, minlength=2 if task == "binary" else scores.shape[1]))
    if rarest < FEWEST and asked == "auto":
        return None, {"method": "none", "reason": f"{rarest} validation rows of the rarest class, {FEWEST} needed"}
    losses = {method: left_out_loss(method, task, rows, scores, seed) for method in methods}
    losses = {"none": row_loss(task, rows.y, scores), **losses}
    chosen = asked if asked != "auto" else choose_method(losses, rows.weight)
    report = {name: round(float(np.average(loss, weights=rows.weight)), 6) for name, loss in losses.items()}
    fitted = None if chosen == "none" else FIT[chosen](rows.y, scores, rows.weight)
    return fitted, {"method": chosen, "left_out_log_loss": report}


def choose_method(losses: dict[str, Array], weight: Array | None) -> str:
    """Return the method of least loss among those better than `none` by more than one standard error."""
    gains = {name: losses["none"] - loss for name, loss in losses.items() if name != "none"}
    sure = {}
    for name, gain in gains.items():
        mean = float(np.average(gain, weights=weight))
        error = float(np.sqrt(np.average((gain - mean) ** 2, weights=weight) / len(gain)))
        if mean > error:
            sure[name] = mean
    return max(sure, key=sure.__getitem__) if sure else "none"


def left_out_loss(method: str, task: str, rows: Rows, scores: Array, seed: int) -> Array:
    """Return each row's log loss, shape (n_rows,), calibrated by what the other folds gave."""
    fold, loss = folds(rows, seed), np.empty(len(rows.y))
    for number in range(FOLDS):
        rest, own = fold != number, fold == number
        weight = None if rows.weight is None else rows.weight[rest]
        calibrated = apply(FIT[method](rows.y[rest], scores[rest], weight), scores[own])
        loss[own] = row_loss(task, rows.y[own], calibrated)
    return loss


def folds(rows: Rows, seed: int) -> Array:
    """Return each row's fold, shape (n_rows,): drawn by group where there are groups, else evenly within each class."""
    random = np.random.default_rng(seed)
    if rows.group is not None:
        groups, member = np.unique(rows.group, return_inverse=True)
        return (random.permutation(len(groups)) % FOLDS)[member]
    fold = np.empty(len(rows.y), dtype=int)
    fold[np.lexsort((random.permutation(len(rows.y)), rows.y))] = np.arange(len(rows.y)) % FOLDS
    return fold


def apply(calibration: Calibration | None, scores: Array) -> Array:
    """Return calibrated scores, shape (n_rows, n_outputs)."""
    calibrate = make_calibrate(calibration)
    return np.array([calibrate(row) for row in scores.tolist()]).reshape(scores.shape)


def fit_platt(y: Array, scores: Array, weight: Array | None) -> Calibration:
    """Return slope and intercept of least log loss, by Newton's method, with Platt's targets just off 0 and 1."""
    p = np.clip(scores[:, 0], TINY, 1.0)
    x = np.log(p) - np.log(np.maximum(1.0 - p, TINY))
    weight = np.ones(len(y)) if weight is None else weight
    n_positive, n_negative = weight[y == 1].sum(), weight[y == 0].sum()
    target = np.where(y == 1, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    slope, intercept = 1.0, 0.0
    for _ in range(STEPS):
        q = 1 / (1 + np.exp(-np.clip(slope * x + intercept, -500, 500)))
        gradient, curve = weight * (q - target), weight * np.maximum(q * (1 - q), 1e-12)
        a, b, c = (curve * x * x).sum() + 1e-9, (curve * x).sum(), curve.sum() + 1e-9
        g, h = (gradient * x).sum(), gradient.sum()
        step = np.array([c * g - b * h, a * h - b * g]) / max(a * c - b * b, 1e-12)
        step /= max(1.0, np.abs(step).max())
        slope, intercept = slope - step[0], intercept - step[1]
    return {"method": "platt", "slope": max(float(slope), 1e-6), "intercept": float(intercept)}


def fit_isotonic(y: Array, scores: Array, weight: Array | None) -> Calibration:
    """Return knots of the rising steps of least squares (pool adjacent violators), joined by straight lines.

    A made-up positive below all rows and a made-up negative above them keep every step off 0 and 1. The lines rise
    everywhere, so that rows with different scores are not made equal. Source: Zadrozny & Elkan 2002.
    """
    order = np.argsort(scores[:, 0], kind="stable")
    x, actual = scores[order, 0], (y == 1)[order].astype(float)
    weight = np.ones(len(y)) if weight is None else weight[order]
    x, actual = np.concatenate([x[:1], x, x[-1:]]), np.concatenate([[1.0], actual, [0.0]])
    weight = np.concatenate([[1.0], weight, [1.0]])
    starts = np.flatnonzero(np.append(True, np.diff(x) != 0))
    sums = np.add.reduceat(np.column_stack([weight, weight * x, weight * actual]), starts)
    blocks: list[Array] = []
    for part in sums[sums[:, 0] > 0]:
        blocks.append(part)
        while len(blocks) > 1 and blocks[-1][2] * blocks[-2][0] <= blocks[-2][2] * blocks[-1][0]:
            last = blocks.pop()
            blocks[-1] = blocks[-1] + last
    knots = [(float(b[1] / b[0]), float(b[2] / b[0])) for b in blocks if 0 < b[1] < b[0]]
    if not knots:  # all scores are 0 or 1
        knots = [(0.5, 0.5)]
    knots = [(0.0, knots[0][1] / 2), *knots, (1.0, (1 + knots[-1][1]) / 2)]
    return {"method": "isotonic", "x": [x for x, _ in knots], "y": [y for _, y in knots]}


def fit_temperature(y: Array, scores: Array, weight: Array | None) -> Calibration:
    """Return the inverse temperature of least log loss, by golden section between 1/20 and 20."""
    logs = np.log(np.maximum(scores, TINY))

    def loss(power: float) -> float:
        raw = logs * np.exp(power)
        raw = raw - raw.max(axis=1, keepdims=True)
        return float(np.average(np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(len(y)), y], weights=weight))

    low, high, ratio = -np.log(20), np.log(20), (5**0.5 - 1) / 2
    for _ in range(STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return {"method": "temperature", "inverse": float(np.exp((low + high) / 2))}


FIT: dict[str, Callable[[Array, Array, Array | None], Calibration]] = {
    "platt": fit_platt,
    "isotonic": fit_isotonic,
    "temperature": fit_temperature,
}
