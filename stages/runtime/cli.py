"""The command line of a packaged model: NAME predict|explain < rows.jsonl, NAME info, NAME verify."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from . import api


def main(argv: list[str] | None = None) -> None:
    """Run one command; exit 1 where a record is refused or the model is damaged."""
    parser = argparse.ArgumentParser(prog=__package__.split(".")[0], description="A packaged model.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("predict", help="answer JSON records, one a line, from standard input")
    commands.add_parser("explain", help="likewise, with what each column adds to the answer")
    commands.add_parser("info", help="name, version, inputs and lineage as JSON")
    commands.add_parser("verify", help="check every file's hash and replay the example records")
    command = parser.parse_args(argv).command
    try:
        sys.exit({"predict": _predict, "explain": _explain, "info": _info, "verify": _verify}[command]())
    except api.DamagedModel as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(1)


def _predict() -> int:
    return _answers(api.predict)


def _explain() -> int:
    return _answers(api.explain)


def _answers(ask: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    refused = 0
    for line in sys.stdin:
        if line.strip():
            answer = _answer(line, ask)
            refused += "violations" in answer
            print(json.dumps(answer, ensure_ascii=False), flush=True)
    return 1 if refused else 0


def _answer(line: str, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        return {"violations": [{"column": None, "rule": "json", "value": str(error)}]}
    if not isinstance(record, dict):
        return {"violations": [{"column": None, "rule": "object", "value": line.strip()}]}
    try:
        return ask(record)
    except api.BrokenContract as error:
        return {"violations": [{"column": v.column, "rule": v.rule, "value": v.value} for v in error.violations]}


def _info() -> int:
    print(json.dumps(api.info(), indent=1, ensure_ascii=False))
    return 0


def _verify() -> int:
    print(f"{api.verify()} example records answered exactly as packaged")
    return 0
