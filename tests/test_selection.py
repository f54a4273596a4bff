"""Selection: weights by hand, never worse than the best model alone, the same answer for equals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stages.shared.models.selection import WORTH, select, weighted

RANDOM = np.random.default_rng(3)
A, B, C = (RANDOM.normal(size=(300, 1)) for _ in range(3))


def squared(y: np.ndarray):
    return lambda scores: float(((scores - y) ** 2).mean())


def test_a_mean_that_is_three_to_one_is_found() -> None:
    found = select({"b": B, "a": A, "c": C}, squared(0.75 * A + 0.25 * B), 8)
    assert found.picks["a"] == 3 * found.picks["b"]
    assert found.picks["c"] == 0
    assert found.loss == pytest.approx(0, abs=1e-25)
    assert list(found.picks) == ["b", "a", "c"]
    assert found.losses["c"] == pytest.approx(((C - 0.75 * A - 0.25 * B) ** 2).mean())


@settings(deadline=None, database=None, derandomize=True)
@given(arrays(float, (4, 6, 1), elements=st.floats(-5, 5)), st.integers(1, 12))
def test_the_mean_is_no_worse_than_the_best_model_by_more_than_what_may_leave(scores: np.ndarray, rounds: int) -> None:
    loss_of = squared(np.arange(6.0)[:, None])
    found = select({str(i): part for i, part in enumerate(scores)}, loss_of, rounds)
    assert found.loss <= min(found.losses.values()) * (1 + WORTH)
    assert found.loss == pytest.approx(loss_of(weighted({str(i): p for i, p in enumerate(scores)}, found.picks)))
    assert 1 <= sum(found.picks.values()) <= rounds


def test_of_equals_the_one_named_first_is_picked() -> None:
    assert select({"first": A, "second": A.copy()}, squared(B), 5).picks == {"first": 1, "second": 0}


def test_the_start_is_the_best_mean_of_the_models_in_order_of_their_loss() -> None:
    y = (A + B + C) / 3
    assert select({"a": A, "b": B, "c": C}, squared(y), 3).picks == {"a": 1, "b": 1, "c": 1}
    assert sum(select({"a": A, "b": B, "c": C}, squared(y), 2).picks.values()) == 2


def test_a_model_that_adds_next_to_nothing_leaves() -> None:
    y, noise = A + 0.5 * C, RANDOM.normal(size=A.shape)
    helper = A + noise * 3  # says nothing that `good` does not say
    good = A + 0.3 * RANDOM.normal(size=A.shape)
    loss_of = squared(y)
    kept = select({"good": good, "helper": helper}, loss_of, 50)
    best_share = min(np.linspace(0, 0.2, 201), key=lambda share: loss_of((1 - share) * good + share * helper))
    gain = 1 - loss_of((1 - best_share) * good + best_share * helper) / loss_of(good)
    assert (kept.picks["helper"] > 0) == (gain > WORTH)
    rare = select({"good": good, "twin": good + 1e-4 * noise}, loss_of, 50)
    assert sorted(count > 0 for count in rare.picks.values()) == [False, True]
