"""The OpenAPI 3.1 document of the service: every path, what it takes and answers, every refusal with its reason codes.

Schemas of records and answers are the package's own; examples are those that the package was verified with.
https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..contract import Contract
from ..schema import Schema, answer_schema, explanation_schema, record_schema
from .dialects.described import TEXT, body, inference_paths, json_reply, mlflow_paths, reference
from .dialects.refused import RULES
from .replies import REASONS

COLUMN_RULES = (
    "required", "type", "values", "pattern", "min_length", "max_length", "min", "max", "text_length", "unknown",
    "check", "transformer",
)  # fmt: skip
GET_REASONS = ("http", "headers", "busy", "internal")
POST_REASONS = tuple(reason for reason in REASONS if reason not in ("unauthorized", "not_found", "method", "protocol"))
IDS = {
    "X-Request-Id": {"description": "The id of the request, as given or made.", "schema": TEXT, "required": True},
    "X-Model-Version": {"description": "The model's content version.", "schema": TEXT, "required": True},
}


def openapi(
    contract: Contract,
    meta: dict[str, Any],
    columns: Sequence[str],
    name: str,
    version: str,
    examples: list[dict[str, Any]],
    locked: bool,
) -> dict[str, Any]:
    """Return the document; `locked` says whether an API key is needed.

    `meta` is the model's model.json, `columns` are what explanations name, `examples` records with answers.
    """
    paths = {**_own_paths(examples), **mlflow_paths(examples), **inference_paths(contract, meta, name, version)}
    for path, operations in paths.items():
        for method, operation in operations.items():
            _complete(operation, path, method, locked)
    components: dict[str, Any] = {"schemas": _schemas(contract, meta, list(columns))}
    if locked:
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version, "description": _told(contract)},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": components,
    }


def _told(contract: Contract) -> str:
    target = contract.columns[contract.target]
    told = f"Predicts {contract.target}" + (f": {target.description}." if target.description else ".")
    return f"{told} Missing values are null, absent or an empty text. Every refusal has a reason code."


def _own_paths(examples: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    records = {f"row {number}": {"value": example["record"]} for number, example in enumerate(examples, 1)}
    record, many = reference("Record"), {"type": "array", "items": reference("Record")}
    taken = body({"anyOf": [record, many]}, records)
    page = {"description": "HTML", "content": {"text/html": {"schema": TEXT}}}
    counts = {"description": "Prometheus text", "content": {"text/plain": {"schema": TEXT}}}
    return {
        "/predict": {"post": _operation("Predict one record, or many.", _answers("Answer"), taken)},
        "/explain": {"post": _operation("Predict, and say what each column adds.", _answers("Explanation"), taken)},
        "/health": {"get": _operation("Whether the process answers.", _status("alive"))},
        "/ready": {"get": _operation("Whether the model is loaded and takes requests.", _status("ready"))},
        "/metrics": {"get": _operation("Counts of all workers.", counts)},
        "/schema": {"get": _operation("JSON Schema of a record and of an answer.", json_reply({"type": "object"}))},
        "/openapi.json": {"get": _operation("This document.", json_reply({"type": "object"}))},
        "/": {"get": _operation("A page to try the model.", page)},
    }


def _operation(summary: str, reply: Schema, taken: Schema | None = None) -> Schema:
    found = {"summary": summary, "responses": {"200": reply}}
    return found if taken is None else {**found, "requestBody": taken}


def _answers(name: str) -> Schema:
    marked = {"version": TEXT, "request_id": TEXT}
    one = {"allOf": [reference(name), {"type": "object", "properties": marked, "required": list(marked)}]}
    many = {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": reference(name)}, **marked},
        "required": ["answers", *marked],
    }
    return json_reply({"anyOf": [one, many]})


def _status(status: str) -> Schema:
    properties = {"status": {"const": status}, "version": TEXT, "request_id": TEXT}
    return json_reply({"type": "object", "properties": properties, "required": list(properties)})


OPEN = ("/", "/health", "/ready", "/ping", "/v2/health/live", "/v2/health/ready")


def _complete(operation: Schema, path: str, method: str, locked: bool) -> None:
    """Add what all operations of a kind share: the id, the refusals, and whether a key is needed."""
    operation["operationId"] = f"{method} {path}"
    is_open = path in OPEN or path.endswith("/ready")
    reasons = list(GET_REASONS if method == "get" else POST_REASONS)
    reasons += ["stopping"] if path.endswith("/ready") and "stopping" not in reasons else []
    reasons += ["protocol"] if method == "post" and path not in ("/predict", "/explain") else []
    reasons += ["unauthorized"] if locked and not is_open else []
    if locked:
        operation["security"] = [] if is_open else [{"bearer": []}, {"key": []}]
    own: Schema = operation.pop("x-refusal", reference("Refusal"))
    for status in sorted({REASONS[reason][0] for reason in reasons}):
        of_status = {reason: REASONS[reason][1] for reason in reasons if REASONS[reason][0] == status}
        told = "\n".join(f"- `{reason}`: {message}" for reason, message in of_status.items())
        schema = {"allOf": [own, {"properties": {"reason": {"enum": list(of_status)}}}]}
        operation["responses"][str(status)] = {**json_reply(schema), "description": told}
    for response in operation["responses"].values():
        response["headers"] = IDS


def _schemas(contract: Contract, meta: dict[str, Any], columns: list[str]) -> dict[str, Schema]:
    named = {
        "Record": record_schema(contract),
        "Answer": answer_schema(meta),
        "Explanation": explanation_schema(meta, columns),
    }
    found = {name: {key: part for key, part in schema.items() if key != "$schema"} for name, schema in named.items()}
    rule = {"enum": list(dict.fromkeys([*COLUMN_RULES, *RULES])), "description": "The reason code."}
    row = {"type": "integer", "minimum": 0, "description": "Of the record in the request, from 0."}
    violation = {
        "type": "object",
        "properties": {"row": row, "column": {"type": ["string", "null"]}, "rule": rule, "message": TEXT},
        "required": ["column", "rule", "message"],
        "additionalProperties": False,
    }
    refusal = {
        "type": "object",
        "properties": {
            "reason": {"enum": list(REASONS), "description": "The reason code."},
            "message": TEXT,
            "row": row,
            "violations": {"type": "array", "items": reference("Violation")},
            "n_violations": {"type": "integer", "minimum": 1},
            "version": TEXT,
            "request_id": TEXT,
        },
        "required": ["reason", "message", "version", "request_id"],
    }
    return {**found, "Violation": violation, "Refusal": refusal}
