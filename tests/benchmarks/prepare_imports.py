"""How much of prepare of the default table is starting Python, importing and reading the configuration.

    python -m tests.benchmarks.prepare_imports [ROUNDS]

Runs `python -m stages.prepare data=rides` in a scratch folder and, in turns, a process that only does those three;
prints the medians of wall-clock and CPU seconds in one line.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import ROOT, environment

ONLY_STARTED = """
import duckdb, numpy
from stages.prepare import DataConf, compose, make_contract
conf, name, _ = compose("data", DataConf, ["data=rides"])
make_contract(name, conf)
duckdb.connect().close()
"""


def seconds(folder: Path, *arguments: str) -> tuple[float, float]:
    """Return (wall-clock, CPU) seconds of Python with these arguments; it must succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment(PYTHONPATH=str(ROOT)), stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments} exited {process.returncode}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime


def main() -> None:
    """Print one line."""
    n_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    whole, started = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "conf", folder / "conf")
        shutil.copytree(ROOT / "data/raw/rides", folder / "data/raw/rides")
        for _ in range(n_rounds):
            whole.append(seconds(folder, "-m", "stages.prepare", "data=rides"))
            started.append(seconds(folder, "-c", ONLY_STARTED))
    wall, cpu = (statistics.median(column) for column in zip(*whole, strict=True))
    wall_start, cpu_start = (statistics.median(column) for column in zip(*started, strict=True))
    print(
        f"prepare of rides: {wall:.2f} s ({cpu:.2f} s CPU), of which {wall_start:.2f} s ({cpu_start:.2f} s CPU) are "
        f"starting Python, importing DuckDB, Hydra and NumPy and reading the configuration, {wall - wall_start:.2f} s "
        f"({cpu - cpu_start:.2f} s CPU) are not; median of {n_rounds}"
    )


if __name__ == "__main__":
    main()
