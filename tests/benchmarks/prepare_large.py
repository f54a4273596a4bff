"""prepare of a large table against the same rules hand-written in one DuckDB script and in pandas.

    python -m tests.benchmarks.prepare_large TABLE.csv [ROUNDS] [--without-pandas]
    python -m tests.benchmarks.prepare_large --slope TABLE.csv TABLE.csv TABLE.csv

The tables are those of make_large.py, the contract tests/benchmarks/bookings.yaml. All run alternately, each in a
process of its own, in a scratch folder under TMPDIR (which takes some 40 bytes a row); what they keep, set aside and
merge must agree. Prints Markdown: wall-clock and CPU seconds, peak memory (what the kernel says of the process that
ended), rows by fate, and medians of the rounds' ratios. `--slope` runs prepare alone and prints the slope of the
seconds over the rows, both as logarithms: 1 is linear.

On a busy machine the CPU seconds tell more. `python -m tests.benchmarks.prepare_steps` says where prepare's go.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.bookings import TABLE, link_table, make_folder
from tests.conftest import ROOT, environment

BY_HAND = {"hand-written DuckDB": "by_hand_duckdb", "hand-written pandas": "by_hand_pandas"}
FATES = ("kept", "quarantined", "merged")


class Run(NamedTuple):
    """What one process took, and the rows by fate that it found."""

    wall: float
    cpu: float
    peak_mb: float
    rows: tuple[int, ...]


def measure(folder: Path, command: list[str], counts: Path) -> Run:
    """Return what a command took, which must succeed and write its counts."""
    counts.unlink(missing_ok=True)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, env=environment(PYTHONPATH=str(ROOT)), stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} exited {process.returncode}")
    found = json.loads(counts.read_text())["rows"]
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, tuple(found[fate] for fate in FATES))


def prepare(folder: Path) -> Run:
    """Run the stage."""
    return measure(folder, ["stages.prepare", "data=bookings"], folder / "reports/prepare/summary.json")


def by_hand(folder: Path, script: str) -> Run:
    """Run a hand-written script."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return measure(folder, [f"tests.benchmarks.{script}", str(TABLE), str(out)], out / "counts.json")


def print_row(name: str, run: Run) -> None:
    """Print a row of the table."""
    rows = " | ".join(f"{n:,}" for n in run.rows)
    print(f"| {name} | {run.wall:.1f} | {run.cpu:.1f} | {run.peak_mb:.0f} | {rows} |", flush=True)


def print_head(first: str) -> None:
    """Print the head of the table and how busy the machine is."""
    n_others = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {n_others:.1f} before the start\n")
    print(f"| {first} | seconds | CPU seconds | peak MB | {' | '.join(FATES)} |")
    print("|---|---|---|---|---|---|---|", flush=True)


def compare(folder: Path, n_rounds: int, scripts: dict[str, str]) -> None:
    """Print each round, then the medians of what prepare took as multiples of the others."""
    print_head("")
    rounds: list[dict[str, Run]] = []
    for _ in range(n_rounds):
        runs = {"prepare": prepare(folder)}
        print_row("prepare", runs["prepare"])
        for name, script in scripts.items():
            runs[name] = by_hand(folder, script)
            print_row(name, runs[name])
        if len({run.rows for run in runs.values()}) != 1:
            raise SystemExit("the rows do not agree")
        rounds.append(runs)
    print("\n| prepare as a multiple of | seconds | CPU seconds | peak memory |\n|---|---|---|---|")
    for name in scripts:
        ratios = [
            statistics.median(getattr(runs["prepare"], what) / getattr(runs[name], what) for runs in rounds)
            for what in ("wall", "cpu", "peak_mb")
        ]
        print(f"| {name} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


def slope(folder: Path, tables: list[Path]) -> None:
    """Print what prepare takes of each table, and the slopes."""
    print_head("rows")
    runs = []
    for table in tables:
        link_table(folder, table)
        runs.append(prepare(folder))
        print_row(f"{sum(runs[-1].rows):,}", runs[-1])
    sizes = [math.log(sum(run.rows)) for run in runs]
    for what, said in (("wall", "seconds"), ("cpu", "CPU seconds")):
        found = statistics.linear_regression(sizes, [math.log(getattr(run, what)) for run in runs]).slope
        print(f"\nslope of {said}: {found:.2f}", end="")
    print()


def main() -> None:
    """Compare, or measure the slope."""
    arguments = [word for word in sys.argv[1:] if not word.startswith("--")]
    tables = [Path(word).resolve() for word in arguments if not word.isdigit()]
    n_rounds = next((int(word) for word in arguments if word.isdigit()), 3)
    if not tables:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_folder(Path(temporary), tables[0])
        if "--slope" in sys.argv:
            slope(folder, tables)
        else:
            compare(folder, n_rounds, dict(list(BY_HAND.items())[: 1 if "--without-pandas" in sys.argv else 2]))


if __name__ == "__main__":
    main()
