"""Pieces of a card's Markdown: tables, intervals, what is stated, what nobody stated."""

from __future__ import annotations

from collections.abc import Sequence

from stages.shared.cards.facts import Fact


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table and an empty one; nothing where it has no rows."""
    if not rows:
        return []
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]


def titled(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table below a line that says what it shows; nothing where it has no rows."""
    return [title, "", *table(header, rows)] if rows else []


def section(title: str, lines: Sequence[str]) -> list[str]:
    """Return a section; nothing where it has no lines."""
    return [f"## {title}", "", *lines] if lines else []


def interval(row: Fact | None) -> str:
    """Return a value with its interval."""
    if row is None:
        return ""
    if row["value"].value is None:
        return "no value"
    return f"{row['value']:.6g} [{row['low']:.6g}, {row['high']:.6g}]"


def stated(label: str, texts: Fact, key: str, table: Fact) -> list[str]:
    """Return what is stated of a table under a key, a text or a list of them, or plainly that nobody stated it."""
    found = texts.value.get(key)
    if not found:
        inner = ".".join([*texts.keys[2:], key])
        return [f"**{label}.** Nobody has stated it: `{inner}` of {table:code} under `tables` in conf/packaging.", ""]
    if isinstance(found, list):
        return [f"**{label}**", "", *(f"- {texts.facts.said(text)}" for text in texts[key]), ""]
    return [f"**{label}.** {texts.facts.said(texts[key])}", ""]


def licence(texts: Fact, table: Fact) -> list[str]:
    """Return the licence, linked where a link is stated."""
    link = texts.get("licence_link")
    if link is None or not texts["licence"]:
        return stated("Licence", texts, "licence", table)
    return [f"**Licence.** {texts['licence']}, {link}", ""]


def joined(facts: Sequence[Fact], form: str = "code") -> str:
    """Return facts beside each other, with commas."""
    return ", ".join(format(fact, form) for fact in facts)
