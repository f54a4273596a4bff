"""Requests a second of a served wheel against an empty ASGI application on uvicorn, uvloop and httptools, in turns.

By hand: python -m tests.benchmarks.serving.empty data/package/*.whl
One process each, 8 connections; the ratio is the median over the turns. CPU a request is the server's own, which a busy
machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import psutil

from tests.benchmarks.serving.load import load, request

EMPTY = """
import socket, sys, uvicorn
async def app(scope, receive, send):
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})
listening = socket.create_server(("127.0.0.1", 0))
print("http://127.0.0.1:%d" % listening.getsockname()[1], flush=True)
config = uvicorn.Config(app, loop="uvloop", http="httptools", lifespan="off", ws="none", log_level="error")
uvicorn.Server(config).run([listening])
"""


def main() -> None:
    """Start both, ask them in turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    name = options.wheel.name.partition("-")[0]
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(options.wheel) as archive:
            archive.extractall(folder)
        record = json.loads(Path(folder, name, "model/examples.json").read_text())[0]["record"]
        code = f"import sys; sys.path.insert(0, {folder!r}); from {name}.runtime.cli import main; main(sys.argv[1:])"
        commands = {"empty": ["-c", EMPTY], "served": ["-I", "-c", code, "serve", "--port", "0"]}
        servers = {
            kind: subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=folder)
            for kind, command in commands.items()
        }
        try:
            tell(servers, json.dumps(record).encode(), options.turns, options.seconds)
        finally:
            for server in servers.values():
                server.terminate()
                server.wait(30)


def tell(servers: dict[str, subprocess.Popen[str]], body: bytes, turns: int, seconds: float) -> None:
    """Print requests a second and CPU a request of each, and their ratios."""
    urls = {}
    for kind, server in servers.items():
        assert server.stdout is not None
        found = re.search(r"http://\S+:\d+", server.stdout.readline())
        assert found is not None
        urls[kind] = f"{found[0]}/predict"
    rates: dict[str, list[float]] = {kind: [] for kind in urls}
    costs: dict[str, list[float]] = {kind: [] for kind in urls}
    for _ in range(turns):
        for kind, url in urls.items():
            before = cpu(servers[kind].pid)
            found = load(url, [request(url, body)], seconds=seconds, skipped=0.0)
            assert set(found.statuses) == {200}
            rates[kind].append(len(found.latencies) / found.seconds)
            costs[kind].append((cpu(servers[kind].pid) - before) / len(found.latencies) * 1e6)
    for kind in urls:
        print(
            f"{kind}: {statistics.median(rates[kind]):.0f} requests/s, {statistics.median(costs[kind]):.0f} us CPU each"
        )
    ratios = [ours / empty for ours, empty in zip(rates["served"], rates["empty"], strict=True)]
    cost = statistics.median(costs["empty"]) / statistics.median(costs["served"])
    print(f"ratio {statistics.median(ratios):.2f} of the requests, {cost:.2f} by CPU")


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
