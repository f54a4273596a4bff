"""Asks an HTTP server over keep-alive connections for some seconds: requests a second, latencies, statuses, as JSON.

By hand: python -m tests.benchmarks.serving.load http://127.0.0.1:8000/predict --body record.json --seconds 5
Each of `--processes` is a process of its own with its share of the connections; a connection sends its next request
when its answer is whole. It reads just enough HTTP (status, Content-Length) to be lighter than any server that it asks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

END = b"\r\n\r\n"
LENGTH = b"content-length:"


@dataclass
class Found:
    """What was asked and answered: seconds of each answer, statuses, and connections that broke."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0

    def add(self, other: Found) -> None:
        """Count another process's answers too."""
        self.seconds = max(self.seconds, other.seconds)
        self.latencies += other.latencies
        self.statuses += other.statuses
        self.broken += other.broken

    def summary(self) -> dict[str, Any]:
        """Return requests a second and quantiles of the latency in milliseconds."""
        ordered = sorted(self.latencies)
        at = {name: ordered[int(share * (len(ordered) - 1))] * 1000 for name, share in QUANTILES} if ordered else {}
        return {
            "requests": len(ordered),
            "per_second": round(len(ordered) / self.seconds, 1) if self.seconds else 0.0,
            **{name: round(value, 3) for name, value in at.items()},
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "broken": self.broken,
        }


QUANTILES = [("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0)]


def request(url: str, body: bytes | None, headers: Sequence[str] = (), kind: str = "application/json") -> bytes:
    """Return the bytes of one request: POST with a body, GET without."""
    place = urlsplit(url)
    lines = [f"{'GET' if body is None else 'POST'} {place.path or '/'} HTTP/1.1", f"Host: {place.netloc}", *headers]
    if body is not None:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + END + (body or b"")


class Asker(asyncio.Protocol):
    """One connection; asks `requests` in turn until `until`."""

    def __init__(self, requests: Sequence[bytes], found: Found, until: float, done: asyncio.Future[None]) -> None:
        self.requests, self.found, self.until, self.done = requests, found, until, done
        self.number, self.pending, self.whole = 0, b"", 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.requests[self.number % len(self.requests)])
        self.number += 1

    def data_received(self, data: bytes) -> None:
        self.pending = self.pending + data if self.pending else data
        if not self.whole:
            end = self.pending.find(END)
            if end < 0:
                return
            head = self.pending[: end + 2].lower()
            start = head.index(LENGTH) + len(LENGTH)
            self.whole = end + len(END) + int(head[start : head.index(b"\r", start)])
        if len(self.pending) < self.whole:
            return
        now = time.perf_counter()
        self.found.latencies.append(now - self.sent)
        self.found.statuses[int(self.pending[9:12])] += 1
        self.pending, self.whole = b"", 0
        if now < self.until:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.found.broken += time.perf_counter() < self.until
        if not self.done.done():
            self.done.set_result(None)


async def ask_for(
    place: tuple[str, int], requests: Sequence[bytes], connections: int, seconds: float, skipped: float
) -> Found:
    """Return what `connections` found in `seconds`, once `skipped` seconds have warmed the server up."""
    loop = asyncio.get_running_loop()
    if skipped:
        await ask_for(place, requests, connections, skipped, 0.0)
    found, start = Found(), time.perf_counter()
    waiting = []
    for _ in range(connections):
        done = loop.create_future()
        waiting.append(done)
        await loop.create_connection(lambda done=done: Asker(requests, found, start + seconds, done), *place)  # type: ignore[misc]
    await asyncio.wait(waiting, timeout=seconds + 60)
    found.seconds = time.perf_counter() - start
    return found


def run_one(arguments: tuple[tuple[str, int], Sequence[bytes], int, float, float]) -> Found:
    """Run one process's share."""
    import uvloop

    return uvloop.run(ask_for(*arguments))


def load(
    url: str, requests: Sequence[bytes], connections: int = 8, seconds: float = 3.0, skipped: float = 0.5,
    processes: int = 1,
) -> Found:  # fmt: skip
    """Return what all connections together found; every process is a new one."""
    place = urlsplit(url)
    share = ((place.hostname or "127.0.0.1", place.port or 80), requests, connections // processes, seconds, skipped)
    found = Found()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for part in pool.map(run_one, [share] * processes):
            found.add(part)
    return found


def main() -> None:
    """Ask as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--body", type=Path, help="file with the body; without it GET is asked")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    asked = [request(options.url, options.body.read_bytes() if options.body else None, options.header)]
    found = load(options.url, asked, options.connections, options.seconds, processes=options.processes)
    json.dump(found.summary(), sys.stdout)
    print()


if __name__ == "__main__":
    main()
