"""One process that serves: loads and verifies the model, answers until told to stop, finishes what is in flight."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from email.utils import formatdate

from .. import api
from .assembly import assemble
from .connection import Connection
from .service import Service
from .settings import Limits

SWITCH_SECONDS = 0.001  # after which the thread aside lets the loop go on, whatever the slice
TICK = 0.5  # seconds between looks at slow clients
DRAIN_TICK = 0.05


class Server:
    """What the connections of a worker share."""

    def __init__(self, loop: asyncio.AbstractEventLoop, service: Service) -> None:
        self.loop, self.service = loop, service
        self.connections: set[Connection] = set()
        self.tick()

    def tick(self) -> None:
        """Set the date, and let each connection look at its clock."""
        self.headers = self.service.common + b"date: %s\r\n" % formatdate(usegmt=True).encode()
        now = time.monotonic()
        for connection in list(self.connections):
            connection.look(now)

    async def drain(self) -> None:
        """Answer what has been asked, and tell every client that its connection ends; at most for `drain_seconds`."""
        self.service.is_draining = True
        deadline = time.monotonic() + self.service.limits.drain_seconds
        while self.connections and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN_TICK)
            self.tick()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def make_service(
    name: str, version: str, limits: Limits, keys: list[bytes], rows: list[memoryview], worker: int
) -> Service:
    """Return the service of this package's model, loaded, verified and asked once; it counts in its own of `rows`."""
    return assemble(api.predictor(), api.read("examples.json"), name, version, limits, keys, rows, worker)


def work(service: Service, listening: socket.socket, lifeline: int | None, on_ready: Callable[[], None]) -> None:
    """Serve on a socket until SIGTERM, SIGINT, or the end of `lifeline`, a pipe that the parent holds open."""
    import uvloop

    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # the model stays: no later collection need walk it
    uvloop.run(_serve(service, listening, lifeline, on_ready))


async def _serve(
    service: Service, listening: socket.socket, lifeline: int | None, on_ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, _ended, loop, lifeline, stop)
    server = Server(loop, service)
    listener = await loop.create_server(lambda: Connection(server), sock=listening, backlog=2048)
    service.metrics.row[service.metrics.starts.places[()]] += 1.0
    on_ready()
    while not stop.is_set():
        server.tick()
        try:
            await asyncio.wait_for(stop.wait(), TICK)
        except TimeoutError:
            continue
    listener.close()
    await server.drain()


def _ended(loop: asyncio.AbstractEventLoop, lifeline: int, stop: asyncio.Event) -> None:
    loop.remove_reader(lifeline)
    os.close(lifeline)
    stop.set()
