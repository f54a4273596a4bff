"""What must hold between the parts of a contract, beyond the type of each."""

from __future__ import annotations

import math
import re
from datetime import date, datetime

from stages.runtime.contract import Column, Contract, parse
from stages.runtime.dates import DIRECTIVES
from stages.runtime.expression import ExpressionFault, parse_expression
from stages.runtime.forms import MOMENTS, NUMBERS, bound
from stages.runtime.zones import find_zone, zone_names
from stages.shared.errors import did_you_mean

RESERVED = ("_row", "_split")  # columns of our own in kept.parquet
TEXTS = ("category", "text")
LARGEST_INTEGER = 10**18
ISO_SAMPLE = datetime(2012, 3, 4, 5, 6, 7)


def contract_faults(contract: Contract) -> list[str]:
    """Return every fault of a contract as `key: what is wrong`, in the file's order."""
    faults = []
    for name, column in contract.columns.items():
        faults += [f"columns.{name}{fault}" for fault in _column_faults(name, column)]
    folded = [name.lower() for name in contract.columns]
    faults += [
        f"columns.{name}: another column differs only in case"
        for name, low in zip(contract.columns, folded, strict=True)
        if folded.count(low) > 1
    ]
    return faults + _target_faults(contract) + _rule_faults(contract)


def _column_faults(name: str, column: Column) -> list[str]:
    faults = []
    if name.lower() in RESERVED:
        faults.append(f": the names {' and '.join(RESERVED)} are ours")
    if column.role == "drop" and not column.reason:
        faults.append(".reason: a dropped column needs one")
    if column.role == "time" and column.type not in MOMENTS:
        faults.append(f".type: a time column should be a date or timestamp, got {column.type!r}")
    if column.role == "weight" and (column.type not in NUMBERS or column.min is None):
        faults.append(": a weight should be a number with min: 0 or more")
    if column.role == "weight" and isinstance(column.min, int | float) and column.min < 0:
        faults.append(f".min: a weight should not be below 0, got {column.min}")
    if column.formats and column.type not in MOMENTS:
        faults.append(f".formats: only for date and timestamp, not {column.type}")
    for form in column.formats:
        faults += [f".formats: {form!r} {fault}" for fault in _format_faults(form, column)]
    for rule in ("pattern", "values", "min_length", "max_length"):
        if getattr(column, rule) is not None and column.type not in TEXTS:
            faults.append(f".{rule}: only for category and text, not {column.type}")
    if column.values is not None and not all(column.values):
        faults.append(".values: an empty one can never stand in a row; leave the column nullable")
    if column.values == []:
        faults.append(".values: should name at least one")
    if column.pattern is not None:
        faults += _pattern_faults(column.pattern)
    return faults + _form_faults(column) + _bound_faults(column) + _action_faults(column)


def _form_faults(column: Column) -> list[str]:
    """Return what is wrong with the marks of numbers, the time zone and the texts for missing."""
    faults = [
        f".{key}: only for {', '.join(NUMBERS)}, not {column.type}"
        for key in ("decimal", "thousands")
        if getattr(column, key) is not None and column.type not in NUMBERS
    ]
    decimal, thousands = column.marks
    if decimal == thousands:
        faults.append(f".thousands: should differ from the decimal mark, both are {decimal!r}")
    if column.timezone is not None and column.type != "timestamp":
        faults.append(f".timezone: only for timestamp, not {column.type}")
    elif column.timezone is not None:
        faults += _zone_faults(column.timezone)
    return faults


def _zone_faults(zone: str) -> list[str]:
    try:
        find_zone(zone)
    except ValueError:
        known = "an IANA name, UTC, or an offset such as +02:00"
        return [f".timezone: should be {known}, got {zone!r}{did_you_mean(zone, zone_names())}"]
    return []


def _action_faults(column: Column) -> list[str]:
    if column.on_violation != "null":
        return []
    if column.role in ("target", "time", "group", "weight", "key"):
        return [f".on_violation: a {column.role} column cannot do without values, so it cannot be null"]
    if column.unique:
        return [".on_violation: null cannot mend a repeated value; unique needs quarantine or fail"]
    return [] if column.nullable else [".on_violation: null needs a nullable column"]


def _format_faults(form: str, column: Column) -> list[str]:
    """Return why Python and DuckDB would not read a date format alike, or not read it at all."""
    directives = re.findall(r"%.", form)
    unknown = [word for word in directives if word not in DIRECTIVES]
    if unknown:
        return [f"has {', '.join(unknown)}; known are {', '.join(DIRECTIVES)}"]
    faults = [] if directives else ["has no directive such as %Y"]
    if len(set(directives)) < len(directives):
        faults.append("names a part twice")
    if ("%I" in directives) != ("%p" in directives) or {"%H", "%p"} <= set(directives):
        faults.append("should have %I and %p together, or %H")
    if faults or column.type not in MOMENTS:
        return faults
    for text in (f"{ISO_SAMPLE:%Y-%m-%d}", str(ISO_SAMPLE)):
        value, rule = parse(Column(column.type, formats=[form]), text, frozenset())
        day = value.date() if isinstance(value, datetime) else value
        if rule is None and day != date(ISO_SAMPLE.year, ISO_SAMPLE.month, ISO_SAMPLE.day):
            return [f"would read the ISO date {text!r} as {day}; bring the source to ISO first"]
    return []


def _pattern_faults(pattern: str) -> list[str]:
    """Return a fault where Python and RE2, the engine of tables, would not read the pattern alike, or not at all."""
    import duckdb

    differs = re.search(r"\\[sSvZzA]|\{,|\[\[:|\(\?(?!:)", pattern)
    if differs:
        return [f".pattern: {differs.group()!r} does not mean the same on rows and on tables; spell it out"]
    try:
        re.compile(pattern, re.ASCII)
        duckdb.execute("SELECT regexp_full_match('', ?)", [pattern])
    except (re.error, duckdb.Error) as error:
        return [f".pattern: not a regular expression: {str(error).splitlines()[0]}"]
    return []


def _bound_faults(column: Column) -> list[str]:
    faults = []
    for rule, limit in (("min", column.min), ("max", column.max)):
        if limit is None:
            continue
        if column.type in MOMENTS:
            faults += [] if _is_iso(column, limit) else [f".{rule}: should be an ISO date, quoted, got {limit!r}"]
        elif column.type == "integer":
            is_whole = isinstance(limit, int) and abs(limit) < LARGEST_INTEGER
            faults += [] if is_whole else [f".{rule}: should be a whole number below 10^18, got {limit!r}"]
        elif column.type not in NUMBERS:
            faults.append(f".{rule}: only for numbers and dates, not {column.type}")
        elif isinstance(limit, str) or not math.isfinite(limit):
            faults.append(f".{rule}: should be a number, got {limit!r}")
    if not faults and column.min is not None and column.max is not None and _is_above(column, column.min, column.max):
        faults.append(f".min: should be at most max, got {column.min!r} and {column.max!r}")
    if column.min_length is not None and column.max_length is not None and column.min_length > column.max_length:
        faults.append(f".min_length: should be at most max_length, got {column.min_length} and {column.max_length}")
    return faults


def _is_above(column: Column, low: float | str, high: float | str) -> bool:
    return bool(bound(column, low) > bound(column, high))


def _is_iso(column: Column, limit: float | str) -> bool:
    try:
        moment = bound(column, limit)
    except ValueError:
        return False
    return isinstance(limit, str) and getattr(moment, "tzinfo", None) is None


def _rule_faults(contract: Contract) -> list[str]:
    """Return the rules over several columns that cannot be read, or name what is not there."""
    faults = []
    for name, rule in contract.rules.items():
        if name in contract.columns:
            faults.append(f"rules.{name}: a column has this name")
        try:
            parse_expression(rule.check, contract.types)
        except ExpressionFault as fault:
            hint = ""
            if fault.unknown in contract.columns:
                hint = "; it is dropped"
            elif fault.unknown is not None:
                hint = did_you_mean(fault.unknown, contract.types)
            faults.append(f"rules.{name}.check: {fault}{hint}")
    return faults


def _target_faults(contract: Contract) -> list[str]:
    targets = contract.with_role("target")
    if len(targets) != 1:
        return [f"columns: exactly one should have role: target, got {', '.join(targets) or 'none'}"]
    once = {role: contract.with_role(role) for role in ("time", "group", "weight")}
    faults = [
        f"columns: at most one should have role: {role}, got {', '.join(names)}"
        for role, names in once.items()
        if len(names) > 1
    ]
    if not contract.with_role("feature", "time"):
        faults.append("columns: none has role: feature")
    target = contract.columns[targets[0]]
    where = f"columns.{targets[0]}"
    if contract.task != "binary" and contract.positive is not None:
        faults.append("positive: only for task: binary")
    if contract.task == "regression":
        return faults + ([] if target.type in NUMBERS else [f"{where}.type: regression needs a number"])
    values = target.values or []
    if target.type != "category" or len(values) < 2:
        return [*faults, f"{where}: a class target needs type: category and values: with each class, quoted"]
    if contract.task == "binary" and (len(values) != 2 or contract.positive not in values):
        given = f"{contract.positive!r}{did_you_mean(str(contract.positive), values)}"
        faults.append(f"positive: should be one of the two values of {targets[0]}, got {given}")
    return faults
