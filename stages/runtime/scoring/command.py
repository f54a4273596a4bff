"""NAME score IN OUT: answers every row of a CSV or Parquet file, of any size, in bounded memory.

OUT has a row for each record that the contract takes, in their order; OUT.rejected the others with their reasons.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .faults import BadTable

MOST_REASONS = 10  # printed


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; it returns 0 where OUT is there, also with rejected rows."""
    command = commands.add_parser("score", help="answer every row of a CSV or Parquet file, of any size")
    command.add_argument("IN", type=Path, help=".parquet, or .csv, .tsv, .txt, also packed as .gz, .bz2, .xz")
    command.add_argument("OUT", type=Path, help=".parquet, .csv or .csv.gz; rejected rows go to OUT.rejected")
    command.add_argument("--keep", metavar="COLUMNS", help="columns to write beside: a,b or '*' (default: the keys)")
    command.add_argument("--workers", type=int, default=None, help="processes (default: one a processor)")
    command.add_argument("--delimiter", help="of a CSV, where it is not the training source's")
    command.add_argument("--encoding", help="of a CSV, where it is not the training source's")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Score; print what came of it, or the one line that says why nothing did."""
    if find_spec("duckdb") is None:
        name = __package__.split(".")[0]
        print(f"score: DuckDB is not installed: pip install '{name}[score]'", file=sys.stderr)
        return 1
    from .batch import score

    try:
        counts, rejected = score(
            arguments.IN, arguments.OUT, arguments.keep, arguments.workers, arguments.delimiter, arguments.encoding
        )
    except BadTable as error:
        print(f"score: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"score: {error.filename or arguments.OUT}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("score: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    report(arguments.OUT, rejected, counts)
    return 0


def report(out: Path, rejected: Path, counts: dict[str, Any]) -> None:
    """Print how many rows were answered, and why others were not, the most frequent reasons first."""
    n_answered = counts["rows"] - counts["n_rejected"]
    print(f"score: {out}  {counts['rows']} rows = {n_answered} answered + {counts['n_rejected']} rejected")
    for title, key in ((str(rejected), "rejected"), ("made missing, as the contract says", "nulled")):
        reasons = [(n, column, rule) for column, rules in counts[key].items() for rule, n in rules.items()]
        if not reasons:
            continue
        print(f"score: {title}")
        for n, column, rule in sorted(reasons, key=lambda reason: (-reason[0], reason[1:]))[:MOST_REASONS]:
            print(f"  {column}: {n} x {rule}")
        if len(reasons) > MOST_REASONS:
            print(f"  and {len(reasons) - MOST_REASONS} other reasons")
