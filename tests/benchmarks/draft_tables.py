"""What an unedited draft makes of each table in ../shared/tables: rows, score, seconds, as a Markdown table.

    python -m tests.benchmarks.draft_tables [NAME ...]

Each table is drafted and run through `dvc repro` in a temporary clone. The last column is the score of a naive
reference (gradient boosting, leaks and ids dropped by hand, 20% test) that the tables' index gives. A table that does
not run is a line of its own, and the exit status is 1.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from stages.shared.metrics import HEADLINE
from tests.conftest import ROOT, clone, run_in

PLACES = [ROOT.parent / "shared/tables", ROOT.parent.parent / "shared/tables"]
MORE = [
    ("bank_marketing", "bank_marketing.parquet", "y", ""),
    ("hotel_bookings", "hotel_bookings.parquet", "is_canceled", ""),
]
METRIC = {"accuracy": "accuracy", "roc_auc": "ROC AUC", "r2": "R2", "macro_f1": "macro F1"}
HEADER = [
    "table",
    "task",
    "rows in",
    "kept",
    "quarantined",
    "merged",
    "split",
    "score [95%]",
    "draft s",
    "repro s",
    "naive",
]


@dataclass(frozen=True)
class Case:
    """One table of the index."""

    name: str
    file: Path
    target: str
    reference: str


def find_tables() -> Path:
    """Return the folder of tables; exits where there is none."""
    found = [place for place in PLACES if (place / "index.csv").is_file()]
    if not found:
        sys.exit("draft_tables: no shared/tables beside the repository")
    return found[0]


def cases(folder: Path) -> list[Case]:
    """Return the tables of the index, and two that it does not name."""
    with (folder / "index.csv").open(newline="") as file:
        rows = [(row["name"], row["file"], row["target"], row["note"]) for row in csv.DictReader(file)]
    return [Case(name, folder / file, target, reference(note)) for name, file, target, note in [*rows, *MORE]]


def reference(note: str) -> str:
    """Return the naive scores of an index note."""
    found = re.search(r"20% test: (.*)", note)
    return found[1] if found else ""


def try_table(case: Case, folder: Path) -> list[str]:
    """Return the line of one table. Raises AssertionError with what was printed where a command fails."""
    started = time.perf_counter()
    draft(case, folder)
    drafted = time.perf_counter()
    run_in(folder, "dvc", "repro")
    done = time.perf_counter()
    return [case.name, *outcome(folder), f"{drafted - started:.1f}", f"{done - drafted:.1f}", case.reference]


def draft(case: Case, folder: Path) -> None:
    """Draft the contract of a table in a clone, and choose it there. Raises AssertionError with what was printed."""
    run_in(folder, sys.executable, "-m", "tools.draft", str(case.file), "--target", case.target, "--name", case.name)
    choose(folder, "data", case.name)


def choose(folder: Path, group: str, choice: str) -> None:
    """Name a choice of a group in a clone's params.yaml."""
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(re.sub(rf"^{group}: \w+", f"{group}: {choice}", params, flags=re.MULTILINE))


def outcome(folder: Path) -> list[str]:
    """Return task, rows, split and headline score of the last run."""
    contract = json.loads((folder / "data/prepare/contract.json").read_text())
    rows = json.loads((folder / "reports/prepare/summary.json").read_text())["rows"]
    measured = json.loads((folder / "reports/evaluate/intervals.json").read_text())
    text = (folder / "conf/data" / f"{contract['name']}.yaml").read_text()
    by = re.search(r"^split:.*\n  by: (\w+)", text, re.MULTILINE)
    scores = []
    for metric in dict.fromkeys([HEADLINE[contract["task"]], "accuracy"]):
        if contract["task"] == "multiclass" or metric == HEADLINE[contract["task"]]:
            found = measured["metrics"].get(metric)
            shown = f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" if found else ""
            scores += [f"{METRIC.get(metric, metric)} {shown}"] if shown else []
    counts = [f"{rows[key]:,}" for key in ("in", "kept", "quarantined", "merged")]
    return [contract["task"], *counts, by[1] if by else "?", ", ".join(scores)]


def main() -> None:
    """Print the table as it grows."""
    chosen = [case for case in cases(find_tables()) if not sys.argv[1:] or case.name in sys.argv[1:]]
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = clone(Path(temporary, "copy"))
        for case in chosen:
            try:
                print(f"| {' | '.join(try_table(case, folder))} |", flush=True)
            except AssertionError as error:
                failed.append(case.name)
                print(f"| {case.name} | did not run |", flush=True)
                print(error, file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"draft_tables: {len(failed)} of {len(chosen)} did not run: {', '.join(failed)}")


if __name__ == "__main__":
    main()
