"""Works on parts in a process of its own: a job, then parts, as JSON lines in; the counts of each out.

It ends when its input ends, so that none is left behind where the process that gives the work is killed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from typing import Any

from .. import api
from ..dialect import Dialect
from ..transformer import load_transformers
from .faults import BadTable
from .part import Job, Part, Scorer
from .table import first_line

START = (
    "import sys, json, importlib; sys.path[:] = json.loads(sys.argv[1]); importlib.import_module(sys.argv[2]).main()"
)


def make_scorer(job: Job) -> Scorer:
    """Return the scorer of a job by the packaged model."""
    return Scorer(job, api.predictor(), load_transformers(api.FOLDER))


def score_part(scorer: Scorer, part: Part) -> dict[str, Any]:
    """Return the counts of a part. Raises BadTable where the table cannot be read or the answers not be written."""
    import duckdb

    try:
        return scorer.score(part)
    except duckdb.InvalidInputException as error:
        raise BadTable(f"{scorer.job.source}: not readable: {first_line(error)}") from None
    except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
        raise BadTable(first_line(error)) from None


class Worker:
    """The process, as the one that gives the work sees it."""

    def __init__(self, job: Job) -> None:
        command = [sys.executable, "-c", START, json.dumps(sys.path), __name__]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )
        self._say(dataclasses.asdict(job))

    def score(self, part: Part) -> dict[str, Any]:
        """Return `score_part` of the process. Raises BadTable as it does, or where the process ended."""
        assert self.process.stdout is not None
        self._say(dataclasses.asdict(part))
        line = self.process.stdout.readline()
        if not line:
            raise BadTable(f"a worker process ended with exit status {self.process.wait()} on part {part.number}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BadTable(answer["error"])
        return answer

    def close(self) -> None:
        """End the process; what it is at is not finished."""
        self.process.kill()
        self.process.wait()

    def _say(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise BadTable(f"a worker process ended with exit status {self.process.wait()}") from None


def main() -> None:
    """Answer parts until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the one that gives the work
    job = json.loads(sys.stdin.readline())
    dialect = None if job["dialect"] is None else Dialect(**job["dialect"])
    scorer = make_scorer(Job(**{**job, "dialect": dialect}))
    for line in sys.stdin:
        try:
            answer = score_part(scorer, Part(**json.loads(line)))
        except BadTable as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
