"""An environment of its own for each peer, made once with venv and pip as they are set up on the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.serving.peers import EMPTY, OURS, Peer

SERVERS = Path(__file__).with_name("servers")
MARK = "installed.txt"  # what was asked for, written once all of it is there
# Each its way of saying: a thread a worker. More of them make minutes of milliseconds where other work runs.
THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


def install(peer: Peer, folder: Path) -> Path:
    """Return the environment's folder of binaries, installed if it is not there yet; ours for a peer of no packages."""
    if not peer.packages:
        return Path(sys.executable).parent
    place = folder.resolve() / peer.name
    wanted = "\n".join((sys.version.split()[0], *peer.packages))
    mark = place / MARK
    if not mark.is_file() or mark.read_text() != wanted:
        print(f"compare: installing {', '.join(peer.packages)} into {folder / peer.name}", file=sys.stderr, flush=True)
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/pip", "install", "-q", *peer.packages], check=True)
        mark.write_text(wanted)
    return place / "bin"


def variables(peer: Peer, binaries: Path, site: Path, port: int) -> dict[str, str]:
    """Return the environment variables of a peer's server; our package and the servers' modules can be imported."""
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    modules = f"{site}{os.pathsep}{SERVERS}"
    own = {name: filled(text, "", port) for name, text in peer.variables}
    return {**os.environ, **THREADS, "PATH": path, "PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "", **own}


def filled(text: str, package: str, port: int) -> str:
    """Return a word of a command with what stands in braces filled in."""
    return text.format(port=port, second_port=port + 1, third_port=port + 2, name=package, servers=SERVERS)


def command(peer: Peer, binaries: Path, package: str, port: int) -> list[str]:
    """Return a peer's command."""
    first, *rest = (filled(word, package, port) for word in peer.command)
    return [str(binaries / first), *rest]


def save(peer: Peer, binaries: Path, model: Path, folder: Path) -> None:
    """Fit the Pipeline in a peer's environment and save it in `folder` as the peer wants it."""
    subprocess.run(
        [binaries / "python", SERVERS / "save.py", peer.name, model, folder],
        env={**os.environ, **THREADS, "PYTHONPATH": str(SERVERS)},
        check=True,
        capture_output=True,
        text=True,
    )


def installed_version(peer: Peer, binaries: Path, wheel: Path) -> str:
    """Return the version of a peer; of ours the wheel's, of the empty server uvicorn's."""
    if peer.name == OURS:
        return wheel.name.split("-")[1]
    if peer.name == EMPTY:
        return f"uvicorn {version('uvicorn')}"
    code = f"from importlib.metadata import version; print(version({peer.packages[0]!r}))"
    return subprocess.run([binaries / "python", "-c", code], check=True, capture_output=True, text=True).stdout.strip()
