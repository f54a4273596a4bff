"""The schema of conf/model/NAME.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Costs:
    """What each outcome costs, in any one unit; a gain is a negative cost."""

    false_positive: float
    false_negative: float
    true_positive: float = 0.0
    true_negative: float = 0.0


@dataclass(frozen=True)
class Threshold:
    """How the cut is chosen on the validation rows; exactly one of these."""

    f_beta: float | None = field(default=None, metadata={"min": 0.01, "max": 100})  # recall counts beta times as much
    costs: Costs | None = None  # the lowest cost
    precision: float | None = field(default=None, metadata={"min": 0, "max": 1})  # at least that, the most recall
    recall: float | None = field(default=None, metadata={"min": 0, "max": 1})  # at least that, the most precision


@dataclass(frozen=True)
class Objective:
    """An objective with its parameter; exactly one of these."""

    quantile: float | None = field(default=None, metadata={"min": 0.001, "max": 0.999})  # the share below the answer
    huber: float | None = field(default=None, metadata={"min": 1e-9})  # errors beyond it count linearly
    tweedie: float | None = field(default=None, metadata={"min": 1, "max": 1.999})  # variance ~ mean ** this


@dataclass(frozen=True)
class Interval:
    """Prediction intervals of a number, from the errors on validation rows."""

    level: float = field(metadata={"min": 0.5, "max": 0.999})  # the share of new rows that should lie inside
    scaled: bool = True  # wider where the model errs more, by predicted value


@dataclass(frozen=True)
class Tuning:
    """How long arguments are searched for, and what one trial is scored by."""

    trials: int = field(default=0, metadata={"min": 0})  # 0: the arguments are taken as declared
    batch: int = field(default=4, metadata={"min": 1})  # trials asked for before any is told: part of the result
    folds: int = field(default=4, metadata={"min": 2, "max": 8})  # of the cross-validation that scores a trial
    workers: int = field(default=1, metadata={"min": 1})  # processes: no part of the result
    pruning: bool = True  # a trial stops at a fold where it is worse than half of the earlier ones


@dataclass(frozen=True)
class Range:
    """What a number may be, both ends included."""

    low: float
    high: float
    log: bool = False  # tried evenly by order of magnitude
    integer: bool = False


@dataclass(frozen=True)
class Search:
    """What tuning may change, by argument: a range, or a list of choices."""

    estimator: dict[str, Range | list[Any]] = field(default_factory=dict)
    classifier: dict[str, Range | list[Any]] = field(default_factory=dict)  # for classes
    regressor: dict[str, Range | list[Any]] = field(default_factory=dict)  # for a number


@dataclass(frozen=True)
class ModelConf:
    """What is fitted, and what is made of its scores."""

    inputs: Literal["native", "dense"]
    estimator: dict[str, Any]  # arguments, and `_target_` unless classifier and regressor name it
    classifier: dict[str, Any] = field(default_factory=dict)  # what is added for classes
    regressor: dict[str, Any] = field(default_factory=dict)  # what is added for a number
    # boosting, xgboost, neural: trees or epochs without a better validation loss
    early_stopping: int | None = field(default=None, metadata={"min": 1})
    class_weight: Literal["balanced"] | dict[str, float] | None = None
    monotone: dict[str, Literal["increasing", "decreasing"]] = field(default_factory=dict)  # by column
    objective: Literal["squared", "absolute", "poisson"] | Objective = "squared"  # of a number
    calibration: Literal["none", "auto", "platt", "isotonic", "temperature"] = "none"  # of classes
    # two classes: the lowest probability that is called positive
    threshold: Literal["f1"] | float | Threshold = field(default="f1", metadata={"min": 0, "max": 1})
    interval: Interval | None = None  # of a number
    tuning: Tuning = field(default_factory=Tuning)
    search: Search = field(default_factory=Search)
    start: list[dict[str, Any]] = field(default_factory=list)  # arguments tried after the declared ones
