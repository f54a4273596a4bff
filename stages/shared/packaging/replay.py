"""Asks the wheel, installed by itself, for every test row, in process and over HTTP: it must say what evaluate saw."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError
from stages.shared.packaging.environment import clean_environment
from stages.shared.packaging.requirements import Pin
from stages.shared.packaging.served import serving
from stages.shared.progress import Progress

BATCH = 500  # records asked together
LATENCIES = 200  # one-row requests that are timed
SCRIPT = """
import importlib, json, sys
model, alone, batch = importlib.import_module(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
records = [json.loads(line) for line in sys.stdin]
for start in range(0, len(records), batch):
    for answer in model.predict(records[start:start + batch]):
        print(json.dumps(answer), flush=True)
for record in records[:alone]:
    print(json.dumps(model.predict(record)), flush=True)
"""
Record = dict[str, Any]


def replay(
    wheel: Path, name: str, needed: Iterable[Pin], records: list[Record], expected: list[Record], n_alone: int
) -> float:
    """Ask for all records together and the first `n_alone` also alone; return the latency of one over HTTP as a ratio
    to an empty answer's.

    Raises RuntimeError where an answer is not the expected one: the packaged model would not be the evaluated one.
    """
    right = expected + expected[:n_alone]
    progress = Progress("package", "answers compared", 2 * len(right))
    with tempfile.TemporaryDirectory() as folder:
        python = clean_environment(Path(folder), wheel, needed)
        compare("the wheel", _in_process(python, name, records, n_alone), right, progress, 0)
        with serving(python, name) as served:
            compare("the service, asked together", served.together(records), expected, progress, len(right))
            alone = (served.alone(record) for record in records[:n_alone])
            compare("the service", alone, expected[:n_alone], progress, len(right) + len(expected))
            ratio = served.latency_ratio(records[0], LATENCIES)
    progress.close()
    return ratio


def check_latency(ratio: float, most: float | None, where: str) -> None:
    """Raise InputError where one row takes longer over HTTP than the budget allows."""
    if most is not None and ratio > most:
        raise InputError(
            f"{where}: max_latency_ratio is {most:g}, but one row over HTTP takes {ratio:.1f} times an empty answer"
        )


def compare(who: str, answers: Iterable[Record], expected: list[Record], progress: Progress, done: int) -> None:
    """Raise RuntimeError for the first answer that is not the expected one, or if their numbers differ."""
    number = 0
    for number, (given, right) in enumerate(zip(answers, expected, strict=True), start=1):
        if given != right:
            raise RuntimeError(f"test row {number}: evaluate saw {right}, {who} answers {given}")
        progress.update(done + number)


def _in_process(python: Path, name: str, records: list[Record], n_alone: int) -> Iterator[Record]:
    """Yield the answers of the installed wheel: to all records in batches, then to the first `n_alone` one by one."""
    command = [str(python), "-I", "-c", SCRIPT, name, str(n_alone), str(BATCH)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as requests:
        requests.writelines(json.dumps(record) + "\n" for record in records)
        requests.seek(0)
        with subprocess.Popen(command, stdin=requests, stdout=subprocess.PIPE, text=True, cwd=python.parent) as process:
            assert process.stdout is not None
            yield from map(json.loads, process.stdout)
    if process.returncode != 0:
        raise RuntimeError(f"the wheel failed while answering, exit status {process.returncode}")
