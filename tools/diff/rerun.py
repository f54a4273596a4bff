"""Runs the pipeline up to evaluate in a folder, and says in one line why it failed where it did."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from stages.shared.files import read_json
from tools.diff.cache import settings
from tools.diff.hybrid import mix, unpack
from tools.diff.revision import Revision

PREDICTIONS = "data/evaluate/predictions.parquet"
METRICS = Path("reports/evaluate/metrics.json")
FAULT = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Interrupt): .*")


def evaluate(folder: Path) -> dict[str, float] | str:
    """Return the metrics that `dvc repro evaluate` gives in a folder, or the line that says why it failed."""
    _run(folder, "checkout", "--quiet", "--allow-missing")  # what is not in the cache is made anew
    pull = ["--pull"] if settings()[1] else []
    code, said = _run(folder, "repro", *pull, "evaluate")
    if code:
        return _reason(said)
    return metrics_of(folder)


def run_again(revision: Revision, folder: Path) -> str | None:
    """Run a commit's pipeline up to evaluate in `folder`, so that the cache holds what its dvc.lock names.

    Return why it could not be run, or gave other bytes, None where all is well.
    """
    place = folder / "again"
    side = unpack(revision, folder / "as_committed")
    mix({"base": side, "head": side}, frozenset(), place)
    found = evaluate(place)
    for path in (place, side):
        shutil.rmtree(path)
    if isinstance(found, str):
        return found
    return None if revision.data(PREDICTIONS) else "it gives other bytes here than its dvc.lock names"


def metrics_of(folder: Path) -> dict[str, float]:
    """Return the metrics that lie in a folder."""
    found: dict[str, float] = read_json(folder / METRICS)
    return found


def _run(folder: Path, *command: str) -> tuple[int, str]:
    """Run DVC in a folder, in a process group that ends with us; return exit status and all that was printed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment |= {"DVC_SITE_CACHE_DIR": str(folder / ".dvc/site"), "DVC_NO_ANALYTICS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "dvc", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said


def _reason(said: str) -> str:
    """Return the line with which Python, a stage or DVC says what is wrong: the last of the first kind there is."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    dvc = next((place for place, line in enumerate(lines) if line.startswith("ERROR: ")), len(lines))
    faults = [line for line in lines[:dvc] if FAULT.fullmatch(line)]
    stage = re.match(r"ERROR: failed to reproduce '(\w+)'", lines[dvc]) if dvc < len(lines) else None
    spoken = [line for line in lines[:dvc] if stage and line.startswith(f"{stage[1]}: ")]
    return next(iter([*faults[-1:], *spoken[-1:], *lines[dvc : dvc + 1], *lines[-1:]]), "it printed nothing")
