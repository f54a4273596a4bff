"""Splits a change between the factors that changed together, so that the parts add up to the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from math import factorial

Group = frozenset[str]


def shapley(groups: list[Group], value: Callable[[frozenset[str]], float]) -> list[float]:
    """Return each group's part of value(all) - value(none): its mean step over all orders (Shapley 1953)."""
    parts = []
    for group in groups:
        others = [other for other in groups if other != group]
        part = 0.0
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(others) - size) / factorial(len(groups))
            for chosen in combinations(others, size):
                before: frozenset[str] = frozenset().union(*chosen)
                part += weight * (value(before | group) - value(before))
        parts.append(part)
    return parts


def separable(factors: list[str], failed: set[frozenset[str]]) -> list[Group]:
    """Return the finest groups of factors of which no mixture failed; factors in one group cannot be told apart."""
    for groups in sorted(partitions(factors), key=lambda groups: -len(groups)):
        needed = [chosen for size in range(len(groups) + 1) for chosen in combinations(groups, size)]
        if not any(frozenset().union(*chosen) in failed for chosen in needed):
            return groups
    return [frozenset(factors)]


def partitions(names: list[str]) -> Iterator[list[Group]]:
    """Yield every way to part names into groups."""
    if not names:
        yield []
        return
    for rest in partitions(names[1:]):
        yield [frozenset(names[:1]), *rest]
        for place, group in enumerate(rest):
            yield [group | {names[0]}, *rest[:place], *rest[place + 1 :]]


def subsets(names: list[str]) -> list[frozenset[str]]:
    """Return every mixture: which factors are the head's, smallest first."""
    return [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]
