"""The schema of conf/model/NAME.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from stages.shared.errors import InputError

OF_A_MEMBER = ("inputs", "estimator", "classifier", "regressor", "early_stopping")
OF_ONE = ("tuning", "search", "start")  # what an ensemble has not


class NotOffered(InputError):
    """The estimator has no such thing as is declared; another one may."""


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
    # by how many standard errors over the folds the best must beat the declared arguments to take their place
    margin: float = field(default=2.0, metadata={"min": 0, "max": 10})
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
class Member:
    """One model of an ensemble: the keys of a model by itself, less what is made of its scores."""

    inputs: Literal["native", "dense"]
    estimator: dict[str, Any]
    classifier: dict[str, Any] = field(default_factory=dict)
    regressor: dict[str, Any] = field(default_factory=dict)
    early_stopping: int | None = field(default=None, metadata={"min": 1})


@dataclass(frozen=True)
class ModelConf:
    """What is fitted, and what is made of its scores: one estimator with its inputs, or members."""

    inputs: Literal["native", "dense"] | None = None
    # arguments, and `_target_` unless classifier and regressor name it
    estimator: dict[str, Any] = field(default_factory=dict)
    classifier: dict[str, Any] = field(default_factory=dict)  # what is added for classes
    regressor: dict[str, Any] = field(default_factory=dict)  # what is added for a number
    # boosting, xgboost, neural: trees or epochs without a better validation loss
    early_stopping: int | None = field(default=None, metadata={"min": 1})
    refit: bool = True  # once all is decided, on train and validation rows, with as many trees or epochs
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
    members: dict[str, Member] = field(default_factory=dict)  # of an ensemble, by name
    folds: Literal[2, 4, 8] = 4  # ensemble: of the cross-validation
    rounds: int = field(default=50, metadata={"min": 1, "max": 1000})  # ensemble: picks, of which weights are shares

    def faults(self, given: Collection[str]) -> list[str]:
        """Return what is wrong unless exactly one of an estimator and members is declared; `given` are the keys."""
        if "members" not in given:
            faults = [f"{name}: missing" for name in ("inputs", "estimator") if name not in given]
            return faults + [f"{name}: only with members" for name in ("folds", "rounds") if name in given]
        faults = [f"{name}: not beside members, each of which has its own" for name in OF_A_MEMBER if name in given]
        faults += [f"{name}: not beside members, which are not tuned" for name in OF_ONE if name in given]
        faults += [
            f"members.{name}: a name should be of a to z, 0 to 9 and _"
            for name in self.members or {}
            if not re.fullmatch("[a-z0-9_]+", name)
        ]
        return faults + (["members: should hold at least one"] if self.members == {} else [])


def member_conf(conf: ModelConf, name: str) -> ModelConf:
    """Return the declaration of one member by itself, with what all members share."""
    member = conf.members[name]
    return replace(
        conf,
        inputs=member.inputs,
        estimator=member.estimator,
        classifier=member.classifier,
        regressor=member.regressor,
        early_stopping=member.early_stopping,
        members={},
    )
