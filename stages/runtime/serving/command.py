"""NAME serve: the model behind HTTP."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import os
import socket
import sys
from importlib.util import find_spec
from typing import Any

from .. import api
from .settings import Limits

NEEDED = ("httptools", "uvloop", "msgspec")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class CannotServe(RuntimeError):
    """Why the service does not start, in one line."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; every limit is an option."""
    parser = commands.add_parser("serve", help="answer over HTTP")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to bind to (default %(default)s: this machine only)"
    )
    parser.add_argument("--port", type=_port, default=8000, help="port, 0 for a free one (default %(default)s)")
    parser.add_argument("--workers", type=_positive, default=1, help="processes that answer (default %(default)s)")
    parser.add_argument("--api-key-file", help="file with the API keys that are taken, one a line")
    parser.add_argument("--log", metavar="FOLDER", help="log every prediction there: JSON lines, see NAME log")
    parser.add_argument(
        "--log-redact", metavar="COLUMNS", help="a,b: not logged (default: the contract's sensitive ones; '' for none)"
    )
    for limit in dataclasses.fields(Limits):
        kind: Any = _positive if isinstance(limit.default, int) else _seconds
        option = "--max-" + limit.name.replace("_", "-")
        told = f"{limit.metadata['doc']} (default %(default)s)"
        parser.add_argument(option, dest=limit.name, type=kind, default=limit.default, help=told)
    parser.set_defaults(run=_serve)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"should be 1 or more, got {number}")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65_536:
        raise argparse.ArgumentTypeError(f"should be 0 to 65535, got {number}")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 86_400:
        raise argparse.ArgumentTypeError(f"should be seconds, more than 0 and less than a day, got {text}")
    return number


def _serve(arguments: argparse.Namespace) -> int:
    name = __package__.split(".")[0]
    try:
        return serve(arguments, name)
    except CannotServe as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1


def serve(arguments: argparse.Namespace, name: str) -> int:
    """Serve until told to stop; return the exit status. Raises CannotServe where nothing can be served."""
    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        raise CannotServe(f"serve needs {', '.join(missing)}: pip install '{name}[serve]'")
    os.environ.update(
        dict.fromkeys(THREADS, "1")
    )  # before any library reads them: more threads make a busy p99 100 times
    from ..journal.attached import NoLog, attached, checked_folder, redacted
    from .counters import shared_memory
    from .keys import NoKey, read_keys
    from .supervisor import Supervisor
    from .worker import make_service, work

    try:
        keys = read_keys(f"{name.upper()}_API_KEY", arguments.api_key_file)
        folder = checked_folder(arguments.log) if arguments.log else None
        redact = redacted(dict(api.read("contract.json")["columns"]), arguments.log_redact) if folder else []
    except (NoKey, NoLog) as error:
        raise CannotServe(str(error)) from None
    limits = Limits(**{limit.name: getattr(arguments, limit.name) for limit in dataclasses.fields(Limits)})
    version = str(getattr(sys.modules[name], "__version__", "unpackaged"))
    rows = shared_memory(arguments.workers)
    listening = bind(arguments.host, arguments.port)
    told = f"{name} {version} serves on {address(listening)}, {arguments.workers} worker{'s' * (arguments.workers > 1)}"

    def on_ready() -> None:
        print(told, flush=True)

    def be_worker(number: int, lifeline: int | None, ready: Any) -> None:
        service = make_service(name, version, limits, keys, rows, number)
        with attached(service, folder, redact):
            work(service, listening, lifeline, ready)

    if arguments.workers == 1:
        be_worker(0, None, on_ready)
        return 0
    return Supervisor(name, arguments.workers, be_worker, on_ready, limits.drain_seconds).run()


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises CannotServe for an address that is taken, unknown or not allowed."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(2048)
    except (OSError, OverflowError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        why = "is in use" if number == errno.EADDRINUSE else f"cannot be bound to: {getattr(error, 'strerror', error)}"
        raise CannotServe(f"{host}:{port} {why}") from None
    return listening


def address(listening: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
