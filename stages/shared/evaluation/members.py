"""Which test rows belong to which slice: declared ones, values of sensitive columns, and pairs of both.

The columns are the raw values in data/prepare/kept.parquet. A condition that is unknown for a row (a missing value)
leaves the row out; what is missing in a sensitive column is a slice of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier, literal
from stages.runtime.expression import ExpressionFault, Rule, parse_expression
from stages.runtime.expression_sql import expression_sql
from stages.runtime.forms import MOMENTS, NUMBERS
from stages.shared.errors import did_you_mean
from stages.shared.evaluation.demands import TableConf
from stages.shared.tables import connect, parquet, read_arrays

Array = np.ndarray[Any, Any]
KEPT = Path("data/prepare/kept.parquet")
MOST_LEVELS = 20  # of a sensitive category; the rarer ones are one slice together
FEWEST = 10  # rows of a sensitive slice whose number is told, as in the profile
MISSING = " is missing"
QUARTERS = [0.25, 0.5, 0.75]


@dataclass(frozen=True)
class Slice:
    """A named subset of the test rows."""

    name: str
    kind: str  # declared, sensitive, intersection
    is_inside: Array  # (n_rows,)
    family: tuple[str, ...]  # the declared slices or sensitive columns that it comes from
    is_sensitive: bool


def slice_faults(table: TableConf, contract: Contract, where: str) -> list[str]:
    """Return what is wrong with the declared slices and edges of a table."""
    faults = []
    for name, check in table.slices.items():
        faults += expression_faults(check, contract, f"{where}.slices.{name}")
    for name, edges in table.edges.items():
        if name not in sensitive_columns(contract):
            known = sensitive_columns(contract)
            faults.append(f"{where}.edges.{name}: no sensitive column{did_you_mean(name, known)}")
        elif contract.columns[name].type not in NUMBERS:
            faults.append(f"{where}.edges.{name}: a {contract.columns[name].type} has no edges")
        elif not edges or any(a >= b for a, b in pairwise(edges)):
            faults.append(f"{where}.edges.{name}: should be ascending numbers, got {edges}")
    return faults


def expression_faults(check: str, contract: Contract, where: str) -> list[str]:
    """Return why an expression cannot be read, none where it can."""
    try:
        parse_expression(check, contract.types)
    except ExpressionFault as fault:
        hint = did_you_mean(fault.unknown, contract.types) if fault.unknown else ""
        return [f"{where}: {fault}{hint}"]
    return []


def sensitive_columns(contract: Contract) -> list[str]:
    """Return the sensitive columns that have values to tell people apart by: not keys, not the target, no free text."""
    return [
        name
        for name in contract.checked
        if contract.columns[name].sensitive
        and contract.columns[name].role not in ("key", "target")
        and contract.columns[name].type != "text"
    ]


def find_members(contract: Contract, table: TableConf, numbers: Array) -> list[Slice]:
    """Return every slice of the rows with these numbers: declared, by sensitive column, pairs of different ones.

    A value that the contract declares is a slice though no row has it.
    """
    conditions = {name: (condition_sql(check, contract), name) for name, check in table.slices.items()}
    n_declared = len(conditions)
    for name in sensitive_columns(contract):
        conditions |= {label: (sql, name) for label, sql in _levels(contract, name, table.edges.get(name)).items()}
    masks = read_masks({label: sql for label, (sql, _) in conditions.items()}, numbers)
    single = [
        Slice(label, "sensitive" if nth >= n_declared else "declared", masks[label], (family,), nth >= n_declared)
        for nth, (label, (_, family)) in enumerate(conditions.items())
    ]
    single = [each for each in single if each.is_inside.any() or not each.name.endswith(MISSING)]
    return single + [_pair(a, b) for a, b in combinations(single, 2) if a.family != b.family]


def _pair(a: Slice, b: Slice) -> Slice:
    is_sensitive = a.is_sensitive or b.is_sensitive
    name = f"{a.name} & {b.name}"
    return Slice(name, "intersection", a.is_inside & b.is_inside, a.family + b.family, is_sensitive)


def condition_sql(check: str, contract: Contract) -> str:
    """Return an expression of the contract's rule language as SQL over kept.parquet."""
    asking = dataclasses.replace(contract, rules={"asked": Rule(check)})
    return expression_sql(asking, "asked", {name: identifier(name) for name in contract.checked})


def read_masks(conditions: Mapping[str, str], numbers: Array) -> dict[str, Array]:
    """Return where each SQL condition is true, shape (n_rows,), for the rows with these numbers."""
    if not conditions:
        return {}
    columns = ", ".join(f"coalesce({sql}, FALSE) AS m{nth}" for nth, sql in enumerate(conditions.values()))
    found = read_test_rows(columns, numbers)
    return {name: found[f"m{nth}"].astype(bool) for nth, name in enumerate(conditions)}


def read_test_rows(columns: str, numbers: Array) -> dict[str, Array]:
    """Return expressions over the raw test rows as arrays, in the order of `numbers`."""
    arrays = read_arrays(f"{parquet(KEPT)} WHERE _split = 'test' ORDER BY _row", f"_row, {columns}")
    places = np.searchsorted(arrays["_row"], numbers)
    return {name: array[places] for name, array in arrays.items()}


def _levels(contract: Contract, name: str, edges: Sequence[float] | None) -> dict[str, str]:
    """Return {name of a slice: SQL condition} for the values of a sensitive column."""
    kind, column = contract.columns[name].type, identifier(name)
    if kind in NUMBERS or kind in MOMENTS:
        found = _between(name, edges or _quartiles(name, kind))
    elif kind == "boolean":
        found = {f"{name} = true": column, f"{name} = false": f"NOT {column}"}
    else:
        found = _values(name, contract.columns[name].values or [])
    return found | {f"{name}{MISSING}": f"{column} IS NULL"}


def _quartiles(name: str, kind: str) -> Sequence[float | date]:
    """Return the quartiles of the training rows, so that slices keep their names when test rows are added.

    Of numbers three digits only: the exact value of one person is nobody's business.
    """
    query = f"""SELECT quantile_disc({identifier(name)}, {QUARTERS}) FROM {parquet(KEPT)}
        WHERE _split = 'train' AND {identifier(name)} IS NOT NULL"""
    row = connect().execute(query).fetchone()
    edges = list(row[0]) if row and row[0] else []
    return list(dict.fromkeys(edges if kind in MOMENTS else [float(f"{edge:.3g}") for edge in edges]))


def _between(name: str, edges: Sequence[float | date]) -> dict[str, str]:
    """Return the conditions of the parts that edges cut a column into; each part holds its lower edge."""
    if not edges:
        return {}
    column = identifier(name)
    texts = [f"{edge:g}" if isinstance(edge, int | float) else str(edge) for edge in edges]
    sql = [repr(float(e)) if isinstance(e, int | float) else f"TIMESTAMP {literal(str(e))}" for e in edges]
    found = {f"{name} < {texts[0]}": f"{column} < {sql[0]}"}
    for (low, a), (high, b) in zip(zip(texts, sql, strict=True), list(zip(texts, sql, strict=True))[1:], strict=False):
        found[f"{low} <= {name} < {high}"] = f"({column} >= {a} AND {column} < {b})"
    return found | {f"{name} >= {texts[-1]}": f"{column} >= {sql[-1]}"}


def _values(name: str, declared: list[str]) -> dict[str, str]:
    """Return the conditions of a category's values, declared or in the test rows, the rare ones of many together."""
    column = identifier(name)
    query = f"""SELECT {column}, count(*) AS n FROM {parquet(KEPT)} WHERE _split = 'test' AND {column} IS NOT NULL
        GROUP BY 1 ORDER BY n DESC, 1"""
    values = list(dict.fromkeys([*(value for value, _ in connect().execute(query).fetchall()), *declared]))
    shown = values[:MOST_LEVELS]
    found = {f"{name} = {value}": f"{column} = {literal(value)}" for value in sorted(shown)}
    if len(values) > len(shown):
        others = ", ".join(map(literal, shown))
        found[f"{name} of {len(values) - len(shown)} rarer values"] = f"{column} NOT IN ({others})"
    return found
