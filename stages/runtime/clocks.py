"""Moments of many rows at once, as NumPy's datetime64: ISO texts in, parts and hours out, as moments.py has them.

A third form of those operations, thirty times as fast as the row form: a moment a row is otherwise half the work.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .contract import Column
from .dates import ISO_FORMATS
from .forms import bound
from .moments import HOUR
from .operation import Feature

if TYPE_CHECKING:
    import numpy as np

Moments = Any  # datetime64 by day or second, NaT for missing
SHAPES = {"date": "0000-00-00", "timestamp": "0000-00-00 00:00:00"}
FILLER = "2000-01-01 00:00:00"


def moments_reader(column: Column, missing: frozenset[str]) -> Callable[[list[Any]], Moments | None] | None:
    """Return the function from values as sent to moments, or to None where one is not ISO, or not as the contract says.

    None in its place where a format of the column's own may read an ISO text otherwise, or one stands for missing.
    """
    shape = SHAPES.get(column.type)
    own = [form for form in column.formats if form not in ISO_FORMATS.get(column.type, [])]
    if shape is None or column.timezone or not all(_is_apart(form) for form in own):
        return None
    if any(len(word) == len(shape) for word in missing):
        return None
    low, high = (None if limit is None else bound(column, limit) for limit in (column.min, column.max))

    def read(values: list[Any]) -> Moments | None:
        import numpy as np

        absent = [at for at, value in enumerate(values) if value is None] if None in values else []
        if absent:
            if not column.nullable:
                return None
            values = [FILLER[: len(shape)] if value is None else value for value in values]
        if set(map(type, values)) != {str} or set(map(len, values)) != {len(shape)}:
            return None
        found = _parsed("".join(values), shape, len(values))
        if found is None:
            return None
        if absent:
            found[absent] = np.datetime64("NaT")
        is_low = low is not None and (found < np.datetime64(low)).any()
        is_high = high is not None and (found > np.datetime64(high)).any()
        return None if is_low or is_high else found

    return read


def _is_apart(form: str) -> bool:
    """Return whether a format surely has a character that no ISO text has."""
    return any(char not in "0123456789-: T" for char in form.replace("%%", "%").split("%")[0]) or any(
        char not in "0123456789-: T" for part in form.split("%")[1:] for char in part[1:]
    )


def _parsed(text: str, shape: str, n_rows: int) -> Moments | None:
    """Return the moments that texts of one length, joined, are; None where one is not of the shape, or no such day."""
    import numpy as np

    content = text.encode()
    if len(content) != n_rows * len(shape):
        return None
    chars = np.frombuffer(content, np.uint8).reshape(n_rows, len(shape))
    for place, char in enumerate(shape):
        column = chars[:, place]
        if char == "0":
            is_right = (column >= ord("0")) & (column <= ord("9"))
        else:
            is_right = column == ord(char) if char != " " else (column == ord(" ")) | (column == ord("T"))
        if not is_right.all():
            return None
    if not (chars[:, :4] != ord("0")).any(axis=1).all():  # the year 0
        return None
    try:
        return np.frombuffer(content, f"S{len(shape)}").astype("datetime64[s]" if len(shape) > 10 else "datetime64[D]")
    except ValueError:  # no such day or time
        return None


def _part(part: str) -> Callable[[Moments], np.ndarray[Any, Any]]:
    def of(moments: Moments) -> np.ndarray[Any, Any]:
        import numpy as np

        days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
        numbers = {
            "hour": lambda: (moments - days).astype("timedelta64[s]").astype(np.int64) // 3600,
            "weekday": lambda: (days.astype(np.int64) + 3) % 7 + 1,
            "day": lambda: (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
            "month": lambda: months.astype(np.int64) % 12 + 1,
            "year": lambda: moments.astype("datetime64[Y]").astype(np.int64) + 1970,
        }[part]()
        return np.where(np.isnat(moments), np.nan, numbers)

    return of


def hours(end: Moments, start: Moments) -> np.ndarray[Any, Any]:
    """Return the hours from one moment to the other."""
    import numpy as np

    span = end.astype("datetime64[us]") - start.astype("datetime64[us]")
    return np.where(np.isnat(span), np.nan, span.astype(np.int64) / HOUR)


def clock(feature: Feature) -> Callable[..., np.ndarray[Any, Any]] | None:
    """Return the function from the moments of the feature's columns to its values, None where it has none."""
    import numpy as np

    if feature["op"] == "part":
        return _part(feature["part"])
    if feature["op"] != "hours_since":
        return None
    if "moment" in feature:
        fixed = np.datetime64(datetime.fromisoformat(feature["moment"]), "us")
        return lambda moments: hours(moments, fixed)
    return hours
