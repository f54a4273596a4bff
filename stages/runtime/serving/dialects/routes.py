"""The paths of other servers' protocols, and of health as they ask for it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from ...contract import Violation
from .. import decode
from ..answering import Answering
from ..replies import Refused, Reply, encode
from ..service import Request, Route, Service
from ..settings import LONG_BYTES
from . import inference, mlflow
from .refused import RefusedRequest

Body = bytes | bytearray
JSON, CSV, UNSAID = b"application/json", b"text/csv", b""  # Triton's client says no media type
NAN = re.compile(rb'("(?:[^"\\]++|\\.)*+"?)|NaN', re.DOTALL)  # NaN outside of texts
BINARY = b"inference-header-content-length"
FAULTS_IN_TEXT = 10
MOST_STRANGE = 1000  # columns of a record that the contract does not know: each of them is a fault, in each record


def routes(answering: Answering, name: str, version: str) -> list[Route]:
    """Return the routes of MLflow's protocol and of the Open Inference Protocol, with and without the version."""
    spoken = Spoken(answering, name, version)
    found = [
        Route("/invocations", b"POST", spoken.invocations, kinds=(JSON, CSV), wrap=mlflow_error),
        Route("/ping", b"GET", spoken.ping, is_open=True),
        Route("/v2", b"GET", spoken.server),
        Route("/v2/health/live", b"GET", spoken.live, is_open=True),
        Route("/v2/health/ready", b"GET", spoken.ready, is_open=True, wrap=inference_error),
    ]
    for path in dict.fromkeys(f"/v2/models/{name}{end}" for end in ("", *versions(version))):
        found += [
            Route(path, b"GET", spoken.model),
            Route(f"{path}/ready", b"GET", spoken.model_ready, is_open=True, wrap=inference_error),
            Route(f"{path}/infer", b"POST", spoken.infer, kinds=(JSON, UNSAID), wrap=inference_error),
        ]
    return found


def versions(version: str) -> Sequence[str]:
    """Return the ends of a path that name the version, as clients may write its plus sign."""
    return f"/versions/{version}", f"/versions/{quote(version)}"


def mlflow_error(refusal: dict[str, Any]) -> dict[str, Any]:
    """Return what MLflow's clients look for in a refusal."""
    return {"error_code": "BAD_REQUEST"}


def inference_error(refusal: dict[str, Any]) -> dict[str, Any]:
    """Return what clients of the Open Inference Protocol look for in a refusal: one text, with the first faults."""
    first = refusal.get("violations", [])[:FAULTS_IN_TEXT]
    faults = [" ".join(filter(None, [_row(fault), fault["column"], fault["message"]])) for fault in first]
    more = refusal.get("n_violations", 0) - len(first)
    return {"error": "; ".join([refusal["message"], *faults, *([f"and {more} more"] if more else [])])}


def _row(fault: dict[str, Any]) -> str:
    return f"row {fault['row']}:" if "row" in fault else ""


class Spoken:
    """The functions of the routes, of one model."""

    def __init__(self, answering: Answering, name: str, version: str) -> None:
        self.answering, self.name, self.version = answering, name, version
        self.meta, self.contract = answering.predictor.model.meta, answering.predictor.contract

    async def invocations(self, service: Service, request: Request) -> Reply:
        """Answer in MLflow's words."""
        is_csv = request.headers[b"content-type"].partition(b";")[0].strip().lower() == CSV
        read = self.read_csv if is_csv else self.read_json
        rows = await self._read(read, request.body)
        return await self._answer(service, request, rows, mlflow.write)

    async def infer(self, service: Service, request: Request) -> Reply:
        """Answer in the words of the Open Inference Protocol."""
        if BINARY in request.headers:
            raise Refused("protocol", [(None, Violation("", "binary", None))])
        asked: inference.Asked = await self._read(self.read_infer, request.body)

        def write(answers: list[dict[str, Any]]) -> dict[str, Any]:
            tensors = inference.write(answers, asked.outputs, self.meta)
            given = request.id if asked.id is None else asked.id
            return {"model_name": self.name, "model_version": self.version, "id": given, "outputs": tensors}

        return await self._answer(service, request, asked.records, write)

    def read_infer(self, body: Body) -> inference.Asked:
        """Return what a body asks for. Raises RefusedRequest or Refused."""
        return inference.read(self.answering.read(decode.document, body), self.meta)

    def read_json(self, body: Body) -> list[dict[str, Any]]:
        """Return the records of a JSON body, in which NaN may be null: MLflow's own client writes missing so."""
        most_texts = 3 * self.answering.most_values  # names and values, and NaN
        return mlflow.read_json(self.answering.read(lambda text: with_nan(text, most_texts), body))

    def read_csv(self, body: Body) -> list[dict[str, Any]]:
        """Return the records of a CSV body."""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise Refused("utf8") from None
        return mlflow.read_csv(text, self.answering.limits.rows)

    async def _read(self, read: Callable[[Body], Any], body: Body) -> Any:
        """Return what `read` makes of a body, a long one aside. Raises Refused, with its faults as violations."""
        try:
            return read(body) if len(body) <= LONG_BYTES else await self.answering.aside(read, body)
        except RefusedRequest as error:
            faults = [(fault.row, Violation(fault.column, fault.rule, None)) for fault in error.faults]
            raise Refused("protocol", faults) from None

    async def _answer(
        self, service: Service, request: Request, rows: list[Any], write: Callable[[list[Any]], dict[str, Any]]
    ) -> Reply:
        if max(map(len, rows), default=0) > len(self.contract.columns) + MOST_STRANGE:
            raise Refused("protocol", [(None, Violation("", "columns", None))])
        service.room.ensure(len(rows))
        records, answers = await self.answering.many("predict", rows, len(request.body), request.since)
        return service.reply(request, answers, self._marked(request, write(answers)), records)

    def _marked(self, request: Request, content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "version": self.version, "request_id": request.id}

    def ping(self, service: Service, request: Request) -> Reply:
        """Return what MLflow's own /ping does: a line feed."""
        return Reply(200, b"\n")

    def server(self, service: Service, request: Request) -> Reply:
        """Return which server this is."""
        content = {"name": self.name, "version": self.version, "extensions": [], "request_id": request.id}
        return Reply(200, encode(content))

    def model(self, service: Service, request: Request) -> Reply:
        """Return the model's tensors."""
        metadata = inference.model_metadata(self.contract, self.meta, self.name, self.version)
        return Reply(200, encode(self._marked(request, metadata)))

    def live(self, service: Service, request: Request) -> Reply:
        """Return that the process answers."""
        return Reply(200, encode(self._marked(request, {"live": True})))

    def ready(self, service: Service, request: Request) -> Reply:
        """Return that the model is loaded. Raises Refused when the service is stopping."""
        if service.is_draining:
            raise Refused("stopping")
        return Reply(200, encode(self._marked(request, {"live": True, "ready": True})))

    def model_ready(self, service: Service, request: Request) -> Reply:
        """Return the same, with the model's name. Raises Refused when the service is stopping."""
        if service.is_draining:
            raise Refused("stopping")
        return Reply(200, encode(self._marked(request, {"name": self.name, "ready": True})))


def with_nan(body: Body, most_texts: int) -> Any:
    """Return the value of a JSON text in which NaN stands for null. Raises Refused for more texts and NaN than that."""
    n_found = itertools.count(1)

    def null(found: re.Match[bytes]) -> bytes:
        if next(n_found) > most_texts:
            raise Refused("too_many_values")
        return found[1] or b"null"

    return decode.document(NAN.sub(null, body) if b"NaN" in body else body)
