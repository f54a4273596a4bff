"""The contract's rules as DuckDB expressions: `contract.py` for a whole table at once."""

from __future__ import annotations

from .contract import Column
from .dates import ISO_FORMATS, format_pattern, timed
from .forms import (
    BOOLEAN,
    CURRENCIES,
    MARKS,
    MOMENTS,
    NUMBERS,
    OFFSET_END,
    SPACE,
    bound,
    number_pattern,
)
from .zones import OFFSET, find_zone

SQL_TYPES = {
    "integer": "BIGINT", "number": "DOUBLE", "money": "DOUBLE", "percent": "DOUBLE", "boolean": "BOOLEAN",
    "category": "VARCHAR", "text": "VARCHAR", "date": "DATE", "timestamp": "TIMESTAMP",
}  # fmt: skip


def identifier(name: str) -> str:
    """Return a column name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"


def text_sql(name: str, missing: list[str]) -> str:
    """Return the expression of a column's text, stripped, NULL where it means missing."""
    return present_sql(stripped_sql(name), missing)


def stripped_sql(name: str) -> str:
    """Return the expression of a column's text without spaces at its ends.

    Trimming by a list of characters costs 100 ns, looking at both ends 35: what is not below '!' is no space.
    """
    column = identifier(name)
    return f"CASE WHEN {column} < '!' OR {column}[-1] < '!' THEN trim({column}, {_spaces()}) ELSE {column} END"


def present_sql(text: str, missing: list[str]) -> str:
    """Return the expression of `text`, a stripped expression, NULL where it means missing."""
    arms = " ".join(f"WHEN {literal(word)} THEN NULL" for word in dict.fromkeys(["", *missing]))
    return f"CASE {text} {arms} ELSE {text} END"


def number_text_sql(column: Column, name: str) -> str:
    """Return the expression of a physical number's text as the column writes it; NaN is missing."""
    number = identifier(name)
    text = f"regexp_replace({number}::VARCHAR, '\\.0$', '')"
    if column.type in NUMBERS and column.marks[0] != ".":
        text = f"replace({text}, '.', {literal(column.marks[0])})"
    return f"CASE WHEN NOT isnan({number}::DOUBLE) THEN {text} END"


def value_sql(column: Column, text: str) -> str:
    """Return the expression of the typed value of `text`, a stripped expression; NULL where it is none.

    What decides cheaply comes first: a regular expression costs 60 to 150 ns a value, more than all else.
    """
    if column.type in ("category", "text"):
        return text
    if column.type == "boolean":
        arms = " ".join(f"WHEN {literal(word)} THEN {value}" for word, value in BOOLEAN.items())
        return f"CASE lower({text}) {arms} END"
    if column.type == "integer":
        return _integer_sql(column, text)
    if column.type in NUMBERS:
        return _number_sql(column, text)
    if column.timezone is not None:
        return _zoned_sql(column, text, column.timezone)
    return _moment_sql(column.type, column.formats, text)


def _integer_sql(column: Column, text: str) -> str:
    """A text that the number is written as again needs no pattern."""
    number = f"TRY_CAST({text} AS BIGINT)"
    is_plain = f"{number}::VARCHAR = {text} AND {number} BETWEEN -{10**18 - 1} AND {10**18 - 1}"
    return f"CASE WHEN {is_plain} THEN {number} ELSE TRY_CAST({_written_sql(column, text)} AS BIGINT) END"


def _number_sql(column: Column, text: str) -> str:
    """Of what TRY_CAST takes as finite, the pattern refuses only `_` and `+-`; the rest has marks, or is none."""
    decimal, thousands = column.marks
    bare = {"number": text, "percent": _without_percent(text), "money": _without_currency(text)}[column.type]
    plain = bare if decimal == "." else f"replace({bare}, {literal(decimal)}, '.')"
    number = f"TRY_CAST({plain} AS DOUBLE)"
    is_plain = f"{number} IS NOT NULL AND NOT contains({text}, '_') AND NOT contains({text}, '+-')"
    if decimal != ".":
        is_plain += f" AND NOT contains({text}, '.')"
    if column.type == "number" and not thousands:
        return f"CASE WHEN {is_plain} AND isfinite({number}) THEN {number} END"
    near = _matches(bare, number_pattern("number", decimal, thousands))
    joined = bare
    for mark in MARKS[thousands].strip("[]"):
        joined = f"replace({joined}, {literal(mark)}, '')"
    if decimal != ".":
        joined = f"replace({joined}, {literal(decimal)}, '.')"
    joined = f"TRY_CAST({joined} AS DOUBLE)"
    written = f"TRY_CAST({_written_sql(column, text)} AS DOUBLE)"
    # The whole pattern and its groups cost a microsecond or two: asked only of what is written in rarer ways.
    found = f"CASE WHEN {is_plain} THEN {number} WHEN {near} THEN {joined} ELSE {written} END"
    return (
        f"CASE WHEN isfinite({found}) THEN {found} END"  # DuckDB evaluates what is alike in a first WHEN and THEN once
    )


def _without_percent(text: str) -> str:
    return f"CASE WHEN suffix({text}, '%') THEN left({text}, -1) ELSE {text} END"


def _without_currency(text: str) -> str:
    return f"CASE WHEN contains({literal(CURRENCIES)}, left({text}, 1)) THEN right({text}, -1) ELSE {text} END"


def _written_sql(column: Column, text: str) -> str:
    """Return the expression of what `forms.number_text` returns; no number where that is None."""
    decimal, thousands = column.marks
    pattern = number_pattern(column.type, decimal, thousands)
    number = f"regexp_extract({text}, {literal(f'^(?:{pattern})$')}, 1)"
    if thousands:
        number = f"regexp_replace({number}, {literal(MARKS[thousands])}, '', 'g')"
    if decimal != ".":
        number = f"replace({number}, {literal(decimal)}, '.')"
    if column.type != "money":
        return number
    is_negative = f"regexp_matches({text}, '^[^0-9.,]*[(-]')"
    is_paired = f"contains({text}, '(') = contains({text}, ')')"
    return f"CASE WHEN {is_paired} THEN CASE WHEN {is_negative} THEN '-' ELSE '' END || {number} END"


def _moment_sql(kind: str, formats: list[str], text: str) -> str:
    """Return the expression of a date or moment; without own formats, ISO's commonest forms need no pattern."""
    forms = _forms_sql([*formats, *ISO_FORMATS[kind]], text)
    if formats:
        return f"{forms}::{SQL_TYPES[kind]}"
    cast = f"TRY_CAST({text} AS {SQL_TYPES[kind]})"
    arms = f"WHEN {cast}::VARCHAR = {text} AND {_in_years(cast)} THEN {cast}"
    if kind == "timestamp":
        spaced = f"contains({text}, 'T') AND {cast}::VARCHAR = replace({text}, 'T', ' ')"
        arms += f" WHEN {spaced} AND {_in_years(cast)} THEN {cast}"
    return f"CASE {arms} ELSE {forms}::{SQL_TYPES[kind]} END"


def _in_years(moment: str) -> str:
    return f"{moment} >= '0001-01-01' AND {moment} < '10000-01-01'"


def _forms_sql(forms: list[str], text: str) -> str:
    tries = [
        f"CASE WHEN {_matches(text, format_pattern(f))} THEN try_strptime({text}, {literal(f)}) END" for f in forms
    ]
    return f"coalesce({', '.join(tries)})"


def _zoned_sql(column: Column, text: str, zone: str) -> str:
    """Return the expression of a moment in UTC: by its offset, or else as local time in the zone."""
    tail = literal(f"^{OFFSET_END}$")
    forms = timed([*column.formats, *ISO_FORMATS["timestamp"]])
    moment = _forms_sql(forms, f"regexp_extract({text}, {tail}, 1)")
    by_offset = f"{moment} - to_minutes({_minutes_sql(f'regexp_extract({text}, {tail}, 2)')})"
    naive = _moment_sql("timestamp", column.formats, text)
    found = f"coalesce(CASE WHEN regexp_matches({text}, {literal(f'{OFFSET}$')}) THEN {by_offset} END, "
    found += f"{_utc_sql(naive, zone)})"
    if not column.formats:  # ISO in UTC, as JSON has it, needs no pattern
        head = f"left({text}, -1)"
        cast = f"TRY_CAST({head} AS TIMESTAMP)"
        is_iso = f"suffix({text}, 'Z') AND {cast}::VARCHAR = replace({head}, 'T', ' ')"
        found = f"CASE WHEN {is_iso} AND {_in_years(cast)} THEN {cast} ELSE {found} END"
    return f"CASE WHEN {_in_years(found)} THEN {found} END"


def _minutes_sql(offset: str) -> str:
    """Return the expression of `zones.offset_minutes`."""
    rest = f"CASE WHEN length({offset}) > 3 THEN right({offset}, 2) ELSE '0' END"
    minutes = f"60 * substr({offset}, 2, 2)::BIGINT + {rest}::BIGINT"
    return f"CASE left({offset}, 1) WHEN 'Z' THEN 0 WHEN '+' THEN {minutes} WHEN '-' THEN -({minutes}) END"


def _utc_sql(naive: str, zone: str) -> str:
    """Return the expression of a local moment in UTC; nothing in it asks for the session's zone or the machine's."""
    found = find_zone(zone)
    offset = found.utcoffset(None)
    if offset is not None:
        return f"({naive} - to_seconds({offset.total_seconds()!r}))"
    return f"timezone('UTC', timezone({literal(zone)}, {naive}))"


def rule_sql(column: Column, text: str, value: str) -> str:
    """Return the expression of the first rule that a row breaks, NULL where it breaks none."""
    arms = [] if column.nullable else [f"WHEN {text} IS NULL THEN 'required'"]
    arms.append(f"WHEN {text} IS NULL THEN NULL")
    if column.type not in ("category", "text"):  # every text is one
        arms.append(f"WHEN {value} IS NULL THEN 'type'")
    if column.values is not None:
        arms.append(f"WHEN {text} NOT IN ({', '.join(map(literal, column.values))}) THEN 'values'")
    if column.pattern is not None:
        arms.append(f"WHEN NOT {_matches(text, column.pattern)} THEN 'pattern'")
    if column.min_length is not None:
        arms.append(f"WHEN length({text}) < {column.min_length} THEN 'min_length'")
    if column.max_length is not None:
        arms.append(f"WHEN length({text}) > {column.max_length} THEN 'max_length'")
    for rule, sign, limit in (("min", "<", column.min), ("max", ">", column.max)):
        if limit is not None:
            arms.append(f"WHEN {value} {sign} {_limit(column, limit)} THEN '{rule}'")
    return f"CASE {' '.join(arms)} END"


def kept_sql(value: str, rule: str) -> str:
    """Return the expression of the value that is left of a column with `on_violation: null`, and that rules look at."""
    return f"CASE WHEN {rule} IS NULL THEN {value} END"


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
