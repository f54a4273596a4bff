"""Files of JSON lines as one table of texts, nested values as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Column
from stages.runtime.contract_sql import identifier, literal
from stages.runtime.dialect import column_names
from stages.runtime.forms import NUMBERS
from stages.shared.errors import InputError
from stages.shared.table.layout import scan
from stages.shared.table.opened import Part, Table, line_limit, listed, stored_rejects
from stages.shared.table.plain import with_line_feeds
from stages.shared.table.source import Source

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    Array = np.ndarray[Any, Any]


def open_jsonl(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    files: list[Path],
    plain: list[Path],
    columns: Mapping[str, Column],
    folder: Path,
) -> Table:
    """Read lines as texts, then each object into the columns that any of them has; nested values stay JSON."""
    layouts = [scan(text, "", keeps_blank=False) for text in plain]
    pairs = zip(plain, layouts, strict=True)
    plain = [with_line_feeds(text, source, folder) if layout.is_mixed else text for text, layout in pairs]
    parts = [
        Part(file, text, layout.n_records, layout) for file, text, layout in zip(files, plain, layouts, strict=True)
    ]
    paths = listed(plain)
    connection.execute(
        f"""CREATE TABLE json_lines AS SELECT line, CASE WHEN NOT json_valid(line) THEN 'NONE'
            WHEN list_unique(json_keys(line)) < len(json_keys(line)) THEN 'TWICE' ELSE json_type(line) END AS kind
            FROM read_csv([{paths}], auto_detect = false, header = false, columns = {{'line': 'VARCHAR'}},
            delim = chr(1), quote = '', escape = '', store_rejects = true {line_limit(layouts)})
            WHERE line IS NOT NULL"""
    )
    unread = stored_rejects(connection, parts)
    keys = connection.execute(
        """SELECT key FROM (SELECT rowid AS n, unnest(json_keys(line)) AS key FROM json_lines WHERE kind = 'OBJECT')
           GROUP BY key ORDER BY min(n), key"""
    ).fetchall()
    fields = [row[0] for row in keys]
    if not fields:
        raise InputError(f"{files[0]}: no line holds a JSON object")
    structure = json.dumps(dict.fromkeys(fields, "JSON"), ensure_ascii=False)
    names = column_names(fields)
    texts = ", ".join(
        f"{_json_text(f'record[{literal(key)}]', columns.get(name))} AS {identifier(name)}"
        for key, name in zip(fields, names, strict=True)
    )
    relation = f"""(SELECT {texts} FROM (SELECT from_json(line, {literal(structure)}) AS record FROM json_lines
        WHERE kind = 'OBJECT'))"""
    rejects = _rejects(connection, sum(part.n_records for part in parts), unread)
    return Table(source, names, relation, parts, rejects)


def _rejects(connection: duckdb.DuckDBPyConnection, n_records: int, unread: dict[str, Array]) -> dict[str, Array]:
    """Return row, value and rule of the lines that hold no object, and of those that could not be read as text."""
    import numpy as np

    bad = connection.execute(
        """SELECT rowid AS row, line AS value, CASE kind WHEN 'TWICE' THEN 'unreadable: a key stands twice'
               ELSE 'unreadable: not a json object' END AS rule
           FROM json_lines WHERE kind <> 'OBJECT' ORDER BY 1"""
    ).fetchnumpy()
    rows = np.arange(1, n_records + 1)
    rows = np.delete(rows, unread["row"] - 1) if unread else rows
    found = {"row": rows[bad["row"]], "value": bad["value"].astype(object), "rule": bad["rule"].astype(object)}
    found = {key: np.concatenate([array, unread[key]]) for key, array in found.items()} if unread else found
    return found if len(found["row"]) else {}


def _json_text(value: str, column: Column | None) -> str:
    """Return the expression of a JSON value's text, as `as_text` gives it of what Python's json reads."""
    text = f"({value} ->> '$')"
    number = f"regexp_replace((try_cast({text} AS DOUBLE))::VARCHAR, '\\.0$', '')"
    if column and column.type in NUMBERS and column.marks[0] != ".":
        number = f"replace({number}, '.', {literal(column.marks[0])})"
    return f"""CASE WHEN json_type({value}) <> 'DOUBLE' OR regexp_full_match({text}, '-?[0-9]+') THEN {text}
        WHEN lower({text}) <> 'nan' THEN coalesce({number}, {text}) END"""
