"""Prediction intervals of a number by split conformal prediction, as plain data for stages/runtime/predictor.py.

Half the width is the quantile of the errors on validation rows, with the finite-sample correction; new rows that are
exchangeable with these lie inside with at least that share, whatever the model (Lei et al. 2018, theorem 2.2). Scaled
intervals divide the errors by their usual size at the predicted value, learned from training rows, so that validation
rows decide the quantile only. They also stopped boosting, which may make intervals a bit too narrow: evaluate counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.models.declared import Interval

Array = np.ndarray[Any, Any]
KNOTS = 10  # of the usual error by predicted value
FLOOR = 0.1  # of the mean error, below which no usual error is taken


def fit_interval(conf: Interval, y: Array, predicted: Array, weight: Array | None, scale: Any) -> dict[str, Any] | None:
    """Return {"level", "quantile", "x", "y"} from validation rows; None where they are too few for the level.

    `scale` holds the knots (x, y) of the usual error, both empty for intervals of one width.
    """
    x, usual = scale
    error = np.abs(y - predicted)
    error = error / np.interp(predicted, x, usual) if len(x) else error
    weight = np.ones(len(y)) if weight is None else weight
    order = np.argsort(error, kind="stable")
    covered = np.cumsum(weight[order])
    needed = conf.level * (covered[-1] + weight.mean())  # the row to come counts as one of mean weight
    place = int(np.searchsorted(covered, needed * (1 - 1e-12)))
    if place >= len(order):
        return None
    return {"level": conf.level, "quantile": float(error[order][place]), "x": list(x), "y": list(usual)}


def usual_error(y: Array, predicted: Array) -> tuple[list[float], list[float]]:
    """Return knots (predicted value, mean error there) from training rows; none where there are too few."""
    error = np.abs(y - predicted)
    floor = FLOOR * float(error.mean())
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, KNOTS) if len(part)]
    knots: dict[float, float] = {}
    for part in parts:
        knots.setdefault(float(predicted[part].mean()), max(float(error[part].mean()), floor))
    x = sorted(knots)
    if len(x) < 2 or floor == 0 or min(np.diff(x)) <= 0:
        return [], []
    return x, [knots[value] for value in x]
