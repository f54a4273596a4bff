"""Answers to many rows at once, as columns: `predictor.answer` for a matrix of scores, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..contract_sql import literal

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def output_columns(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return {name of an output column: its expression over `answer_arrays`}, in their order."""
    if meta["task"] == "regression":
        bounds = {} if meta.get("interval") is None else {"low": "_low", "high": "_high"}
        return {"prediction": "_value", **bounds}
    labels = ", ".join(map(literal, meta["classes"]))
    columns = {"prediction": f"([{labels}])[_label + 1]"}
    return columns | {f"probability_{label}": f"_p{place}" for place, label in enumerate(meta["classes"])}


def answer_arrays(meta: Mapping[str, Any], scores: Array) -> dict[str, Array]:
    """Return the arrays that `output_columns` speaks of, shape (n_rows,), of scores, shape (n_rows, n_outputs)."""
    import numpy as np

    if meta["task"] == "regression":
        value = np.ascontiguousarray(scores[:, 0])
        return {"_value": value, **_bounds(meta, value)}
    if meta["task"] == "binary":
        p = np.ascontiguousarray(scores[:, 0])
        return {"_label": (p >= meta["threshold"]).astype(np.int64), "_p0": 1.0 - p, "_p1": p}
    label = np.argmax(scores * np.array(meta["factors"]), axis=1).astype(np.int64)  # the first of equal ones, as `max`
    return {"_label": label, **{f"_p{place}": np.ascontiguousarray(p) for place, p in enumerate(scores.T)}}


def _bounds(meta: Mapping[str, Any], value: Array) -> dict[str, Array]:
    """Return the arrays of `predictor.interval`: the same operations in the same order."""
    import numpy as np

    stored = meta.get("interval")
    if stored is None:
        return {}
    half = np.full(len(value), stored["quantile"])
    if stored["x"]:
        x, y = np.array(stored["x"]), np.array(stored["y"])
        place = np.clip(np.searchsorted(x, value, "right"), 1, len(x) - 1) - 1
        share = np.clip((value - x[place]) / (x[place + 1] - x[place]), 0.0, 1.0)
        half = half * (y[place] + (y[place + 1] - y[place]) * share)
    return {"_low": value - half, "_high": value + half}
