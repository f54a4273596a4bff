"""MLflow's scoring protocol: what `POST /invocations` takes and answers.

Four forms of JSON, and CSV with a header. The answer is `{"predictions": [...]}`: labels, as predict() of scikit-learn
gives them, or numbers. As with an MLflow model whose signature has no parameters, `params` is taken and changes
nothing. Stricter than MLflow: unknown columns and keys, and short rows, are refused.
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from .refused import Fault, Faults, RefusedRequest

Record = dict[str, Any]
MOST_COLUMNS = 20_000  # of one table: they are turned into records, and a line of CSV into fields, at one go


def read_json(body: Any) -> list[Record]:
    """Return the records of a decoded body, in order. Raises RefusedRequest with all that is wrong with it."""
    if not isinstance(body, dict):
        raise RefusedRequest([Fault("", "object")])
    faults = Faults()
    given = [key for key in body if key in FORMS]
    if len(given) != 1:
        faults.add("", "form")
    for key in body:
        if key not in FORMS and key != "params":
            faults.add(key, "unknown_key")
    if not isinstance(body.get("params"), dict | None):
        faults.add("params", "object")
    faults.refuse()
    return FORMS[given[0]](given[0], body[given[0]])


def read_csv(text: str, most_rows: int) -> list[Record]:
    """Return the records of CSV with a header, as `DataFrame.to_csv(index=False)` writes it. Raises RefusedRequest.

    Every value stays a text, which the contract reads as it reads a source's; a line without any is no record. Of more
    records than `most_rows` one more is read.
    """
    try:
        reader = csv.reader(_short_lines(text.removeprefix("\ufeff")), strict=True)
        lines = list(itertools.islice(filter(None, reader), most_rows + 2))
    except csv.Error as error:
        raise RefusedRequest([Fault("", "csv")]) from error
    if not lines:
        raise RefusedRequest([Fault("", "csv")])
    return _rows(lines[0], lines[1:])


def _short_lines(text: str) -> Iterator[str]:
    for line in io.StringIO(text, newline=""):
        if line.count(",") > 5 * MOST_COLUMNS:  # some of them in texts
            raise RefusedRequest([Fault("", "columns")])
        yield line


def write(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the body of the answer to records."""
    return {"predictions": [answer["prediction"] for answer in answers]}


def _split(key: str, given: Any) -> list[Record]:
    if not isinstance(given, dict):
        raise RefusedRequest([Fault(key, "object")])
    faults = Faults()
    for part in given:
        if part not in ("columns", "index", "data"):
            faults.add(part, "unknown_key")
    for part in ("columns", "data"):
        if not isinstance(given.get(part), list):
            faults.add(part, "array" if part in given else "absent")
    faults.refuse()
    if not all(isinstance(name, str) for name in given["columns"]):
        raise RefusedRequest([Fault("columns", "text")])
    return _rows(given["columns"], given["data"])


def _rows(names: list[str], rows: list[Any]) -> list[Record]:
    faults = Faults()
    find_twice(names, faults)
    for number, row in enumerate(rows):
        if not isinstance(row, list):
            faults.add("", "array", number)
        elif len(row) != len(names):
            faults.add("", "shape", number)
    faults.refuse()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _records(key: str, given: Any) -> list[Record]:
    if not isinstance(given, list):
        raise RefusedRequest([Fault(key, "array")])
    faults = Faults()
    for number, record in enumerate(given):
        if not isinstance(record, dict):
            faults.add("", "object", number)
    faults.refuse()
    return given


def _tensors(key: str, given: Any) -> list[Record]:
    """Return the records of a list of objects, of {column: [values]}, or of {column: value} for one."""
    if not isinstance(given, dict):
        return _records(key, given)
    lists = {name: values for name, values in given.items() if isinstance(values, list)}
    if not lists:
        return [given]
    n_rows = len(next(iter(lists.values())))
    faults = Faults()
    for name in given:
        if name not in lists or len(lists[name]) != n_rows:
            faults.add(name, "shape")
    faults.refuse()
    return records_of(lists)


def records_of(columns: dict[str, list[Any]]) -> list[Record]:
    """Return the records of columns of equal length. Raises RefusedRequest for more than any contract has."""
    if len(columns) > MOST_COLUMNS:
        raise RefusedRequest([Fault("", "columns")])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def find_twice(names: list[str], faults: Faults) -> None:
    """Note each name that stands there before."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            faults.add(name, "duplicate")
        seen.add(name)


FORMS: dict[str, Callable[[str, Any], list[Record]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _tensors,
    "inputs": _tensors,
}
