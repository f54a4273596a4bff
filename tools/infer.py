"""Infers what a column is from its texts: missing markers, type, formats, bounds, closed sets of values.

Whatever is proposed is tried with the contract's own `parse`, so that the draft and the stage cannot disagree.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from stages.runtime.contract import Column, Type, parse
from tools.moments import Moments, find_moments
from tools.vocabulary import CODES, names_id, word_set, words

SURE = word_set(
    "? ?? ??? NA N/A #N/A #NA n/a na N.A. n.a. NULL Null null (null) NaN nan NAN NaT <NA> \\N - -- ---"
    " #VALUE! #DIV/0! #REF! #NUM!"
)
UNSURE = word_set(
    "None none NONE nil Nil . .. ... missing Missing MISSING unknown Unknown UNKNOWN * ** x X inf Infinity undefined"
    " Undefined"
) | {"not available", "Not Available", "not recorded", "no data", "No data"}
NO_DATES = {"0000-00-00", "0000-00-00 00:00:00", "9999-12-31", "9999-12-31 00:00:00", "1900-01-01", "00/00/0000"}
ENOUGH = 0.95  # share of a column's texts that must fit a type; the rest is set aside or made missing
SCREEN = 400  # texts on which a type is tried first
CLOSED_VALUES, CLOSED_SHARE = 10, 0.005  # a set of categories looks closed: so few, each in such a share of the rows
FORMS = [(".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'")]
TYPES = get_args(Type)


@dataclass
class Texts:
    """One column of the sample: its distinct texts, stripped and not blank, most frequent first."""

    name: str
    counts: list[tuple[str, int]]  # (text, rows); the rarest may be left out
    n_rows: int
    n_blank: int
    n_distinct: int


@dataclass
class Habits:
    """What the whole table does, which decides where one column does not say."""

    decimal: str = "."
    day_first: bool = False
    sentinels: frozenset[str] = frozenset()
    na_is_text: bool = False  # NA stands among two-letter codes: Namibia, North America


@dataclass
class Drafted:
    """A column as proposed: the keys of conf/data, and what the person should know beside them."""

    texts: Texts
    keys: dict[str, Any]  # of Column, without those at their defaults
    notes: list[str] = field(default_factory=list)
    n_bad: int = 0  # rows whose text does not fit the type
    n_missing: int = 0
    low: Any = None
    high: Any = None
    decimal: str = "."  # of the source
    shared_missing: list[str] = field(default_factory=list)  # markers that stand in `source` instead
    moments: Moments | None = None

    @property
    def name(self) -> str:
        """The column's name."""
        return self.texts.name

    @property
    def type(self) -> str:
        """The proposed type."""
        return str(self.keys["type"])

    @property
    def present(self) -> list[tuple[str, int]]:
        """The texts that mean something."""
        missing = [*self.keys.get("missing", []), *self.shared_missing]
        return [(text, n) for text, n in self.texts.counts if text not in missing]


def infer(texts: Texts, habits: Habits) -> Drafted:
    """Return a column as proposed."""
    real = [(text, n) for text, n in texts.counts if text not in SURE and text not in UNSURE and text not in NO_DATES]
    drafted = _boolean(texts, real) or (_numeric(texts, real, habits) if _has_digits(real) else None)
    drafted = drafted or _moment(texts, real, habits) or _words(texts, habits)
    marked = sum(n for text, n in texts.counts if text in drafted.keys.get("missing", []))
    drafted.n_missing = texts.n_blank + marked
    drafted.decimal = habits.decimal
    if not drafted.n_missing and not drafted.n_bad:
        drafted.keys["nullable"] = False
    if drafted.n_bad:
        drafted.keys["on_violation"] = "null"
    return drafted


def fits(column: Column, counts: list[tuple[str, int]]) -> int:
    """Return how many rows of (text, rows) the contract accepts in a column."""
    return sum(n for text, n in counts if parse(column, text, frozenset())[1] is None)


def _has_digits(counts: list[tuple[str, int]]) -> bool:
    screened = counts[:SCREEN]
    return bool(screened) and sum(any(c.isdigit() for c in text) for text, _ in screened) > 0.5 * len(screened)


def _marks(texts: Texts, chosen: set[str] | frozenset[str]) -> list[str]:
    return [text for text, _ in texts.counts if text in chosen]


def _numeric(texts: Texts, real: list[tuple[str, int]], habits: Habits) -> Drafted | None:
    """Return the column as numbers of some form, or None where they are codes, dates or no numbers."""
    if is_code(texts.name, real) or _looks_like_days(real):
        return None
    rows = sum(n for _, n in real)
    for kind, decimal, thousands in _number_kinds(real, habits):
        form = {} if (decimal, thousands) == (habits.decimal, "") or kind == "integer" else {"decimal": decimal}
        form |= {"thousands": thousands} if thousands else {}
        column = _column(kind, decimal, thousands)
        if fits(column, real[:SCREEN]) < 0.7 * sum(n for _, n in real[:SCREEN]):
            continue
        bad = [(text, n) for text, n in real if parse(column, text, frozenset())[1]]
        n_bad = sum(n for _, n in bad)
        if kind == "integer" and fits(_column("number", decimal, thousands), bad):
            continue
        own = _repeated_words(bad, rows) if n_bad > (1 - ENOUGH) * rows else []
        n_bad -= sum(n for text, n in bad if text in own)
        if n_bad > (1 - ENOUGH) * rows:
            continue
        drafted = Drafted(
            texts, {"type": kind, **form, "missing": _marks(texts, SURE | UNSURE | set(own))}, n_bad=n_bad
        )
        _say_bad(drafted, [(text, n) for text, n in bad if text not in own], own)
        values = sorted((parse(column, text, frozenset())[0], n, text) for text, n in real if (text, n) not in bad)
        _bounds(drafted, _without_sentinels(drafted, values, habits))
        return drafted
    return None


def _number_kinds(real: list[tuple[str, int]], habits: Habits) -> list[tuple[str, str, str]]:
    """Return (type, decimal, thousands) in the order in which they should be tried: better fits first."""
    screened = real[:SCREEN]
    ordered = sorted(FORMS, key=lambda form: (form[0] != habits.decimal, form[1] != ""))
    if habits.decimal == "." and all(re.fullmatch(r"[^0-9]*[0-9]{1,3}(,[0-9]{3})+[^0-9]*", t) or "," not in t
                                     for t, _ in screened):  # fmt: skip
        ordered = sorted(ordered, key=lambda form: form not in ((".", ""), (".", ",")))
    kinds = [("integer", habits.decimal, "")]
    for kind in ("number", "percent", "money"):
        if kind in TYPES:
            tried = [(fits(_column(kind, *form), screened), -place, form) for place, form in enumerate(ordered)]
            kinds += [(kind, *form) for _, _, form in sorted(tried, reverse=True)[:2]]
    return kinds


def _column(kind: str, decimal: str, thousands: str) -> Column:
    extra = {"decimal": decimal, "thousands": thousands} if "decimal" in Column.__dataclass_fields__ else {}
    return Column(kind, **extra)  # type: ignore[arg-type]


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


def _repeated_words(bad: list[tuple[str, int]], rows: int) -> list[str]:
    """Return texts without digits that stand often among numbers: the table's own words for missing."""
    own = [text for text, n in bad if n >= max(3, 0.005 * rows) and not any(c.isdigit() for c in text)]
    return own if len(own) <= 4 and sum(n for _, n in bad) <= 0.4 * rows else []


def _say_bad(drafted: Drafted, bad: list[tuple[str, int]], own: list[str]) -> None:
    if own:
        drafted.notes.append(f"{', '.join(map(repr, own))} taken for missing")
    if bad:
        examples = ", ".join(repr(text) for text, _ in bad[:3])
        drafted.notes.append(f"{sum(n for _, n in bad)} rows are no {drafted.type}, such as {examples}: made missing")


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
    if not is_shaped or n < max(3, 0.001 * sum(m for _, m, _ in others)):
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
    if low >= 1700 and high <= 2100 and is_whole and {"year", "yr", "jahr", "annee"} & set(words(drafted.name)):
        drafted.keys |= {"min": 1700, "max": 2100}
        return
    for degrees, wanted in ((90, {"lat", "latitude"}), (180, {"lon", "long", "lng", "longitude"})):
        if wanted & set(words(drafted.name)) and -degrees <= low and high <= degrees:
            drafted.keys |= {"min": -degrees, "max": degrees}
            return
    largest = ceiling(10 * max(abs(low), abs(high)), is_whole)
    drafted.keys |= {"min": 0 if low >= 0 else -largest, "max": largest}


def ceiling(value: float, is_whole: bool) -> float:
    """Return a number rounded up to its first digit."""
    if value <= 0:
        return 1
    step = 10.0 ** math.floor(math.log10(value))
    rounded = math.ceil(value / step - 1e-9) * step
    return int(rounded) if is_whole or rounded >= 1 else float(f"{rounded:.1g}")


def _moment(texts: Texts, real: list[tuple[str, int]], habits: Habits) -> Drafted | None:
    """Return the column as dates or timestamps, or None."""
    found = find_moments(real, habits.day_first)
    rows = sum(n for _, n in real)
    if found is None or found.n_read < ENOUGH * rows:
        return None
    keys: dict[str, Any] = {"type": found.type, "missing": _marks(texts, SURE | UNSURE | NO_DATES)}
    if found.formats:
        keys["formats"] = found.formats
    column = Column(found.type, formats=found.formats)  # type: ignore[arg-type]
    bad = [(text, n) for text, n in real if parse(column, text, frozenset())[1]]
    drafted = Drafted(texts, keys, n_bad=sum(n for _, n in bad), moments=found, low=found.low, high=found.high)
    _say_bad(drafted, bad, [])
    if found.is_ambiguous:
        drafted.notes.append(f"day or month first? No text decides; read as {found.formats[0]}")
    return drafted


def _boolean(texts: Texts, real: list[tuple[str, int]]) -> Drafted | None:
    """Return the column as boolean where it holds one pair of words for true and false, or None."""
    lowered = {text.lower() for text, _ in real}
    if lowered not in ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"0", "1"}):
        return None
    return Drafted(texts, {"type": "boolean", "missing": _marks(texts, SURE | UNSURE)})


def _words(texts: Texts, habits: Habits) -> Drafted:
    """Return the column as category or text."""
    codes = sum(n for text, n in texts.counts if re.fullmatch("[A-Z]{2}", text))
    sure = SURE - ({"NA"} if habits.na_is_text and codes > 0.8 * sum(n for _, n in texts.counts) else set())
    sure -= {"-", "--", "---"} if any(re.fullmatch(r"[+\-]+", t) and t not in SURE for t, _ in texts.counts) else set()
    drafted = Drafted(texts, {"type": "category", "missing": _marks(texts, sure)})
    present = drafted.present
    rows = sum(n for _, n in present) or 1
    lengths = sum(len(text) * n for text, n in present) / rows
    n_words = sum((text.count(" ") + 1) * n for text, n in present) / rows
    share = texts.n_distinct / max(texts.n_rows - texts.n_blank, 1)
    if present and (lengths > 60 or (share > 0.3 and texts.n_distinct > 20 and (n_words >= 2.5 or lengths > 40))):
        drafted.keys["type"] = "text"
        if sum(n for text, n in present if text[0] in "{[" and text[-1] in "]}") > 0.9 * rows:
            drafted.notes.append("nested values, as JSON texts")
        return drafted
    smallest = min((n for _, n in present), default=0)
    is_closed = 2 <= len(present) <= CLOSED_VALUES and smallest >= max(5, CLOSED_SHARE * rows)
    if is_closed:
        drafted.keys["values"] = sorted(text for text, _ in present)
    elif present:
        drafted.notes.append(f"{texts.n_distinct} values, left open")
    folded: dict[str, list[str]] = {}
    for text, _ in present:
        folded.setdefault(text.casefold(), []).append(text)
    twins = [same for same in folded.values() if len(same) > 1]
    if twins:
        drafted.notes.append(f"spelled in two ways: {' and '.join(map(repr, twins[0][:3]))}")
    return drafted


def observed(value: Any) -> str:
    """Return a value as a comment shows it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes").removesuffix(" 00:00")
    return f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
