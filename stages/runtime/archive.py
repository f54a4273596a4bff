"""Estimators that have no plain form: a skops archive, loaded with a list of trusted types, never a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

TREES = ("RandomForest", "ExtraTrees", "HistGradientBoosting", "GradientBoosting", "DecisionTree")
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
    # Of transformers: SimpleImputer and KBinsDiscretizer, SplineTransformer, SparseRandomProjection.
    "numpy.dtype", "scipy.interpolate._bsplines.BSpline", "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.sparse._csr.csr_matrix",
]  # fmt: skip


def load_archive(content: bytes) -> Any:
    """Return a stored estimator or transformer, for work on one thread."""
    from skops.io import loads

    return with_one_job(loads(content, trusted=TRUSTED))


def with_one_job(estimator: Any) -> Any:
    """Return the estimator with every `n_jobs`, also within, set to 1.

    Threads add up the members of an ensemble in the order they finish: the last bits of a score would vary.
    """
    jobs = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
    return estimator.set_params(**dict.fromkeys(jobs, 1))


class Archive:
    """A scikit-learn estimator from its archive."""

    def __init__(self, path: Path, task: str) -> None:
        self.estimator = load_archive(path.read_bytes())
        self.task = task

    def predict_matrix(self, X: np.ndarray[Any, Any], together: bool = False) -> np.ndarray[Any, Any]:
        """Return probabilities or values, shape (n_rows, n_outputs), of features, shape (n_rows, n_features).

        Linear algebra on a matrix adds in another order than on one row, so every row is asked alone, unless the
        estimator is made of trees, or the caller can do without the last bits and wants them `together`.
        """
        import numpy as np

        if not (together or len(X) <= 1 or type(self.estimator).__name__.startswith(TREES)):
            return np.vstack([self.predict_matrix(X[i : i + 1]) for i in range(len(X))])
        if self.task == "regression":
            return self.estimator.predict(X).astype(float).reshape(-1, 1)  # type: ignore[no-any-return]
        scores = self.estimator.predict_proba(X).astype(float)
        return scores[:, 1:] if self.task == "binary" else scores  # type: ignore[no-any-return]
