"""The columns of a contract, as cards describe them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stages.shared.cards.facts import Fact
from stages.shared.cards.files import CONTRACT, Report
from stages.shared.cards.parts import table


class Column(NamedTuple):
    """A column's name and what the contract says of it."""

    name: Fact
    says: Fact


def columns_of(report: Report) -> dict[str, Column]:
    """Return the columns by name, in the source's order."""
    pairs = [Column(pair[0], pair[1]) for pair in report.of(CONTRACT)["columns"]]
    return {pair.name.value: pair for pair in pairs}


def described(columns: dict[str, Column], names: Iterable[str], with_role: bool = False) -> list[str]:
    """Return a table of some columns: type, unit, whether it is sensitive, description; with its role, if asked."""
    rows = []
    for name, says in (columns[name] for name in names):
        texts = [f"{says[key]}" if says[key] else "" for key in ("unit", "description")]
        role = [f"{says['role']}"] if with_role else []
        sensitive = "yes" if says["sensitive"] else ""
        rows.append([f"{name:code}", f"{says['type']}", *role, texts[0], sensitive, texts[1]])
    return table(["column", "type", *["role"] * with_role, "unit", "sensitive", "description"], rows)
