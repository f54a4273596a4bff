"""Infers what a column is from its texts: missing markers, type, formats, closed sets of values.

Whatever is proposed is tried with the contract's own `parse`, so that the draft and the stage cannot disagree.
"""

from __future__ import annotations

import re
from typing import Any

from stages.runtime.contract import Column, parse
from tools.draft.amounts import infer_numbers
from tools.draft.columns import ENOUGH, NO_DATES, SCREEN, SURE, UNSURE, Drafted, Habits, Texts, marks, say_bad
from tools.draft.moments import find_moments

CLOSED_VALUES, CLOSED_SHARE = 10, 0.005  # a set of categories looks closed: so few, each in such a share of the rows


def infer(texts: Texts, habits: Habits) -> Drafted:
    """Return a column as proposed."""
    real = [(text, n) for text, n in texts.counts if text not in SURE and text not in UNSURE and text not in NO_DATES]
    drafted = _boolean(texts, real) or (infer_numbers(texts, real, habits) if _has_digits(real) else None)
    drafted = drafted or _moment(texts, real, habits) or _words(texts, habits)
    marked = sum(n for text, n in texts.counts if text in drafted.keys.get("missing", []))
    drafted.n_missing = texts.n_blank + marked
    drafted.decimal = habits.decimal
    if not drafted.n_missing and not drafted.n_bad:
        drafted.keys["nullable"] = False
    if drafted.n_bad:
        drafted.keys["on_violation"] = "null"
    return drafted


def _has_digits(counts: list[tuple[str, int]]) -> bool:
    screened = counts[:SCREEN]
    return bool(screened) and sum(any(c.isdigit() for c in text) for text, _ in screened) > 0.5 * len(screened)


def _moment(texts: Texts, real: list[tuple[str, int]], habits: Habits) -> Drafted | None:
    """Return the column as dates or timestamps, or None."""
    found = find_moments(real, habits.day_first)
    rows = sum(n for _, n in real)
    if found is None or found.n_read < ENOUGH * rows:
        return None
    keys: dict[str, Any] = {"type": found.type, "missing": marks(texts, SURE | UNSURE | NO_DATES)}
    if found.formats:
        keys["formats"] = found.formats
    if found.has_offsets:
        keys["timezone"] = "UTC"
    column = Column(found.type, formats=found.formats, timezone=keys.get("timezone"))  # type: ignore[arg-type]
    bad = [(text, n) for text, n in real if parse(column, text, frozenset())[1]]
    drafted = Drafted(texts, keys, n_bad=sum(n for _, n in bad), moments=found, low=found.low, high=found.high)
    say_bad(drafted, bad, [])
    if found.has_offsets:
        drafted.notes.append("texts without an offset are taken for UTC: name their zone if it is another")
    if found.is_ambiguous:
        drafted.notes.append(f"day or month first? No text decides; read as {found.formats[0]}")
    return drafted


def _boolean(texts: Texts, real: list[tuple[str, int]]) -> Drafted | None:
    """Return the column as boolean where it holds one pair of words for true and false, or None."""
    lowered = {text.lower() for text, _ in real}
    if lowered not in ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"0", "1"}):
        return None
    return Drafted(texts, {"type": "boolean", "missing": marks(texts, SURE | UNSURE)})


def _words(texts: Texts, habits: Habits) -> Drafted:
    """Return the column as category or text."""
    codes = sum(n for text, n in texts.counts if re.fullmatch("[A-Z]{2}", text))
    sure = SURE - ({"NA"} if habits.na_is_text and codes > 0.8 * sum(n for _, n in texts.counts) else set())
    sure -= {"-", "--", "---"} if any(re.fullmatch(r"[+\-]+", t) and t not in SURE for t, _ in texts.counts) else set()
    drafted = Drafted(texts, {"type": "category", "missing": marks(texts, sure)})
    present = drafted.present
    rows = sum(n for _, n in present) or 1
    lengths = sum(len(text) * n for text, n in present) / rows
    n_words = sum((text.count(" ") + 1) * n for text, n in present) / rows
    share = texts.n_distinct / max(texts.n_rows - texts.n_blank, 1)
    if sum(n for text, n in present if text[0] + text[-1] in ("{}", "[]")) > 0.9 * rows:
        drafted.keys["type"] = "text"
        drafted.notes.append("nested values, as JSON texts")
        return drafted
    if lengths > 60 or (share > 0.3 and texts.n_distinct > 20 and (n_words >= 2.5 or lengths > 40)):
        drafted.keys["type"] = "text"
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
