"""How long a cold `dvc repro` of the default table takes against the same work in one straight Python process.

    python -m tests.benchmarks.repro_time [ROUNDS]

Both run alternately in a copy of the repository without a DVC cache; prints each stage's seconds and the median ratio.
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

LIMIT = 1.5


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
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ratios = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = clone(Path(temporary, "copy"))
        out = Path(temporary, "out")
        out.mkdir()
        for number in range(rounds):
            forget(folder)
            cold = seconds(folder, "dvc", "repro")
            straight = seconds(folder, sys.executable, "-m", "tests.benchmarks.straight", str(out))
            ratios.append(cold / straight)
            print(
                f"round {number + 1}: dvc repro {cold:.2f} s, straight {straight:.2f} s, ratio {ratios[-1]:.2f}",
                flush=True,
            )
        choices = yaml.safe_load((folder / "params.yaml").read_text())
        for stage, block in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items():
            command = block["cmd"]
            for choice, value in choices.items():
                command = command.replace(f"${{{choice}}}", str(value))
            times = [seconds(folder, *command.split()) for _ in range(rounds)]
            print(f"{stage}: {statistics.median(times):.2f} s")
        print(f"no-op dvc repro: {statistics.median(seconds(folder, 'dvc', 'repro') for _ in range(rounds)):.2f} s")
    print(f"median ratio: {statistics.median(ratios):.2f} (limit {LIMIT})")


if __name__ == "__main__":
    main()
