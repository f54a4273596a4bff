"""What differences say: corrected for their number, the smallest that could be seen, pairs of right and wrong."""

from __future__ import annotations

import math
from statistics import NormalDist

LEVEL = 0.05  # of one false "better" or "worse" among all that are tested together
POWER = 0.8  # with which the smallest difference that could be seen would be
NORMAL = NormalDist()


def holm(p_values: list[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order (Holm 1979, Scand. J. Statist. 6:65)."""
    corrected, worst, n = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, place in enumerate(sorted(range(n), key=lambda place: p_values[place])):
        worst = max(worst, min(1.0, (n - rank) * p_values[place]))
        corrected[place] = worst
    return corrected


def smallest_seen(error: float, n_tests: int) -> float:
    """Return the true difference that would be seen in `POWER` of test sets like this one.

    `error` is the standard error of the difference; the level is `LEVEL / n_tests`, Holm's strictest step.
    """
    return error * (NORMAL.inv_cdf(1 - LEVEL / n_tests / 2) + NORMAL.inv_cdf(POWER))


def two_sided(z: float) -> float:
    """Return the two-sided p-value of a standard normal deviate."""
    return math.erfc(abs(z) / math.sqrt(2))


def mcnemar(now_right: int, now_wrong: int) -> float:
    """Return the exact two-sided p-value of as many rows turning right as wrong (McNemar 1947, by the binomial)."""
    n, fewer = now_right + now_wrong, min(now_right, now_wrong)
    if n > 1000:  # the normal approximation with continuity correction is exact to three digits there
        return two_sided(max(0.0, abs(now_right - now_wrong) - 1) / math.sqrt(n))
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / (1 << n))


def paired_shares(now_right: int, now_wrong: int, n_rows: int) -> tuple[float, float]:
    """Return the 95% interval of the difference of two paired shares (Bonett & Price 2012, JEBS 37:479)."""
    up, down = (now_right + 1) / (n_rows + 2), (now_wrong + 1) / (n_rows + 2)
    half = NORMAL.inv_cdf(0.975) * math.sqrt((up + down - (up - down) ** 2) / (n_rows + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def judged(difference: float, p_corrected: float, is_higher_better: bool | None) -> str:
    """Return better, worse or cannot tell; `changed` where it is not known which way is better."""
    if p_corrected > LEVEL:
        return "cannot tell"
    if is_higher_better is None:
        return "changed"
    return "better" if (difference > 0) == is_higher_better else "worse"
