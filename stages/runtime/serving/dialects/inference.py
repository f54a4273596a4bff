"""The Open Inference Protocol, version 2, over REST: what `/v2` and below takes and answers.

A column is an input tensor of its name, of shape [n] or [n, 1]; null is missing, and so is a tensor that is not there.
The outputs are `prediction`, and `probabilities` or `interval` where the model has them. Not spoken: binary tensors.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...contract import Column, Contract
from .mlflow import Record, records_of, twice
from .refused import Fault, RefusedRequest

BITS = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
DATATYPES = {"integer": "INT64", "number": "FP64", "money": "FP64", "percent": "FP64", "boolean": "BOOL"}
REQUEST, TENSOR = ("id", "parameters", "inputs", "outputs"), ("name", "shape", "datatype", "parameters", "data")
PLATFORM = "plumbline_wheel"


@dataclass(frozen=True)
class Asked:
    """An inference request: its records, the names of the outputs that it wants, and its own id."""

    records: list[Record]
    outputs: list[str]
    id: str | None


def read(body: Any, meta: Mapping[str, Any]) -> Asked:
    """Return what a decoded body asks of the model whose model.json `meta` is. Raises RefusedRequest."""
    if not isinstance(body, dict):
        raise RefusedRequest([Fault("", "object")])
    faults = [Fault(key, "unknown_key") for key in body if key not in REQUEST]
    if not isinstance(body.get("id", ""), str):
        faults.append(Fault("id", "text"))
    faults += _parameters(body, None)
    columns = _columns(body, faults)
    outputs = _outputs(body, list(output_tensors(meta)), faults)
    if faults:
        raise RefusedRequest(faults)
    return Asked(records_of(columns), outputs, body.get("id"))


def _columns(body: dict[str, Any], faults: list[Fault]) -> dict[str, list[Any]]:
    """Return the elements of each input; what is wrong is added to `faults`."""
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        faults.append(Fault("inputs", "array" if inputs else "absent"))
        return {}
    names, columns = [], {}
    for number, tensor in enumerate(inputs):
        if not isinstance(tensor, dict):
            faults.append(Fault(f"inputs[{number}]", "object"))
        elif not isinstance(tensor.get("name"), str):
            faults.append(Fault(f"inputs[{number}].name", "text" if "name" in tensor else "absent"))
        else:
            names.append(tensor["name"])
            columns[tensor["name"]] = _elements(tensor, faults)
    faults += twice(names)
    sizes = {name: len(elements) for name, elements in columns.items() if elements is not None}
    n_rows = next(iter(sizes.values()), 0)
    faults += [Fault(name, "shape") for name, size in sizes.items() if size != n_rows]
    return {name: elements for name, elements in columns.items() if elements is not None}


def _elements(tensor: dict[str, Any], faults: list[Fault]) -> list[Any] | None:
    """Return the elements of a tensor, None where it has no right shape; what is wrong is added to `faults`."""
    name, before = tensor["name"], len(faults)
    faults += [Fault(f"{name}.{key}", "unknown_key") for key in tensor if key not in TENSOR]
    faults += _parameters(tensor, name)
    datatype, shape, data = tensor.get("datatype"), tensor.get("shape"), tensor.get("data")
    if not isinstance(datatype, str) or datatype not in CASTS:
        faults.append(Fault(name, "datatype"))
    is_shape = isinstance(shape, list) and all(isinstance(size, int) and not isinstance(size, bool) for size in shape)
    if not is_shape or not isinstance(data, list) or not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        faults.append(Fault(name, "shape"))
    if len(faults) > before:
        return None
    if len(shape) == 2 and all(isinstance(each, list) and len(each) == 1 for each in data):
        data = [each[0] for each in data]
    if shape[0] != len(data):
        faults.append(Fault(name, "shape"))
        return None
    return [_element(CASTS[datatype], element, name, row, faults) for row, element in enumerate(data)]


def _element(cast: Callable[[Any], Any], element: Any, name: str, row: int, faults: list[Fault]) -> Any:
    if element is None:
        return None
    value = cast(element)
    if value is None:
        faults.append(Fault(name, "element", row))
    return value


def _parameters(holder: dict[str, Any], name: str | None) -> list[Fault]:
    parameters = holder.get("parameters", {})
    if not isinstance(parameters, dict):
        return [Fault(name or "parameters", "object")]
    return [Fault(name, "binary")] if "binary_data_size" in parameters else []


def _outputs(body: dict[str, Any], known: list[str], faults: list[Fault]) -> list[str]:
    """Return the names of the outputs asked for, all unless said; what is wrong is added to `faults`."""
    asked = body.get("outputs")
    if asked is None:
        return known
    if not isinstance(asked, list) or not all(isinstance(each, dict) for each in asked):
        faults.append(Fault("outputs", "array" if not isinstance(asked, list) else "object"))
        return known
    names = [each.get("name") for each in asked]
    faults += [
        Fault(f"outputs[{place}].name", "unknown_output") for place, name in enumerate(names) if name not in known
    ]
    return [name for name in known if name in names] or known


def output_tensors(meta: Mapping[str, Any]) -> dict[str, tuple[str, list[int]]]:
    """Return datatype and shape of one row of each output of a model."""
    if meta["task"] == "regression":
        found: dict[str, tuple[str, list[int]]] = {"prediction": ("FP64", [])}
        return found if meta.get("interval") is None else found | {"interval": ("FP64", [2])}
    return {"prediction": ("BYTES", []), "probabilities": ("FP64", [len(meta["classes"])])}


def write(
    answers: list[dict[str, Any]], asked: Asked, meta: Mapping[str, Any], name: str, version: str, request_id: str
) -> dict[str, Any]:
    """Return the body of the answer to a request; tensors are flat, row by row."""
    outputs = []
    for output in asked.outputs:
        datatype, shape = output_tensors(meta)[output]
        values = [answer[output] for answer in answers]
        data = [each for value in values for each in _flat(value)] if shape else values
        outputs.append({"name": output, "datatype": datatype, "shape": [len(answers), *shape], "data": data})
        if output == "probabilities":
            outputs[-1]["parameters"] = {"classes": json.dumps(meta["classes"], ensure_ascii=False)}
    given = request_id if asked.id is None else asked.id
    return {"model_name": name, "model_version": version, "id": given, "outputs": outputs}


def _flat(value: dict[str, float] | list[float]) -> list[float]:
    return list(value.values()) if isinstance(value, dict) else value


def write_error(message: str) -> dict[str, Any]:
    """Return what the body of a refusal holds besides the faults."""
    return {"error": message}


def server_metadata(name: str, version: str) -> dict[str, Any]:
    """Return the body of `GET /v2`."""
    return {"name": name, "version": version, "extensions": []}


def model_metadata(contract: Contract, meta: Mapping[str, Any], name: str, version: str) -> dict[str, Any]:
    """Return the body of `GET /v2/models/NAME`; any data type is taken whose values the contract takes."""
    inputs = [
        {"name": column, "datatype": datatype(contract.columns[column]), "shape": [-1]} for column in contract.inputs
    ]
    outputs = [
        {"name": output, "datatype": kind, "shape": [-1, *shape]}
        for output, (kind, shape) in output_tensors(meta).items()
    ]
    return {"name": name, "versions": [version], "platform": PLATFORM, "inputs": inputs, "outputs": outputs}


def datatype(column: Column) -> str:
    """Return the data type that holds a column's values exactly."""
    return DATATYPES.get(column.type, "BYTES")


def _integer(low: int, high: int) -> Callable[[Any], int | None]:
    def cast(element: Any) -> int | None:
        return element if isinstance(element, int) and not isinstance(element, bool) and low <= element < high else None

    return cast


def _double(element: Any) -> float | int | None:
    return element if isinstance(element, int | float) and not isinstance(element, bool) else None


def _narrow(kind: str) -> Callable[[Any], float | None]:
    """Return the cast to a shorter float, which then has its own digits, as in the Python API: 0.1, not 0.100000001."""

    dtype, largest = np.dtype(kind), float(np.finfo(kind).max)

    def cast(element: Any) -> float | None:
        if _double(element) is None or abs(element) > largest:
            return None
        with np.errstate(over="ignore"):
            value = dtype.type(element)
        return float(str(value)) if np.isfinite(value) else None

    return cast


CASTS: dict[str, Callable[[Any], Any]] = {
    "BOOL": lambda element: element if isinstance(element, bool) else None,
    "BYTES": lambda element: element if isinstance(element, str) else None,
    "FP64": _double,
    "FP32": _narrow("float32"),
    "FP16": _narrow("float16"),
}
for _name, (_sign, _bits) in BITS.items():
    CASTS[_name] = _integer(0, 2**_bits) if _sign else _integer(-(2 ** (_bits - 1)), 2 ** (_bits - 1))
