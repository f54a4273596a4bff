"""The shapes in which a model is asked, and answers: one record, several, a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .frames import ensure_once, frame_like, is_series, library_of, records_of
from .predictor import Predictor

Answer = dict[str, Any]
TAKEN = "a record {column: value}, a list of records, or a DataFrame of pandas, polars or pyarrow"


def ask(predictor: Predictor, data: Any, function: str) -> Any:
    """Return what `function`, predict or predict_proba, answers in the shape of the question.

    Raises TypeError for what is none, BrokenContract for a record that the contract refuses.
    """
    whole = function == "predict"
    if isinstance(data, Mapping) or is_series(data):
        answer = predictor.predict(one_record(data, function))
        return answer if whole else answer["probabilities"]
    library = library_of(data)
    if library is not None:
        answers = predictor.predict_many(records_of(data, library))
        columns = (
            answer_columns(predictor.model.meta, answers) if whole else class_columns(predictor.model.meta, answers)
        )
        return frame_like(data, library, columns)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise TypeError(f"{function} takes {TAKEN}, got {type(data).__name__}")
    answers = predictor.predict_many(data)
    return answers if whole else [answer["probabilities"] for answer in answers]


def one_record(data: Any, function: str) -> Mapping[str, Any]:
    """Return a record: a mapping, or a row of a pandas DataFrame. Raises TypeError for anything else."""
    if isinstance(data, Mapping):
        return data
    if is_series(data):
        names = list(data.index)
        ensure_once(names)
        return dict(zip(names, data.tolist(), strict=True))
    raise TypeError(f"{function} takes a record {{column: value}}, got {type(data).__name__}")


def answer_columns(meta: Mapping[str, Any], answers: list[Answer]) -> dict[str, list[Any]]:
    """Return answers as columns: `prediction`, then `probability_CLASS`, or `interval_low` and `interval_high`."""
    columns = {"prediction": [answer["prediction"] for answer in answers]}
    if meta["task"] != "regression":
        return columns | {f"probability_{name}": values for name, values in class_columns(meta, answers).items()}
    if meta.get("interval") is not None:
        for place, name in enumerate(("interval_low", "interval_high")):
            columns[name] = [answer["interval"][place] for answer in answers]
    return columns


def class_columns(meta: Mapping[str, Any], answers: list[Answer]) -> dict[str, list[float]]:
    """Return the probability of each class as a column of its name."""
    return {name: [answer["probabilities"][name] for answer in answers] for name in meta["classes"]}
