"""Markdown that no name or value of a table can break."""

from __future__ import annotations

import json
import re
from typing import Any


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table; cells may hold Markdown, bars in them are escaped."""
    every = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in every]


def code(text: str) -> str:
    """Return a name as code, whatever it holds: more backticks around than inside, one line."""
    flat = " ".join(text.split()) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def value(found: Any) -> str:
    """Return a value of a configuration as code, `nothing` for none."""
    if found is None:
        return "nothing"
    return code(found if isinstance(found, str) else json.dumps(found, default=str, ensure_ascii=False))


def plain(text: str) -> str:
    """Return a text of others as one line that is no Markdown: what Git, DVC or a server said."""
    return re.sub(r"([\\`*_<>\[\]|#~@])", r"\\\1", " ".join(text.split()))


def details(summary: str, lines: list[str]) -> list[str]:
    """Return lines that are folded until a reader asks for them."""
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"]


def number(found: float | None, digits: int = 4, signed: bool = False) -> str:
    """Return a number in few characters: decimals below a million, `–` for none."""
    if found is None:
        return "–"
    sign = "+" if signed else ""
    return f"{found:{sign}.{digits}f}" if abs(found) < 1000 else f"{found:{sign},.6g}"
