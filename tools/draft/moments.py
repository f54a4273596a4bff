"""Finds the formats of dates and timestamps by trying them on the texts of a column."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, time
from functools import cache

from stages.runtime.dates import DIRECTIVES, ISO_FORMATS, format_pattern
from stages.runtime.zones import OFFSET

DAYS = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y-%m", "%Y/%m",
    "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%m.%d.%Y", "%d.%m.%Y",
    "%m/%d/%y", "%d/%m/%y", "%m-%d-%y", "%d-%m-%y", "%m.%d.%y", "%d.%m.%y",
    "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y",
    "%d. %B %Y", "%d. %b %Y", "%b-%Y", "%b %Y", "%B %Y", "%b-%y", "%d%b%Y", "%a, %d %b %Y",
]  # fmt: skip
TIMES = [
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", "T%H:%M:%S.%f", "T%H:%M", "T%H%M%S", " %H%M%S",
    " %I:%M %p", " %I:%M:%S %p", " %I:%M%p", ", %H:%M", ", %I:%M %p", " %H.%M", " %H.%M.%S", "-%H:%M:%S",
    ":%H:%M:%S",
]  # fmt: skip
OFFSET_END = re.compile(f"(.*[0-9]:?[0-9]{{2}}(?:[.][0-9]+)?) ?{OFFSET}")
MAX_SHAPES, PER_SHAPE = 8, 300


@dataclass
class Moments:
    """How a column's texts read as moments."""

    type: str = "date"
    formats: list[str] = field(default_factory=list)  # those that ISO 8601 does not cover
    n_read: int = 0  # rows
    day_first: bool | None = None  # of formats such as 3/4/2024: proven either way, None without proof
    is_ambiguous: bool = False
    has_offsets: bool = False  # such as +02:00 or Z behind the time of day
    shapes: set[str] = field(default_factory=set)
    values: list[tuple[datetime, int]] = field(default_factory=list)  # (moment, rows)

    @property
    def low(self) -> datetime:
        """The first moment."""
        return min(self.values)[0]

    @property
    def high(self) -> datetime:
        """The last moment."""
        return max(self.values)[0]


def shape_of(text: str) -> str:
    """Return a text with runs of digits as 9 and of letters as a: texts of one format have one shape."""
    return re.sub(r"[^\W\d_]+", "a", re.sub("[0-9]+", "9", text))


def find_moments(counts: list[tuple[str, int]], prefers_day_first: bool) -> Moments | None:
    """Return how texts (with their numbers of rows) read as dates, or None where hardly any does."""
    likely = [(text, n) for text, n in counts if 6 <= len(text) <= 40 and len(re.findall("[0-9]", text)) >= 4]
    total = sum(n for _, n in counts)
    ends = [OFFSET_END.fullmatch(text) if ":" in text else None for text, _ in likely]
    likely = [(end[1] if end else text, n) for end, (text, n) in zip(ends, likely, strict=True)]
    if not likely or sum(n for _, n in likely) < 0.9 * total:
        return None
    shapes: dict[str, list[tuple[str, int]]] = {}
    for text, n in likely:
        shapes.setdefault(shape_of(text), []).append((text, n))
    found = Moments(has_offsets=any(ends))
    kinds: set[str] = set()
    for shape, texts in sorted(shapes.items(), key=lambda item: (-len(item[1]), item[0]))[:MAX_SHAPES]:
        _read_shape(shape, texts, prefers_day_first, found, kinds)
    if not found.n_read:
        return None
    found.type = "timestamp" if "timestamp" in kinds or found.has_offsets else "date"
    found.formats = [form for form in dict.fromkeys(found.formats) if form not in ISO_FORMATS[found.type]]
    return found


def _read_shape(
    shape: str, texts: list[tuple[str, int]], prefers_day_first: bool, found: Moments, kinds: set[str]
) -> None:
    """Add to `found` how the texts of one shape are read, if they are."""
    tried = texts[:PER_SHAPE]
    scores = {form: sum(_reads(form, text) is not None for text, _ in tried) for form in _forms_of(shape)}
    scores = {form: score for form, score in scores.items() if score >= 0.9 * len(tried) or _swapped(form) in scores}
    if not scores or max(scores.values()) < 0.9 * len(tried):
        return
    best = max(scores.values())
    tied = [form for form, score in scores.items() if score == best]
    day_first = [form for form in tied if _order(form) == "day"]
    month_first = [form for form in tied if _order(form) == "month"]
    if day_first and month_first:
        firsts, seconds = ({re.findall("[0-9]+", text)[place] for text, _ in texts} for place in (0, 1))
        found.is_ambiguous = True  # one day of each month, such as the first, is a hint and no proof
        is_day = len(firsts) == 1 if len(firsts) == 1 < len(seconds) or len(seconds) == 1 < len(firsts) else None
        form = day_first[0] if (prefers_day_first if is_day is None else is_day) else month_first[0]
    else:
        form = tied[0]
        if _order(form) and _swapped(form) in scores:
            found.day_first = _order(form) == "day"
    values = [(value, n) for text, n in texts if (value := _reads(form, text)) is not None]
    found.n_read += sum(n for _, n in values)
    found.formats.append(form)
    found.shapes.add(shape)
    kinds.add("timestamp" if any(value.time() != time() for value, _ in values) else "date")
    found.values += values


@cache
def _forms_of(shape: str) -> list[str]:
    """Return the formats whose texts have a shape."""
    sample = datetime(2011, 10, 12, 11, 14, 15, 160000)
    forms = [day + clock for day in DAYS for clock in TIMES]
    return [form for form in forms if shape_of(sample.strftime(form)) == shape]


def _reads(form: str, text: str) -> datetime | None:
    """Return the moment that the contract reads from a text by one format, None where it does not or has no sense."""
    if not _pattern(form).fullmatch(text):
        return None
    try:
        moment = datetime.strptime(text, form)
    except ValueError:
        return None
    return moment if 1600 <= moment.year <= 2300 else None


@cache
def _pattern(form: str) -> re.Pattern[str]:
    """Return the contract's pattern of a format; with a directive that the contract lacks, one that never fits."""
    known = all(directive in DIRECTIVES for directive in re.findall("%.", form))
    return re.compile(format_pattern(form) if known else "(?!)")


def _order(form: str) -> str | None:
    """Return which part of a format such as %d/%m/%Y comes first; None where no other order could be meant."""
    parts = re.match(r"%([dm])[-/.]%([dm])[-/.]%[Yy]", form)
    return None if parts is None else "day" if parts[1] == "d" else "month"


def _swapped(form: str) -> str | None:
    if _order(form) is None:
        return None
    return form.replace("%d", "%x").replace("%m", "%d").replace("%x", "%m")
