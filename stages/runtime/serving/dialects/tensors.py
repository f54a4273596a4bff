"""Tensors of the Open Inference Protocol: the data type of a column, and the elements of an input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...contract import Column
from ...forms import as_text
from .refused import Faults

DATATYPES = {"integer": "INT64", "number": "FP64", "money": "FP64", "percent": "FP64", "boolean": "BOOL"}
KEYS = ("name", "shape", "datatype", "parameters", "data")
Cast = Callable[[Any], Any]  # from an element to its value, None for one that is not of the data type


def datatype(column: Column) -> str:
    """Return the data type that holds a column's values exactly."""
    return DATATYPES.get(column.type, "BYTES")


def elements(tensor: dict[str, Any], faults: Faults) -> list[Any] | None:
    """Return the values of a tensor of shape [n] or [n, 1], null for missing; None where there are none to find."""
    name, before = tensor["name"], len(faults.found)
    for key in tensor:
        if key not in KEYS:
            faults.add(f"{name}.{key}", "unknown_key")
    check_parameters(tensor, name, faults)
    cast = CASTS.get(str(tensor.get("datatype")))
    if cast is None:
        faults.add(name, "datatype")
    data = _data(tensor.get("shape"), tensor.get("data"))
    if data is None:
        faults.add(name, "shape")
    if data is None or cast is None or len(faults.found) > before:
        return None
    values = [None if element is None else cast(element) for element in data]
    for row, (given, value) in enumerate(zip(data, values, strict=True)):
        if value is None and given is not None:
            faults.add(name, "element", row)
    return values


def check_parameters(holder: dict[str, Any], name: str, faults: Faults) -> None:
    """Note what is wrong with the parameters of a request or a tensor; those without meaning here are no fault."""
    parameters = holder.get("parameters", {})
    if not isinstance(parameters, dict):
        faults.add(f"{name}.parameters".lstrip("."), "object")
    elif "binary_data_size" in parameters:
        faults.add(name, "binary")


def _data(shape: Any, data: Any) -> list[Any] | None:
    """Return the elements in their order, given flat or as rows of one; None where shape and data are not right."""
    if not isinstance(shape, list) or not isinstance(data, list):
        return None
    if not all(isinstance(size, int) and not isinstance(size, bool) for size in shape):
        return None
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] != len(data):
        return None
    is_nested = len(shape) == 2 and all(isinstance(each, list) and len(each) == 1 for each in data)
    return [each[0] for each in data] if is_nested else data


def _integer(low: int, high: int) -> Cast:
    def cast(element: Any) -> int | None:
        return element if type(element) is int and low <= element < high else None

    return cast


def _narrow(kind: str) -> Cast:
    """Return the cast to a shorter float, of which the contract makes what it makes of NumPy's."""
    dtype, largest = np.dtype(kind), float(np.finfo(kind).max)

    def cast(element: Any) -> float | None:
        if type(element) not in (int, float) or abs(element) > largest:
            return None
        return float(as_text(dtype.type(element)) or "nan")

    return cast


CASTS: dict[str, Cast] = {
    "BOOL": lambda element: element if type(element) is bool else None,
    "BYTES": lambda element: element if type(element) is str else None,
    "FP64": lambda element: element if type(element) in (int, float) else None,
    "FP32": _narrow("float32"),
    "FP16": _narrow("float16"),
    **{f"INT{bits}": _integer(-(2 ** (bits - 1)), 2 ** (bits - 1)) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": _integer(0, 2**bits) for bits in (8, 16, 32, 64)},
}
