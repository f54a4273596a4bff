"""The packaged model: from one record, or a matrix of features, to predictions.

A model folder holds contract.json, plan.json, model.json and, by `kind`, the model itself: `linear` lies in model.json,
`lightgbm` is LightGBM's text, `skops` an archive of a scikit-learn estimator. Nothing here loads a pickle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .booster import Booster
from .contract import Contract, Violation, check_row
from .dense import expand_matrix, expand_row
from .plan import compile_row

if TYPE_CHECKING:
    import numpy as np

TREES = ("RandomForest", "ExtraTrees", "HistGradientBoosting", "GradientBoosting", "DecisionTree")
FLOAT32_MAX = 3.4028234663852886e38
# What a stored estimator may consist of besides skops's own list. Extend it in the code that loads, never in a bundle.
TRUSTED = [
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn._loss.link.LogitLink", "sklearn._loss.link.MultinomialLogit", "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval", "sklearn._loss._loss.CyHalfBinomialLoss", "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn._loss._loss.CyHalfMultinomialLoss", "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfSquaredError", "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
]  # fmt: skip


class BrokenContract(ValueError):
    """A record that the contract refuses; `violations` says all that is wrong with it."""

    def __init__(self, violations: list[Violation], number: int | None = None) -> None:
        self.violations = violations
        self.number = number  # of the record in a batch, from 0
        where = "" if number is None else f"record {number}: "
        super().__init__(where + "; ".join(map(str, violations)))


class Model:
    """A fitted model by itself: from features to scores. Scores are (n_outputs,): the positive class's probability
    (binary), one probability a class (multiclass), the value (regression)."""

    def __init__(self, folder: Path) -> None:
        self.meta: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.dense = self.meta["dense"]
        self.n_outputs = len(self.meta["classes"]) if self.meta["task"] == "multiclass" else 1
        if self.meta["kind"] == "lightgbm":
            self.booster = Booster((folder / "model.txt").read_text(encoding="utf-8"), self.n_outputs)
        elif self.meta["kind"] == "skops":
            self.estimator = _load_skops(folder / "model.skops")

    def score_matrix(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return scores, shape (n_rows, n_outputs), of features, shape (n_rows, n_features), NaN for missing."""
        import numpy as np

        if self.dense is not None:
            X = expand_matrix(self.dense, X)
        if self.meta["kind"] == "lightgbm":
            return self.booster.predict_matrix(X)
        if self.meta["kind"] == "skops":
            return self._estimate(X)
        raw = np.empty((len(X), len(self.meta["intercept"])))
        for output, (weights, intercept) in enumerate(zip(self.meta["weights"], self.meta["intercept"], strict=True)):
            total = np.full(len(X), intercept)
            for column, weight in enumerate(weights):  # column by column: the same additions as for one row
                total += X[:, column] * weight
            raw[:, output] = total
        return np.array([self._link(row) for row in raw.tolist()]).reshape(len(X), self.n_outputs)

    def score_row(self, row: list[float]) -> list[float]:
        """Return scores, shape (n_outputs,), of one row's features; equal to `score_matrix`, bit for bit."""
        if self.meta["kind"] == "skops":
            import numpy as np

            return [float(score) for score in self.score_matrix(np.array([row]))[0]]
        if self.dense is not None:
            row = expand_row(self.dense, row)
        if self.meta["kind"] == "lightgbm":
            return self.booster.predict_row(row)
        raw = []
        for weights, intercept in zip(self.meta["weights"], self.meta["intercept"], strict=True):
            total = intercept
            for value, weight in zip(row, weights, strict=True):
                total += value * weight
            raw.append(total)
        return self._link(raw)

    def _link(self, raw: list[float]) -> list[float]:
        if self.meta["task"] == "regression":
            return raw
        if self.meta["task"] == "binary":
            odds = math.exp(-abs(raw[0]))
            return [1.0 / (1.0 + odds) if raw[0] >= 0 else odds / (1.0 + odds)]
        highest = max(raw)
        powers = [math.exp(value - highest) for value in raw]
        total = sum(powers)
        return [power / total for power in powers]

    def _estimate(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        X = np.clip(X, -FLOAT32_MAX, FLOAT32_MAX)  # scikit-learn's trees refuse what float32 cannot hold
        if len(X) > 1 and not type(self.estimator).__name__.startswith(TREES):
            # Linear algebra on a matrix adds in another order than on one row: ask row by row, always.
            return np.vstack([self._estimate(X[i : i + 1]) for i in range(len(X))])
        if self.meta["task"] == "regression":
            return self.estimator.predict(X).astype(float).reshape(-1, 1)  # type: ignore[no-any-return]
        scores = self.estimator.predict_proba(X).astype(float)
        return scores[:, 1:] if self.meta["task"] == "binary" else scores  # type: ignore[no-any-return]


class Predictor:
    """Contract, feature plan and model together: what `NAME.predict` calls."""

    def __init__(self, folder: Path) -> None:
        self.contract = Contract.from_json(json.loads((folder / "contract.json").read_text(encoding="utf-8")))
        self.features = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self.model = Model(folder)
        self._row_features = compile_row(self.features)

    def predict(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return `answer` of one record {column: value}. Raises BrokenContract with all that is wrong with it."""
        return answer(self.model.meta, self.model.score_row(self._featurize(record)))

    def predict_many(self, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return `answer` of each record, as if asked one by one. Raises BrokenContract for the first broken one."""
        import numpy as np

        rows = []
        for number, record in enumerate(records):
            try:
                rows.append(self._featurize(record))
            except BrokenContract as error:
                raise BrokenContract(error.violations, number) from None
        if not rows:
            return []
        return [answer(self.model.meta, scores) for scores in self.model.score_matrix(np.array(rows)).tolist()]

    def _featurize(self, record: Mapping[str, Any]) -> list[float]:
        values, violations = check_row(self.contract, record, self.contract.inputs)
        refusing = [violation for violation in violations if violation.action != "null"]
        if refusing:
            raise BrokenContract(refusing)
        return self._row_features(values)


def answer(meta: Mapping[str, Any], scores: list[float]) -> dict[str, Any]:
    """Return {"prediction": value} for regression, {"prediction": class, "probabilities": {class: p}} otherwise."""
    if meta["task"] == "regression":
        return {"prediction": scores[0]}
    classes = meta["classes"]
    if meta["task"] == "binary":
        label = classes[1] if scores[0] >= meta["threshold"] else classes[0]
        return {"prediction": label, "probabilities": {classes[0]: 1.0 - scores[0], classes[1]: scores[0]}}
    best = max(range(len(scores)), key=scores.__getitem__)
    return {"prediction": classes[best], "probabilities": dict(zip(classes, scores, strict=True))}


def _load_skops(path: Path) -> Any:
    from skops.io import load

    estimator = load(path, trusted=TRUSTED)
    # Threads add up the members of an ensemble in the order they finish: the last bits of a score would vary.
    jobs = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
    return estimator.set_params(**dict.fromkeys(jobs, 1))
