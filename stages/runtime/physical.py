"""Columns of typed tables, such as Parquet's, as DuckDB expressions: the text of a value, and its value at once.

Every value is read by way of its text, so that CSV, Parquet and JSON forms of it are one. Where the physical type
already says what the text would, the way round by it is spared: it takes five times as long.
"""

from __future__ import annotations

import re

from .contract import Column
from .contract_sql import SQL_TYPES, identifier, number_text_sql, value_sql
from .forms import typed

WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
ISO_SKELETONS = ("--", "-- ::", "-- ::.")  # what is left of the texts of moments without their digits
EXACT = 10**15  # below which a whole DOUBLE is written without exponent


def physical_text(name: str, kind: str, column: Column | None) -> str:
    """Return the expression of a column's text: whole floats without .0, NaN missing, times with a zone in UTC."""
    if re.fullmatch(r"FLOAT|DOUBLE|DECIMAL\(.*\)", kind):
        return number_text_sql(column or Column("number"), name)
    quoted = identifier(name)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {quoted})::VARCHAR" + (" || 'Z'" if column and column.timezone else "")
    if re.search(r"\[|STRUCT|MAP|UNION|VARIANT", kind):
        return f"to_json({quoted})::VARCHAR"
    return f"{quoted}::VARCHAR"


def direct_value(name: str, kind: str, column: Column, missing: list[str]) -> tuple[str, str] | None:
    """Return the expressions of (true where there is a value, the typed value), equal to what the text gives.

    None where only the text can tell: other types, or `missing` words that a value of this type may be written as.
    """
    if column.type not in SQL_TYPES or any(_may_be_written(column, word) for word in missing):
        return None
    quoted = identifier(name)
    found = _direct(quoted, kind, column, physical_text(name, kind, column))
    is_present = f"NOT isnan({quoted})" if kind == "DOUBLE" else f"{quoted} IS NOT NULL"
    return None if found is None else (f"CASE WHEN {is_present} THEN true END", found)


def _may_be_written(column: Column, word: str) -> bool:
    try:
        float(word)  # also inf and nan, which the types of a contract refuse
    except ValueError:
        return typed(column, word) is not None
    return True


def _direct(quoted: str, kind: str, column: Column, text: str) -> str | None:
    if column.type == "number" and kind == "DOUBLE":
        return f"CASE WHEN isfinite({quoted}) THEN {quoted} END"
    if column.type == "number" and kind in WHOLE:
        return f"{quoted}::DOUBLE"
    if column.type == "integer" and kind in WHOLE:
        return f"CASE WHEN {quoted} BETWEEN -{10**18 - 1} AND {10**18 - 1} THEN {quoted}::BIGINT END"
    if column.type == "integer" and kind == "DOUBLE":
        is_plain = f"abs({quoted}) < {EXACT} AND {quoted} = trunc({quoted})"
        return f"CASE WHEN {is_plain} THEN {quoted}::BIGINT ELSE {value_sql(column, text)} END"
    if column.type == "boolean" and kind == "BOOLEAN":
        return quoted
    is_iso = kind in ("DATE", "TIMESTAMP") and not any(map(_reads_iso, column.formats))
    return _direct_moment(quoted, kind, column) if is_iso else None


def _direct_moment(quoted: str, kind: str, column: Column) -> str | None:
    """Moments in the years 1 to 9999; a date is read of a moment that has no part of a second."""
    if column.timezone is not None or column.type not in ("date", "timestamp"):
        return None
    is_known = f"{quoted} >= '0001-01-01' AND {quoted} < '10000-01-01'"
    if column.type == "date" and kind == "TIMESTAMP":
        is_known += f" AND {quoted} = date_trunc('second', {quoted})"
    return f"CASE WHEN {is_known} THEN {quoted}::{SQL_TYPES[column.type]} END"


def _reads_iso(form: str) -> bool:
    """Say whether a format could match an ISO text, which then would be read by it."""
    return re.sub("%[A-Za-z]|[0-9]", "", form) in ISO_SKELETONS
