"""MLflow's scoring protocol: what `POST /invocations` takes and answers.

Four forms of JSON, and CSV with a header. The answer is `{"predictions": [...]}`: labels, as predict() of scikit-learn
gives them, or numbers. As with an MLflow model whose signature has no parameters, `params` is taken and changes
nothing. Stricter than MLflow: unknown columns and keys, and short rows, are refused.
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from .refused import Fault, RefusedRequest

Record = dict[str, Any]
BESIDES = ("params",)


def read_json(body: Any) -> list[Record]:
    """Return the records of a decoded body, in order. Raises RefusedRequest with all that is wrong with it."""
    if not isinstance(body, dict):
        raise RefusedRequest([Fault("", "object")])
    given = [key for key in body if key in FORMS]
    faults = [Fault(key, "unknown_key") for key in body if key not in FORMS and key not in BESIDES]
    if len(given) != 1:
        faults.insert(0, Fault("", "form"))
    params = body.get("params")
    if params is not None and not isinstance(params, dict):
        faults.append(Fault("params", "object"))
    if faults:
        raise RefusedRequest(faults)
    return FORMS[given[0]](given[0], body[given[0]])


def read_csv(text: str) -> list[Record]:
    """Return the records of CSV with a header, as `DataFrame.to_csv(index=False)` writes it. Raises RefusedRequest.

    Every value stays a text, which the contract reads as it reads a source's; a line without any is no record.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True) if line]
    except csv.Error as error:
        raise RefusedRequest([Fault("", "csv")]) from error
    if not lines:
        raise RefusedRequest([Fault("", "csv")])
    return _rows(lines[0], lines[1:])


def write(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the body of the answer to records."""
    return {"predictions": [answer["prediction"] for answer in answers]}


def _split(key: str, given: Any) -> list[Record]:
    if not isinstance(given, dict):
        raise RefusedRequest([Fault(key, "object")])
    faults = [Fault(part, "unknown_key") for part in given if part not in ("columns", "index", "data")]
    for part in ("columns", "data"):
        if not isinstance(given.get(part), list):
            faults.append(Fault(part, "array" if part in given else "absent"))
    if not faults and not all(isinstance(name, str) for name in given["columns"]):
        faults.append(Fault("columns", "text"))
    if faults:
        raise RefusedRequest(faults)
    return _rows(given["columns"], given["data"])


def _rows(names: list[str], rows: list[Any]) -> list[Record]:
    faults = twice(names)
    for number, row in enumerate(rows):
        if not isinstance(row, list):
            faults.append(Fault("", "array", number))
        elif len(row) != len(names):
            faults.append(Fault("", "shape", number))
    if faults:
        raise RefusedRequest(faults)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _records(key: str, given: Any) -> list[Record]:
    if not isinstance(given, list):
        raise RefusedRequest([Fault(key, "array")])
    faults = [Fault("", "object", number) for number, record in enumerate(given) if not isinstance(record, dict)]
    if faults:
        raise RefusedRequest(faults)
    return given


def _tensors(key: str, given: Any) -> list[Record]:
    """Return the records of a list of objects, of {column: [values]}, or of {column: value} for one."""
    if not isinstance(given, dict):
        return _records(key, given)
    lists = {name: values for name, values in given.items() if isinstance(values, list)}
    if not lists:
        return [given]
    n_rows = len(next(iter(lists.values())))
    faults = [Fault(name, "shape") for name in given if name not in lists or len(lists[name]) != n_rows]
    if faults:
        raise RefusedRequest(faults)
    return records_of(lists)


def records_of(columns: dict[str, list[Any]]) -> list[Record]:
    """Return the records of columns of equal length."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def twice(names: list[str]) -> list[Fault]:
    """Return a fault for each name that stands there before."""
    seen: set[str] = set()
    faults = []
    for name in names:
        faults += [Fault(name, "duplicate")] if name in seen else []
        seen.add(name)
    return faults


FORMS: dict[str, Callable[[str, Any], list[Record]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _tensors,
    "inputs": _tensors,
}
