"""Weighs models by the scores of rows they have not seen: picks them greedily, one again and again if it helps.

Source: Caruana et al. 2004, "Ensemble selection from libraries of models", section 2, with their sorted initialisation.
A weight is the share of the picks. Picks go on for all rounds, for a better mean may lie behind a worse one, and the
shortest series of the lowest loss is taken. Then models leave that are not worth their place in the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
WORTH = 0.0005  # a model leaves whose absence adds less than this share of the loss; see conf/model/ensemble.yaml

ROUNDING = 1e-9  # a loss that is lower by less, as a share, is the same


@dataclass(frozen=True)
class Selection:
    """What was picked."""

    picks: dict[str, int]  # how often, 0 for models left out, in their own order
    losses: dict[str, float]  # of each model by itself
    loss: float  # of the weighted mean


def select(scores: dict[str, Array], loss_of: Callable[[Array], float], rounds: int) -> Selection:
    """Return how often each model is picked, at most `rounds` in all; of equals, the one named first.

    `scores` holds each model's, shape (n_rows, n_outputs); `loss_of` gives the loss of such scores.
    """
    names = list(scores)
    losses = {name: loss_of(scores[name]) for name in names}
    picked = _best_first(scores, losses, loss_of, rounds)
    total = sum((scores[name] for name in picked), np.zeros_like(scores[names[0]]))
    best, best_picked = loss_of(total / len(picked)), list(picked)
    while len(picked) < rounds:
        found = [loss_of((total + scores[name]) / (len(picked) + 1)) for name in names]
        place = int(np.argmin(found))
        picked.append(names[place])
        total = total + scores[names[place]]
        if found[place] < best - ROUNDING * abs(best):
            best, best_picked = found[place], list(picked)
    picks, loss = _leave(scores, {name: best_picked.count(name) for name in names}, loss_of, best)
    return Selection(picks, losses, loss)


def _leave(
    scores: dict[str, Array], picks: dict[str, int], loss_of: Callable[[Array], float], loss: float
) -> tuple[dict[str, int], float]:
    """Return (the picks without models that are not worth it, the loss then), the least missed one first."""
    left = loss
    while len(kept := [name for name in picks if picks[name]]) > 1:
        without = {name: loss_of(weighted(scores, {**picks, name: 0})) for name in kept}
        name = min(without, key=without.__getitem__)
        if without[name] - loss > WORTH * abs(loss):
            break
        picks, left = {**picks, name: 0}, without[name]
    return picks, left


def weighted(scores: Mapping[str, Array], picks: dict[str, int]) -> Array:
    """Return the mean of the scores with the picks as weights."""
    total = sum(count * scores[name] for name, count in picks.items() if count)
    return np.asarray(total / sum(picks.values()))


def _best_first(
    scores: dict[str, Array], losses: dict[str, float], loss_of: Callable[[Array], float], rounds: int
) -> list[str]:
    """Return the models that stand best alone, as many of them as have the mean of lowest loss."""
    order = sorted(losses, key=losses.__getitem__)[:rounds]
    total, found = np.zeros_like(scores[order[0]]), []
    for number, name in enumerate(order, start=1):
        total = total + scores[name]
        found.append(loss_of(total / number))
    return order[: int(np.argmin(found)) + 1]
