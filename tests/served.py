"""A packaged toy model behind its own server, in a process of its own; and clients, well-behaved and not."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

MAIN = "import sys; sys.path.insert(0, {site!r}); from toy_model.runtime.cli import main; main(sys.argv[1:])"
KEY = "TOY_MODEL_API_KEY"


@dataclass
class Reply:
    """What came back: its body read as JSON where it says that it is."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    line: str
    site: Path

    @property
    def place(self) -> tuple[str, int]:
        found = re.search(r"http://([\d.]+):(\d+)", self.line)
        assert found, self.line
        return found[1], int(found[2])

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Reply:
        """Send one request on a new connection; a body that is no bytes goes as JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if content is not None else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection(*self.place, timeout=30)
        try:
            connection.request(method or ("GET" if content is None else "POST"), path, content, given)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def send(self, data: bytes, wait: float = 30.0) -> bytes:
        """Send bytes as they are; return all that comes until the server closes or is silent for `wait` seconds."""
        with socket.create_connection(self.place, timeout=wait) as client:
            client.sendall(data)
            return read_all(client)

    def metrics(self) -> dict[str, float]:
        """Return the sample of each series."""
        lines = [line for line in self.ask("/metrics").raw.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def children(self) -> list[int]:
        """Return the processes that the server started."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell the server to stop; return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


def read_all(client: socket.socket) -> bytes:
    """Return what a socket receives until its end, or for as long as its timeout allows."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except (TimeoutError, ConnectionResetError):
        pass
    return b"".join(parts)


def unpack(wheel_folder: Path, site: Path) -> Path:
    """Return a folder with the wheel's content."""
    [wheel] = wheel_folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def command(site: Path, *words: str) -> list[str]:
    """Return the command line of the packaged model, which sees nothing of this repository."""
    return [sys.executable, "-I", "-c", MAIN.format(site=str(site)), *words]


@contextmanager
def serving(site: Path, *options: str, **environment: str) -> Iterator[Served]:
    """Run a server on a free port; whatever happens, none of its processes stays."""
    with subprocess.Popen(
        command(site, "serve", "--port", "0", *options),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=site,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
    ) as process:
        assert process.stdout is not None
        served = Served(process, process.stdout.readline(), site)
        try:
            assert served.line, process.stderr and process.stderr.read()
            yield served
        finally:
            children = served.children() if process.poll() is None else []
            process.kill()
            for pid in children:
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Return whether a process runs (a dead one that nobody has asked after does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds: Any, seconds: float = 20.0) -> bool:
    """Return whether a condition came to hold."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def examples(site: Path) -> list[dict[str, Any]]:
    """Return the example records of the packaged model, with their answers."""
    found: list[dict[str, Any]] = json.loads((site / "toy_model/model/examples.json").read_text())
    return found
