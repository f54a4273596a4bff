"""The cut between two classes, chosen on validation rows by what is asked for, and how sensitive it is."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from stages.shared.errors import InputError
from stages.shared.losses import EPSILON
from stages.shared.models.declared import Costs, Threshold

Array = np.ndarray[Any, Any]
Asked = Literal["f1"] | float | Threshold
NEAR = (0.9, 1.1)  # the shares of the threshold at which its sensitivity is told


class Unreachable(InputError):
    """No cut has the precision or recall that is asked."""


@dataclasses.dataclass(frozen=True)
class Cuts:
    """Every cut that calls other rows positive than the one before, highest first, with what it would give."""

    threshold: Array  # (n_cuts,), the lowest score called positive; the first calls none
    hits: Array  # (n_cuts,), weight of the true positives
    called: Array  # (n_cuts,), weight of all called positive
    n_positive: float
    n: float

    @property
    def precision(self) -> Array:
        """Return the share of the called that are positive, 0 where none is called."""
        return np.where(self.called > 0, self.hits / np.maximum(self.called, EPSILON), 0.0)

    @property
    def recall(self) -> Array:
        """Return the share of the positive that are called."""
        return self.hits / max(self.n_positive, EPSILON)

    def f(self, beta: float) -> Array:
        """Return F-beta. Source: van Rijsbergen 1979, chapter 7."""
        return (1 + beta**2) * self.hits / np.maximum(self.called + beta**2 * self.n_positive, EPSILON)

    def cost(self, costs: Costs) -> Array:
        """Return the mean cost of a row."""
        false_positive, false_negative = self.called - self.hits, self.n_positive - self.hits
        true_negative = self.n - self.called - false_negative
        total = self.hits * costs.true_positive + true_negative * costs.true_negative
        return (total + false_positive * costs.false_positive + false_negative * costs.false_negative) / max(
            self.n, EPSILON
        )


def cuts(y: Array, score: Array, weight: Array | None = None) -> Cuts:
    """Return all cuts of rows with classes y (1 is positive) and scores, shape (n_rows,)."""
    order = np.argsort(-score, kind="stable")
    weight = np.ones(len(y)) if weight is None else weight
    hits, called = np.cumsum((y == 1)[order] * weight[order]), np.cumsum(weight[order])
    is_last_of_ties = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    none = np.nextafter(score[order][0], 2.0)
    return Cuts(
        np.append(none, score[order][is_last_of_ties]),
        np.append(0.0, hits[is_last_of_ties]),
        np.append(0.0, called[is_last_of_ties]),
        float(hits[-1]),
        float(called[-1]),
    )


def choose_threshold(asked: Asked, found: Cuts, where: str) -> float:
    """Return the threshold that does best by what is asked, the higher one of equals.

    Raises InputError where not exactly one thing is asked, and for a precision that no cut has.
    """
    if isinstance(asked, int | float):
        return float(asked)
    rule, value = rule_of(asked, where)
    if rule == "costs":
        return float(found.threshold[np.argmin(found.cost(value))])
    if not found.n_positive:  # nothing to be found: no cut is better than another
        return 0.5
    called = slice(1, None)
    if rule == "f_beta":
        return float(found.threshold[called][np.argmax(found.f(value)[called])])
    reached, wanted = (found.precision, found.recall) if rule == "precision" else (found.recall, found.precision)
    is_enough = reached[called] >= value
    if not is_enough.any():
        best = int(np.argmax(reached[called])) + 1
        raise Unreachable(
            f"{where}: threshold.{rule}: no cut reaches {value:g} on the validation rows; the best is "
            f"{reached[best]:.3f}, with a {'recall' if rule == 'precision' else 'precision'} of {wanted[best]:.3f}"
        )
    return float(found.threshold[called][np.argmax(np.where(is_enough, wanted[called], -1.0))])


def rule_of(asked: Asked, where: str) -> tuple[str, Any]:
    """Return the rule and its value; a number is reported by its F1."""
    if not isinstance(asked, Threshold):
        return "f_beta", 1.0
    names = [field.name for field in dataclasses.fields(asked)]
    given = [(name, getattr(asked, name)) for name in names if getattr(asked, name) is not None]
    if len(given) != 1:
        raise InputError(f"{where}: threshold should name exactly one of {', '.join(names)}, got {len(given)}")
    return given[0]


def sensitivity(asked: Asked, found: Cuts, threshold: float, where: str) -> dict[str, Any]:
    """Return what is called, precision, recall and the criterion at the threshold, and at 0.9 and 1.1 times it."""
    return {
        name: {key: round(float(value[place]), 6) for key, value in columns(asked, found, where).items()}
        for name, place in {
            "at": _place(found, threshold),
            "10_percent_lower": _place(found, NEAR[0] * threshold),
            "10_percent_higher": _place(found, NEAR[1] * threshold),
        }.items()
    }


def columns(asked: Asked, found: Cuts, where: str) -> dict[str, Array]:
    """Return {name: shape (n_cuts,)}: called (share), precision, recall, and `cost` or `f_beta`."""
    rule, value = rule_of(asked, where)
    beta = value if rule == "f_beta" else 1.0
    criterion = {"cost": found.cost(value)} if rule == "costs" else {f"f{beta:g}": found.f(beta)}
    return {
        "called": found.called / max(found.n, EPSILON),
        "precision": found.precision,
        "recall": found.recall,
    } | criterion


def _place(found: Cuts, threshold: float) -> int:
    """Return the cut that calls the same rows as any threshold does."""
    return max(0, int(np.searchsorted(-found.threshold, -threshold, side="right")) - 1)
