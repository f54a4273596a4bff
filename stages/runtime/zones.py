"""Time zones: local moments to UTC, as DuckDB's own calendar has them.

The rules come from the `tzdata` package, never from the machine: a machine's may be years old, and then a request would
be read otherwise than the table that the model was fitted on.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

OFFSET = r"(Z|[+-](?:0[0-9]|1[0-9]|2[0-3])(?::?[0-5][0-9])?)"  # as it may stand behind a time of day


@cache
def zone_names() -> frozenset[str]:
    """Return the IANA names that a contract may use."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def find_zone(name: str) -> tzinfo:
    """Return the zone of an IANA name or of a fixed offset such as `+02:00`. Raises ValueError for any other text."""
    if re.fullmatch(OFFSET, name):
        return timezone(timedelta(minutes=offset_minutes(name)))
    if name == "UTC":
        return UTC
    if name not in zone_names():
        raise ValueError(f"no time zone {name!r}")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def offset_minutes(offset: str) -> int:
    """Return the minutes of an offset that has the form of `OFFSET`."""
    if offset == "Z":
        return 0
    minutes = 60 * int(offset[1:3]) + (int(offset[-2:]) if len(offset) > 3 else 0)
    return -minutes if offset[0] == "-" else minutes


def to_utc(moment: datetime, minutes: int | None, zone: str) -> datetime | None:
    """Return a moment in UTC, without its zone: by its own offset in minutes, or else as local time in `zone`.

    A time that the clocks skipped is moved on by the gap, one that they showed twice is the second of the two, as in
    DuckDB (ICU). None where UTC is not in the years 1 to 9999.
    """
    try:
        if minutes is not None:
            return moment - timedelta(minutes=minutes)
        found = find_zone(zone)
        offsets = (moment.replace(fold=fold, tzinfo=found).utcoffset() for fold in (0, 1))
        return max(moment - offset for offset in offsets if offset is not None)
    except OverflowError:
        return None
