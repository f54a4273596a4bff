"""The forms in which values are written: every value as text, the patterns of each type, and the value of a text.

The patterns are read by two engines, Python's `re` and DuckDB's RE2, and mean the same to both.
"""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from .dates import ISO_FORMATS, moment_reader, timed
from .zones import OFFSET, offset_minutes, to_utc

if TYPE_CHECKING:
    from .contract import Column

OFFSET_END = f"(.+?) ?{OFFSET}"
MOMENTS = ("date", "timestamp")
NUMBERS = ("integer", "number", "money", "percent")
SPACE = " \t\n\r\f\v"  # stripped from both ends of every value; ASCII only, so that all engines agree
BOOLEAN = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}
# Unicode's category Sc, spelled out: Python has no name for it, and a later Unicode may add to it.
CURRENCIES = (
    "$¢£¤¥֏؋߾߿৲৳৻૱௹฿៛₠₡₢₣₤₥₦₧₨₩₪₫€₭₮₯₰₱₲₳₴₵₶₷₸₹₺₻₼₽₾₿⃀꠸﷼﹩＄￠￡￥￦"
    "\U00011fdd\U00011fde\U00011fdf\U00011fe0\U0001e2ff\U0001ecb0"
)
GAP = "[ \\t\\n\\r\\f\\v\u00a0\u202f]*"  # between a number and its sign of currency or percent
MARKS = {
    "": "",
    ",": ",",
    ".": "[.]",
    " ": "[ \u00a0\u202f]",
    "'": "['\u2019]",
}  # between thousands; no-break spaces too


def as_text(value: Any) -> str | None:
    """Return the one text form of a value from CSV, JSON, Parquet, Python or a DataFrame.

    None for missing: None, NaN, and what pandas and NumPy write for it (NaT, pandas.NA).
    """
    if value is None or value is False or value is True:
        return None if value is None else str(value).lower()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):  # Python writes no number of more than 4300 digits in base 10
        return str(value) if value.bit_length() < 10_000 else hex(value)
    if isinstance(value, float):
        return None if math.isnan(value) else _float_text(value)
    if isinstance(value, datetime | date):
        return None if value != value else str(value)  # NaT is a datetime that is not itself
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return _scalar_text(value)


def _scalar_text(value: Any) -> str | None:
    """Return the text of a value of another library, such as a NumPy scalar."""
    kind = str(getattr(value, "dtype", ""))
    if getattr(value, "ndim", 0):
        return str(value)
    if kind == "float32":  # its own digits, not those of the nearest double
        return as_text(float(str(value)))
    if kind.startswith("datetime64") and isinstance(value.item(), int):  # finer than Python's moments
        return as_text(value.astype("datetime64[us]").item())
    if hasattr(value, "item"):
        return as_text(value.item())
    if isinstance(value, Decimal) and value.is_nan():
        return None
    return None if type(value).__name__ == "NAType" else str(value)


def _float_text(value: float) -> str:
    text = repr(float(value))  # a NumPy float is a float, but says so in its own repr
    return text.removesuffix(".0")


def is_number(value: Any) -> bool:
    """Return whether a value is a number by itself, not the text of one."""
    if hasattr(value, "item"):
        value = value.item()
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


@cache
def number_pattern(kind: str, decimal: str, thousands: str) -> str:
    """Return the regular expression of a number; its group 1 is what is read, see `number_text`.

    Marks between thousands stand in groups of three, at every place or at none.
    """
    mark, point = MARKS[thousands], re.escape(decimal)
    if kind == "integer":
        grouped = f"[0-9]{{1,3}}(?:{mark}[0-9]{{3}}){{1,5}}|" if mark else ""
        return f"([+-]?(?:{grouped}[0-9]{{1,18}}))(?:{point}0*)?"
    grouped = f"[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+|" if mark else ""
    number = f"(?:(?:{grouped}[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    if kind == "money":
        return _money_pattern(number)
    return f"([+-]?{number})(?:{GAP}%)?" if kind == "percent" else f"([+-]?{number})"


def _money_pattern(number: str) -> str:
    """Return the pattern of money, its parentheses not yet paired: `number_text` does that."""
    currency = f"(?:[{CURRENCIES}]|[A-Z]{{3}})"
    first, last = f"(?:{currency}{GAP})?", f"(?:{GAP}{currency})?"
    before = rf"(?:(?:[+-]{GAP})?{first}|{currency}{GAP}[+-]{GAP}|{first}\({GAP}{first})"
    return rf"{before}({number}){last}(?:{GAP}\){last})?"


def number_text(kind: str, decimal: str, thousands: str, text: str) -> str | None:
    """Return the text that Python and DuckDB read as the number, or None where the pattern or a pair does not hold."""
    found = re.fullmatch(number_pattern(kind, decimal, thousands), text)
    if not found or (kind == "money" and ("(" in text) != (")" in text)):
        return None
    number = found[1]
    sign = "-" if kind == "money" and re.search(r"[(-]", text[: found.start(1)]) else ""
    if thousands:
        number = re.sub(MARKS[thousands], "", number)
    return sign + number.replace(decimal, ".")


def bound(column: Column, limit: float | str) -> Any:
    """Return a declared `min` or `max` in the column's own type."""
    if column.type == "date":
        return date.fromisoformat(str(limit))
    if column.type == "timestamp":
        return datetime.fromisoformat(str(limit))
    return limit if column.type == "integer" else float(limit)


def typed(column: Column, text: str) -> Any:
    """Return the text as the column's type, or None where it is not one."""
    if column.type in ("category", "text"):
        return text
    if column.type == "boolean":
        return BOOLEAN.get(text.lower())
    if column.type in NUMBERS:
        return _number(column, text)
    if column.timezone is not None:
        return _zoned_moment(column, text, column.timezone)
    return _moment(column.type, [*column.formats, *ISO_FORMATS[column.type]], text)


def _number(column: Column, text: str) -> int | float | None:
    plain = number_text(column.type, *column.marks, text)
    if plain is None or column.type == "integer":
        return None if plain is None else int(plain)
    number = float(plain)
    return number if math.isfinite(number) else None


def _moment(kind: str, forms: list[str], text: str) -> date | datetime | None:
    for form in forms:
        moment = moment_reader(form)(text)
        if moment is not None:
            return moment.date() if kind == "date" else moment
    return None


def _zoned_moment(column: Column, text: str, zone: str) -> datetime | None:
    """Return a moment in UTC: by the offset behind a time of day, or else as local time in the zone."""
    forms = [*column.formats, *ISO_FORMATS[column.type]]
    found = re.fullmatch(OFFSET_END, text)
    moment = _moment("timestamp", timed(forms), found[1]) if found else None
    if found and isinstance(moment, datetime):
        return to_utc(moment, offset_minutes(found[2]), zone)
    moment = _moment("timestamp", forms, text)
    return to_utc(moment, None, zone) if isinstance(moment, datetime) else None


def text_of(column: Column, value: Any) -> str | None:
    """Return the text of a value as the column writes it: a number is itself, whatever the decimal mark of texts."""
    text = as_text(value)
    is_own = text is not None and column.type in NUMBERS and column.marks[0] != "." and is_number(value)
    return text.replace(".", column.marks[0]) if text is not None and is_own else text
