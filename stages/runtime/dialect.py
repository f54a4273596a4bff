"""How the source's CSV is written: declared, never guessed, so that a table to be scored is read like it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

RESERVED = ("_row", "_split")  # what prepare adds to a table


@dataclass(frozen=True)
class Dialect:
    """The characters of a CSV; `escape` is empty where a quote within quotes is doubled."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    header: bool = True
    encoding: str = "utf-8"


def column_names(fields: Iterable[str]) -> list[str]:
    """Return the names of columns from the fields of a header.

    One without a name is `column_N`, its place from 1; a name that stands twice, in whatever case, or is one of ours,
    gets `_2`, `_3`, ...
    """
    names: list[str] = []
    taken = set(RESERVED)
    for place, text in enumerate(fields, start=1):
        base = name = text.strip() or f"column_{place}"
        number = 1
        while name.lower() in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name.lower())
        names.append(name)
    return names
