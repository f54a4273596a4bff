"""Fits an estimator named in conf/model and stores it as plain data, text or an archive of fixed bytes."""

from __future__ import annotations

import inspect
import io
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.dense import Dense
from stages.runtime.plan import Feature
from stages.runtime.predictor import TRUSTED
from stages.shared.errors import InputError, did_you_mean
from stages.shared.files import write_json

if TYPE_CHECKING:
    import numpy as np

LINEAR = (
    "LogisticRegression",
    "LogisticRegressionCV",
    "LinearRegression",
    "Ridge",
    "Lasso",
    "ElasticNet",
)  # of sklearn.linear_model
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can hold


def make_estimator(arguments: dict[str, Any], seed: int, where: str, task: str) -> Any:
    """Return the estimator that `_target_` names, with its arguments; `random_state` is the seed unless given.

    Raises InputError, naming the file `where`, for a class that is not there or refuses an argument.
    """
    from hydra.errors import HydraException
    from hydra.utils import instantiate

    target = arguments.get("_target_")
    if target is None:
        raise InputError(f"{where}: no _target_ in estimator, classifier or regressor for this task")
    try:
        estimator = instantiate(arguments)
    except (HydraException, ImportError, OSError) as error:
        raise InputError(f"{where}: {target} cannot be made: {_first_cause(error)}") from None
    if not hasattr(estimator, "fit"):
        raise InputError(f"{where}: {target} is not an estimator: it has no fit")
    check_kind(estimator, task, where)
    if target.startswith("lightgbm."):
        check_lightgbm_names(arguments, where)
    parameters = estimator.get_params()
    seeds = [name for name in parameters if name == "random_state" or name.endswith("__random_state")]
    return estimator.set_params(**{name: seed for name in seeds if parameters[name] is None})


def _first_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0]


def check_kind(estimator: Any, task: str, where: str) -> None:
    """Raise InputError for a classifier where a number is asked, a regressor or no probabilities where classes are."""
    from sklearn.base import is_classifier, is_regressor

    if task == "regression" and not is_regressor(estimator):
        raise InputError(f"{where}: the target is a number, and {type(estimator).__name__} is no regressor")
    if task != "regression" and not (is_classifier(estimator) and hasattr(estimator, "predict_proba")):
        raise InputError(f"{where}: the target has classes, and {type(estimator).__name__} gives no probabilities")


def check_lightgbm_names(arguments: dict[str, Any], where: str) -> None:
    """Raise InputError for arguments that LightGBM does not know: its constructors take any name in silence."""
    from lightgbm import LGBMModel
    from lightgbm.basic import _ConfigAliases

    aliases = _ConfigAliases._get_all_param_aliases()
    known = {*LGBMModel().get_params(), *aliases, *(alias for names in aliases.values() for alias in names)}
    unknown = [name for name in arguments if name not in known and not name.startswith("_")]
    if unknown:
        faults = [f"estimator.{name}: unknown key{did_you_mean(name, known)}" for name in unknown]
        raise InputError(f"{where} is not valid for {arguments['_target_']}", faults)


def fit_dense(features: list[Feature], X: np.ndarray[Any, Any]) -> Dense:
    """Return the dense encoding fitted on training rows, shape (n_rows, n_features)."""
    import numpy as np

    dense: Dense = []
    for feature, values in zip(features, X.T, strict=True):
        if feature["op"] == "category":
            dense.append({"levels": len(feature["levels"]) + 1})
            continue
        is_missing = np.isnan(values)
        present = values[~is_missing]
        median = float(np.median(present)) if len(present) else 0.0
        imputed = np.where(is_missing, median, values)
        scale = float(np.std(imputed))
        dense.append(
            {
                "median": median,
                "mean": float(np.mean(imputed)),
                "scale": scale if scale > 0 else 1.0,
                "flag": bool(is_missing.any()),
            }
        )
    return dense


def is_lightgbm(estimator: Any) -> bool:
    """Return whether the estimator's model is stored as LightGBM's text."""
    return type(estimator).__module__.startswith("lightgbm.") and hasattr(estimator, "booster_")


def is_linear(estimator: Any) -> bool:
    """Return whether the estimator is stored as weights and evaluated by our own code."""
    kind = type(estimator)
    return kind.__module__.startswith("sklearn.linear_model.") and kind.__name__ in LINEAR


def store(folder: Path, estimator: Any, meta: dict[str, Any]) -> str:
    """Write a fitted estimator and its `meta` into a folder that `runtime.predictor.Model` reads; return its kind."""
    meta = {**meta, "estimator": f"{type(estimator).__module__.split('.')[0]}.{type(estimator).__name__}"}
    if is_linear(estimator):
        import numpy as np

        weights, intercept = np.atleast_2d(estimator.coef_).tolist(), np.atleast_1d(estimator.intercept_).tolist()
        meta |= {"kind": "linear", "weights": weights, "intercept": intercept}
    elif is_lightgbm(estimator):
        text = estimator.booster_.model_to_string(num_iteration=estimator.booster_.best_iteration)
        # The one setting that differs between machines and does not touch the trees.
        (folder / "model.txt").write_text(re.sub(r"\[num_threads: -?\d+\]", "[num_threads: 0]", text), encoding="utf-8")
        meta["kind"] = "lightgbm"
    else:
        (folder / "model.skops").write_bytes(skops_bytes(estimator))
        meta["kind"] = "skops"
    write_json(folder / "model.json", meta)
    return str(meta["kind"])


def skops_bytes(estimator: Any) -> bytes:
    """Return a skops archive of fixed bytes: members and ids, which skops takes from memory addresses, are renumbered.

    Raises InputError where the estimator holds a type that the packaged model would refuse to load.
    """
    from skops.io import dumps, get_untrusted_types

    archive = dumps(estimator)
    refused = sorted(set(get_untrusted_types(data=archive)) - set(TRUSTED))
    if refused:
        known = "a packaged model loads only the types in stages/runtime/predictor.py (TRUSTED)"
        raise InputError(f"{type(estimator).__name__} cannot be stored: {known}", refused)
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        schema = json.loads(packed.read("schema.json"))
        members: dict[str, str] = {}
        _renumber(schema, {}, members)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as repacked:
            repacked.writestr(zipfile.ZipInfo("schema.json", ZIP_TIME), json.dumps(schema), zipfile.ZIP_DEFLATED)
            for old, new in members.items():
                repacked.writestr(zipfile.ZipInfo(new, ZIP_TIME), packed.read(old), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _renumber(node: Any, ids: dict[int, int], members: dict[str, str]) -> None:
    """Replace `__id__` and `file` values in a skops schema by their order of appearance."""
    if isinstance(node, list):
        for item in node:
            _renumber(item, ids, members)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if isinstance(node.get("file"), str):
            suffix = Path(node["file"]).suffix
            node["file"] = members.setdefault(node["file"], f"{len(members) + 1}{suffix}")
        for item in node.values():
            _renumber(item, ids, members)


def accepts(function: Any, name: str) -> bool:
    """Return whether a function has a parameter of that name."""
    return name in inspect.signature(function).parameters
