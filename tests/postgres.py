"""A real PostgreSQL server, Debian's or any on PATH, in a temporary folder: ended with the tests that asked for it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "s3cr3t-p%ss"  # with a character that must be written %25 in a URL
SECONDS_TO_START = 30


@dataclass(frozen=True)
class Server:
    """A running server and its superuser, whose password it asks for."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"postgresql://plumb:{PASSWORD.replace('%', '%25')}@127.0.0.1:{self.port}/postgres"

    def run(self, *statements: str) -> None:
        """Run statements in a session of their own."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def program(name: str) -> str | None:
    """Return where a program of the server lies: Debian keeps them out of PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    return shutil.which(name, path=os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"]]))


def why_not() -> str | None:
    """Return why no server can be started here, or None."""
    if program("initdb") is None or program("postgres") is None:
        return "no PostgreSQL server on PATH or in /usr/lib/postgresql (Debian and Ubuntu: apt-get install postgresql)"
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        return "PostgreSQL refuses to run as root, and there is no account postgres"
    return None


def user() -> dict[str, object]:
    """Return how to start it: as root, under the account that Debian's package made, since it refuses root."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Yield a server on a free local port whose data lie in `folder`, which its user must be able to enter."""
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    make = [program("initdb"), "-D", str(folder / "data"), "-U", "plumb", "-A", "scram-sha-256", "-E", "UTF8"]
    subprocess.run(
        [*make, "--locale=C", "--no-sync", f"--pwfile={password}"],
        check=True,
        capture_output=True,
        cwd=folder,
        **user(),
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = [program("postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", "", "-c", "fsync=off"]
    start += ["-c", "listen_addresses=127.0.0.1", "-c", "timezone=Asia/Kolkata"]
    with (folder / "log").open("w") as log, subprocess.Popen(start, stderr=log, cwd=folder, **user()) as process:
        server = Server(port, process)
        try:
            wait_until_ready(server, folder / "log")
            yield server
        finally:
            process.terminate()


def wait_until_ready(server: Server, log: Path) -> None:
    """Return as soon as the server answers a query."""
    import psycopg

    give_up = time.monotonic() + SECONDS_TO_START
    while server.process.poll() is None and time.monotonic() < give_up:
        try:
            return server.run("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError(f"postgres did not start\n{log.read_text()}")
