"""A column on its way to a contract: its texts, what is proposed for it, and the words that often mean missing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stages.runtime.contract import Column, parse
from tools.draft.moments import Moments
from tools.draft.vocabulary import word_set

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
SCREEN = 200  # texts on which a type is tried first


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
    before: dict[str, Any] = field(default_factory=dict)  # the keys of a dropped column
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


def fits(column: Column, counts: list[tuple[str, int]]) -> int:
    """Return how many rows of (text, rows) the contract accepts in a column."""
    return sum(n for text, n in counts if parse(column, text, frozenset())[1] is None)


def marks(texts: Texts, chosen: Collection[str]) -> list[str]:
    """Return those of the chosen texts that stand in a column."""
    return [text for text, _ in texts.counts if text in chosen]


def say_bad(drafted: Drafted, bad: list[tuple[str, int]], own: list[str]) -> None:
    """Note what does not fit the type, and words that were taken for missing."""
    if own:
        drafted.notes.append(f"{', '.join(map(repr, own))} taken for missing")
    if bad:
        examples = ", ".join(repr(text) for text, _ in bad[:3])
        drafted.notes.append(f"{sum(n for _, n in bad)} rows are no {drafted.type}, such as {examples}: made missing")


def observed(value: Any) -> str:
    """Return a value as a comment shows it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes").removesuffix(" 00:00")
    return f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
