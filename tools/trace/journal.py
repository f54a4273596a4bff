"""Finds a request in a prediction log: JSON lines, and Parquet files that they were compacted to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError

KEYS = ("request_id", "version")


def entries_of(request_id: str, folder: Path) -> list[dict[str, Any]]:
    """Return what a log holds of a request: one entry for each row that it asked for.

    Raises InputError where the folder has no log, no such request, or one that a damaged line may hold.
    """
    lines, tables = sorted(folder.rglob("*.jsonl")), sorted(folder.rglob("*.parquet"))
    if not lines and not tables:
        raise InputError(f"{folder}: no prediction log there: no *.jsonl or *.parquet file")
    found = [entry for path in lines for entry in _in_lines(request_id, path)]
    found += [entry for path in tables for entry in _in_table(request_id, path)]
    if not found:
        raise InputError(f"{folder}: no request {request_id!r} in {len(lines) + len(tables)} files of the log")
    return found


def _in_lines(request_id: str, path: Path) -> list[dict[str, Any]]:
    found, needle = [], json.dumps(request_id, ensure_ascii=False)[1:-1].encode()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if needle in line:
                entry = _entry(line, f"{path}:{number}")
                if entry["request_id"] == request_id:
                    found.append(entry)
    return found


def _entry(line: bytes, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        raise InputError(f"{where}: names the request, but is no JSON: the line was cut short or changed") from None
    if not isinstance(entry, dict) or any(key not in entry for key in KEYS):
        raise InputError(f"{where}: no entry of a prediction log: it has no {' or '.join(KEYS)}")
    return entry


def _in_table(request_id: str, path: Path) -> list[dict[str, Any]]:
    import duckdb

    with duckdb.connect() as connection:
        try:
            columns = [row[0] for row in connection.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()]
            absent = [key for key in KEYS if key not in columns]
            if absent:
                raise InputError(f"{path}: no prediction log: it has no column {absent[0]}")
            query = "SELECT to_json(entry) FROM read_parquet(?) entry WHERE request_id = ?"  # times as text
            rows = connection.execute(query, [str(path), request_id]).fetchall()
        except duckdb.Error as error:
            raise InputError(f"{path}: damaged: {str(error).splitlines()[0]}") from None
    return [json.loads(row) for (row,) in rows]
