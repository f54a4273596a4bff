"""A fitted model by itself: from features to scores, and to what each feature adds.

A model folder holds model.json and, by `kind`, the model itself: `linear` and `network` lie in model.json, `lightgbm`
is LightGBM's text, `xgboost` its JSON, `skops` an archive of a scikit-learn estimator. Nothing here loads a pickle.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .archive import Archive
from .booster import Booster
from .calibration import make_calibrate, sigmoid, softmax
from .dense import expand_matrix, expand_row
from .linear import Linear
from .network import Network
from .trees import Trees

if TYPE_CHECKING:
    import numpy as np


class NotExplained(ValueError):
    """Contributions are not available for this kind of model."""


class Model:
    """Scores are (n_outputs,): the positive class's calibrated probability (binary), one probability a class
    (multiclass), the value (regression)."""

    def __init__(self, folder: Path) -> None:
        self.meta: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.dense, self.kind, self.task = self.meta["dense"], self.meta["kind"], self.meta["task"]
        self.n_outputs = len(self.meta["classes"]) if self.task == "multiclass" else 1
        self.is_calibrated = self.meta.get("calibration") is not None
        self._calibrate = make_calibrate(self.meta.get("calibration"))
        if self.kind == "lightgbm":
            self.booster = Booster((folder / "model.txt").read_text(encoding="utf-8"), self.n_outputs)
        elif self.kind == "skops":
            self.archive = Archive(folder / "model.skops", self.task)
        elif self.kind == "xgboost":
            self.plain: Linear | Network | Trees = Trees(folder / "model.xgboost.json", self.n_outputs)
        else:
            self.plain = Linear(self.meta) if self.kind == "linear" else Network(self.meta)

    def score_matrix(self, X: np.ndarray[Any, Any], together: bool = False) -> np.ndarray[Any, Any]:
        """Return scores, shape (n_rows, n_outputs), of features, shape (n_rows, n_features), NaN for missing.

        Equal to `score_row`, bit for bit; `together` gives that up for speed where a library's estimator is asked.
        """
        import numpy as np

        scores = self.uncalibrated_matrix(X, together)
        if not self.is_calibrated:
            return scores
        return np.array([self._calibrate(row) for row in scores.tolist()]).reshape(scores.shape)

    def uncalibrated_matrix(self, X: np.ndarray[Any, Any], together: bool = False) -> np.ndarray[Any, Any]:
        """Return the scores before calibration."""
        import numpy as np

        if self.dense is not None:
            X = expand_matrix(self.dense, X)
        if self.kind == "lightgbm":
            return self.booster.predict_matrix(X)
        if self.kind == "skops":
            return self.archive.predict_matrix(X, together)
        return np.array([self._link(row) for row in self.plain.raw_matrix(X)]).reshape(len(X), self.n_outputs)

    def score_row(self, row: list[float]) -> list[float]:
        """Return scores, shape (n_outputs,), of one row's features; equal to `score_matrix`, bit for bit."""
        if self.dense is not None:
            row = expand_row(self.dense, row)
        if self.kind == "lightgbm":
            scores = self.booster.predict_row(row)
        elif self.kind == "skops":
            import numpy as np

            scores = [float(score) for score in self.archive.predict_matrix(np.array([row]))[0]]
        else:
            scores = self._link(self.plain.raw_row(row))
        return self._calibrate(scores)

    def contributions_row(self, row: list[float]) -> list[list[float]]:
        """Return what each feature of a row adds, and the base value last, shape (n_raw, n_features + 1).

        They add up to the raw value: the log odds (classes, before calibration), the value or its logarithm (a number).
        Raises NotExplained for kinds whose answer has no such parts.
        """
        columns = row if self.dense is None else expand_row(self.dense, row)
        if self.kind == "lightgbm":
            parts = self.booster.contributions_row(columns)
        elif self.kind == "linear":
            parts = self.plain.contributions(columns)  # type: ignore[union-attr]
        else:
            raise NotExplained(f"contributions are not available for {self.meta['estimator']} ({self.kind})")
        return parts if self.dense is None else [self._by_feature(part) for part in parts]

    def _by_feature(self, parts: list[float]) -> list[float]:
        """Return contributions of dense columns added up by the feature they come from; the base stays last."""
        sums, place = [], 0
        for entry in self.dense:
            width = entry["levels"] if "levels" in entry else 1 + entry["flag"]
            sums.append(sum(parts[place : place + width]))
            place += width
        return [*sums, parts[-1]]

    def _link(self, raw: list[float]) -> list[float]:
        if self.task == "regression":
            return raw
        return [sigmoid(raw[0])] if self.task == "binary" else softmax(raw)
