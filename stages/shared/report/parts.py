"""Pieces of a page: escaped text, sections, tables that a reader can sort, hidden details."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

TEXT = ' class="text"'  # of a cell whose content may break into lines


class Html(str):
    """Text that is markup already."""


def markup(content: Any) -> str:
    """Return content as markup: `Html` as it is, all else escaped, None as a dash."""
    if isinstance(content, Html):
        return content
    return "–" if content is None else escape(str(content))


def number(value: Any, sign: str = "") -> str:
    """Return a number as people read it, four digits that count; `sign` "+" shows it; anything else as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:{sign},}"
    if 1e4 <= abs(value) < 1e12:
        digits = 4 - len(f"{abs(value):.0f}")
        return f"{round(value, digits):{sign},.0f}"
    return f"{value:{sign}.4g}"


def interval(row: dict[str, Any] | None, signed: bool = False) -> Html:
    """Return a cell of value and interval, sorted by the value; a dash where nothing was measured."""
    if not row or row.get("value") is None:
        return Html("<td>–</td>")
    sign = "+" if signed else ""
    around = ""
    if row.get("low") is not None:
        around = f" <small>[{number(row['low'], sign)}, {number(row['high'], sign)}]</small>"
    return Html(f'<td data-v="{row["value"]!r}">{number(row["value"], sign)}{around}</td>')


def cell(content: Any) -> str:
    """Return a table cell; numbers sort as numbers, `interval` and `Html("<td>...")` stay as they are."""
    if isinstance(content, Html) and content.startswith("<td"):
        return content
    if isinstance(content, int | float) and not isinstance(content, bool):
        return f'<td data-v="{content!r}">{number(content)}</td>'
    if isinstance(content, str) and " " in content:
        return f"<td{TEXT}>{markup(content)}</td>"
    return f"<td>{markup(content)}</td>"


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Html:
    """Return a table with a caption, that scrolls sideways by itself; a click on a header sorts it."""
    bodies = [[f'<th scope="row">{markup(row[0])}</th>', *map(cell, row[1:])] for row in rows]
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in bodies)
    heads = "".join(
        f'<th scope="col"{TEXT * first.startswith(f"<td{TEXT}")}><button type="button">{escape(name)}</button></th>'
        for name, first in zip(header, bodies[0] if bodies else header, strict=True)
    )
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table class="sorts">'
        f"<caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )


def paragraph(content: Any, kind: str = "") -> Html:
    """Return a paragraph."""
    return Html(f"<p{f' class={kind}' if kind else ''}>{markup(content)}</p>\n")


def details(summary: str, content: Any) -> Html:
    """Return content that opens on demand."""
    return Html(f"<details><summary>{escape(summary)}</summary>{markup(content)}</details>\n")


def section(name: str, title: str, contents: Iterable[Any]) -> Html:
    """Return a section that the page's index can link to; empty where it has no contents."""
    inside = "".join(map(markup, contents))
    if not inside:
        return Html("")
    return Html(f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>\n{inside}</section>\n')


def badge(passed: bool | None, words: str) -> Html:
    """Return a word that says by text and colour how something came out; None: neither good nor bad."""
    kind = {True: "good", False: "bad", None: "open"}[passed]
    return Html(f'<span class="badge {kind}">{escape(words)}</span>')
