"""Stores a fitted estimator as plain data, its library's own text, or an archive: what runtime/model.py reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.shared.files import write_json
from stages.shared.models.archive import skops_bytes

LINEAR = (
    "LogisticRegression",
    "LogisticRegressionCV",
    "LinearRegression",
    "Ridge",
    "Lasso",
    "ElasticNet",
)  # of sklearn.linear_model


def kind_of(estimator: Any) -> str:
    """Return how a fitted estimator is stored: linear, network, lightgbm, xgboost, or skops for all others."""
    module, name = type(estimator).__module__, type(estimator).__name__
    if module.startswith("sklearn.linear_model.") and name in LINEAR:
        return "linear"
    if name in ("MLPClassifier", "MLPRegressor") and estimator.activation == "relu":
        return "network"
    if module.startswith("lightgbm.") and hasattr(estimator, "booster_"):
        return "lightgbm"
    return "xgboost" if module.startswith("xgboost.") and hasattr(estimator, "get_booster") else "skops"


def store(folder: Path, estimator: Any, meta: dict[str, Any], kind: str | None = None) -> dict[str, Any]:
    """Write a fitted estimator and its `meta` into a folder for `runtime.model.Model`; return the whole `meta`.

    Its form is the one it has by `kind_of`, or the `kind` given.
    """
    import numpy as np

    kind = kind or kind_of(estimator)
    meta = {**meta, "kind": kind, "estimator": f"{type(estimator).__module__.split('.')[0]}.{type(estimator).__name__}"}
    if kind == "linear":
        weights, intercept = np.atleast_2d(estimator.coef_).tolist(), np.atleast_1d(estimator.intercept_).tolist()
        meta |= {"weights": weights, "intercept": intercept}
    elif kind == "network":
        layers = zip(estimator.coefs_, estimator.intercepts_, strict=True)
        meta["layers"] = [{"weights": weights.tolist(), "bias": bias.tolist()} for weights, bias in layers]
    elif kind == "lightgbm":
        text = estimator.booster_.model_to_string(num_iteration=estimator.booster_.best_iteration)
        # The one setting that differs between machines and does not touch the trees.
        (folder / "model.txt").write_text(re.sub(r"\[num_threads: -?\d+\]", "[num_threads: 0]", text), encoding="utf-8")
    elif kind == "xgboost":
        last = getattr(estimator, "best_iteration", None) if estimator.early_stopping_rounds else None
        booster = estimator.get_booster()
        kept = booster if last is None else booster[: last + 1]
        (folder / "model.xgboost.json").write_bytes(bytes(kept.save_raw("json")))
    else:
        (folder / "model.skops").write_bytes(skops_bytes(estimator))
    write_json(folder / "model.json", meta)
    return meta
