"""Infers numbers from texts: their form, the codes that only look like numbers, sentinels, generous bounds."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

from stages.runtime.contract import Column, parse
from tools.draft.columns import ENOUGH, SCREEN, SURE, UNSURE, Drafted, Habits, Texts, fits, marks, say_bad
from tools.draft.moments import find_moments
from tools.draft.vocabulary import CODES, TIMES, hints, names_id, words

FORMS = [(".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'")]
GROUPED = r"[^0-9]*[0-9]{1,3}(,[0-9]{3})+[^0-9]*"  # 1,234: thousands, unless the table has decimal commas


def infer_numbers(texts: Texts, real: list[tuple[str, int]], habits: Habits) -> Drafted | None:
    """Return the column as numbers of some form, or None where they are codes, dates or no numbers.

    Money wins over plain numbers where it reads at least half of what they do not; a stray percent sign does not.
    """
    if is_code(texts.name, real) or _looks_like_days(real):
        return None
    found: Drafted | None = None
    for kind, decimal, thousands in _number_kinds(real, habits):
        if found is None or (kind == "money" and found.n_bad):
            other = _as_numbers(texts, real, habits, kind, decimal, thousands)
            if other and (found is None or other.n_bad <= found.n_bad / 2):
                found = other
    return found


def _as_numbers(
    texts: Texts, real: list[tuple[str, int]], habits: Habits, kind: str, decimal: str, thousands: str
) -> Drafted | None:
    """Return the column as numbers of one form, or None where too many texts are not."""
    rows, column = sum(n for _, n in real), _column(kind, decimal, thousands)
    if fits(column, real[:SCREEN]) < 0.7 * sum(n for _, n in real[:SCREEN]):
        return None
    read = [(parse(column, text, frozenset())[0], n, text) for text, n in real]
    bad = [(text, n) for value, n, text in read if value is None]
    n_bad = sum(n for _, n in bad)
    if kind == "integer" and fits(_column("number", decimal, thousands), bad):
        return None
    own = _repeated_words(bad, rows, len(real) - len(bad)) if n_bad > (1 - ENOUGH) * rows else []
    n_bad -= sum(n for text, n in bad if text in own)
    if n_bad > (1 - ENOUGH) * rows:
        return None
    keys: dict[str, Any] = {"type": kind}
    if (decimal, thousands) != (habits.decimal, ""):
        keys |= {"decimal": decimal} | ({"thousands": thousands} if thousands else {})
    drafted = Drafted(texts, keys | {"missing": marks(texts, SURE | UNSURE | set(own))}, n_bad=n_bad)
    say_bad(drafted, [(text, n) for text, n in bad if text not in own], own)
    values = sorted(entry for entry in read if entry[0] is not None)
    _bounds(drafted, _without_sentinels(drafted, values, habits))
    return drafted


def _number_kinds(real: list[tuple[str, int]], habits: Habits) -> list[tuple[str, str, str]]:
    """Return (type, decimal, thousands) in the order in which they should be tried: better fits first."""
    screened = real[:SCREEN]
    seen = set(
        "".join(text for text, _ in screened).replace("\u00a0", " ").replace("\u202f", " ").replace("\u2019", "'")
    )
    possible = [
        (decimal, thousands)
        for decimal, thousands in FORMS
        if (decimal == habits.decimal or decimal in seen) and (not thousands or thousands in seen)
    ]
    in_groups = all("," not in text or re.fullmatch(GROUPED, text) for text, _ in screened)
    first = [(".", ""), (".", ",")] if habits.decimal == "." and in_groups else []
    possible.sort(key=lambda form: (form not in first, form[0] != habits.decimal, form[1] != ""))
    kinds = [("integer", habits.decimal, ""), *(("integer", *form) for form in possible if form[1])]
    for kind, is_possible in (("number", True), ("percent", "%" in seen), ("money", seen - set("0123456789.,+-eE'"))):
        if is_possible:
            tried = [(fits(_column(kind, *form), screened), -place, form) for place, form in enumerate(possible)]
            kinds += [(kind, *form) for _, _, form in sorted(tried, reverse=True)[:2]]
    return kinds


def _column(kind: str, decimal: str, thousands: str) -> Column:
    return Column(kind, decimal=decimal, thousands=thousands)  # type: ignore[arg-type]


def is_code(name: str, counts: list[tuple[str, int]]) -> bool:
    """Return whether digits name things rather than count them: leading zeros, too long, or a name such as zipcode."""
    rows = sum(n for _, n in counts)
    zeros = sum(n for text, n in counts if re.fullmatch("0[0-9]+", text))
    if zeros > 0.001 * rows or any(re.fullmatch("[0-9]{19,}", text) for text, _ in counts):
        return True
    is_whole = all(re.fullmatch("[0-9]+", text) for text, _ in counts[:SCREEN])
    return is_whole and len(counts) > 2 and (names_id(name) or bool(CODES & set(words(name)[-1:])))


def _looks_like_days(real: list[tuple[str, int]]) -> bool:
    """Return whether whole numbers read as 20140102: days of some hundred years, all of them."""
    if not all(re.fullmatch("(19|20)[0-9]{6}", text) for text, _ in real):
        return False
    found = find_moments(real, False)
    return found is not None and found.n_read == sum(n for _, n in real)


def _repeated_words(bad: list[tuple[str, int]], rows: int, n_numbers: int) -> list[str]:
    """Return texts without digits that stand often among numbers: the table's own words for missing."""
    own = [text for text, n in bad if n >= max(3, 0.005 * rows) and not any(c.isdigit() for c in text)]
    return own if len(own) <= 4 < 3 * len(own) + 4 < n_numbers and sum(n for _, n in bad) <= 0.4 * rows else []


def _without_sentinels(
    drafted: Drafted, values: list[tuple[Any, int, str]], habits: Habits
) -> list[tuple[Any, int, str]]:
    """Return (value, rows, text) in order without numbers that stand for missing; those go to `missing`."""
    for place in (0, -1):
        value = values[place][0] if values else 0
        same = [entry for entry in values if entry[0] == value]
        others = values[len(same) :] if place == 0 else values[: len(values) - len(same)]
        if len(others) > 2 and _is_sentinel(value, sum(n for _, n, _ in same), others, habits):
            drafted.keys["missing"] += [text for _, _, text in same]
            drafted.notes.append(f"{same[0][2]} ({sum(n for _, n, _ in same)} rows) taken for missing")
            values = others
    return values


def _is_sentinel(value: float, n: int, others: list[tuple[Any, int, str]], habits: Habits) -> bool:
    """Return whether a column's lowest or highest value is shaped like a marker, repeated, and far outside."""
    shape = f"{abs(value):.15g}"
    is_shaped = bool(re.fullmatch(r"([7-9])\1+|[1-9]0{2,}|999+(\.9+)?|-?32768|2147483647", shape))
    if not is_shaped or n < max(3, 0.0002 * sum(m for _, m, _ in others)):
        return False
    low, high = others[0][0], others[-1][0]
    is_far = (low - value if value < low else value - high) > max(high - low, 1)
    is_mode = n > 5 * max(m for _, m, _ in others)
    only_negative = value < 0 <= low
    return is_far or (only_negative and (is_mode or shape in habits.sentinels)) or (is_mode and set(shape) == {"9"})


def _bounds(drafted: Drafted, values: list[tuple[Any, int, str]]) -> None:
    """Add generous bounds: no negatives where there are none, and ten times the largest seen."""
    if not values:
        return
    drafted.low, drafted.high = low, high = values[0][0], values[-1][0]
    is_whole = drafted.type == "integer"
    if is_whole and low > 3e8 and high < 5e9 and hints(drafted.name, TIMES):
        drafted.notes.append("seconds since 1970? Bring them to dates in the source, and they order the rows")
    if low >= 1700 and high <= 2100 and is_whole and {"year", "yr", "jahr", "annee"} & set(words(drafted.name)):
        drafted.keys |= {"min": 1700, "max": 2100}
        return
    for degrees, wanted in ((90, {"lat", "latitude"}), (180, {"lon", "long", "lng", "longitude"})):
        if wanted & set(words(drafted.name)) and -degrees <= low and high <= degrees:
            drafted.keys |= {"min": -degrees, "max": degrees}
            return
    largest = ceiling(10 * max(abs(low), abs(high)), is_whole)
    drafted.keys |= {"min": 0 if low >= 0 else -largest, "max": largest}


LARGEST = 1e300  # a bound above could be too large for a number


def ceiling(value: float, is_whole: bool) -> float:
    """Return a number rounded up to its first digit."""
    if value <= 0:
        return 1
    if value > LARGEST:
        return sys.float_info.max
    step = 10.0 ** math.floor(math.log10(value))
    rounded = math.ceil(value / step - 1e-9) * step
    return int(rounded) if is_whole or rounded >= 1 else float(f"{rounded:.1g}")
