"""The rows that calibration, threshold, interval and importance are decided with, and how the model scores them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.runtime.model import Model
from stages.shared.models.importance import some
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Judged:
    """Rows that what scores them was not fitted on, though they may have stopped it. Scores are not calibrated."""

    rows: Rows  # validation rows, or training rows and then these
    n_validation: int  # so many of the rows, the last ones
    scores: Array  # (n_rows, n_outputs)
    score: Callable[[Array, Array], Array]  # (places of rows, their features dealt anew) to (n_places, n_outputs)
    usual: Callable[[], tuple[Array, Array]]  # numbers and what was predicted, to learn the usual error from

    @property
    def validation(self) -> Array:
        """Return the places of the validation rows."""
        return np.arange(len(self.rows.y) - self.n_validation, len(self.rows.y))


def judge_on_validation(
    model: Model, train: Rows, validation: Rows, quick: Callable[[Array], Array] | None = None
) -> Judged:
    """Return the validation rows as a stored model scores them; `quick` may differ from it in the last bits."""

    def together(X: Array) -> Array:
        return model.uncalibrated_matrix(X, together=True)

    def usual() -> tuple[Array, Array]:
        rows = some(train)
        return rows.y, together(rows.X)[:, 0]

    score = together if quick is None else quick
    return Judged(validation, len(validation.y), model.score_matrix(validation.X), lambda _, X: score(X), usual)
