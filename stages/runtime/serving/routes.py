"""The paths of the service, and what each of them answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import decode
from .answering import Answering
from .dialects import routes as dialects
from .replies import Refused, Reply, encode
from .service import Found, Request, Route, Service
from .settings import LONG_BYTES

Write = Callable[[list[dict[str, Any]]], dict[str, Any]]  # of the answers: what the body holds


def routes(
    answering: Answering, name: str, version: str, pages: Mapping[str, tuple[bytes, bytes]], trial: tuple[bytes, bytes]
) -> list[Route]:
    """Return all routes; `pages` are fixed: {path: (media type, content)}, and so is `trial`, with its headers."""
    return [
        Route("/predict", b"POST", native(answering, "predict")),
        Route("/explain", b"POST", native(answering, "explain")),
        Route("/health", b"GET", health, is_open=True),
        Route("/ready", b"GET", ready, is_open=True),
        Route("/metrics", b"GET", metrics),
        *(Route(path, b"GET", page(kind, content)) for path, (kind, content) in pages.items()),
        Route("/", b"GET", page(b"text/html; charset=utf-8", *trial), is_open=True),
        *dialects.routes(answering, name, version),
    ]


def native(answering: Answering, what: str) -> Callable[[Service, Request], Found]:
    """Return the function of a route that answers a record with its answer, a list of records with their `answers`."""

    def answer(service: Service, request: Request) -> Found:
        body = request.body
        if len(body) > LONG_BYTES:
            return _long(answering, what, service, request)
        if decode.is_list(body):
            return _many(answering, what, service, request, decode.rows(body), _answers)
        record = decode.document(body)
        if what in answering.slow:
            return _one(answering, what, service, request, record)
        return _told(service, request, record, answering.alone(what, record, len(body)))

    return answer


async def _long(answering: Answering, what: str, service: Service, request: Request) -> Reply:
    """Return the reply to a body that takes so long to read that it is read aside."""
    read = decode.rows if decode.is_list(request.body) else decode.document
    found = await answering.aside(answering.read, read, request.body)
    if read is decode.rows:
        return await _many(answering, what, service, request, found, _answers)
    return await _one(answering, what, service, request, found)


async def _one(answering: Answering, what: str, service: Service, request: Request, record: Any) -> Reply:
    return _told(service, request, record, await answering.one(what, record, len(request.body)))


def _told(service: Service, request: Request, record: Any, answer: dict[str, Any]) -> Reply:
    content = {**answer, "version": service.version, "request_id": request.id}
    return service.reply(request, [answer], content, [record])


async def _many(
    answering: Answering, what: str, service: Service, request: Request, rows: list[Any], write: Write
) -> Reply:
    service.room.ensure(len(rows))
    records, answers = await answering.many(what, rows, len(request.body), request.since)
    content = {**write(answers), "version": service.version, "request_id": request.id}
    return service.reply(request, answers, content, records)


def _answers(answers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"answers": answers}


def health(service: Service, request: Request) -> Reply:
    """Return that the process answers."""
    return Reply(200, encode({"status": "alive", "version": service.version, "request_id": request.id}))


def ready(service: Service, request: Request) -> Reply:
    """Return that the model is loaded and verified; refuse when the service is stopping."""
    if service.is_draining:
        raise Refused("stopping")
    return Reply(200, encode({"status": "ready", "version": service.version, "request_id": request.id}))


def metrics(service: Service, request: Request) -> Reply:
    """Return the counts of all workers."""
    return Reply(200, service.metrics.text(service.name, service.version), b"text/plain; version=0.0.4; charset=utf-8")


def page(kind: bytes, content: bytes, headers: bytes = b"") -> Callable[[Service, Request], Reply]:
    """Return the function of a route whose answer never changes."""
    return lambda service, request: Reply(200, content, kind, headers)
