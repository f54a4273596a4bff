"""The wheel's own HTTP service in another process, and its answers over one connection."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

LIMITS = {"body-bytes": 2_000_000_000, "text-length": 100_000_000, "rows": 1_000_000, "seconds": 3600.0}
BODY_CHARACTERS = 4_000_000  # of one request with many records
MOST_RECORDS = 500
HEADERS = {"Content-Type": "application/json"}
ADDED = ("version", "request_id")  # by the service
Record = dict[str, Any]


class Served:
    """A running service; `connection` stays open from request to request."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection

    def ask(self, content: str) -> Any:
        """Return what POST /predict answers. Raises RuntimeError for a refusal, with its reasons."""
        self.connection.request("POST", "/predict", content.encode(), HEADERS)
        response = self.connection.getresponse()
        answered = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"the service refuses a test row with {response.status}: {json.dumps(answered)[:500]}")
        return answered

    def together(self, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
        """Yield the answers to records that are asked many at a time."""
        for bodies in batches([json.dumps(record, allow_nan=False) for record in records]):
            yield from self.ask(f"[{','.join(bodies)}]")["answers"]

    def alone(self, record: Record) -> dict[str, Any]:
        """Return the answer to a record asked alone, without what the service adds to it."""
        return {
            key: value for key, value in self.ask(json.dumps(record)).items() if key not in ("version", "request_id")
        }

    def latency_ratio(self, record: Record, n_asked: int) -> float:
        """Return how many times as long as an empty answer one row's takes: medians, both asked in turn."""
        content = json.dumps(record)
        empty, whole = [], []
        for _ in range(n_asked):
            start = time.perf_counter()
            self.connection.request("GET", "/health")
            self.connection.getresponse().read()
            between = time.perf_counter()
            self.ask(content)
            whole.append(time.perf_counter() - between)
            empty.append(between - start)
        return median(whole) / median(empty)


@contextmanager
def serving(python: Path, name: str) -> Iterator[Served]:
    """Serve the package `name` of an environment on a free port while the body runs.

    Raises RuntimeError where it does not start, or does not end by itself once it is told to.
    """
    options = [part for limit, value in LIMITS.items() for part in (f"--max-{limit}", str(value))]
    start = f"import sys; from {name}.runtime.cli import main; main(sys.argv[1:])"
    command = [str(python), "-I", "-c", start, "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=python.parent) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        address = re.search(r"serves on http://([\d.]+):(\d+)", told)
        if address is None:
            raise RuntimeError(f"the packaged service did not start, exit status {process.wait()}: {told.strip()}")
        connection = http.client.HTTPConnection(address[1], int(address[2]))
        try:
            yield Served(connection)
        finally:
            connection.close()
            process.terminate()
            process.stdout.read()
    if process.returncode != 0:
        raise RuntimeError(f"the packaged service ended with exit status {process.returncode}")


def batches(bodies: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in order, as many together as one request should hold."""
    start = size = 0
    for place, body in enumerate(bodies):
        if place > start and (size + len(body) > BODY_CHARACTERS or place - start == MOST_RECORDS):
            yield bodies[start:place]
            start, size = place, 0
        size += len(body)
    if start < len(bodies):
        yield bodies[start:]
