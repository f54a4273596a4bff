"""Class weights and monotone constraints: declared by label and column, given to the libraries as they take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from stages.runtime.operation import columns_of
from stages.runtime.plan import Feature
from stages.shared.errors import InputError, did_you_mean
from stages.shared.models.declared import ModelConf, NotOffered
from stages.shared.rows import Rows

if TYPE_CHECKING:
    import numpy as np

MONOTONE = ("monotone_constraints", "monotonic_cst")  # what libraries call it; LightGBM's constructor lists neither


def row_weights(
    rows: Rows, class_weight: Literal["balanced"] | dict[str, float] | None, classes: list[str], where: str
) -> np.ndarray[Any, Any] | None:
    """Return each row's weight, shape (n_rows,): the contract's times its class's; None where all are equal.

    `balanced` gives every class the same sum: n_rows / (n_classes * rows of the class).
    """
    import numpy as np

    if class_weight is None:
        return rows.weight
    if not classes:
        raise InputError(f"{where}: class_weight is for classes, and the target is a number")
    own = np.ones(len(rows.y)) if rows.weight is None else rows.weight
    if class_weight == "balanced":
        sums = np.bincount(rows.y, own, len(classes))
        factors = sums.sum() / (len(classes) * np.maximum(sums, 1e-300))
    else:
        unknown = [label for label in class_weight if label not in classes]
        if unknown:
            faults = [f"class_weight.{label}: no such class{did_you_mean(label, classes)}" for label in unknown]
            raise InputError(f"{where} is not valid", faults)
        if min(class_weight.values(), default=1.0) <= 0:
            raise InputError(f"{where}: class_weight should be above 0, got {min(class_weight.values())}")
        factors = np.array([float(class_weight.get(label, 1.0)) for label in classes])
    return np.asarray(own * factors[rows.y])


def monotone_arguments(
    conf: ModelConf, estimator: Any, features: list[Feature], task: str, where: str
) -> dict[str, Any]:
    """Return the argument that holds the declared columns to one direction.

    Raises InputError for a column that gives no number, and for an estimator that cannot be held.
    """
    if not conf.monotone:
        return {}
    directions = {"increasing": 1, "decreasing": -1}
    numbers = {feature["column"] for feature in features if feature["op"] == "number"}
    faults = [
        f"monotone.{column}: no number in the features has this name{did_you_mean(column, numbers)}"
        for column in conf.monotone
        if column not in numbers
    ]
    faults += [
        f"monotone.{column}: {feature['name']} is made of it too, and would bend it (conf/features)"
        for feature in features
        for column in conf.monotone
        if feature["op"] not in ("number", "missing") and column in columns_of(feature)
    ]
    if faults:
        raise InputError(f"{where} is not valid", faults)
    known = {*estimator.get_params(), *(["monotone_constraints"] if _is_lightgbm(estimator) else [])}
    name = next((name for name in MONOTONE if name in known), None)
    if name is None or conf.inputs == "dense":
        raise NotOffered(
            f"{where}: monotone needs inputs: native and trees; {type(estimator).__name__} has no such thing"
        )
    if task == "multiclass":
        raise InputError(f"{where}: monotone is for two classes or a number: among more, a rising one lets others fall")
    values = [
        directions[conf.monotone[feature["column"]]]
        if feature["op"] == "number" and feature["column"] in conf.monotone
        else 0
        for feature in features
    ]
    return {name: tuple(values) if type(estimator).__module__.startswith("xgboost.") else values}


def _is_lightgbm(estimator: Any) -> bool:
    return type(estimator).__module__.startswith("lightgbm.")
