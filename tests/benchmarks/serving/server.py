"""A server under measurement: started, asked until it answers, weighed with all its processes, stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START_LIMIT, STOP_LIMIT = 120.0, 15.0  # seconds
PAUSE = 0.01  # seconds between two attempts to be answered


class NotServing(RuntimeError):
    """A server that ends, or does not answer in time; says what it printed last."""


class Server:
    """One running server; `started` is the seconds from its command to its first answer."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
        self.process, self.port, self.path, self.log, self.started = process, port, path, log, 0.0

    @property
    def url(self) -> str:
        """Return where predictions are asked."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def ask(self, body: bytes) -> Any:
        """Return the answer to one request on a connection of its own. Raises NotServing for a refusal."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", self.path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != 200:
            raise NotServing(f"{self.path} answered {answer.status}: {content[:500]!r}{self.printed()}")
        return json.loads(content)

    def printed(self) -> str:
        """Return the end of what the server has printed."""
        return "\n" + self.log.read_text(errors="replace")[-2000:]

    def memory(self) -> float:
        """Return the MB of all its processes, pages that they share counted once: PSS of Linux."""
        found = 0
        for process in family(self.process.pid):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # one that has just ended weighs nothing
                text = Path(f"/proc/{process}/smaps_rollup").read_text()
                found += int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1])
        return found / 1024


@contextlib.contextmanager
def serving(
    command: list[str], folder: Path, variables: dict[str, str], port: int, path: str, body: bytes
) -> Iterator[Server]:
    """Yield the server once it has answered `body`; at the end none of its processes is left."""
    log = folder / "server.log"
    with log.open("wb") as out:
        since = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    server = Server(process, port, path, log)
    try:
        wait_for(server, body, since)
        server.started = time.perf_counter() - since
        yield server
    finally:
        stop(process)


def wait_for(server: Server, body: bytes, since: float) -> None:
    """Return when the server has answered. Raises NotServing."""
    while True:
        if server.process.poll() is not None:
            raise NotServing(f"{server.process.args} exited {server.process.returncode}{server.printed()}")
        try:
            server.ask(body)
            return
        except (OSError, http.client.HTTPException, NotServing) as error:  # not listening, or not ready to answer
            if time.perf_counter() - since > START_LIMIT:
                raise NotServing(f"no answer within {START_LIMIT:.0f} s: {error}{server.printed()}") from None
        time.sleep(PAUSE)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it started: politely, then not; return when all of it is gone."""
    members = family(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT)
    members |= family(process.pid)
    while left := remaining(members):
        for member in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        process.poll()
        time.sleep(PAUSE)
    process.wait()


def remaining(members: dict[int, int]) -> list[int]:
    """Return those that have not ended; another process may have the number of one by now, but not its start."""
    alive = living()
    return [member for member, since in members.items() if member in alive and alive[member][2] == since]


def family(root: int) -> dict[int, int]:
    """Return the living processes that descend from one, itself among them, or are of its session, and their start."""
    alive = living()
    found = {process for process, (_, session, _) in alive.items() if root in (process, session)}
    while more := {process for process, (parent, _, _) in alive.items() if parent in found} - found:
        found |= more
    return {process: alive[process][2] for process in found}


def living() -> dict[int, tuple[int, int, int]]:
    """Return parent, session and start (in ticks) of each process that has not ended. Source: proc(5)."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            fields = status.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                found[int(status.parent.name)] = int(fields[1]), int(fields[3]), int(fields[19])
    return found


def free_ports() -> int:
    """Return the first of three free ports in a row."""
    while True:
        with contextlib.ExitStack() as held:
            try:
                first = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                for port in (first + 1, first + 2):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except (OSError, OverflowError):
                continue
        return first
