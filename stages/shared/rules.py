"""What must hold between the parts of a contract, beyond the type of each."""

from __future__ import annotations

import math
import re
from datetime import date, datetime

from stages.runtime.contract import Column, Contract, parse
from stages.runtime.forms import DIRECTIVES, MOMENTS, bound
from stages.shared.errors import did_you_mean

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
    return faults + _target_faults(contract)


def _column_faults(name: str, column: Column) -> list[str]:
    faults = []
    if name.startswith("_"):
        faults.append(": names that begin with '_' are ours")
    if column.role == "drop" and not column.reason:
        faults.append(".reason: a dropped column needs one")
    if column.role == "time" and column.type not in MOMENTS:
        faults.append(f".type: a time column should be a date or timestamp, got {column.type!r}")
    if column.role == "weight" and (column.type not in ("integer", "number") or column.min is None):
        faults.append(": a weight should be a number with min: 0 or more")
    if column.role == "weight" and isinstance(column.min, int | float) and column.min < 0:
        faults.append(f".min: a weight should not be below 0, got {column.min}")
    if column.formats and column.type not in MOMENTS:
        faults.append(f".formats: only for date and timestamp, not {column.type}")
    for form in column.formats:
        faults += [f".formats: {form!r} {fault}" for fault in _format_faults(form, column)]
    for rule in ("pattern", "values"):
        if getattr(column, rule) is not None and column.type not in ("category", "text"):
            faults.append(f".{rule}: only for category and text, not {column.type}")
    if column.values is not None and not all(column.values):
        faults.append(".values: an empty one can never stand in a row; leave the column nullable")
    if column.values == []:
        faults.append(".values: should name at least one")
    if column.pattern is not None:
        faults += _pattern_faults(column.pattern)
    return faults + _bound_faults(column)


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
        elif column.type != "number":
            faults.append(f".{rule}: only for numbers and dates, not {column.type}")
        elif isinstance(limit, str) or not math.isfinite(limit):
            faults.append(f".{rule}: should be a number, got {limit!r}")
    return faults


def _is_iso(column: Column, limit: float | str) -> bool:
    try:
        moment = bound(column, limit)
    except ValueError:
        return False
    return isinstance(limit, str) and getattr(moment, "tzinfo", None) is None


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
        return faults + ([] if target.type in ("integer", "number") else [f"{where}.type: regression needs a number"])
    values = target.values or []
    if target.type != "category" or len(values) < 2:
        return [*faults, f"{where}: a class target needs type: category and values: with each class, quoted"]
    if contract.task == "binary" and (len(values) != 2 or contract.positive not in values):
        given = f"{contract.positive!r}{did_you_mean(str(contract.positive), values)}"
        faults.append(f"positive: should be one of the two values of {targets[0]}, got {given}")
    return faults
