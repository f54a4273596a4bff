"""Ten minutes of good and bad requests while workers are killed: no wrong answer, nothing lost but with a worker.

The prediction log is kept and, in the end, held against what each client got (soaked_log.py).

By hand: python -m tests.benchmarks.serving.soak data/package/*.whl --seconds 600 --workers 2 --kills 3
Exits 1, and says what, where an answer was not the packaged one, a bad request not refused, a request lost although no
worker had just been killed, the memory grew, a process was left behind, or the log misses an answer that was more than
a second old when its worker was killed, has one twice, or other than the client got it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .soaked_log import FIRST, OWN, Answered, check, told

Told = tuple[int, dict[str, Any]]
AFTER_KILL = 5.0  # seconds in which a request may be lost
GROWTH = 1.3  # of the memory of the workers since the first quarter


class Client:
    """Asks one thing after another over one connection, and holds each answer against what it should be."""

    def __init__(self, place: tuple[str, int], examples: list[dict[str, Any]], seed: int) -> None:
        self.place, self.examples, self.random = place, examples, random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.lost: list[float] = []
        self.slowest: dict[str, float] = {}
        self.names = (f"{OWN}{seed}-{number}" for number in itertools.count())
        self.answered: dict[str, Answered] = {}
        self.unanswered: set[str] = set()
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, until: float) -> None:
        cases: list[tuple[int, Callable[[], Any]]] = [
            (60, self.alone), (6, self.batch), (2, self.explain), (20, self.bad), (2, self.hang_up), (4, self.open),
        ]  # fmt: skip
        weights, asked = zip(*cases, strict=True)
        while time.time() < until:
            [case] = self.random.choices(asked, weights)
            start = time.monotonic()
            try:
                await case()
            except (OSError, EOFError):
                self.lost.append(time.time())
                await self.leave()
                continue
            name = case.__name__
            self.slowest[name] = max(self.slowest.get(name, 0.0), time.monotonic() - start)
            self.counts[name] += 1
        await self.leave()

    async def leave(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None

    async def ask(self, path: str, body: bytes | None, asked: Sequence[int] = ()) -> Told:
        """Return status and body; `asked` are the numbers of the examples, where an answer is to be logged."""
        self.name = next(self.names)
        self.unanswered.add(self.name)
        if self.streams is None:
            self.streams = await asyncio.open_connection(*self.place, limit=1 << 24)
        reader, writer = self.streams
        length = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        head = f"Host: soak\r\nX-Request-Id: {self.name}\r\n{length}\r\n"
        method = "GET" if body is None else "POST"
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}".encode() + (body or b""))
        got = (await reader.readuntil(b"\r\n\r\n")).lower()
        found = re.search(rb"content-length: (\d+)", got)
        assert found is not None
        content = await reader.readexactly(int(found[1]))
        self.unanswered.remove(self.name)
        if asked:
            self.answered[self.name] = Answered(time.time(), asked)
        if b"connection: close" in got:
            await self.leave()
        return int(got[9:12]), json.loads(content)

    def check(self, is_right: bool, told: Any) -> None:
        if not is_right:
            self.wrong.append(str(told)[:300])

    async def alone(self) -> None:
        number = self.random.randrange(len(self.examples))
        example = self.examples[number]
        record = list(example["record"].items())
        self.random.shuffle(record)
        status, body = await self.ask("/predict", json.dumps(dict(record)).encode(), [number])
        self.check(status == 200 and answer_of(body) == example["answer"], (status, body))

    async def batch(self) -> None:
        numbers = bytes(self.random.choices(range(len(self.examples)), k=self.random.choice([1, 2, 20, 1000])))
        chosen = [self.examples[number] for number in numbers]
        status, body = await self.ask(
            "/predict", json.dumps([example["record"] for example in chosen]).encode(), numbers
        )
        self.check(status == 200 and body["answers"] == [example["answer"] for example in chosen], (status, body))

    async def explain(self) -> None:
        number = self.random.randrange(len(self.examples))
        example = self.examples[number]
        status, body = await self.ask("/explain", json.dumps(example["record"]).encode(), [number])
        self.check(status == 200 and body["prediction"] == example["answer"]["prediction"], (status, body))

    async def bad(self) -> None:
        example = self.random.choice(self.examples)["record"]
        body, expected = self.random.choice(BAD)(example)
        status, told = await self.ask("/predict", body)
        self.check(status == expected and bool(told["reason"]), (status, expected, told))

    async def open(self) -> None:
        path = self.random.choice(["/health", "/ready", "/nowhere", "/predict"])
        status, _ = await self.ask(path, None)
        self.check(status == {"/nowhere": 404, "/predict": 405}.get(path, 200), (path, status))

    async def hang_up(self) -> None:
        """Leave in the middle of a request, or before its answer."""
        await self.leave()
        _, writer = await asyncio.open_connection(*self.place)
        body = json.dumps([self.examples[0]["record"]] * 500).encode()
        sent = body[: self.random.choice([0, 10, len(body)])]
        head = f"POST /predict HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + sent)
        await writer.drain()
        writer.close()


def answer_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what only HTTP adds."""
    return {key: value for key, value in body.items() if key not in ("version", "request_id")}


BAD: list[Callable[[dict[str, Any]], tuple[bytes, int]]] = [
    lambda record: (b"{", 400),
    lambda record: (b"\xff\xfe", 400),
    lambda record: (b"[" * 5000, 400),
    lambda record: (json.dumps(record).encode()[:-1] + b', "x": NaN}', 400),
    lambda record: (json.dumps(record).encode()[:-1] + b', "' + next(iter(record)).encode() + b'": null}', 400),
    lambda record: (json.dumps({**record, "no such column": 1}).encode(), 422),
    lambda record: (json.dumps([record, {**record, "no such column": 1}, 5]).encode(), 422),
    lambda record: (json.dumps([record] * 10_001).encode(), 413),
    lambda record: (json.dumps({**record, "no such column": "x" * 20_000}).encode(), 422),
]


async def soak(
    process: subprocess.Popen[str],
    place: tuple[str, int],
    examples: list[Any],
    seconds: float,
    clients: int,
    kills: int,
) -> tuple[list[Client], list[float], list[float]]:
    """Return the clients, when workers were killed, and the memory of all workers (MB), sampled over time."""
    until = time.time() + seconds
    asked = [Client(place, examples, seed) for seed in range(clients)]
    tasks = [asyncio.create_task(client.run(until)) for client in asked]
    memory: list[float] = []
    killed: list[float] = []
    due = [until - seconds * (number + 1) / (kills + 1) for number in range(kills)]
    while time.time() < until:
        await asyncio.sleep(min(1.0, seconds / 20))
        workers = children(process.pid)
        memory.append(sum(resident(pid) for pid in workers))
        if due and time.time() > due[-1] and len(workers) > 1:
            due.pop()
            os.kill(random.choice(workers), signal.SIGKILL)
            killed.append(time.time())
    await asyncio.wait_for(asyncio.gather(*tasks), 120)
    return asked, killed, memory


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident(pid: int) -> float:
    """Return the memory of a process in MB, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def faults_of(clients: list[Client], killed: list[float], memory: list[float]) -> list[str]:
    """Return what should not have happened."""
    found = [f"wrong: {told}" for client in clients for told in client.wrong[:3]]
    lost = [moment for client in clients for moment in client.lost]
    found += [f"lost at {moment:.1f}" for moment in lost if not any(0 <= moment - kill < AFTER_KILL for kill in killed)]
    quarter = max(memory[: len(memory) // 4 + 1])
    if max(memory[len(memory) // 2 :]) > GROWTH * quarter:
        found.append(f"memory grew from {quarter:.0f} MB to {max(memory[len(memory) // 2 :]):.0f} MB")
    return found


def main() -> None:
    """Serve a wheel, soak it, stop it, tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--kills", type=int, default=1)
    options = parser.parse_args()
    name = options.wheel.name.partition("-")[0]
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(options.wheel) as archive:
            archive.extractall(folder)
        examples = json.loads(Path(folder, name, "model/examples.json").read_text())
        code = f"import sys; sys.path.insert(0, {folder!r}); from {name}.runtime.cli import main; main(sys.argv[1:])"
        command = [sys.executable, "-I", "-c", code, "serve", "--port", "0", "--workers", str(options.workers)]
        log = Path(folder, "log")
        command += ["--log", str(log)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
            assert process.stdout is not None
            found = re.search(r"http://([\d.]+):(\d+)", process.stdout.readline())
            assert found is not None
            place = (found[1], int(found[2]))
            clients, killed, memory = asyncio.run(
                soak(process, place, examples, options.seconds, options.clients, options.kills)
            )
            workers = children(process.pid)
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)
        answered = {name: each for client in clients for name, each in client.answered.items()}
        unanswered = {name for client in clients for name in client.unanswered}
        logged = check(log, answered, unanswered, killed, examples)
    faults = faults_of(clients, killed, memory) + logged.faults[:FIRST]
    faults += [f"exit status {status}"] if status else []
    faults += [f"process {pid} is left" for pid in workers if Path(f"/proc/{pid}").exists()]
    counts = sum((client.counts for client in clients), Counter())
    kinds = ", ".join(f"{number} {kind}" for kind, number in counts.most_common())
    print(f"{sum(counts.values())} requests in {options.seconds:.0f} s ({kinds})")
    print(f"{len(killed)} workers killed, {sum(len(c.lost) for c in clients)} requests lost with them")
    slowest = {kind: max(client.slowest.get(kind, 0.0) for client in clients) for kind in counts}
    print("slowest, seconds: " + ", ".join(f"{kind} {took:.2f}" for kind, took in slowest.items()))
    print(f"memory {memory[0]:.0f} to {memory[-1]:.0f} MB")
    print("\n".join(told(logged)))
    print("\n".join(faults) or "no wrong answer, no wrong line")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
