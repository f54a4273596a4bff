"""One wheel asked for the records of a prediction log, in a process that sees nothing of this repository."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.runtime.journal.files import log_files
from stages.runtime.journal.reading import read_log
from stages.shared.errors import InputError
from stages.shared.packaging.requirements import read_lock
from tools.promote.wheel import Wheel

SCRIPT = """
import importlib, json, sys, time
sys.path.insert(0, sys.argv[1])
model = importlib.import_module(sys.argv[2])
for line in sys.stdin:
    record = json.loads(line)["inputs"]
    start = time.perf_counter()
    try:
        told = {"answer": model.predict(record)}
    except model.BrokenContract as error:
        told = {"refused": [[violation.column, violation.rule] for violation in error.violations]}
    print(json.dumps({**told, "seconds": time.perf_counter() - start}))
"""


def write_records(log: Path, path: Path) -> int:
    """Write the records of a log as lines, without its notes on lost ones; return their number.

    Raises InputError where the folder holds no log, or one that cannot be read.
    """
    if not log.is_dir() or not (log_files(log) or list(log.glob("*.parquet"))):
        raise InputError(f"{log}: no prediction log there: no predictions-*.jsonl or .parquet file")
    n_records = 0
    with path.open("w", encoding="utf-8") as file:
        try:
            for line in read_log(log):
                if "note" not in line:
                    file.write(json.dumps(line) + "\n")
                    n_records += 1
        except ValueError as error:
            raise InputError(f"{log}: damaged: {error}") from None
    return n_records


class Asked:
    """The wheel of a revision, unpacked."""

    def __init__(self, revision: str, wheel: Wheel, folder: Path) -> None:
        self.revision, self.version, self.folder = revision, wheel.content_version, folder
        self.name = wheel.path.name.split("-")[0]
        with zipfile.ZipFile(wheel.path) as archive:
            archive.extractall(folder)

    def answers(self, records: Path) -> Iterator[dict[str, Any]]:
        """Yield {"answer" or "refused", "seconds"} of each record. Raises RuntimeError where the model fails."""
        command = [sys.executable, "-I", "-c", SCRIPT, str(self.folder), self.name]
        with (
            records.open(encoding="utf-8") as lines,
            subprocess.Popen(command, stdin=lines, stdout=subprocess.PIPE, text=True, cwd=self.folder) as process,
        ):
            assert process.stdout is not None
            yield from map(json.loads, process.stdout)
        if process.returncode != 0:
            raise RuntimeError(f"the model of {self.revision} failed, exit status {process.returncode}")

    def other_libraries(self) -> dict[str, list[str]]:
        """Return the packages that are installed in another version than the wheel has pinned: [pinned, installed]."""
        lock = self.folder / self.name / "model/requirements.txt"
        if not lock.is_file():
            return {}
        pinned: dict[str, set[str]] = {}
        for pin in read_lock(lock):
            pinned.setdefault(pin.name, set()).add(pin.version)
        found = {name: _installed(name) for name in pinned}
        return {name: [" or ".join(sorted(versions)), found[name]] for name, versions in sorted(pinned.items())
                if found[name] not in versions}  # fmt: skip


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
