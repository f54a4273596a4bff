"""HTTP/1.1 on one connection: bytes in, requests to the service, replies out, in order.

httptools parses (Node's llhttp, strict). Measured: an empty answer took a third of the time it takes on uvicorn, which
makes a task and a dozen objects of each request, and has no limit on headers nor on slow clients.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import httptools

from .pieces import Pieces, without_upgrade
from .replies import Refused, Reply
from .service import Request
from .settings import HEAD_BYTES, LINGER_SECONDS

if TYPE_CHECKING:
    from .worker import Server

IDLE, HEAD, BODY, LINGERING = range(4)  # what is being read; LINGERING: nothing any more, the client reads our refusal
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_SECONDS = 1.0  # for which a silent connection is kept once the service was told to stop
CHUNK_OVERHEAD = 4  # raw bytes of a chunked body may be so many times the largest body


class Connection(asyncio.Protocol):
    """One client. `pending` requests are whole and wait for the one that `task` answers."""

    def __init__(self, server: Server) -> None:
        self.server, self.service = server, server.service
        self.parser = httptools.HttpRequestParser(self)
        self.phase, self.since = IDLE, time.monotonic()
        self.request = NOTHING
        self.pending: deque[Request] = deque()
        self.task: asyncio.Task[None] | None = None
        self.at_work: Request | None = None
        self.is_blocked = False  # the client does not read what it asked for
        self.is_paused = False
        self.has_ended = False  # the client sends nothing more, though it may still read
        self.raw_bytes = 0  # of the request being read
        self.pieces = Pieces(self)

    def connection_made(self, transport: Any) -> None:
        """Greet, or turn away where there are too many."""
        self.transport: asyncio.Transport = transport
        self.server.connections.add(self)
        self.service.metrics.row[self.service.metrics.open] += 1.0
        if len(self.server.connections) > self.service.limits.connections:
            self.refuse(Refused("busy"))

    def connection_lost(self, error: Exception | None) -> None:
        """Give up what the client no longer waits for."""
        self.server.connections.discard(self)
        self.service.room.left(self.transport)
        self.service.metrics.row[self.service.metrics.open] -= 1.0
        self.pieces.drop()
        if self.task is not None:
            self.server.loop.call_soon(self.task.cancel)  # once it has begun, or else what it awaits would never be
        for request in (self.request, *self.pending, self.at_work):
            if request is not None:
                self.service.release(request)
        self.pending.clear()

    def eof_received(self) -> bool:
        """Return whether the connection stays open for what is still to be answered: it closes with the last."""
        self.has_ended = True
        return self.task is not None or bool(self.pending or self.pieces.rest)

    def pause_writing(self) -> None:
        """Answer no more until the client has read."""
        self.is_blocked, self.since = True, time.monotonic()

    def resume_writing(self) -> None:
        """Go on."""
        self.is_blocked = False
        self.answer_pending()
        self.pieces.go_on()

    def data_received(self, data: bytes) -> None:
        """Parse what came; nothing more comes until it is parsed."""
        self.pieces.take(data)

    def has_to_wait(self) -> bool:
        """Return whether what is parsed has to be answered, or read by the client, before more is."""
        return self.is_blocked or bool(self.pending)

    def n_due(self) -> int:
        """Return how many bytes the body still has, 0 where that is not known."""
        if self.phase != BODY:
            return 0
        return int(self.request.headers.get(b"content-length", 0)) - len(self.request.body)

    def feed(self, data: bytes) -> None:
        """Parse some bytes, and answer the requests that are whole with them."""
        if self.phase == LINGERING:
            return
        self.raw_bytes += len(data)
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:  # declined; the parser has not read the body
                if self.phase == LINGERING:
                    return
                data = without_upgrade(self.request, self.parser.get_http_version()) + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserCallbackError:  # our fault: the loop reports it
                self.transport.abort()
                raise
            except httptools.HttpParserError:
                if self.phase != LINGERING:
                    self.refuse(Refused("http"))
                return
        if self.phase in (IDLE, HEAD) and self.raw_bytes > HEAD_BYTES:
            self.refuse(Refused("headers"))
        elif self.phase == BODY and self.raw_bytes > HEAD_BYTES + CHUNK_OVERHEAD * self.service.limits.body_bytes:
            self.refuse(Refused("too_large"))

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self.phase != LINGERING:
            self.phase, self.since = HEAD, time.monotonic()
            self.request = Request()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        if self.phase == HEAD:
            self.request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those behind a chunked body are dropped."""
        if self.phase == HEAD:
            self.request.headers[name.lower()] = value
            self.request.head_bytes += len(name) + len(value) + 4
            self.request.n_headers += 1

    def on_headers_complete(self) -> None:
        """Ask whether the service takes the request, before its body comes."""
        if self.phase == LINGERING:
            return
        request, version = self.request, self.parser.get_http_version()
        request.method, request.head_bytes = self.parser.get_method(), request.head_bytes + len(request.url)
        is_old_and_chunked = version == "1.0" and b"transfer-encoding" in request.headers  # RFC 9112, section 6.1
        if version not in ("1.0", "1.1") or request.method == b"CONNECT" or is_old_and_chunked:
            self.refuse(Refused("http"))
            return
        if self.parser.should_upgrade():
            return
        self.phase, request.keeps = BODY, version == "1.1" and self.parser.should_keep_alive()
        try:
            self.service.admit(request)
        except Refused as error:
            self._refuse_early(request, error)
        waits = version == "1.1" and request.headers.get(b"expect", b"").lower() == b"100-continue"
        if waits and request.refused is None and not self.pending and self.task is None:
            self.transport.write(CONTINUE)

    def _refuse_early(self, request: Request, error: Refused) -> None:
        """Refuse now where a body would have to be read for nothing, else when the request is whole."""
        request.refused = error
        headers = request.headers
        has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        if has_body:
            self.refuse(error)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, up to the limit."""
        request = self.request
        if self.phase == LINGERING:
            return
        if len(request.body) + len(body) > self.service.limits.body_bytes:
            self.refuse(Refused("too_large"))
        elif not request.body:
            request.body = body
        else:
            request.body = bytearray(request.body) if isinstance(request.body, bytes) else request.body
            request.body += body

    def on_message_complete(self) -> None:
        """Answer, unless earlier requests are still waiting."""
        if self.phase != BODY:
            return
        request = self.request
        self.phase, self.raw_bytes, self.since = IDLE, 0, time.monotonic()
        request.since = self.since
        self.request = NOTHING
        self.pending.append(request)
        self.answer_pending()

    def answer_pending(self) -> None:
        """Answer what is whole, in order, up to one that takes a task; read on when none is left."""
        while self.pending and self.task is None and not self.is_blocked:
            request = self.pending.popleft()
            found = self.service.answer(request)
            if isinstance(found, Reply):
                self.write(request, found)
            else:
                self.at_work = request
                self.task = self.server.loop.create_task(self._finish(request, found))
        self.pace()

    def pace(self) -> None:
        """Read on when nothing is left of what was read."""
        has_enough = self.has_to_wait() or bool(self.pieces.rest)
        if has_enough != self.is_paused and not self.transport.is_closing():
            self.is_paused = not self.is_paused
            (self.transport.pause_reading if self.is_paused else self.transport.resume_reading)()

    async def _finish(self, request: Request, found: Coroutine[Any, Any, Reply]) -> None:
        reply = await found
        self.task = self.at_work = None
        self.write(request, reply)
        self.answer_pending()
        self.pieces.go_on()

    def write(self, request: Request, reply: Reply) -> None:
        """Send a reply; close where this was the last."""
        is_last = self.has_ended and not (self.pending or self.pieces.rest)
        keeps = request.keeps and not (reply.closes or self.service.is_draining or is_last)
        head = reply.head(self.server.headers, request.id, keeps)
        self.service.done(request, reply)  # counted before the client can know of it
        self.transport.write(head if request.method == b"HEAD" else head + reply.body)
        self.service.room.wrote(self.transport, len(reply.body))
        self.since = time.monotonic()
        if not keeps:
            for waiting in self.pending:
                self.service.release(waiting)
            self.pending.clear()
            self.close(is_whole=self.phase == IDLE or self.has_ended)

    def refuse(self, error: Refused) -> None:
        """Refuse the request being read, when those before it are answered, and read no more of this client."""
        request = self.request if self.request is not NOTHING else Request(since=time.monotonic())
        self.request = NOTHING
        request.refused, request.keeps = error, False
        request.since = request.since or time.monotonic()
        self.phase = LINGERING
        self.pending.append(request)
        self.answer_pending()

    def close(self, is_whole: bool) -> None:
        """Close at once where the client has sent all it had to; or else let it read the refusal while it sends."""
        self.phase = LINGERING
        if is_whole:
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write_eof()

    def look(self, now: float) -> None:
        """End what takes too long: called every half second."""
        limits, waited = self.service.limits, now - self.since
        if self.is_blocked or self.transport.is_closing():
            if waited > limits.seconds:
                self.transport.abort()
        elif self.task is not None or self.pending:
            return
        elif self.phase == LINGERING:
            if waited > LINGER_SECONDS:
                self.transport.abort()
        elif self.phase == IDLE:
            if waited > (LAST_SECONDS if self.service.is_draining else limits.idle_seconds):
                self.transport.close()
        elif waited > limits.seconds:
            self.refuse(Refused("timeout"))


NOTHING = Request()
