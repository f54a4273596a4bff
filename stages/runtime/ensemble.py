"""Several models as one: the mean of their scores, each counted as often as it was picked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from .model import Model


class Ensemble:
    """Parts of {"count": n, "classes": numbers of the classes that the part knows, null for all}, and their models.

    Counts are whole numbers and divided by at the end, so that the mean of probabilities is never above 1.
    """

    def __init__(self, parts: list[dict[str, Any]], models: list[Model], n_outputs: int) -> None:
        self.parts = [(part["count"], part["classes"], model) for part, model in zip(parts, models, strict=True)]
        self.total, self.n_outputs = sum(part["count"] for part in parts), n_outputs

    def predict_matrix(self, X: np.ndarray[Any, Any], together: bool) -> np.ndarray[Any, Any]:
        """Return scores, shape (n_rows, n_outputs), of features, shape (n_rows, n_features)."""
        import numpy as np

        total = np.zeros((len(X), self.n_outputs))
        for count, classes, model in self.parts:  # part by part: the same additions as for one row
            scores = model.score_matrix(X, together)
            if classes is None:
                total += count * scores
            else:
                total[:, classes] += count * (np.hstack([1.0 - scores, scores]) if scores.shape[1] == 1 else scores)
        return np.asarray(total / self.total)

    def predict_row(self, row: list[float]) -> list[float]:
        """Return `predict_matrix` of one row, bit for bit."""
        total = [0.0] * self.n_outputs
        for count, classes, model in self.parts:
            scores = model.score_row(row)
            if classes is not None and len(scores) == 1:
                scores = [1.0 - scores[0], scores[0]]
            for place, score in zip(range(self.n_outputs) if classes is None else classes, scores, strict=True):
                total[place] += count * score
        return [score / self.total for score in total]
