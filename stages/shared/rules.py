"""What must hold between the parts of a contract, beyond the type of each."""

from __future__ import annotations

import re

from stages.runtime.contract import DIRECTIVES, Column, Contract, bound
from stages.shared.errors import did_you_mean

MOMENTS = ("date", "timestamp")


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
    if column.role == "weight" and (column.type not in ("integer", "number") or column.nullable):
        faults.append(".type: a weight should be a number and nullable: false")
    if column.formats and column.type not in MOMENTS:
        faults.append(f".formats: only for date and timestamp, not {column.type}")
    for form in column.formats:
        unknown = [word for word in re.findall(r"%.", form) if word not in DIRECTIVES]
        faults += [f".formats: {word} in {form!r} is not one of {', '.join(DIRECTIVES)}" for word in unknown]
    if column.pattern is not None:
        faults += _pattern_faults(column.pattern)
    return faults + _bound_faults(column)


def _pattern_faults(pattern: str) -> list[str]:
    """Return a fault where Python or RE2, the engine of tables, cannot read the pattern."""
    import duckdb

    try:
        re.compile(pattern)
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
            try:
                bound(column, limit)
            except ValueError:
                faults.append(f".{rule}: should be an ISO date, got {limit!r}")
        elif column.type not in ("integer", "number"):
            faults.append(f".{rule}: only for numbers and dates, not {column.type}")
        elif isinstance(limit, str):
            faults.append(f".{rule}: should be a number, got {limit!r}")
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
    if contract.task == "regression":
        return faults + ([] if target.type in ("integer", "number") else [f"{where}.type: regression needs a number"])
    values = target.values or []
    if target.type != "category" or len(values) < 2:
        return [*faults, f"{where}: a class target needs type: category and values: with each class, quoted"]
    if contract.task == "binary" and (len(values) != 2 or contract.positive not in values):
        given = f"{contract.positive!r}{did_you_mean(str(contract.positive), values)}"
        faults.append(f"positive: should be one of the two values of {targets[0]}, got {given}")
    return faults
