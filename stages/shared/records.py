"""Rows of the prepared table as the JSON records in which a request carries them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.runtime.contract import Column, Contract
from stages.runtime.contract_sql import identifier
from stages.shared.tables import connect

Record = dict[str, Any]


def read_records(contract: Contract, source: str) -> list[Record]:
    """Return the input columns of a FROM clause as records, in the order of `_row`."""
    names = ", ".join(identifier(name) for name in contract.inputs)
    rows = connect().execute(f"SELECT {names} FROM {source} ORDER BY _row").fetchall()
    columns = [(name, contract.columns[name]) for name in contract.inputs]
    return [{name: json_value(v, column) for (name, column), v in zip(columns, row, strict=True)} for row in rows]


def json_value(value: Any, column: Column) -> Any:
    """Return a typed value as a request would carry it: dates as ISO text, with their zone, the rest as it is."""
    if value is None or isinstance(value, str | int | float):
        return value
    return f"{value}Z" if column.timezone else str(value)


def of_rows(path: Path, numbers: list[int]) -> str:
    """Return the FROM clause of the rows of kept.parquet with these numbers."""
    listed = ", ".join(map(str, numbers)) or "NULL"
    return f"(SELECT * FROM '{path}' WHERE _row IN ({listed}))"
