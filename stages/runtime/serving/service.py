"""What the service does with a request: finds its route, admits it or says why not, answers.

A route's function returns its Reply, or a coroutine of it where answering takes long. To add one: `routes`.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ..predictor import Predictor
from .keys import is_known
from .metrics import Metrics
from .replies import JSON, Refused, Reply, Wrap, encode, refusal
from .room import Room
from .settings import HEAD_BYTES, HEADERS, Limits

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{1,128}")
Found = Reply | Coroutine[Any, Any, Reply]


@dataclass(slots=True, eq=False)
class Request:
    """One request while it is read and answered; `refused` is why it will not be."""

    since: float = 0.0
    method: bytes = b""
    url: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    n_headers: int = 0
    head_bytes: int = 0
    body: bytes | bytearray = b""
    keeps: bool = True
    route: Route | None = None
    id: str = ""
    refused: Refused | None = None
    is_counted: bool = False  # among those at work


@dataclass(frozen=True)
class Route:
    """One path: its function and method (GET answers HEAD too), and what it asks of a request."""

    path: str
    method: bytes
    function: Callable[[Service, Request], Found]
    is_open: bool = False  # answers without an API key
    kinds: tuple[bytes, ...] = (JSON,)  # media types of bodies
    wrap: Wrap | None = None  # what refusals under the first part of the path also hold


class Service:
    """The model behind HTTP. `log`, if set, is called once with each answered request for predictions."""

    def __init__(
        self, predictor: Predictor, name: str, version: str, limits: Limits, keys: list[bytes], metrics: Metrics,
        routes: list[Route],
    ) -> None:  # fmt: skip
        self.predictor, self.name, self.version, self.limits = predictor, name, version, limits
        self.keys, self.metrics = keys, metrics
        self.contract = predictor.contract
        self.log: Callable[[dict[str, Any]], None] | None = None
        self.room = Room(limits)
        self.is_draining = False
        self.n_at_work = 0
        self.common = b"x-model-version: %s\r\nx-content-type-options: nosniff\r\n" % version.encode()
        self._routes = {(route.path.encode(), route.method): route for route in routes}
        self._methods = {path: sorted(m for p, m in self._routes if p == path) for path, _ in self._routes}
        self._wraps = {_root(route.path.encode()): route.wrap for route in routes if route.wrap}
        first = os.urandom(6).hex()
        self._ids = (f"{first}{number:08x}" for number in itertools.count(1))

    def admit(self, request: Request) -> None:
        """Fill in route and id of a request whose headers are whole. Raises Refused before any of its body is read."""
        given = request.headers.get(b"x-request-id")
        request.id = given.decode() if given and REQUEST_ID.fullmatch(given) else next(self._ids)
        if request.head_bytes > HEAD_BYTES or request.n_headers > HEADERS:
            raise Refused("headers")
        path = request.url.partition(b"?")[0]
        method = b"GET" if request.method == b"HEAD" else request.method
        route = self._routes.get((path, method))
        if route is None:
            raise Refused("method" if path in self._methods else "not_found")
        request.route = route
        if self.keys and not route.is_open and not is_known(self.keys, request.headers):
            raise Refused("unauthorized")
        if method == b"POST":
            self._check_body_headers(route, request.headers)
            if self.n_at_work >= self.limits.concurrent:
                raise Refused("busy")
            self.n_at_work += 1
            request.is_counted = True
            self.metrics.row[self.metrics.at_work] += 1.0

    def _check_body_headers(self, route: Route, headers: dict[bytes, bytes]) -> None:
        kind = headers.get(b"content-type", b"")
        if kind not in route.kinds and kind.partition(b";")[0].strip().lower() not in route.kinds:
            raise Refused("media_type")
        if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
            raise Refused("encoding")
        length = headers.get(b"content-length", b"0")
        if len(length) > 18 or int(length) > self.limits.body_bytes:
            raise Refused("too_large")

    def answer(self, request: Request) -> Found:
        """Return the reply to a whole request, or the coroutine that will; never raises."""
        if request.refused is not None:
            return self.refuse(request, request.refused)
        assert request.route is not None
        try:
            found = request.route.function(self, request)
        except Exception as error:
            return self.fail(request, error)
        return found if isinstance(found, Reply) else self._later(request, found)

    async def _later(self, request: Request, found: Coroutine[Any, Any, Reply]) -> Reply:
        try:
            return await self.room.in_turn(found, len(request.body))
        except Exception as error:
            return self.fail(request, error)

    def fail(self, request: Request, error: Exception) -> Reply:
        """Return the reply to an error: a refusal, or, where it is our fault, 500 with the traceback on our side."""
        if isinstance(error, Refused):
            return self.refuse(request, error)
        print(f"{self.name}: request {request.id} failed", file=sys.stderr)
        traceback.print_exception(error)
        return self.refuse(request, Refused("internal"))

    def refuse(self, request: Request, error: Refused) -> Reply:
        """Return the reply that refuses."""
        request.id = request.id or next(self._ids)
        reply = refusal(error, self.contract, self.version, request.id, self._wraps.get(_root(request.url)))
        if error.reason == "method":
            methods = self._methods[request.url.partition(b"?")[0]]
            reply.headers = b"allow: %s\r\n" % b", ".join(methods + [b"HEAD"] * (b"GET" in methods))
        elif error.reason == "unauthorized":
            reply.headers = b"www-authenticate: Bearer\r\n"
        return reply

    def done(self, request: Request, reply: Reply) -> None:
        """Count an answered request."""
        self.release(request)
        route = request.route.path if request.route else ""
        self.metrics.count(route, reply, time.monotonic() - request.since)

    def release(self, request: Request) -> None:
        """Count a request among those at work no more: it is answered, or its client is gone."""
        if request.is_counted:
            request.is_counted = False
            self.n_at_work -= 1
            self.metrics.row[self.metrics.at_work] -= 1.0

    def reply(
        self, request: Request, answers: list[dict[str, Any]], content: dict[str, Any], records: list[Any]
    ) -> Reply:
        """Return the reply with answers to records; counted, and told to the log."""
        self.metrics.predicted(answers)
        reply = Reply(200, encode(content))
        if self.log is not None:
            self.log(
                {
                    "time": time.time(), "request_id": request.id, "seconds": time.monotonic() - request.since,
                    "route": request.route.path if request.route else "", "records": records, "answers": answers,
                    "n_bytes": len(request.body) + len(reply.body),
                }
            )  # fmt: skip
        return reply


def _root(url: bytes) -> bytes:
    """Return the first part of a path."""
    return b"/".join(url.partition(b"?")[0].split(b"/")[:2])
