"""The contract's rules as DuckDB expressions: `contract.py` for a whole table at once."""

from __future__ import annotations

from .contract import BOOLEAN, INTEGER, ISO_FORMATS, MOMENTS, NUMBER, SPACE, Column, bound, format_pattern

SQL_TYPES = {
    "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "category": "VARCHAR", "text": "VARCHAR",
    "date": "DATE", "timestamp": "TIMESTAMP",
}  # fmt: skip


def identifier(name: str) -> str:
    """Return a column name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"


def text_sql(name: str, missing: list[str]) -> str:
    """Return the expression of a column's text, stripped, NULL where it means missing."""
    stripped = f"trim({identifier(name)}, {_spaces()})"
    words = ", ".join(literal(word) for word in ["", *missing])
    return f"CASE WHEN {stripped} IN ({words}) THEN NULL ELSE {stripped} END"


def value_sql(column: Column, text: str) -> str:
    """Return the expression of the typed value of `text`, a stripped expression; NULL where it is none."""
    if column.type in ("category", "text"):
        return text
    if column.type == "boolean":
        arms = " ".join(f"WHEN {literal(word)} THEN {value}" for word, value in BOOLEAN.items())
        return f"CASE lower({text}) {arms} END"
    if column.type == "integer":
        return f"CASE WHEN {_matches(text, INTEGER)} THEN split_part({text}, '.', 1)::BIGINT END"
    if column.type == "number":
        number = f"TRY_CAST({text} AS DOUBLE)"
        return f"CASE WHEN {_matches(text, NUMBER)} AND isfinite({number}) THEN {number} END"
    forms = [*column.formats, *ISO_FORMATS[column.type]]
    tries = [
        f"CASE WHEN {_matches(text, format_pattern(f))} THEN try_strptime({text}, {literal(f)}) END" for f in forms
    ]
    return f"coalesce({', '.join(tries)})::{SQL_TYPES[column.type]}"


def rule_sql(column: Column, text: str, value: str) -> str:
    """Return the expression of the first rule that a row breaks, NULL where it breaks none."""
    arms = [] if column.nullable else [f"WHEN {text} IS NULL THEN 'required'"]
    arms += [f"WHEN {text} IS NULL THEN NULL", f"WHEN {value} IS NULL THEN 'type'"]
    if column.values is not None:
        arms.append(f"WHEN {text} NOT IN ({', '.join(map(literal, column.values))}) THEN 'values'")
    if column.pattern is not None:
        arms.append(f"WHEN NOT {_matches(text, column.pattern)} THEN 'pattern'")
    for rule, sign, limit in (("min", "<", column.min), ("max", ">", column.max)):
        if limit is not None:
            arms.append(f"WHEN {value} {sign} {_limit(column, limit)} THEN '{rule}'")
    return f"CASE {' '.join(arms)} END"


def _limit(column: Column, limit: float | str) -> str:
    value = bound(column, limit)
    return (
        f"{SQL_TYPES[column.type]} {literal(str(value))}"
        if column.type in MOMENTS
        else f"{value!r}::{SQL_TYPES[column.type]}"
    )


def _matches(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {literal(pattern)})"


def _spaces() -> str:
    return "concat(" + ", ".join(f"chr({ord(space)})" for space in SPACE) + ")"
