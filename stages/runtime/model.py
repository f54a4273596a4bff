"""A fitted model by itself: from features to scores, and to what each column adds.

A model folder holds model.json and, by `kind`, the model itself: `linear` and `network` lie in model.json, `lightgbm`
is LightGBM's text, `xgboost` its JSON, `skops` an archive of a scikit-learn estimator; `ensemble` names folders within
that hold models of these kinds. Nothing here loads a pickle.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .archive import Archive
from .booster import Booster
from .calibration import TINY, calibrated, make_calibrate, sigmoid, softmax
from .dense import expand_matrix, expand_row, narrow_matrix, narrow_row
from .ensemble import Ensemble
from .linear import Linear
from .network import Network
from .shapley import Parts, by_column, sampled_parts
from .trees import Trees

if TYPE_CHECKING:
    import numpy as np

NARROWED = ("skops", "xgboost", "linear", "network")  # whose features, where they are not dense, may not be huge


class Model:
    """Scores are (n_outputs,): the positive class's calibrated probability (binary), one probability a class
    (multiclass), the value (regression)."""

    def __init__(self, folder: Path) -> None:
        self.meta: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.dense, self.kind, self.task = self.meta["dense"], self.meta["kind"], self.meta["task"]
        self.n_outputs = len(self.meta["classes"]) if self.task == "multiclass" else 1
        self._calibrate = make_calibrate(self.meta.get("calibration"))
        if self.kind == "lightgbm":
            self.booster = Booster((folder / "model.txt").read_text(encoding="utf-8"), self.n_outputs)
        elif self.kind == "skops":
            self.archive = Archive(folder / "model.skops", self.task)
        elif self.kind == "ensemble":
            parts = self.meta["parts"]
            self.ensemble = Ensemble(parts, [Model(folder / part["folder"]) for part in parts], self.n_outputs)
        elif self.kind == "xgboost":
            self.plain: Linear | Network | Trees = Trees(folder / "model.xgboost.json", self.n_outputs)
        else:
            self.plain = Linear(self.meta) if self.kind == "linear" else Network(self.meta)

    def score_matrix(self, X: np.ndarray[Any, Any], together: bool = False) -> np.ndarray[Any, Any]:
        """Return scores, shape (n_rows, n_outputs), of features, shape (n_rows, n_features), NaN for missing.

        Equal to `score_row`, bit for bit; `together` gives that up for speed where a library's estimator is asked.
        """
        scores = self.uncalibrated_matrix(X, together)
        calibration = self.meta.get("calibration")
        return scores if calibration is None else calibrated(calibration, scores)

    def uncalibrated_matrix(self, X: np.ndarray[Any, Any], together: bool = False) -> np.ndarray[Any, Any]:
        """Return the scores before calibration."""
        import numpy as np

        X = self._encode(X)
        if self.kind == "lightgbm":
            return self.booster.predict_matrix(X)
        if self.kind == "skops":
            return self.archive.predict_matrix(X, together)
        if self.kind == "ensemble":
            return self.ensemble.predict_matrix(X, together)
        return np.array([self._link(row) for row in self.plain.raw_matrix(X)]).reshape(len(X), self.n_outputs)

    def score_row(self, row: list[float]) -> list[float]:
        """Return scores, shape (n_outputs,), of one row's features; equal to `score_matrix`, bit for bit."""
        row = self._encode_row(row)
        if self.kind == "lightgbm":
            scores = self.booster.predict_row(row)
        elif self.kind == "skops":
            import numpy as np

            scores = [float(score) for score in self.archive.predict_matrix(np.array([row]))[0]]
        elif self.kind == "ensemble":
            scores = self.ensemble.predict_row(row)
        else:
            scores = self._link(self.plain.raw_row(row))
        return self._calibrate(scores)

    def contributions_row(self, row: list[float], columns: list[str]) -> list[Parts]:
        """Return (base, {column: what it adds}) by raw output; `columns` names the column of each feature.

        Base and parts add up to the raw value. LightGBM and linear models have exact parts of their own, others are
        sampled against the reference row, whose raw value is the base.
        """
        if self.kind not in ("lightgbm", "linear"):
            reference = [math.nan if value is None else value for value in self.meta["reference"]]
            return sampled_parts(self.raw_matrix, reference, row, columns)
        encoded = self._encode_row(row)
        native = self.booster.contributions_row if self.kind == "lightgbm" else self.plain.contributions  # type: ignore[union-attr]
        parts = native(encoded)
        parts = parts if self.dense is None else [self._by_feature(part) for part in parts]
        return [(part[-1], by_column(columns, part[:-1])) for part in parts]

    def raw_matrix(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return what the sampled parts add up to, shape (n_rows, n_outputs), before calibration.

        The log odds (two classes), each class's logarithm up to a constant (more), the value itself (a number).
        Probabilities without a log odds behind them are kept `TINY` from 0 and 1, as they are when calibrated.
        """
        import numpy as np

        if self.kind in ("network", "xgboost"):
            return np.array(self.plain.raw_matrix(self._encode(X)))
        scores = self.uncalibrated_matrix(X, together=True)
        if self.task == "regression":
            return scores
        logarithm = np.log(np.maximum(scores, TINY))
        return np.asarray(logarithm - np.log(np.maximum(1.0 - scores, TINY)) if self.task == "binary" else logarithm)

    def _encode(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self.dense is not None:
            return expand_matrix(self.dense, X)
        return narrow_matrix(X) if self.kind in NARROWED else X

    def _encode_row(self, row: list[float]) -> list[float]:
        if self.dense is not None:
            return expand_row(self.dense, row)
        return narrow_row(row) if self.kind in NARROWED else row

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
