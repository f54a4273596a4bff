"""The Open Inference Protocol, version 2, over REST: what `/v2` and below takes and answers.

A column is an input tensor of its name, of shape [n] or [n, 1]; null is missing, and so is a tensor that is not there.
The outputs are `prediction`, and `probabilities` or `interval` where the model has them. Not spoken: binary tensors.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...contract import Contract
from .mlflow import Record, find_twice, records_of
from .refused import Fault, Faults, RefusedRequest
from .tensors import check_parameters, datatype, elements

KEYS = ("id", "parameters", "inputs", "outputs")
PLATFORM = "plumbline_wheel"
Meta = Mapping[str, Any]  # the model's model.json


@dataclass(frozen=True)
class Asked:
    """An inference request: its records, the names of the outputs that it wants, and its own id."""

    records: list[Record]
    outputs: list[str]
    id: str | None


def read(body: Any, meta: Meta) -> Asked:
    """Return what a decoded body asks for. Raises RefusedRequest with all that is wrong with it."""
    if not isinstance(body, dict):
        raise RefusedRequest([Fault("", "object")])
    faults = Faults()
    for key in body:
        if key not in KEYS:
            faults.add(key, "unknown_key")
    if not isinstance(body.get("id", ""), str):
        faults.add("id", "text")
    check_parameters(body, "", faults)
    columns = _columns(body.get("inputs"), faults)
    outputs = _outputs(body.get("outputs"), list(output_tensors(meta)), faults)
    faults.refuse()
    return Asked(records_of(columns), outputs, body.get("id"))


def _columns(inputs: Any, faults: Faults) -> dict[str, list[Any]]:
    """Return the values of each input."""
    if not isinstance(inputs, list) or not inputs:
        faults.add("inputs", "array" if inputs else "absent")
        return {}
    names: list[str] = []
    columns: dict[str, list[Any]] = {}
    for place, tensor in enumerate(inputs):
        if not isinstance(tensor, dict):
            faults.add(f"inputs[{place}]", "object")
        elif not isinstance(tensor.get("name"), str):
            faults.add(f"inputs[{place}].name", "text" if "name" in tensor else "absent")
        else:
            names.append(tensor["name"])
            values = elements(tensor, faults)
            if values is not None:
                columns[tensor["name"]] = values
    find_twice(names, faults)
    n_rows = len(next(iter(columns.values()), []))
    for name, values in columns.items():
        if len(values) != n_rows:
            faults.add(name, "shape")
    return columns


def _outputs(asked: Any, known: list[str], faults: Faults) -> list[str]:
    """Return the names of the outputs asked for, all unless said."""
    if asked is None:
        return known
    if not isinstance(asked, list) or not all(isinstance(each, dict) for each in asked):
        faults.add("outputs", "array" if not isinstance(asked, list) else "object")
        return known
    names = [each.get("name") for each in asked]
    for place, name in enumerate(names):
        if name not in known:
            faults.add(f"outputs[{place}].name", "unknown_output")
    return [name for name in known if name in names] or known


def output_tensors(meta: Meta) -> dict[str, tuple[str, list[int]]]:
    """Return data type and shape of one row of each output of a model."""
    found: dict[str, tuple[str, list[int]]] = {}
    if meta["task"] == "regression":
        found["prediction"] = ("FP64", [])
        return found if meta.get("interval") is None else found | {"interval": ("FP64", [2])}
    return {"prediction": ("BYTES", []), "probabilities": ("FP64", [len(meta["classes"])])}


def write(answers: list[dict[str, Any]], outputs: list[str], meta: Meta) -> list[dict[str, Any]]:
    """Return the output tensors of answers, flat, row by row."""
    found = []
    for name in outputs:
        kind, shape = output_tensors(meta)[name]
        values = [answer[name] for answer in answers]
        data = [each for value in values for each in _flat(value)] if shape else values
        tensor: dict[str, Any] = {"name": name, "datatype": kind, "shape": [len(answers), *shape], "data": data}
        if name == "probabilities":  # the protocol has no list of texts as a parameter
            tensor["parameters"] = {"classes": json.dumps(meta["classes"], ensure_ascii=False)}
        found.append(tensor)
    return found


def _flat(value: dict[str, float] | list[float]) -> list[float]:
    return list(value.values()) if isinstance(value, dict) else value


def model_metadata(contract: Contract, meta: Meta, name: str, version: str) -> dict[str, Any]:
    """Return the body of `GET /v2/models/NAME`; any data type is taken whose values the contract takes."""
    inputs = [
        {"name": column, "datatype": datatype(contract.columns[column]), "shape": [-1]} for column in contract.inputs
    ]
    outputs = [
        {"name": output, "datatype": kind, "shape": [-1, *shape]}
        for output, (kind, shape) in output_tensors(meta).items()
    ]
    return {"name": name, "versions": [version], "platform": PLATFORM, "inputs": inputs, "outputs": outputs}
