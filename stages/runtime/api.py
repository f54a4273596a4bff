"""What a packaged model offers, and `import NAME` gives.

Importing it reads nothing: the first call compares every file with the manifest, then loads the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from .errors import BrokenContract, DamagedModel
from .manifest import content_version, count_files, ensure_whole

if TYPE_CHECKING:
    from .predictor import Predictor

__all__ = [
    "BrokenContract", "DamagedModel", "explain", "info", "predict", "predict_many", "predict_proba", "schema", "verify",
]  # fmt: skip

FOLDER = Path(__file__).parent.parent / "model"
Record = Mapping[str, Any]
Answer = dict[str, Any]


class Frame(Protocol):
    """A DataFrame of pandas or polars, or a Table of pyarrow."""

    @property
    def columns(self) -> Any:
        """The columns, or their names."""


AnyFrame = TypeVar("AnyFrame", bound=Frame)


@cache
def predictor() -> Predictor:
    """Return the loaded model. Raises DamagedModel, naming the file, before any parser sees a changed byte."""
    ensure_whole()
    from .predictor import Predictor  # by now its source is known to be the packaged one

    return Predictor(FOLDER)


@overload
def predict(data: Record) -> Answer: ...
@overload
def predict(data: Iterable[Record]) -> list[Answer]: ...
@overload
def predict(data: AnyFrame) -> AnyFrame: ...
def predict(data: Any) -> Any:
    """Return the answer to one record, the list of answers to several, or a DataFrame of answers to a DataFrame.

    A record is {column: value}, or a row of a pandas DataFrame. An answer has "prediction" and, for classes,
    "probabilities" {class: p}, for a number "interval" [low, high] where the model has one. Of a DataFrame (pandas,
    polars, pyarrow) they are the columns `prediction`, `probability_CLASS`, `interval_low`, `interval_high`, a row for
    each row, in pandas under the same index.

    Values may be texts as in the source, or numbers, booleans, dates; None, NaN, NaT, "" and an absent column are all
    missing; columns may stand in any order. The same record has the same answer, bit for bit, however it is asked.
    Raises BrokenContract, whose `violations` name every column at fault and the rule it breaks, and whose `number` is
    the record's place, from 0.
    """
    return predictor().predict(data) if isinstance(data, dict) else _ask(data, "predict")


@overload
def predict_proba(data: Record) -> dict[str, float]: ...
@overload
def predict_proba(data: Iterable[Record]) -> list[dict[str, float]]: ...
@overload
def predict_proba(data: AnyFrame) -> AnyFrame: ...
def predict_proba(data: Any) -> Any:
    """Return {class: probability} of one record, a list of them, or a DataFrame with a column a class, as `predict`.

    Raises TypeError where the model predicts a number.
    """
    if predictor().model.task == "regression":
        raise TypeError("predict_proba: this model predicts a number, not a class; ask predict")
    return _ask(data, "predict_proba")


def predict_many(records: Iterable[Record]) -> list[Answer]:
    """Return the answer to each record: `predict` of a list."""
    return predictor().predict_many(records)


def explain(record: Record) -> Answer:
    """Return the answer to one record with "base" and "contributions" {column: part}, by class where there are more.

    They add up to what the model says before its link: log odds before calibration, or the value (its logarithm where
    LightGBM's objective has a log link). Exact for LightGBM and linear models, whose base is the mean training row's;
    sampled for all others, against the usual value of each column, whose raw answer is the base; the same parts every
    time. Raises BrokenContract as `predict`.
    """
    from .shapes import one_record

    return predictor().explain(one_record(record, "explain"))


def info() -> dict[str, Any]:
    """Return name, version, task, input columns and lineage of the packaged model."""
    contract = predictor().contract
    return {**read("lineage.json"), "version": content_version(), "inputs": contract.inputs, "task": contract.task}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a "record", of an "answer" and of an "explanation"."""
    from .schema import answer_schema, explanation_schema, record_schema

    asked = predictor()
    columns = list(dict.fromkeys(asked.columns))
    return {
        "record": record_schema(asked.contract),
        "answer": answer_schema(asked.model.meta),
        "explanation": explanation_schema(asked.model.meta, columns),
    }


def verify() -> int:
    """Return how many example records were answered exactly as packaged, after comparing every file anew.

    Raises DamagedModel for a file or an answer that is not the packaged one.
    """
    count_files()
    examples = read("examples.json")
    for number, example in enumerate(examples, start=1):
        given = predict(example["record"])
        if given != example["answer"]:
            raise DamagedModel(f"example {number} should be answered {example['answer']}, got {given}")
    return len(examples)


def read(name: str) -> Any:
    """Return a JSON member of the packaged model. Raises DamagedModel."""
    ensure_whole()
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def _ask(data: Any, function: str) -> Any:
    from .shapes import ask

    return ask(predictor(), data, function)
