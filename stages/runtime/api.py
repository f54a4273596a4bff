"""What a packaged model offers, and `import NAME` gives: predict, predict_many, explain, info, verify."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .predictor import BrokenContract, Predictor

__all__ = ["BrokenContract", "explain", "info", "predict", "predict_many", "verify"]

FOLDER = Path(__file__).parent.parent / "model"


class DamagedModel(RuntimeError):
    """A file of the packaged model is not the one that was packaged."""


@cache
def predictor() -> Predictor:
    """Return the loaded model. Raises DamagedModel, naming the file, before any parser sees a changed byte."""
    manifest = read("manifest.json")
    for name, expected in manifest.items():
        path = FOLDER / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
        if found != expected:
            raise DamagedModel(f"{path}: SHA-256 should be {expected}, got {found}")
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if not path.is_dir()}
    strangers = sorted(files - {*manifest, "manifest.json"})
    if strangers:
        raise DamagedModel(f"{FOLDER / strangers[0]}: not in the manifest")
    return Predictor(FOLDER)


def predict(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one record {column: value}: {"prediction": ...} and, for classes, "probabilities".

    Values may be texts as in the source, or numbers, booleans, dates; null, absent and empty are all missing.
    Raises BrokenContract, whose `violations` name every column at fault and the rule it breaks.
    """
    return predictor().predict(record)


def predict_many(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the answer to each record, equal to asking one by one."""
    return predictor().predict_many(records)


def explain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one record with "base" and "contributions" {column: part}, by class where there are more.

    They add up to what the model says before its link: log odds before calibration, or the value (its logarithm where
    LightGBM's objective has a log link). Exact for LightGBM and linear models, whose base is the mean training row's;
    sampled for all others, against the usual value of each column, whose raw answer is the base; the same parts every
    time. Raises BrokenContract as `predict`.
    """
    return predictor().explain(record)


def info() -> dict[str, Any]:
    """Return name, version, task, input columns and lineage of the packaged model."""
    return {**read("lineage.json"), "inputs": predictor().contract.inputs, "task": predictor().contract.task}


def verify() -> int:
    """Return how many example records were answered exactly as packaged. Raises DamagedModel for one that was not."""
    examples = read("examples.json")
    for number, example in enumerate(examples, start=1):
        given = predict(example["record"])
        if given != example["answer"]:
            raise DamagedModel(f"example {number} should be answered {example['answer']}, got {given}")
    return len(examples)


def read(name: str) -> Any:
    """Return a JSON member of the packaged model."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
