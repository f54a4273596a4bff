"""Where the time and memory of prepare go, step by step, in one process.

    python -m tests.benchmarks.prepare_steps TABLE.csv

TABLE.csv is one that make_large.py made; the contract is tests/benchmarks/bookings.yaml. The timers are wrapped around
the stage's functions here, the stage has none. Prints a Markdown table: seconds, CPU seconds, the process's peak memory
so far, and what the work's folder holds on disk at the end of the step.
"""

from __future__ import annotations

import functools
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages import prepare
from stages.shared.table.account import Account
from tests.benchmarks.bookings import make_folder

# What prepare calls, in its order; the second part is what it does beyond the hand-written scripts.
STEPS = [(prepare, "open_table"), (Account, "check"), (Account, "set_aside"), (Account, "write_quarantine"),
         (Account, "write_kept"), (prepare, "summarise_sides"), (prepare, "find_leaks"), (prepare, "profile"),
         (prepare, "page")]  # fmt: skip
SAYS = {
    "open_table": "count the records a second time",
    "check": "read, type, check",
    "set_aside": "find duplicates and repeated keys",
    "write_quarantine": "write quarantine.parquet",
    "write_kept": "write kept.parquet",
    "summarise_sides": "sides, their balance and members",
    "find_leaks": "leakage checks",
    "profile": "profile",
    "page": "page of the profile",
}


def timed(name: str, function: Callable[..., Any], began: list[float]) -> Callable[..., Any]:
    """Return the function, which then prints a row of the table when it is done."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        seconds, cpu = time.perf_counter(), time.process_time()
        result = function(*arguments, **options)
        seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
        began[0] += cpu
        print(f"| {SAYS[name]} | {seconds:.2f} | {cpu:.2f} | {peak()} | {on_disk()} |", flush=True)
        return result

    return wrapper


def peak() -> int:
    """Return the process's peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def on_disk() -> int:
    """Return the MB that prepare's scratch folder holds."""
    return sum(file.stat().st_size for file in Path("data/.prepare.scratch").rglob("*") if file.is_file()) >> 20


def main() -> None:
    """Run prepare with timers around its steps."""
    table = Path(sys.argv[1]).resolve()
    steps_cpu = [0.0]
    for owner, name in STEPS:
        setattr(owner, name, timed(name, getattr(owner, name), steps_cpu))
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(make_folder(Path(temporary), table))
        sys.argv = ["prepare", "data=bookings"]
        print("| step | seconds | CPU seconds | peak MB | MB on disk |\n|---|---|---|---|---|", flush=True)
        seconds = time.perf_counter()
        prepare.main()
        seconds = time.perf_counter() - seconds
        os.chdir("/")
    cpu = time.process_time()
    print(f"| all else, with imports |  | {cpu - steps_cpu[0]:.2f} | {peak()} |  |")
    print(f"| together | {seconds:.2f} | {cpu:.2f} | {peak()} |  |")


if __name__ == "__main__":
    main()
