"""A table from Parquet to Parquet: `NAME score` against MLflow's pyfunc with the same trees, and how memory grows.

    python -m tests.benchmarks.serving.batch [--rows 1000000] [--runs 3] [--folder FOLDER] [--wheel PATH]
        [--grow 1000000,5000000,20000000]

Wants the wheel of the default table (`dvc repro package`). The table is its prepared rows, again and again in another
order. MLflow has the fitted Pipeline of `servers/pipeline.py` in an environment of its own (`servers/batch.py` is what
runs there), all processors for its trees, and pandas with pyarrow to read and write. Both are whole commands, from
start to the written file, run in turns; memory is the sum of the peaks of all their processes. The answers are
compared: the trees are the same, NumPy's exponential differs from Python's on the last bit. `--grow` measures ours
alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median

import duckdb

from tests.benchmarks.serving.environments import install, save
from tests.benchmarks.serving.peers import MLFLOW, PEERS
from tests.benchmarks.serving.table import machine

WANTED = 3.5  # times faster
SERVERS = Path(__file__).with_name("servers")
COMMAND = "import sys; sys.path.insert(0, {site!r}); from {name}.runtime.cli import main; main(sys.argv[1:])"


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="batch scoring against MLflow")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"), help="where environments are kept")
    parser.add_argument("--wheel", type=Path, default=next(Path("data/package").glob("*.whl"), None))
    parser.add_argument("--grow", default="")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        name = arguments.wheel.name.split("-")[0]
        with zipfile.ZipFile(arguments.wheel) as archive:
            archive.extractall(folder / "site")
        ours = [sys.executable, "-c", COMMAND.format(site=str(folder / "site"), name=name), "score"]
        if arguments.grow:
            grow(ours, folder, [int(n) for n in arguments.grow.split(",")])
        else:
            compare(ours, folder, folder / "site" / name / "model", arguments)


def compare(ours: list[str], folder: Path, model: Path, arguments: argparse.Namespace) -> None:
    """Run both in turns and print the table."""
    peer = PEERS[MLFLOW]
    binaries = install(peer, arguments.folder)
    save(peer, binaries, model, folder)
    source = make_table(folder / "in.parquet", arguments.rows)
    commands = {
        "plumbline": [*ours, str(source), str(folder / "plumbline.parquet")],
        "mlflow": [str(binaries / "python"), str(SERVERS / "batch.py"), str(folder / "mlflow"), str(source),
                   str(folder / "mlflow.parquet"), str(folder / "dtypes.json")],
    }  # fmt: skip
    told = machine(arguments.runs, 0).split("; medians")[0]
    found: dict[str, list[tuple[float, float, float]]] = {system: [] for system in commands}
    for _ in range(arguments.runs):
        for system, command in commands.items():
            for left in folder.glob(f"{system}*.parquet"):
                left.unlink()
            found[system].append(measured(command))
            print(f"batch: {system} {found[system][-1]}", file=sys.stderr, flush=True)
    print(f"{arguments.rows:,} rows; {told}; load {os.getloadavg()[0]:.1f}\n")
    print("| | s | CPU s | peak MB |\n| --- | --- | --- | --- |")
    for system, runs in found.items():
        print(f"| {system} | " + " | ".join(f"{median(column):.1f}" for column in zip(*runs, strict=True)) + " |")
    for place, what in enumerate(("time", "CPU", "memory")):
        ratios = [t[place] / o[place] for o, t in zip(found["plumbline"], found["mlflow"], strict=True)]
        asked = f" (asked: {WANTED})" if what == "time" else ""
        print(f"{what}: MLflow takes {median(ratios):.2f} times ours, {min(ratios):.2f} to {max(ratios):.2f}{asked}")
    print(f"largest difference of a probability: {difference(folder):.3g}")


def grow(ours: list[str], folder: Path, sizes: list[int]) -> None:
    """Print how long ours takes, and how much memory, for tables of some sizes."""
    print("| rows | s | CPU s | peak MB |\n| --- | --- | --- | --- |")
    for n_rows in sizes:
        source = make_table(folder / f"in-{n_rows}.parquet", n_rows)
        seconds, cpu, memory = measured([*ours, str(source), str(folder / f"out-{n_rows}.parquet")])
        print(f"| {n_rows:,} | {seconds:.1f} | {cpu:.1f} | {memory:.0f} |", flush=True)
        source.unlink()


def make_table(path: Path, n_rows: int) -> Path:
    """Write the prepared rows of the default table again and again, with a key of their own."""
    connection = duckdb.connect()
    contract = json.loads(Path("data/prepare/contract.json").read_text())
    columns = ", ".join(f'"{name}"' for name, column in contract["columns"] if column["role"] in ("feature", "time"))
    connection.execute("SET memory_limit = '2GB'")
    connection.execute(f"CREATE TABLE kept AS SELECT row_number() OVER () - 1 AS place, {columns} "
                       "FROM 'data/prepare/kept.parquet'")  # fmt: skip
    connection.execute(
        f"""COPY (SELECT i + 1 AS "row#", kept.* EXCLUDE (place) FROM range({n_rows}) AS every(i)
            JOIN kept ON place = (i * 7919) % (SELECT count(*) FROM kept)) TO '{path}' (COMPRESSION zstd)"""
    )
    return path


def measured(command: list[str]) -> tuple[float, float, float]:
    """Return seconds, CPU seconds and the sum of the peak memories (MB) of a command and its children."""
    before, start = os.times(), time.monotonic()
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT)
        peaks: dict[int, int] = {}
        while process.poll() is None:
            for pid in [process.pid, *children(process.pid)]:
                peaks[pid] = max(peaks.get(pid, 0), peak(pid))
            time.sleep(0.05)
        seconds, after = time.monotonic() - start, os.times()
        told.seek(0)
        if process.returncode:
            raise SystemExit(told.read())
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, cpu, sum(peaks.values()) / 1024


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def peak(pid: int) -> int:
    """Return the peak memory of a process in kB, 0 once it is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def difference(folder: Path) -> float:
    """Return the largest difference between the two files' probabilities."""
    query = f"""SELECT max(abs(a.probability_1 - b.probability_1)), count(*) FROM '{folder}/plumbline.parquet' AS a
        JOIN '{folder}/mlflow.parquet' AS b USING ("row#")"""
    [(largest, n_rows)] = duckdb.execute(query).fetchall()
    [(expected,)] = duckdb.execute(f"SELECT count(*) FROM '{folder}/in.parquet'").fetchall()
    if n_rows != expected:
        raise SystemExit(f"{n_rows} rows answered by both, of {expected}")
    return float(largest)


if __name__ == "__main__":
    main()
