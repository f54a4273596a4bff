"""A loaded model made into the service: its routes, fixed pages, counts."""

from __future__ import annotations

from typing import Any

from ..predictor import Predictor
from ..schema import answer_schema, explanation_schema, record_schema
from .answering import Answering
from .metrics import Metrics
from .openapi import openapi
from .page.page import page, policy
from .replies import JSON, encode
from .routes import routes
from .service import Service
from .settings import Limits


def assemble(
    predictor: Predictor,
    examples: list[dict[str, Any]],
    name: str,
    version: str,
    limits: Limits,
    keys: list[bytes],
    rows: list[memoryview],
    worker: int,
) -> Service:
    """Return the service of a model, asked once; `examples` are records with answers, `rows` the workers' counts."""
    answering = Answering(predictor, limits)
    answering.warm_up([example["record"] for example in examples])
    contract, meta, locked = predictor.contract, predictor.model.meta, bool(keys)
    columns = list(dict.fromkeys(predictor.columns))
    document = openapi(contract, meta, columns, name, version, examples, locked)
    schemas = {
        "record": record_schema(contract),
        "answer": answer_schema(meta),
        "explanation": explanation_schema(meta, columns),
    }
    pages = {
        "/schema": (JSON, encode({"name": name, "version": version, **schemas})),
        "/openapi.json": (JSON, encode(document)),
    }
    shown = [] if locked else [example["record"] for example in examples]  # the page itself asks for no key
    trial = page(contract, meta, name, version, shown, locked).encode()
    headers = b"content-security-policy: %s\r\n" % policy().encode()
    table = routes(answering, name, version, pages, (trial, headers))
    metrics = Metrics(contract, [route.path for route in table], rows, worker)
    return Service(predictor, name, version, limits, keys, metrics, table)
