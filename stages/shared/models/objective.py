"""Objectives of a number: what each library calls them, and the loss that validation rows are measured with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from stages.shared.errors import InputError
from stages.shared.losses import mean_loss
from stages.shared.models.declared import ModelConf, NotOffered, Objective

if TYPE_CHECKING:
    import numpy as np

# {family: {objective: (its arguments, the argument that takes the parameter)}}
ARGUMENTS: dict[str, dict[str, tuple[dict[str, str], str | None]]] = {
    "lightgbm": {
        "absolute": ({"objective": "regression_l1"}, None),
        "poisson": ({"objective": "poisson"}, None),
        "quantile": ({"objective": "quantile"}, "alpha"),
        "huber": ({"objective": "huber"}, "alpha"),
        "tweedie": ({"objective": "tweedie"}, "tweedie_variance_power"),
    },
    "xgboost": {
        "absolute": ({"objective": "reg:absoluteerror"}, None),
        "poisson": ({"objective": "count:poisson"}, None),
        "quantile": ({"objective": "reg:quantileerror"}, "quantile_alpha"),
        "huber": ({"objective": "reg:pseudohubererror"}, "huber_slope"),
        "tweedie": ({"objective": "reg:tweedie"}, "tweedie_variance_power"),
    },
    "HistGradientBoostingRegressor": {
        "absolute": ({"loss": "absolute_error"}, None),
        "poisson": ({"loss": "poisson"}, None),
        "quantile": ({"loss": "quantile"}, "quantile"),
    },
}
EPSILON = 1e-12  # a mean of 0 has no logarithm


def name_and_parameter(objective: str | Objective, where: str) -> tuple[str, float | None]:
    """Return the objective's name and its parameter. Raises InputError where not exactly one is named."""
    if isinstance(objective, str):
        return objective, None
    given = {name: value for name, value in dataclasses.asdict(objective).items() if value is not None}
    if len(given) != 1:
        raise InputError(f"{where}: objective should name one of quantile, huber, tweedie, got {sorted(given)}")
    return next(iter(given.items()))


def objective_arguments(conf: ModelConf, target: str, where: str) -> dict[str, Any]:
    """Return the arguments that give the estimator `target` the declared objective."""
    name, parameter = name_and_parameter(conf.objective, where)
    if name == "squared":
        return {}
    family = target.split(".")[0] if target.split(".")[0] in ARGUMENTS else target.rsplit(".", 1)[-1]
    known = ARGUMENTS.get(family)
    if known is None or name not in known:
        offered = f"it has squared, {', '.join(known)}" if known else "say it in the arguments of its regressor"
        raise NotOffered(f"{where}: objective: {family} is not offered {name}; {offered}")
    arguments, key = known[name]
    return {**arguments, key: parameter} if key else dict(arguments)


def validation_loss(
    conf: ModelConf, task: str, y: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], weight: Any = None
) -> float:
    """Return the loss of scores: log loss for classes, for a number the mean of what the objective minimises.

    Squared errors are given as their root. Deviances: McCullagh & Nelder 1989, 2.3; Jorgensen 1987 (Tweedie).
    """
    import numpy as np

    name, parameter = name_and_parameter(conf.objective, "conf/model")
    if task != "regression" or name == "squared":
        return mean_loss(task, y, scores, weight)
    value = scores.reshape(len(y), -1)[:, 0]
    error, mean = y - value, np.maximum(value, EPSILON)
    if name == "absolute":
        loss = np.abs(error)
    elif name == "quantile":
        loss = np.maximum(parameter * error, (parameter - 1) * error)  # type: ignore[operator]
    elif name == "huber":
        size, delta = np.abs(error), float(parameter or 0)
        loss = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))
    elif name == "poisson" or parameter == 1:
        loss = 2 * (y * np.log(np.maximum(y, EPSILON) / mean) - y + mean)
    else:
        p = float(parameter or 0)
        loss = 2 * (
            np.maximum(y, 0) ** (2 - p) / ((1 - p) * (2 - p))
            - y * mean ** (1 - p) / (1 - p)
            + mean ** (2 - p) / (2 - p)
        )
    return float(np.average(loss, weights=weight))
