"""How long a cold `dvc repro` of the default table takes, and how much of it is DVC's.

    python -m tests.benchmarks.repro_time [ROUNDS]

Runs in a copy of the repository without a DVC cache: all by `dvc repro`, then each stage's command by itself, in turns.
Prints medians, and the median of how much longer DVC took than the commands together.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.conftest import clone, environment


def seconds(folder: Path, *command: str) -> float:
    """Return how long a command takes; it must succeed."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)
    return time.perf_counter() - started


def forget(folder: Path) -> None:
    """Remove everything that a run left, so that the next one starts from the raw table."""
    for path in [
        folder / ".dvc/cache",
        folder / ".dvc/tmp",
        folder / "dvc.lock",
        folder / "reports",
        *folder.glob("data/[!r.]*"),
    ]:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def main() -> None:
    """Print each round, then the medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    cold, idle, ratios = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = clone(Path(temporary, "copy"))
        stages = commands(folder)
        alone: dict[str, list[float]] = {stage: [] for stage in stages}
        for number in range(1, rounds + 1):
            forget(folder)
            cold.append(seconds(folder, "dvc", "repro"))
            idle.append(seconds(folder, "dvc", "repro"))
            for stage, command in stages.items():
                alone[stage].append(seconds(folder, *command))
            together = sum(times[-1] for times in alone.values())
            ratios.append(cold[-1] / together)
            print(f"round {number}: dvc repro {cold[-1]:.2f} s, the commands {together:.2f} s", flush=True)
    for stage, times in alone.items():
        print(f"{stage}: {statistics.median(times):.2f} s")
    print(f"dvc repro, all of it: {statistics.median(cold):.2f} s")
    print(f"dvc repro, nothing to do: {statistics.median(idle):.2f} s")
    print(f"dvc repro over the commands, median ratio: {statistics.median(ratios):.2f}")


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the command of each stage as DVC runs it."""
    choices = yaml.safe_load((folder / "params.yaml").read_text())
    found = {}
    for stage, block in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items():
        command = block["cmd"]
        for choice, value in choices.items():
            command = command.replace(f"${{{choice}}}", str(value))
        found[stage] = command.split()
    return found


if __name__ == "__main__":
    main()
