"""Asks a wheel every test row, in a process that sees nothing of this repository."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.shared.progress import Progress

BATCH = 500  # records asked together
CODE = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
model, alone, batch = importlib.import_module(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
records = [json.loads(line) for line in sys.stdin]
for start in range(0, len(records), batch):
    print(json.dumps(model.predict(records[start:start + batch])), flush=True)
for record in records[:alone]:
    print(json.dumps([model.predict(record)]), flush=True)
"""


def replay(wheel: Path, name: str, records: list[dict[str, Any]], expected: list[dict[str, Any]], n_alone: int) -> None:
    """Ask the unpacked wheel for every record together with others, and for the first `n_alone` alone.

    Raises RuntimeError where an answer is not the expected one: the packaged model would not be the evaluated one.
    """
    answers = []
    progress = Progress("package", "rows replayed", len(records) + n_alone)
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        for batch in ask(folder, name, records, n_alone):
            answers += json.loads(batch)
            progress.update(len(answers))
    progress.close()
    for number, (given, right) in enumerate(zip(answers, expected + expected[:n_alone], strict=True)):
        if given != right:
            raise RuntimeError(
                f"test row {number % len(expected) + 1}: evaluate saw {right}, the wheel answers {given}"
            )


def ask(folder: str, name: str, records: list[dict[str, Any]], n_alone: int) -> Iterator[str]:
    """Yield lines of answers: batches of all records, then the first `n_alone` one by one."""
    command = [sys.executable, "-I", "-c", CODE, folder, name, str(n_alone), str(BATCH)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as requests:
        requests.writelines(json.dumps(record) + "\n" for record in records)
        requests.seek(0)
        with subprocess.Popen(command, stdin=requests, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
            assert process.stdout is not None
            yield from process.stdout
    if process.returncode != 0:
        raise RuntimeError(f"the wheel failed while answering, exit status {process.returncode}")
