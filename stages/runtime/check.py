"""`check_row` of contract.py for one contract, many times as fast: what most values are is read the short way.

A short way returns the typed value, or LONG where it is not sure; then `parse` decides, which alone finds violations. A
property test holds both equal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from .contract import Column, Contract, Violation, parse
from .dates import ISO_FORMATS, moment_reader
from .expression import columns_of, evaluate, parse_expression
from .forms import MOMENTS, NUMBERS, as_text, bound, text_of

LONG: Final = object()
WHOLE = 10**15  # up to here a float says a whole number digit by digit
Short = Callable[[Any], Any]
Check = Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[Violation]]]


def compile_check(contract: Contract, names: list[str]) -> Check:
    """Return the function from a record to what `check_row` returns of it."""
    shared, known = frozenset(contract.missing), frozenset(contract.columns)
    columns = []
    for name in names:
        column = contract.columns[name]
        missing = shared.union(column.missing)
        columns.append((name, column, missing, short_way(column, missing)))
    rules = compiled_rules(contract, names)

    def check(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[Violation]]:
        violations: list[Violation] = []
        if not known.issuperset(record):
            violations = [Violation(str(key), "unknown", as_text(record[key])) for key in record if key not in known]
        values = {}
        get = record.get
        for name, column, missing, short in columns:
            given = get(name)
            value = short(given)
            if value is LONG:
                text = text_of(column, given)
                value, rule = parse(column, text, missing)
                if rule:
                    violations.append(Violation(name, rule, text, column.on_violation or "null"))
            values[name] = value
        if rules:
            violations += rules(record, values)
        return values, violations

    return check


def compiled_rules(
    contract: Contract, names: list[str]
) -> Callable[[Mapping[str, Any], Mapping[str, Any]], list[Violation]] | None:
    """Return the function to the rules over several columns that a row breaks, None where there are none to look at."""
    nodes = [(name, rule, parse_expression(rule.check, contract.types)) for name, rule in contract.rules.items()]
    ready = [(name, rule, node, list(columns_of(node))) for name, rule, node in nodes]
    ready = [each for each in ready if set(each[3]) <= set(names)]

    def broken(record: Mapping[str, Any], values: Mapping[str, Any]) -> list[Violation]:
        found = []
        for name, rule, node, involved in ready:
            if evaluate(node, values) is False:
                texts = [f"{key}={text_of(contract.columns[key], record.get(key)) or ''}" for key in involved]
                found.append(Violation(name, "check", ", ".join(texts), rule.on_violation))
        return found

    return broken if ready else None


def short_way(column: Column, missing: frozenset[str]) -> Short:
    """Return the function from a value to what `parse` makes of it, or LONG."""
    absent = None if column.nullable else LONG
    if column.type in ("category", "text"):
        return _text(column, missing, absent)
    if column.type in MOMENTS:
        return (
            (lambda value: absent if value is None else LONG) if column.timezone else _moment(column, missing, absent)
        )
    if any(as_text(word) and _looks_like_a_value(word) for word in missing):  # -1 may mean missing here
        return lambda value: absent if value is None else LONG
    if column.type == "boolean":
        return lambda value: value if value is True or value is False else absent if value is None else LONG
    assert column.type in NUMBERS
    return _number(column, absent)


def _looks_like_a_value(word: str) -> bool:
    """Return whether a number or a boolean may be written so, or nearly so."""
    return re.search("[0-9]", word) is not None or word.lower() in ("true", "false")


def _number(column: Column, absent: Any) -> Short:
    low = -math.inf if column.min is None else bound(column, column.min)
    high = math.inf if column.max is None else bound(column, column.max)
    if column.type == "integer":

        def whole(value: Any) -> Any:
            if type(value) is float and -WHOLE < value < WHOLE and value == int(value):
                value = int(value)
            if type(value) is int:
                return value if -WHOLE < value < WHOLE and low <= value <= high else LONG
            return absent if value is None else LONG

        return whole

    def number(value: Any) -> Any:
        if type(value) is float:
            return value if low <= value <= high and value - value == 0.0 else LONG  # neither infinite nor NaN
        if type(value) is int:
            return float(value) if -WHOLE < value < WHOLE and low <= value <= high else LONG
        return absent if value is None else LONG

    return number


def _text(column: Column, missing: frozenset[str], absent: Any) -> Short:
    if column.values is not None:
        accepted = {value: value for value in column.values if parse(column, value, missing) == (value, None)}

        def level(value: Any) -> Any:
            if type(value) is int:
                value = str(value) if -WHOLE < value < WHOLE else LONG
            if type(value) is str:
                return accepted.get(value, LONG)
            return absent if value is None else LONG

        return level
    matches = None if column.pattern is None else re.compile(column.pattern, re.ASCII).fullmatch
    fewest, most = column.min_length or 1, math.inf if column.max_length is None else column.max_length

    def text(value: Any) -> Any:
        if type(value) is int and -WHOLE < value < WHOLE:
            value = str(value)
        if type(value) is str and value and value[0] > " " and value[-1] > " " and value not in missing:
            is_right = fewest <= len(value) <= most and (matches is None or matches(value))
            return value if is_right else LONG
        return absent if value is None else LONG

    return text


def _moment(column: Column, missing: frozenset[str], absent: Any) -> Short:
    readers = [moment_reader(form) for form in dict.fromkeys([*column.formats, *ISO_FORMATS[column.type]])]
    low, high = (None if limit is None else bound(column, limit) for limit in (column.min, column.max))
    is_date = column.type == "date"

    def moment(value: Any) -> Any:
        if type(value) is not str or value in missing:
            return absent if value is None else LONG
        for read in readers:
            found: Any = read(value)
            if found is not None:
                found = found.date() if is_date else found
                return found if (low is None or low <= found) and (high is None or found <= high) else LONG
        return LONG

    return moment
