"""NAME predict|explain < rows.jsonl, NAME info, NAME schema, NAME verify."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from . import api
from .manifest import count_files


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands; the function behind each returns its exit status."""
    for name, function, told in (
        ("predict", _predict, "answer JSON records, one a line, from standard input"),
        ("explain", _explain, "likewise, with what each column adds to the answer"),
        ("info", _info, "name, version, inputs and lineage as JSON"),
        ("schema", _schema, "JSON Schema of a record and of its answer"),
        ("verify", _verify, "check every file's hash and replay the example records"),
    ):
        commands.add_parser(name, help=told).set_defaults(run=function)


def _predict(_: argparse.Namespace) -> int:
    return _answers(api.predict)


def _explain(_: argparse.Namespace) -> int:
    return _answers(api.explain)


def _answers(ask: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    refused = 0
    for line in sys.stdin.buffer:
        if line.strip():
            answer = _answer(line, ask)
            refused += "violations" in answer
            print(json.dumps(answer, ensure_ascii=False), flush=True)
    return 1 if refused else 0


def _record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Raises ValueError for a key that stands twice, as the service does."""
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key stands twice")
    return record


def _answer(line: bytes, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    try:
        record = json.loads(line.decode(), object_pairs_hook=_record)
    except (ValueError, RecursionError) as error:  # no UTF-8 or JSON, 5,000 digits, 100,000 brackets
        return {"violations": [{"column": None, "rule": "json", "value": str(error)}]}
    if not isinstance(record, dict):
        return {"violations": [{"column": None, "rule": "object", "value": line.decode().strip()}]}
    try:
        return ask(record)
    except api.BrokenContract as error:
        return {"violations": [{"column": v.column, "rule": v.rule, "value": v.value} for v in error.violations]}


def _info(_: argparse.Namespace) -> int:
    return _show(api.info())


def _schema(_: argparse.Namespace) -> int:
    return _show(api.schema())


def _show(found: dict[str, Any]) -> int:
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


def _verify(_: argparse.Namespace) -> int:
    n_files = count_files()
    print(f"{n_files} files as packaged; {api.verify()} example records answered exactly as packaged")
    return 0
