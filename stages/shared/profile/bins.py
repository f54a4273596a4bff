"""Edges of histograms: multiples of a round step, which people can read and a few more rows do not move."""

from __future__ import annotations

import math
import sys
from datetime import datetime, timedelta
from fractions import Fraction

BINS = 20  # about
EPOCH = datetime(1970, 1, 1)
DAY = 86400
# Seconds: what a clock or a calendar counts in; months and years only nearly, as 28 and 364 days.
TIME_STEPS = [
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(n * DAY for n in (1, 2, 7, 14, 28, 56, 91, 182, 364, 728, 1820, 3640, 7280, 18200, 36400, 72800, 182000, 364000)),
]


def number_edges(low: float, high: float, *, is_whole: bool) -> list[float]:
    """Return ascending edges, at most 22, from at or below `low` to above `high`; bins hold their lower edge.

    Steps are 1, 2 or 5 times a power of ten, and whole for whole numbers.
    """
    wanted = max((Fraction(high) - Fraction(low)) / BINS, Fraction(is_whole))
    if wanted == 0:
        return [low]
    power = Fraction(10) ** math.floor(math.log10(max(float(wanted), sys.float_info.min)))
    step = next(power * n for n in (1, 2, 5, 10, 20) if power * n >= wanted)
    return _multiples(step, low, high)


def _multiples(step: Fraction, low: float, high: float) -> list[float]:
    first, last = math.floor(Fraction(low) / step), math.floor(Fraction(high) / step) + 1
    edges = [step * n for n in range(first, last + 1)]
    floats = [float(edge) for edge in edges if abs(edge) <= sys.float_info.max]
    return [int(edge) if edge.is_integer() and abs(edge) < 2**53 else edge for edge in dict.fromkeys(floats)]


def moment_edges(low: datetime, high: datetime, *, is_date: bool) -> list[datetime]:
    """Return the same of dates or timestamps: multiples of a step of the clock or of days, from 1970 on."""
    wanted = (high - low).total_seconds() / BINS
    steps = [step for step in TIME_STEPS if step % DAY == 0 or not is_date]
    step = next((step for step in steps if step >= wanted), steps[-1])
    first, last = ((moment - EPOCH) // timedelta(seconds=step) for moment in (low, high))
    edges = []
    for n in range(first, last + 2):
        try:
            edges.append(EPOCH + timedelta(seconds=n * step))
        except OverflowError:  # before the year 1 or after 9999
            continue
    return edges
