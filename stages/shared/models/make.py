"""Makes the estimator that a file of conf/model declares, and refuses one that cannot do the task."""

from __future__ import annotations

import inspect
from typing import Any

from stages.shared.errors import InputError, did_you_mean


def make_estimator(arguments: dict[str, Any], seed: int, where: str, task: str) -> Any:
    """Return the estimator that `_target_` names, with its arguments; `random_state` is the seed unless given.

    Raises InputError, naming the file `where`, for a class that is not there or refuses an argument.
    """
    target = arguments.get("_target_")
    if target is None:
        raise InputError(f"{where}: no _target_ in estimator, classifier or regressor for this task")
    estimator = make_target(arguments, where)
    if not hasattr(estimator, "fit"):
        raise InputError(f"{where}: {target} is not an estimator: it has no fit")
    check_kind(estimator, task, where)
    if target.startswith("lightgbm."):
        check_lightgbm_names(arguments, where)
    return seeded(estimator, seed)


def make_target(arguments: dict[str, Any], where: str) -> Any:
    """Return the object that `_target_` names, made with its arguments; lists and mappings are Python's own."""
    from hydra.errors import HydraException
    from hydra.utils import instantiate

    try:
        return instantiate(arguments, _convert_="all")
    except (HydraException, ImportError, OSError) as error:
        cause = _first_cause(error)
        is_optional = cause == "No module named 'xgboost'"
        hint = "; pip install --require-hashes -r requirements-xgboost.txt" if is_optional else ""
        raise InputError(f"{where}: {arguments['_target_']} cannot be made: {cause}{hint}") from None


def seeded(estimator: Any, seed: int) -> Any:
    """Return the estimator with every `random_state` that was given none, also within, set to the seed."""
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
    known = lightgbm_names()
    unknown = [name for name in arguments if name not in known and not name.startswith("_")]
    if unknown:
        faults = [f"estimator.{name}: unknown key{did_you_mean(name, known)}" for name in unknown]
        raise InputError(f"{where} is not valid for {arguments['_target_']}", faults)


def lightgbm_names() -> set[str]:
    """Return every argument that LightGBM knows, aliases too."""
    from lightgbm import LGBMModel
    from lightgbm.basic import _ConfigAliases

    aliases = _ConfigAliases._get_all_param_aliases()
    return {*LGBMModel().get_params(), *aliases, *(alias for names in aliases.values() for alias in names)}


def accepts(function: Any, name: str) -> bool:
    """Return whether a function has a parameter of that name."""
    return name in inspect.signature(function).parameters
