"""How differently a column is distributed in two sets of rows of a profile, and how much of it chance would give."""

from __future__ import annotations

import math
from typing import Any

WARNED_FROM = 0.1  # of the rows would have to move
ALPHA = 0.05  # of one false warning among all, were the sides samples of one population

Column = dict[str, Any]  # of profile.json
Shares = tuple[list[float], int]  # of each cell, and of how many rows


def shares(column: Column, rows: dict[str, int], sampled: dict[str, int], sides: list[str]) -> Shares:
    """Return the shares of a column's bins or values, of all others and of missing among the rows of `sides`.

    What a profile hides (None) is left out. The number of rows is that of the sample, which the shares come from.
    """
    sides = [side for side in sides if side in rows]
    counts = [sum(n or 0 for n in cell) for cell in zip(*(column["counts"][side] for side in sides), strict=True)]
    missing = sum(column["missing"][side] for side in sides) / max(1, sum(rows[side] for side in sides))
    total = sum(counts)
    if not total:
        return [*(0.0 for _ in counts), missing], sum(sampled[side] for side in sides)
    return [*(n / total * (1 - missing) for n in counts), missing], sum(sampled[side] for side in sides)


def total_variation(first: list[float], second: list[float]) -> float:
    """Return half the sum of the absolute differences: the share of rows that would have to move, 0 to 1."""
    return sum(abs(p - q) for p, q in zip(first, second, strict=True)) / 2


def noise(first: Shares, second: Shares, alpha: float) -> float:
    """Return what the total variation of two samples of one population stays under, but with probability alpha.

    Its mean, from the normal approximation of each cell's multinomial count, and above that the smaller of two tails:
    McDiarmid's (1989, On the method of bounded differences), where a row moves it by 1/n at most, and Klein and Rio's
    (2005, Ann. Probab. 33:1060, theorem 1.1), which is sharp where nearly all rows are in one cell. On the safe side.
    Rows are taken as independent; rows that come in groups differ more than this.
    """
    (p, n), (q, m) = first, second
    if not n or not m:
        return 1.0
    scale, step, x = 1 / n + 1 / m, max(1 / n, 1 / m), math.log(1 / alpha)
    pooled = [min(1.0, (n * a + m * b) / (n + m)) for a, b in zip(p, q, strict=True)]
    mean = sum(math.sqrt(2 / math.pi * share * (1 - share) * scale) for share in pooled) / 2
    largest = max(0.5, *pooled)
    variance = largest * (1 - largest) * scale + 2 * step * mean
    sharp = (3 * step * x + math.sqrt(9 * step**2 * x**2 + 8 * variance * x)) / 2
    return min(1.0, mean + min(sharp, math.sqrt(scale * x / 2)))


def warn(profile: dict[str, Any]) -> dict[str, list[str]]:
    """Return {column: a sentence for each side that strikingly differs from training}.

    The total variation distance over bins or values and missing must be at least 0.1, and more than chance gives with
    probability 0.05 over all comparisons of the page (Bonferroni). The time column is left out: a split may be by it.
    """
    rows, sampled = profile["rows"], profile["sample"]["rows"]
    others = [side for side in ("validation", "test") if rows.get(side)]
    compared = [column for column in profile["columns"] if "counts" in column and column["role"] != "time"]
    found: dict[str, list[str]] = {}
    if not rows.get("train"):
        return found
    for column in compared:
        training = shares(column, rows, sampled, ["train"])
        for side in others:
            other = shares(column, rows, sampled, [side])
            distance = total_variation(training[0], other[0])
            by_chance = noise(training, other, ALPHA / (len(compared) * len(others)))
            if distance >= WARNED_FROM and distance > by_chance:
                text = f"{side} differs from training: {distance:.0%} of its rows are distributed otherwise"
                found.setdefault(column["name"], []).append(f"{text} (chance alone: below {by_chance:.1%}).")
    return found
