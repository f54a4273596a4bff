"""Which of several classes is called: the one whose probability times its factor is the largest.

The largest probability alone is right for accuracy and calls rare classes too seldom for macro F1, which counts every
class alike. Factors are found on validation rows, one class at a time with the others held, until nothing gets better.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.shared.losses import EPSILON, call
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]
PARTS = 5  # of the rows, each judged by the factors of the others
PASSES = 3  # over the classes
MOST = 20.0  # times as much as the largest probability alone would give


def choose_factors(rows: Rows, scores: Array) -> tuple[list[float], dict[str, float]]:
    """Return the factors, shape (n_classes,), and macro F1 on rows left out, with and without them.

    Scores are probabilities of shape (n_rows, n_classes). Where factors found on the other parts of the rows do no
    better than none, all are 1.
    """
    y, weight = rows.y, np.ones(len(rows.y)) if rows.weight is None else rows.weight
    part = part_of(rows.number if rows.group is None else rows.group)
    called = np.zeros(len(y), dtype=int)
    for number in range(PARTS):
        own = part == number
        called[own] = call("multiclass", scores[own], best_factors(y[~own], scores[~own], weight[~own]))
    plain = [1.0] * scores.shape[1]
    found = {"plain": macro_f1(y, call("multiclass", scores, plain), weight), "factors": macro_f1(y, called, weight)}
    factors = best_factors(y, scores, weight) if found["factors"] > found["plain"] else plain
    return factors, {name: round(value, 6) for name, value in found.items()}


def part_of(group: Array) -> Array:
    """Return each row's part, 0 to PARTS - 1, equal within a group."""
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))  # by first appearance, so that no text decides
    return np.asarray(order[number] % PARTS)


def macro_f1(y: Array, called: Array, weight: Array) -> float:
    """Return the mean F1 of the classes that are there or called."""
    n_classes = int(max(y.max(), called.max())) + 1
    hits = np.bincount(y[y == called], weight[y == called], n_classes)
    total = np.bincount(y, weight, n_classes) + np.bincount(called, weight, n_classes)
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))


def best_factors(y: Array, scores: Array, weight: Array) -> list[float]:
    """Return the factors that give these rows the best macro F1, the ones nearest 1 of equals."""
    n_classes = scores.shape[1]
    actual = np.bincount(y, weight, n_classes)
    factors = np.ones(n_classes)
    for _ in range(PASSES):
        before = factors.copy()
        for number in range(n_classes):
            if actual[number]:
                factors[number] = _best_factor(y, scores, weight, actual, factors, number)
        if (factors == before).all():
            break
    return factors.tolist()  # type: ignore[no-any-return]


def _best_factor(y: Array, scores: Array, weight: Array, actual: Array, factors: Array, number: int) -> float:
    """Return one class's best factor, the others held: between those at which the call of a row changes."""
    others = scores * factors
    others[:, number] = -1.0
    rival = others.argmax(axis=1)
    turn = others[np.arange(len(y)), rival] / np.maximum(scores[:, number], EPSILON)  # beyond it the row is called so
    order = np.argsort(turn, kind="stable")
    turn, rival, y, weight = turn[order], rival[order], y[order], weight[order]
    n_classes = scores.shape[1]
    is_rival = (rival[:, None] == np.arange(n_classes)) * weight[:, None]
    is_hit = is_rival * (rival == y)[:, None]
    zero = np.zeros((1, n_classes))
    called = is_rival.sum(axis=0) - np.vstack([zero, is_rival.cumsum(axis=0)])
    hits = is_hit.sum(axis=0) - np.vstack([zero, is_hit.cumsum(axis=0)])
    called[:, number] = np.append(0.0, weight.cumsum())
    hits[:, number] = np.append(0.0, (weight * (y == number)).cumsum())
    total = called + actual
    f1 = np.where(total > 0, 2 * hits / np.maximum(total, EPSILON), np.nan)
    low, high = np.append(1 / MOST, turn), np.append(turn, MOST)
    low, high = np.clip(low, 1 / MOST, MOST), np.clip(high, 1 / MOST, MOST)
    possible = np.flatnonzero(high > low)
    middle = np.sqrt(low * high)[possible]
    score = np.round(np.nanmean(f1[possible], axis=1), 12)
    best = np.flatnonzero(score == score.max())
    return float(middle[best[np.argmin(np.abs(np.log(middle[best])))]])
