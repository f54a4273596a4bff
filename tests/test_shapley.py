"""Sampled contributions: exact by hand where they should be, adding up everywhere, the same every time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.runtime import shapley
from stages.runtime.shapley import both_ways, by_column, sampled_parts, source_of
from stages.shared.models.reference import fit_reference


def product(X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Two outputs: a * b + 10 c, and c alone."""
    return np.column_stack([X[:, 0] * X[:, 1] + 10 * X[:, 2], X[:, 2]])


def test_two_columns_that_multiply_share_what_they_do_together() -> None:
    [(base, parts), (other_base, other)] = sampled_parts(product, [1.0, 2.0, 0.5], [3.0, 5.0, 1.0], ["a", "b", "c"])
    assert (base, other_base) == (7.0, 0.5)
    # a first: 2 -> 6, a last: 5 -> 15; b first: 2 -> 5, b last: 6 -> 15.
    assert parts == pytest.approx({"a": (4 + 10) / 2, "b": (3 + 9) / 2, "c": 5.0})
    assert other == {"a": 0.0, "b": 0.0, "c": 0.5}


def test_features_of_one_column_change_together() -> None:
    [(_, parts), _] = sampled_parts(product, [1.0, 2.0, 0.5], [3.0, 5.0, 1.0], ["a", "a", "c"])
    assert parts == pytest.approx({"a": 13.0, "c": 5.0})


def test_a_column_as_in_the_reference_row_adds_nothing_and_missing_is_a_value() -> None:
    def count(X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.isnan(X).sum(axis=1, keepdims=True) * 1.0

    [(base, parts)] = sampled_parts(count, [np.nan, np.nan, 1.0], [np.nan, 2.0, np.nan], ["a", "b", "c"])
    assert (base, parts) == (2.0, {"a": 0.0, "b": -1.0, "c": 1.0})
    assert sampled_parts(count, [np.nan], [np.nan], ["a"]) == [(1.0, {"a": 0.0})]


NAMES = ["a", "b", "c", "d", "e"]


def tangled(X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """All five columns at once, one by one: a row has the same answer anywhere."""
    return np.array([[np.sin(row[0] * row[1]) + row[2] * row[3] * row[4] + max(row)] for row in X.tolist()])


def shapley_by_definition(start: list[float], end: list[float]) -> dict[str, float]:
    """The mean of each column's step over all 120 orders."""
    total = dict.fromkeys(NAMES, 0.0)
    for order in itertools.permutations(range(5)):
        row = list(start)
        for place in order:
            before = tangled(np.array([row]))[0, 0]
            row[place] = end[place]
            total[NAMES[place]] += (tangled(np.array([row]))[0, 0] - before) / 120
    return total


ROW = st.lists(st.floats(-3, 3), min_size=5, max_size=5)


@settings(deadline=None, database=None, derandomize=True, max_examples=50)
@given(ROW, ROW)
def test_parts_add_up_whatever_the_function(start: list[float], end: list[float]) -> None:
    [(base, parts)] = sampled_parts(tangled, start, end, NAMES)
    assert base == tangled(np.array([start]))[0, 0]
    assert base + sum(parts.values()) == pytest.approx(tangled(np.array([end]))[0, 0], abs=1e-12)


def test_the_sample_is_near_the_mean_over_all_orders() -> None:
    start, end = [0.0] * 5, [1.0, 2.0, -1.5, 1.2, 0.7]
    [(_, parts)] = sampled_parts(tangled, start, end, NAMES)
    expected = shapley_by_definition(start, end)
    assert max(abs(parts[name] - expected[name]) for name in NAMES) < 0.15 * max(map(abs, expected.values()))


def test_the_order_of_the_columns_and_the_size_of_a_call_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    start, end = [0.0] * 5, [1.0, 2.0, -1.5, 1.2, 0.7]
    given_order = sampled_parts(tangled, start, end, NAMES)
    turned = sampled_parts(lambda X: tangled(X[:, ::-1]), start[::-1], end[::-1], NAMES[::-1])
    assert turned == given_order
    monkeypatch.setattr(shapley, "CELLS", 1)
    calls: list[int] = []

    def counted(X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        calls.append(len(X))
        return tangled(X)

    assert sampled_parts(counted, start, end, NAMES) == given_order
    assert calls == [6] * 16


def test_orders_are_fixed_differ_and_are_walked_both_ways() -> None:
    orders = both_ways(NAMES)
    assert orders[0] == ["e", "b", "a", "c", "d"]  # as `printf "0 a" | sha256sum` and so on say
    assert [order[::-1] for order in orders[:8]] == orders[8:]
    assert len({tuple(order) for order in orders}) >= 14


def test_parts_of_features_are_added_up_by_column() -> None:
    assert by_column(["a", "b", "a"], [1.0, 2.0, 0.5]) == {"a": 1.5, "b": 2.0}


def test_a_feature_of_two_columns_has_a_name_of_its_own() -> None:
    assert source_of({"name": "a.hour", "op": "part", "column": "a"}) == "a"
    assert source_of({"name": "a.b", "op": "ratio", "column": "a", "with": "b"}) == "a x b"


def test_the_reference_row_holds_medians_and_frequent_codes() -> None:
    number, category = {"op": "number", "column": "n"}, {"op": "category", "column": "c", "levels": ["x", "y"]}
    X = np.array([[4.0, 2.0, np.nan, 1e308], [1.0, 1.0, np.nan, 1.7e308], [np.nan, np.nan, np.nan, 1.6e308],
                  [9.0, 1.0, np.nan, 1.79e308], [2.0, 2.0, np.nan, 5.0]])  # fmt: skip
    # Of four numbers the second, of two equally frequent codes the lower; a mean of two could overflow.
    assert fit_reference([number, category, number, number], X) == [2.0, 1.0, None, 1.6e308]
