"""How long tools.diff takes beside `dvc metrics diff`: two revisions, all data in the cache, in turns.

    python -m tests.benchmarks.diff_time [REPOSITORY] [BASE] [HEAD] [--rounds 7]

REPOSITORY is a clone whose cache holds both revisions; the current folder unless said. From each time that of an
empty Python is taken off. Prints both medians and the median of the ratios by round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from statistics import median


def main() -> None:
    """Time in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("repository", nargs="?", default=".")
    parser.add_argument("base", nargs="?", default="main")
    parser.add_argument("head", nargs="?", default="HEAD")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    revisions = [given.base, given.head]
    commands = {
        "empty": ["-c", "pass"],
        "tools.diff": ["-m", "tools.diff", *revisions],
        "dvc metrics diff": ["-m", "dvc", "metrics", "diff", *revisions],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(given.rounds + 1):  # the first warms the file cache
        for name, command in commands.items():
            seconds = timed(command, given.repository)
            if turn:
                taken[name].append(seconds)
    ratios = []
    for kind, what in enumerate(("elapsed", "CPU")):
        beyond = {
            name: [rounds[kind] - empty[kind] for rounds, empty in zip(taken[name], taken["empty"], strict=True)]
            for name in commands
        }
        ratios.append(median(a / b for a, b in zip(beyond["tools.diff"], beyond["dvc metrics diff"], strict=True)))
        for name in ("tools.diff", "dvc metrics diff"):
            print(f"{name}, {what} beyond an empty Python: {median(beyond[name]):.2f} s")
        print(f"median ratio, {what}: {ratios[-1]:.2f}")


def timed(command: list[str], folder: str) -> tuple[float, float]:
    """Return elapsed and CPU seconds of one run of Python, its children's included."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    elapsed, after = time.perf_counter() - started, os.times()
    user, system = after.children_user - before.children_user, after.children_system - before.children_system
    return elapsed, user + system


if __name__ == "__main__":
    main()
