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

ALONE = 200  # test rows that package asks one by one


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
    """Print each round, each stage and the median ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    same_work, less_work = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = clone(Path(temporary, "copy"))
        out = Path(temporary, "out")
        out.mkdir()
        straight = [sys.executable, "-m", "tests.benchmarks.straight", str(out)]
        for number in range(1, rounds + 1):
            forget(folder)
            cold = seconds(folder, "dvc", "repro")
            whole = seconds(folder, *straight, "--alone", str(ALONE))
            batch = seconds(folder, *straight)
            same_work.append(cold / whole)
            less_work.append(cold / batch)
            shown = f"dvc repro {cold:.2f} s, straight {whole:.2f} s, without asking rows alone {batch:.2f} s"
            print(f"round {number}: {shown}", flush=True)
        for stage, command in commands(folder).items():
            times = [seconds(folder, *command) for _ in range(rounds)]
            print(f"{stage}: {statistics.median(times):.2f} s")
        idle = [seconds(folder, "dvc", "repro") for _ in range(rounds)]
        print(f"dvc repro, nothing to do: {statistics.median(idle):.2f} s")
    print(f"median ratio: {statistics.median(same_work):.2f}")
    print(f"median ratio without asking rows alone: {statistics.median(less_work):.2f}")


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
