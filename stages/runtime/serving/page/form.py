"""The form of the page: a field for each column that the model reads."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from ...contract import Column, Contract
from ...expression import columns_of, parse_expression
from ...forms import NUMBERS, as_text

PICKED = {
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?",
}
KINDS = {"date": "a date", "timestamp": "a date with a time", "boolean": "true or false", "integer": "a whole number"}


def texts(contract: Contract, record: dict[str, Any]) -> list[str]:
    """Return the text that each field shows of a record, empty for missing."""
    found = []
    for name in contract.inputs:
        text = as_text(record.get(name)) or ""
        found.append(text.replace(" ", "T", 1) if contract.columns[name].type == "timestamp" else text)
    return found


def fields(contract: Contract, shown: list[list[str]]) -> str:
    """Return the fields, filled with the first of the example rows `shown`, empty where there is none."""
    made = []
    for place, name in enumerate(contract.inputs):
        column, values = contract.columns[name], [row[place] for row in shown]
        unit = f' <span class="unit">{escape(column.unit)}</span>' if column.unit else ""
        made.append(
            f'<div class="field"><label for="f{place}">{escape(name)}{unit}</label>'
            f"{_control(place, name, column, values)}"
            f'<p class="hint" id="h{place}">{escape(hint(column))}</p><p class="fault" id="e{place}"></p></div>'
        )
    return "\n".join(made)


def hint(column: Column) -> str:
    """Return what a field's value should be, for people."""
    parts = [column.description, expected(column)]
    parts.append("may be left empty" if column.nullable or column.on_violation == "null" else "must be given")
    return "; ".join(filter(None, parts))


def expected(column: Column) -> str:
    """Return the kind and the limits of a column's values."""
    kind = KINDS.get(column.type, "a number" if column.type in NUMBERS else "")
    limits = ""
    low, high = as_text(column.min), as_text(column.max)
    if low is not None and high is not None:
        limits = f"from {low} to {high}"
    elif low is not None or high is not None:
        limits = f"at least {low}" if high is None else f"at most {high}"
    zone = f"in {column.timezone} unless it ends in an offset" if column.timezone else ""
    return " ".join(filter(None, [kind, limits, zone]))


def involved(contract: Contract) -> dict[str, list[str]]:
    """Return the columns of each rule over several columns."""
    return {
        name: sorted(set(columns_of(parse_expression(rule.check, contract.types))))
        for name, rule in contract.rules.items()
    }


def _control(place: int, name: str, column: Column, values: list[str]) -> str:
    """Return the input of a column. Numbers are typed as text: a browser's number field drops what it cannot read."""
    value = values[0] if values else ""
    common = f'id="f{place}" name="{escape(name)}" aria-describedby="h{place} e{place}" data-type="{column.type}"'
    if column.type == "boolean":
        return _select(common, ["true", "false"], value)
    if column.values is not None:
        return _select(common, column.values, value)
    if column.type == "text":
        return f'<textarea {common} rows="2">{escape(value)}</textarea>'
    shape = PICKED.get(column.type)
    if shape and not column.timezone and all(re.fullmatch(shape, each) for each in values if each):
        kind = "date" if column.type == "date" else "datetime-local"
        return f'<input type="{kind}" {common} step="{"any" if kind == "date" else 1}" value="{escape(value)}">'
    mode = ' inputmode="decimal"' if column.type in NUMBERS else ""
    return f'<input {common}{mode} autocomplete="off" spellcheck="false" value="{escape(value)}">'


def _select(common: str, options: list[str], value: str) -> str:
    shown = ""
    for option in ["", *options]:
        chosen = " selected" if option == value else ""
        shown += f'<option value="{escape(option)}"{chosen}>{escape(option) or "(missing)"}</option>'
    return f"<select {common}>{shown}</select>"
