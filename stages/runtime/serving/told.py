"""What a violation tells a client: the rule as the contract declares it, never the value that broke it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from ..contract import Column, Contract, Violation
from .dialects.refused import RULES

MOST_VALUES = 20
NEAR = 64  # a longer name is not compared with the columns'
MOST_NEAR = 20  # names of one refusal that are
MOST_COMPARED = 300  # pairs of a name and a column, of a hundredth of a millisecond each, while nobody is answered


def told(contract: Contract, violation: Violation, near: Mapping[str, str]) -> str:
    """Return one sentence that says what the value should be; `near` is what `nearest` found."""
    if violation.rule == "unknown":
        return "is no column of the contract" + near.get(violation.column, "")
    if violation.rule == "check":
        rule = contract.rules.get(violation.column)
        return f"should hold: {rule.check}" if rule else "should hold"
    fixed = FIXED.get(violation.rule)
    if fixed is not None:
        return fixed
    column = contract.columns.get(violation.column)
    return _declared(column, violation.rule) if column else "should be taken by the model's transformer"


FIXED = RULES | {
    "required": "should not be missing",
    "object": "should be an object of columns and values",
    "text_length": "should be a shorter text",
    "transformer": "should be taken by the model's transformer",
}


def _declared(column: Column, rule: str) -> str:
    if rule == "type":
        return f"should be of type {column.type}" + (f", as {' or '.join(column.formats)}" if column.formats else "")
    if rule == "values":
        values = column.values or []
        shown = ", ".join(map(repr, values[:MOST_VALUES]))
        return f"should be one of {shown}" + (f" or {len(values) - MOST_VALUES} more" * (len(values) > MOST_VALUES))
    if rule == "pattern":
        return f"should match {column.pattern}"
    limit = getattr(column, rule, None)
    text = {"min": "at least", "max": "at most", "min_length": "at least", "max_length": "at most"}.get(rule, rule)
    return f"should be {text} {limit}" + (" characters long" if rule.endswith("length") else "")


def nearest(contract: Contract, names: Iterable[str]) -> dict[str, str]:
    """Return the question after the column that a name may stand for, of the first of these names."""
    found = {}
    inputs = contract.inputs
    n_names = max(1, min(MOST_NEAR, MOST_COMPARED // max(1, len(inputs))))
    for name in list(dict.fromkeys(names))[:n_names]:
        near = get_close_matches(name, inputs, 1) if len(name) <= NEAR else []
        found[name] = f"; did you mean {near[0]!r}?" if near else ""
    return found
