"""What a client sends, given to the parser in pieces: its requests are answered as they are parsed.

One client that sent thousands of requests in a row kept all others waiting until the last was answered: 3.5 s for
/metrics, 0.7 s for explanations. After a spell everybody else has a turn, and what is not parsed is not at work either.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection
    from .service import Request

PIECE = 1024  # bytes: at most some forty requests, of a millisecond each
SPELL = 0.005  # seconds


class Pieces:
    """The bytes of a connection that are not yet parsed; while there are any, no more are read."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.rest = memoryview(b"")
        self.is_at_work = False

    def take(self, data: bytes) -> None:
        """Parse what came, at once where it is short."""
        if len(data) <= PIECE and not self.rest:
            self.connection.feed(data)
        else:
            self.rest = memoryview(bytes(self.rest) + data)
            self.go_on()

    def go_on(self) -> None:
        """Parse piece by piece, up to one whose requests have to wait."""
        if self.is_at_work or not self.rest:
            return
        self.is_at_work, until = True, time.monotonic() + SPELL
        while self.rest and not self.connection.has_to_wait():
            if time.monotonic() > until:
                self.connection.server.loop.call_soon(self.go_on)
                break
            size = max(PIECE, self.connection.n_due())
            piece, self.rest = self.rest[:size], self.rest[size:]
            self.connection.feed(bytes(piece))
        self.is_at_work = False
        self.connection.pace()

    def drop(self) -> None:
        """Forget them: the client is gone."""
        self.rest = memoryview(b"")


def without_upgrade(request: Request, version: str) -> bytes:
    """Return a request's head without the wish for another protocol, as some clients add it to every request."""
    kept = [b"%s: %s" % pair for pair in request.headers.items() if pair[0] not in (b"upgrade", b"connection")]
    options = request.headers.get(b"connection", b"").lower().split(b",")
    kept += [b"connection: close"] * (b"close" in [option.strip() for option in options])
    first = b"%s %s HTTP/%s" % (request.method, request.url, version.encode())
    return b"\r\n".join([first, *kept, b"", b""])
