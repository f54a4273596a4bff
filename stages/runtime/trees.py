"""XGBoost's trees from its own JSON, evaluated without XGBoost, the same bits for a row and for a matrix.

Values and cuts are compared as float32, as XGBoost does; leaves are added as float64, tree by tree, which differs from
its float32 sum by some 1e-7. Format: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import json
import math
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LOG_LINK = ("count:poisson", "reg:tweedie", "reg:gamma")  # the raw value is the logarithm of the answer


class Trees:
    """The trees of one model; tree i adds to raw output `outputs[i]`."""

    def __init__(self, path: Path, n_raw: int) -> None:
        learner = json.loads(path.read_text(encoding="utf-8"))["learner"]
        model = learner["gradient_booster"]["model"]
        self.trees = [_tree(tree) for tree in model["trees"]]
        self.outputs, self.n_raw = model["tree_info"], n_raw
        self.is_log = learner["objective"]["name"] in LOG_LINK
        start = [float(text) for text in str(learner["learner_model_param"]["base_score"]).strip("[]").split(",")]
        start = start * n_raw if len(start) < n_raw else start
        if learner["objective"]["name"] == "binary:logistic":
            start = [math.log(p / (1.0 - p)) for p in start]
        self.start = [math.log(value) for value in start] if self.is_log else start

    def raw_matrix(self, X: np.ndarray[Any, Any]) -> list[list[float]]:
        """Return log odds or values, shape (n_rows, n_raw), of features, shape (n_rows, n_features)."""
        import numpy as np

        X = X.astype(np.float32)
        raw = np.tile(np.array(self.start), (len(X), 1))
        for tree, output in zip(self.trees, self.outputs, strict=True):
            raw[:, output] += _leaves(tree, X)
        return self._answers(raw.tolist())

    def raw_row(self, row: list[float]) -> list[float]:
        """Return `raw_matrix` of one row, bit for bit."""
        values = array("f", row).tolist()  # rounded to float32
        raw = list(self.start)
        for tree, output in zip(self.trees, self.outputs, strict=True):
            raw[output] += _leaf(tree, values)
        return self._answers([raw])[0]

    def _answers(self, raw: list[list[float]]) -> list[list[float]]:
        return [[math.exp(value) for value in row] for row in raw] if self.is_log else raw


def _tree(tree: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the parts of a tree: per node its children, column, cut (or leaf), where missing goes, its categories."""
    n_nodes = len(tree["left_children"])
    categories: list[frozenset[float] | None] = [None] * n_nodes
    for node, begin, size in zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    ):
        categories[node] = frozenset(float(code) for code in tree["categories"][begin : begin + size])
    return {
        "left": tree["left_children"],
        "right": tree["right_children"],
        "column": tree["split_indices"],
        "cut": array("f", tree["split_conditions"]).tolist(),
        "missing_left": [bool(flag) for flag in tree["default_left"]],
        "categories": categories,
    }


def _leaf(tree: dict[str, list[Any]], row: list[float]) -> float:
    """Return the leaf value that one row of float32 values reaches."""
    node, left = 0, tree["left"]
    while left[node] != -1:
        value, categories = row[tree["column"][node]], tree["categories"][node]
        if math.isnan(value):
            goes_left = tree["missing_left"][node]
        elif categories is None:
            goes_left = value < tree["cut"][node]
        else:
            goes_left = value not in categories
        node = left[node] if goes_left else tree["right"][node]
    return float(tree["cut"][node])


def _leaves(tree: dict[str, list[Any]], X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the leaf value, shape (n_rows,), that each row reaches: the rows of a node are parted, node by node."""
    import numpy as np

    found = np.empty(len(X))
    waiting = [(0, np.arange(len(X)))]
    while waiting:
        node, rows = waiting.pop()
        if tree["left"][node] == -1:
            found[rows] = tree["cut"][node]
            continue
        values, categories = X[rows, tree["column"][node]], tree["categories"][node]
        goes_left = (
            values < np.float32(tree["cut"][node]) if categories is None else ~np.isin(values, sorted(categories))
        )
        goes_left = np.where(np.isnan(values), tree["missing_left"][node], goes_left)
        waiting += [(tree["left"][node], rows[goes_left]), (tree["right"][node], rows[~goes_left])]
    return found
