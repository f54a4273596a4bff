"""What OpenAPI says of the paths of other servers' protocols."""

from __future__ import annotations

from typing import Any

from ...contract import Contract
from ...schema import Schema
from .inference import KEYS, Meta, output_tensors
from .tensors import CASTS

TEXT: Schema = {"type": "string"}
LIST: Schema = {"type": "array"}
OBJECT: Schema = {"type": "object"}
SIZES: Schema = {"type": "array", "items": {"type": "integer"}}


def reference(name: str) -> Schema:
    """Return the reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def body(schema: Schema, examples: dict[str, Any]) -> Schema:
    """Return a request body of JSON."""
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}


def json_reply(schema: Schema) -> Schema:
    """Return a response of JSON."""
    return {"description": "JSON", "content": {"application/json": {"schema": schema}}}


def _object(properties: dict[str, Schema], required: list[str], closed: bool = False) -> Schema:
    found = {"type": "object", "properties": properties, "required": required}
    return {**found, "additionalProperties": False} if closed else found


def mlflow_paths(examples: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the paths of MLflow's scoring protocol."""
    records = {"type": "array", "items": reference("Record")}
    table: dict[str, Schema] = {
        "columns": {"type": "array", "items": TEXT},
        "index": {"type": "array"},
        "data": {"type": "array"},
    }
    columns = {"type": "object", "additionalProperties": True}
    forms: dict[str, Schema] = {
        "dataframe_split": _object(table, ["columns", "data"], closed=True),
        "dataframe_records": records,
        "instances": {"anyOf": [records, columns]},
        "inputs": {"anyOf": [records, columns]},
    }
    params: Schema = {"type": ["object", "null"], "description": "Taken, and without effect."}
    asked = {"oneOf": [_object({key: form, "params": params}, [key], closed=True) for key, form in forms.items()]}
    given = {f"row {n}": {"value": {"dataframe_records": [e["record"]]}} for n, e in enumerate(examples, 1)}
    taken = body(asked, given)
    taken["content"]["text/csv"] = {"schema": {**TEXT, "description": "With a header."}}
    answer: dict[str, Schema] = {"predictions": {"type": "array", "items": {"type": ["string", "number"]}}}
    refused = {"allOf": [reference("Refusal"), _object({"error_code": TEXT}, ["error_code"])]}
    invocations = {
        "summary": "MLflow's scoring protocol.",
        "requestBody": taken,
        "responses": {"200": json_reply(_marked(answer))},
        "x-refusal": refused,
    }
    ping = {"summary": "MLflow's health check.", "responses": {"200": {"description": "Nothing but a line feed."}}}
    return {"/invocations": {"post": invocations}, "/ping": {"get": ping}}


def inference_paths(contract: Contract, meta: Meta, name: str, version: str) -> dict[str, dict[str, Any]]:
    """Return the paths of the Open Inference Protocol, the model's with and without the version."""
    server = _marked({"name": TEXT, "extensions": {"type": "array", "items": TEXT}})
    ready = _marked({"live": {"const": True}, "ready": {"const": True}})
    paths = {
        "/v2": {"get": _get("The server.", server)},
        "/v2/health/live": {"get": _get("Whether the process answers.", _marked({"live": {"const": True}}))},
        "/v2/health/ready": {"get": _get("Whether the model takes requests.", ready)},
    }
    described: dict[str, Schema] = {"name": TEXT, "datatype": {"enum": list(CASTS)}, "shape": SIZES}
    tensors = {"type": "array", "items": _object(described, list(described))}
    versions = {"type": "array", "items": TEXT}
    model = _marked({"name": TEXT, "versions": versions, "platform": TEXT, "inputs": tensors, "outputs": tensors})
    is_ready = _marked({"name": TEXT, "ready": {"const": True}})
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"):
        paths[path] = {"get": _get("The model's tensors.", model)}
        paths[f"{path}/ready"] = {"get": _get("Whether the model takes requests.", is_ready)}
        paths[f"{path}/infer"] = {"post": _infer(contract, meta)}
    return paths


def _get(summary: str, schema: Schema) -> Schema:
    return {"summary": summary, "responses": {"200": json_reply(schema)}}


def _infer(contract: Contract, meta: Meta) -> Schema:
    element = {"type": ["boolean", "number", "string", "null"]}
    data = {"type": "array", "items": {"anyOf": [element, {"type": "array", "items": element, "maxItems": 1}]}}
    shape = {**SIZES, "minItems": 1, "maxItems": 2, "description": "[n] or [n, 1]"}
    tensor = _object(
        {"name": {"enum": contract.inputs}, "shape": shape, "datatype": {"enum": list(CASTS)}, "data": data,
         "parameters": OBJECT},
        ["name", "shape", "datatype", "data"], closed=True,
    )  # fmt: skip
    output = _object({"name": {"enum": list(output_tensors(meta))}, "parameters": OBJECT}, ["name"])
    parts = (TEXT, OBJECT, {"type": "array", "items": tensor, "minItems": 1}, {"type": "array", "items": output})
    asked = _object(dict(zip(KEYS, parts, strict=True)), ["inputs"], closed=True)
    answered: dict[str, Schema] = {
        "name": TEXT,
        "shape": SIZES,
        "datatype": TEXT,
        "data": {"type": "array"},
        "parameters": OBJECT,
    }
    tensors = {"type": "array", "items": _object(answered, ["name", "shape", "datatype", "data"], closed=True)}
    answer = _marked({"model_name": TEXT, "model_version": TEXT, "id": TEXT, "outputs": tensors})
    return {
        "summary": "The Open Inference Protocol: a tensor for each column.",
        "requestBody": body(asked, {}),
        "responses": {"200": json_reply(answer)},
        "x-refusal": {"allOf": [reference("Refusal"), _object({"error": TEXT}, ["error"])]},
    }


def _marked(properties: dict[str, Schema]) -> Schema:
    """Return an object that also says the model's version and the request's id."""
    found = {**properties, "version": TEXT, "request_id": TEXT}
    return _object(found, list(found))
