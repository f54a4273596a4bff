"""The packaged model: from one record, or many, to answers.

Its folder holds contract.json, plan.json and what runtime/transformer.py reads beside what runtime/model.py does.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .check import compile_check
from .columns import compile_matrix
from .contract import Contract, Violation
from .errors import BrokenContract
from .model import Model
from .plan import compile_row
from .shapley import source_of
from .transformer import RefusedValues, load_transformers

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BrokenContract", "Predictor", "answer", "answers", "interval"]

FEW = 8  # records, of which column by column is no faster


class Predictor:
    """Contract, feature plan and model together: what `NAME.predict` calls."""

    def __init__(self, folder: Path) -> None:
        self.contract = Contract.from_json(json.loads((folder / "contract.json").read_text(encoding="utf-8")))
        self.features = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self.model = Model(folder)
        transformers = load_transformers(folder)
        self._row_features = compile_row(self.features, transformers)
        inputs = self.contract.inputs
        self._matrix = None if transformers else compile_matrix(self.contract, inputs, self.features)
        self._check = compile_check(self.contract, self.contract.inputs)
        # of each feature: the column that it is made of, `a x b` where of more
        self.columns = [source_of(feature) for feature in self.features]

    def predict(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return `answer` of one record {column: value}. Raises BrokenContract with all that is wrong with it."""
        return answer(self.model.meta, self.model.score_row(self._featurize(record)))

    def predict_many(self, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return `answer` of each record, as if asked one by one. Raises BrokenContract for the first broken one."""
        import numpy as np

        records = list(records)
        X = self._matrix(records) if self._matrix and len(records) >= FEW else None
        if X is not None:
            return answers(self.model.meta, self.model.score_matrix(X))
        rows = []
        for number, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise TypeError(f"record {number}: should be {{column: value}}, got {type(record).__name__}")
            try:
                rows.append(self._featurize(record))
            except BrokenContract as error:
                raise BrokenContract(error.violations, number) from None
        if not rows:
            return []
        return answers(self.model.meta, self.model.score_matrix(np.array(rows)))

    def explain(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return `answer` of one record with "base" and "contributions" {column: part}, by class where there are more.

        Base and parts add up to the log odds before calibration (two classes: of the positive one), to each class's
        logarithm up to a constant (more), to the value, or to its logarithm where LightGBM's objective has a log link.
        """
        row = self._featurize(record)
        parts = self.model.contributions_row(row, self.columns)
        found = answer(self.model.meta, self.model.score_row(row))
        if self.model.meta["task"] != "multiclass":
            [(base, columns)] = parts
            return {**found, "base": base, "contributions": columns}
        classes = self.model.meta["classes"]
        return {
            **found,
            "base": {label: base for label, (base, _) in zip(classes, parts, strict=True)},
            "contributions": {label: columns for label, (_, columns) in zip(classes, parts, strict=True)},
        }

    def _featurize(self, record: Mapping[str, Any]) -> list[float]:
        values, violations = self._check(record)
        if violations:
            refusing = [violation for violation in violations if violation.action != "null"]
            if refusing:
                raise BrokenContract(refusing)
        try:
            return self._row_features(values)
        except RefusedValues as error:
            raise BrokenContract([Violation(" x ".join(error.columns), "transformer", str(error))]) from error


def answer(meta: Mapping[str, Any], scores: list[float]) -> dict[str, Any]:
    """Return {"prediction": value, "interval": [low, high]} for regression, the interval where the model has one;
    {"prediction": class, "probabilities": {class: p}} otherwise, the class by `threshold` or, of more, by `factors`."""
    if meta["task"] == "regression":
        bounds = interval(meta, scores[0])
        return {"prediction": scores[0]} if bounds is None else {"prediction": scores[0], "interval": bounds}
    classes = meta["classes"]
    if meta["task"] == "binary":
        label = classes[1] if scores[0] >= meta["threshold"] else classes[0]
        return {"prediction": label, "probabilities": {classes[0]: 1.0 - scores[0], classes[1]: scores[0]}}
    weighed = [score * factor for score, factor in zip(scores, meta["factors"], strict=True)]
    best = max(range(len(scores)), key=weighed.__getitem__)
    return {"prediction": classes[best], "probabilities": dict(zip(classes, scores, strict=True))}


def answers(meta: Mapping[str, Any], scores: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Return `answer` of each row of scores, shape (n_rows, n_outputs)."""
    if meta["task"] != "binary":
        return [answer(meta, row) for row in scores.tolist()]
    (first, second), threshold = meta["classes"], meta["threshold"]
    return [
        {"prediction": second if score >= threshold else first, "probabilities": {first: 1.0 - score, second: score}}
        for score in scores[:, 0].tolist()
    ]


def interval(meta: Mapping[str, Any], value: float) -> list[float] | None:
    """Return [low, high] around a predicted value, None where the model has no interval.

    Half its width is `quantile` times the usual error at this value: `y` at the knots `x`, straight lines between.
    """
    stored = meta.get("interval")
    if stored is None:
        return None
    half = stored["quantile"]
    if stored["x"]:
        x, y = stored["x"], stored["y"]
        place = min(max(bisect_right(x, value), 1), len(x) - 1) - 1
        share = min(max((value - x[place]) / (x[place + 1] - x[place]), 0.0), 1.0)
        half *= y[place] + (y[place + 1] - y[place]) * share
    return [value - half, value + half]
