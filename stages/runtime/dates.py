"""The formats of dates and timestamps: their shapes, and the moment of a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial

# Accepted besides a column's own formats, so that a request may always speak ISO 8601.
ISO_FORMATS = {
    "date": ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"],
    "timestamp": [
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f",
        "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d",
    ],
}  # fmt: skip
DIRECTIVES = {
    "%Y": "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})",  # 1 to 9999; engines differ on the year 0
    "%y": "[0-9]{2}", "%m": "[0-9]{1,2}", "%d": "[0-9]{1,2}", "%H": "[0-9]{1,2}",
    "%I": "[0-9]{1,2}", "%M": "[0-9]{1,2}", "%S": "[0-9]{1,2}", "%f": "[0-9]{1,6}", "%p": "[AaPp][Mm]",
    "%b": "[A-Za-z]{3}", "%B": "[A-Za-z]{3,9}",
}  # fmt: skip
DIGITS = re.compile("[0-9]+")
PARTS = ["%Y", "%m", "%d", "%H", "%M", "%S"]


def format_pattern(form: str) -> str:
    """Return the regular expression of a date format: the shape that every engine is asked to accept.

    Directives with nothing between them have full width, or engines would divide the digits differently.
    """
    parts = re.split(r"(%[A-Za-z])", form)
    pattern = "".join(DIRECTIVES.get(part, "") if part.startswith("%") else re.escape(part) for part in parts)
    return re.sub(r"\{1,([0-9])\}", r"{\1}", pattern) if re.search("%[A-Za-z]%[A-Za-z]", form) else pattern


def timed(forms: list[str]) -> list[str]:
    """Return the formats that have a time of day, behind which an offset may stand."""
    return [form for form in forms if "%H" in form or "%I" in form]


@cache
def moment_reader(form: str) -> Callable[[str], datetime | None]:
    """Return the function from a text to the moment that it writes in a format, None where it writes none.

    As `datetime.strptime` of texts of the format's shape; many times as fast where all parts are numbers apart.
    """
    matches = re.compile(format_pattern(form)).fullmatch
    directives = re.findall("%[A-Za-z]", form.replace("%y", "%Y"))
    is_plain = len(directives) > 2 and sorted(directives) == sorted(PARTS[: len(directives)])
    if form in ISO_FORMATS["timestamp"]:
        read: Callable[[str], datetime | None] = _iso
    elif is_plain and not re.search("%[A-Za-z]%|%%|[0-9]", form):
        read = _numbers_reader([directives.index(part) for part in PARTS[: len(directives)]], "%y" in form)
    else:
        read = partial(_strptime, form)

    def read_whole(text: str) -> datetime | None:
        if not matches(text):
            return None
        try:
            return read(text)
        except ValueError:  # no such day; or ISO with numbers of one digit
            return _strptime(form, text)

    return read_whole


def _iso(text: str) -> datetime:
    if text[11:13] == "24":  # which later versions of Python take for the next day's 0
        raise ValueError
    return datetime.fromisoformat(text)


def _numbers_reader(places: list[int], has_short_year: bool) -> Callable[[str], datetime]:
    """Return the function from a text to the moment whose year, month, ... are its numbers at `places`."""

    def read(text: str) -> datetime:
        numbers = DIGITS.findall(text)
        year, *others = [int(numbers[place]) for place in places]
        century = 0 if not has_short_year else 2000 if year < 69 else 1900
        return datetime(century + year, *others)  # type: ignore[arg-type]

    return read


def _strptime(form: str, text: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None
