"""Calibrated probabilities as plain data, the same bits for a row and for a matrix.

`{"method": "platt", "slope", "intercept"}`: sigmoid(slope * log odds + intercept). Source: Platt 1999.
`{"method": "isotonic", "x", "y"}`: straight lines between knots, so that rows that differ keep their order.
`{"method": "temperature", "inverse"}`: all classes, softmax(inverse * log p). Source: Guo et al. 2017.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

TINY = 1e-9  # a forest says 0, which has no logarithm, and would outweigh all others
Calibrate = Callable[[list[float]], list[float]]


def make_calibrate(calibration: dict[str, Any] | None) -> Calibrate:
    """Return the function from one row's scores, shape (n_outputs,), to calibrated ones."""
    return (lambda scores: scores) if calibration is None else _METHODS[calibration["method"]](calibration)


def sigmoid(value: float) -> float:
    """Return 1 / (1 + exp(-value)), which never overflows."""
    odds = math.exp(-abs(value))
    return 1.0 / (1.0 + odds) if value >= 0 else odds / (1.0 + odds)


def softmax(values: list[float]) -> list[float]:
    """Return the shares of exp(value), which never overflow."""
    highest = max(values)
    powers = [math.exp(value - highest) for value in values]
    total = sum(powers)
    return [power / total for power in powers]


def log_odds(p: float) -> float:
    """Return log(p / (1 - p)), kept finite at 0 and 1."""
    return math.log(max(p, TINY)) - math.log(max(1.0 - p, TINY))


def _platt(calibration: dict[str, Any]) -> Calibrate:
    slope, intercept = calibration["slope"], calibration["intercept"]
    return lambda scores: [sigmoid(slope * log_odds(scores[0]) + intercept)]


def _isotonic(calibration: dict[str, Any]) -> Calibrate:
    x, y = calibration["x"], calibration["y"]
    slopes = [(y[i + 1] - y[i]) / (x[i + 1] - x[i]) for i in range(len(x) - 1)]

    def calibrate(scores: list[float]) -> list[float]:
        place = min(bisect_right(x, scores[0]), len(slopes)) - 1
        return [y[place] + slopes[place] * (scores[0] - x[place])]

    return calibrate


def _temperature(calibration: dict[str, Any]) -> Calibrate:
    inverse = calibration["inverse"]
    return lambda scores: softmax([inverse * math.log(max(p, TINY)) for p in scores])


def calibrated(calibration: dict[str, Any], scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the calibrated scores, shape (n_rows, n_outputs), of a matrix: `make_calibrate` of each row, bit for bit.

    NumPy's own logarithm and exponential differ from Python's on the last bit, so Python's are asked; the rest is one
    IEEE operation after the other, as for a row.
    """
    import numpy as np

    if calibration["method"] == "temperature":
        calibrate = make_calibrate(calibration)
        return np.array([calibrate(row) for row in scores.tolist()]).reshape(scores.shape)
    p = scores[:, 0]
    if calibration["method"] == "platt":
        logarithm = _each(math.log, np.maximum(p, TINY)) - _each(math.log, np.maximum(1.0 - p, TINY))
        raw = calibration["slope"] * logarithm + calibration["intercept"]
        odds = _each(math.exp, -np.abs(raw))
        return np.where(raw >= 0, 1.0, odds).reshape(-1, 1) / (1.0 + odds).reshape(-1, 1)
    x, y = np.array(calibration["x"]), np.array(calibration["y"])
    slopes = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
    place = np.minimum(np.searchsorted(x, p, "right"), len(slopes)) - 1
    return np.asarray(y[place] + slopes[place] * (p - x[place])).reshape(-1, 1)


def _each(function: Callable[[float], float], values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.fromiter(map(function, values.tolist()), float, len(values))


_METHODS: dict[str, Callable[[dict[str, Any]], Calibrate]] = {
    "platt": _platt,
    "isotonic": _isotonic,
    "temperature": _temperature,
}
