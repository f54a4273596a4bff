"""Named subsets of the test rows: declared slices, values of sensitive columns and of the strongest categories."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.runtime.contract_sql import identifier
from stages.runtime.expression import ExpressionFault, Rule
from stages.runtime.expression_sql import expression_sql
from stages.shared.tables import parquet
from tools.diff.predicted import Paired, of_rows
from tools.diff.revision import Revision

if TYPE_CHECKING:
    import duckdb

IMPORTANCE = "reports/train/plots/importance.csv"
STRONGEST, VALUES, FEWEST_ROWS = 3, 8, 20  # columns, their most frequent values, rows of a slice
BANDS = 4  # of a sensitive number
FEW_VALUES = ("category", "boolean")
Array = np.ndarray[Any, Any]


def slices(head: Revision, connection: duckdb.DuckDBPyConnection, paired: Paired) -> tuple[dict[str, Array], list[str]]:
    """Return {name: which rows} of the slices with enough rows, and notes on those that could not be made."""
    found, notes = _declared(head, connection, paired)
    columns = paired.contract.columns
    sensitive = [name for name in paired.contract.checked if columns[name].sensitive]
    strong = [name for name in _by_importance(head) if name in columns and columns[name].type in FEW_VALUES]
    inputs = [name for name in strong if columns[name].role == "feature" and name not in sensitive]
    for name in [*sensitive, *inputs[:STRONGEST]]:
        values = of_rows(connection, paired.kept, paired.rows.number, identifier(name))
        is_number = columns[name].type in ("integer", "number", "money", "percent")
        found |= _bands(name, values) if is_number else _values(name, values)
    return {name: member for name, member in found.items() if member.sum() >= FEWEST_ROWS}, notes


def _by_importance(head: Revision) -> list[str]:
    text = head.text(IMPORTANCE)
    return [row["column"] for row in csv.DictReader(io.StringIO(text))] if text else []


def _values(name: str, values: Array) -> dict[str, Array]:
    """Return the rows of each of the most frequent values."""
    filled = np.array(["missing" if value is None else value for value in values], dtype=object)
    distinct, counts = np.unique(filled.astype(str), return_counts=True)
    frequent = distinct[np.argsort(-counts, kind="stable")][:VALUES]
    return {f"{name} = {value}": filled == value for value in frequent.tolist()}


def _bands(name: str, values: Array) -> dict[str, Array]:
    """Return the rows of each quarter of a number, and those where it is missing."""
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    is_missing = np.isnan(numbers)
    if is_missing.all():
        return {f"{name} missing": is_missing}
    edges = np.unique(np.quantile(numbers[~is_missing], np.linspace(0, 1, BANDS + 1)))
    found = {f"{name} missing": is_missing}
    for low, high in itertools.pairwise(edges.tolist()):
        is_last = high == edges[-1]
        member = (numbers >= low) & ((numbers <= high) if is_last else (numbers < high))
        found[f"{name} {low:.6g} to {'' if is_last else 'below '}{high:.6g}"] = member
    return found


def _declared(
    head: Revision, connection: duckdb.DuckDBPyConnection, paired: Paired
) -> tuple[dict[str, Array], list[str]]:
    """Return the rows of the slices that conf/evaluation declares for this table, as expressions over its columns."""
    choice = (head.yaml("params.yaml") or {}).get("evaluation")
    conf = head.yaml(f"conf/evaluation/{choice}.yaml") or {}
    declared = ((conf.get("tables") or {}).get(paired.contract.name) or {}).get("slices") or {}
    values = {name: identifier(name) for name in paired.contract.checked}
    found, notes = {}, []
    for name, check in declared.items():
        contract = dataclasses.replace(paired.contract, rules={name: Rule(str(check))})
        try:
            sql = expression_sql(contract, name, values)
        except ExpressionFault as fault:
            notes.append(f"Slice {name} is left out: {fault}.")
            continue
        found[str(name)] = of_rows(connection, paired.kept, paired.rows.number, f"coalesce({sql}, false)") == "true"
    return found, notes


def keys_of(connection: duckdb.DuckDBPyConnection, paired: Paired, places: list[int]) -> dict[int, str]:
    """Return {place: key}, the record's number where there is no key; nothing where a key is sensitive."""
    keys = paired.contract.with_role("key")
    if any(paired.contract.columns[key].sensitive for key in keys):
        return {}
    numbers = {int(paired.rows.number[place]): place for place in places}
    if not keys or not places:
        return {place: f"record {number}" for number, place in numbers.items()}
    chosen = ", ".join(f"{identifier(key)}::VARCHAR" for key in keys)
    query = f"SELECT _row, {chosen} FROM {parquet(paired.kept)} WHERE _row IN (SELECT unnest(?))"
    return {
        numbers[row]: ", ".join(map(str, key)) for row, *key in connection.execute(query, [list(numbers)]).fetchall()
    }
