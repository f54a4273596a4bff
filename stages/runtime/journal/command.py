"""NAME log compact|count|show FOLDER: what NAME serve --log FOLDER wrote."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from importlib.util import find_spec
from pathlib import Path

from .files import PARQUET, STEM


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command with its three parts."""
    parts = commands.add_parser("log", help="read or compact a prediction log").add_subparsers(
        dest="part", required=True
    )
    for name, function, told in (
        ("compact", _compact, "turn files that nobody writes to any more into Parquet"),
        ("count", _count, "number of records, by version, and of lost ones"),
        ("show", _show, "the last records, or those of one request, as JSON lines"),
    ):
        part = parts.add_parser(name, help=told)
        part.add_argument("FOLDER", type=Path)
        part.set_defaults(run=_checked, function=function)
        if name == "show":
            part.add_argument("--last", type=int, default=10, help="how many (default %(default)s)")
            part.add_argument("--request-id", help="only records of this request")


def _checked(arguments: argparse.Namespace) -> int:
    folder = arguments.FOLDER
    if not folder.is_dir():
        return _refuse(f"{folder}: no such folder")
    needs_duckdb = arguments.part == "compact" or next(folder.glob(f"{STEM}*{PARQUET}"), None) is not None
    if needs_duckdb and find_spec("duckdb") is None:
        return _refuse(f"DuckDB is not installed: pip install '{__package__.split('.')[0]}[score]'")
    status: int = arguments.function(arguments)
    return status


def _refuse(what: str) -> int:
    print(f"log: {what}", file=sys.stderr)
    return 1


def _compact(arguments: argparse.Namespace) -> int:
    import duckdb

    from .compact import DamagedLog, compact

    try:
        n_done, n_torn, n_live = compact(arguments.FOLDER)
    except (DamagedLog, OSError, duckdb.IOException) as error:
        return _refuse(str(error).splitlines()[0])
    live = f", {n_live} still written to" if n_live else ""
    torn = f"; {n_torn} torn last lines taken off" if n_torn else ""
    print(f"log: {arguments.FOLDER}  {n_done} files compacted{live}{torn}")
    return 0


def _count(arguments: argparse.Namespace) -> int:
    from .reading import summary

    print(json.dumps(summary(arguments.FOLDER), indent=1))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from .reading import read_log

    wanted = arguments.request_id
    lines = (line for line in read_log(arguments.FOLDER) if wanted is None or line.get("request_id") == wanted)
    for line in deque(lines, None if wanted else max(arguments.last, 0)):
        print(json.dumps(line, ensure_ascii=False))
    return 0
