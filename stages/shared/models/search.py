"""What tuning may change: the ranges and choices that a file of conf/model declares, checked, and what to try next."""

from __future__ import annotations

import math
from typing import Any

from stages.shared.errors import InputError, did_you_mean
from stages.shared.models.declared import ModelConf, Range, Search
from stages.shared.models.make import lightgbm_names

Space = dict[str, Range | list[Any]]
Arguments = dict[str, Any]
DIGITS = 4  # significant ones of a number tried: what is recorded is what ran, and can be read and pasted
ENOUGH = 10  # finished trials before importance says anything


def search_space(conf: ModelConf, where: str, task: str, estimator: Any) -> Space:
    """Return what may change for the task. Raises InputError with every fault in `search` and `start`."""
    own = "regressor" if task == "regression" else "classifier"
    known = set(estimator.get_params(deep=False))
    if type(estimator).__module__.startswith("lightgbm."):
        known |= lightgbm_names()
    faults = []
    for part, space in parts(conf.search).items():
        for name, tried in space.items():
            fault = fault_of(tried)
            if fault is None and part in ("estimator", own) and name not in known:
                fault = f"unknown key for {type(estimator).__name__}{did_you_mean(name, known)}"
            faults += [f"search.{part}.{name}: {fault}"] if fault else []
    found = conf.search.estimator | parts(conf.search)[own]
    names = {name for space in parts(conf.search).values() for name in space}
    faults += [
        f"start[{place}].{name}: not in search{did_you_mean(name, names)}"
        for place, given in enumerate(conf.start)
        for name in given
        if name not in names
    ]
    if conf.tuning.trials and not found:
        faults.append(f"tuning.trials: {conf.tuning.trials} trials, and search names nothing to try for this task")
    if faults:
        raise InputError(f"{where} is not valid", faults)
    return found


def parts(search: Search) -> dict[str, Space]:
    """Return the three parts of `search` by their keys."""
    return {"estimator": search.estimator, "classifier": search.classifier, "regressor": search.regressor}


def fault_of(tried: Range | list[Any]) -> str | None:
    """Return what is wrong with a range or a list of choices, None where nothing is."""
    if not isinstance(tried, Range):
        return None if tried else "should have at least one choice, got []"
    if not (math.isfinite(tried.low) and math.isfinite(tried.high)):
        return f"low and high should be finite, got {tried.low} and {tried.high}"
    if tried.low > tried.high:
        return f"low should be at most high, got {tried.low} and {tried.high}"
    if tried.log and tried.low <= 0:
        return f"low should be above 0 where log is true, got {tried.low}"
    if tried.integer and not (float(tried.low).is_integer() and float(tried.high).is_integer()):
        return f"low and high should be whole numbers where integer is true, got {tried.low} and {tried.high}"
    return None


def declared_arguments(conf: ModelConf, task: str, estimator: Any, space: Space) -> Arguments:
    """Return what the arguments of the space are without tuning, as far as they are plain values."""
    given = conf.estimator | (conf.regressor if task == "regression" else conf.classifier)
    usual = estimator.get_params(deep=False)
    found = {name: given.get(name, usual.get(name)) for name in space if name in given or name in usual}
    return {name: value for name, value in found.items() if is_plain(value)}


def is_plain(value: Any) -> bool:
    """Return whether a value can stand in YAML."""
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def lies_in(space: Space, arguments: Arguments) -> bool:
    """Return whether arguments are a point of the space: all of it named, each a choice or within its range."""

    def fits(tried: Range | list[Any], value: Any) -> bool:
        if not isinstance(tried, Range):
            return value in tried
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and tried.low <= value <= tried.high and (not tried.integer or float(value).is_integer())

    return all(name in arguments and fits(tried, arguments[name]) for name, tried in space.items())


class Sampler:
    """Says what to try next, by Optuna's TPE: a function of the seed and of what it was told, in that order.

    Multivariate, and with the constant liar: trials of one batch, which know nothing of each other, keep apart.
    Source: Bergstra et al. 2011; Watanabe 2023, Tree-structured Parzen estimator.
    """

    def __init__(self, space: Space, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self.distributions = {name: distribution(tried) for name, tried in space.items()}
        self.study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
            pruner=optuna.pruners.NopPruner(),
        )
        self.asked: dict[int, Any] = {}

    def ask(self, number: int, given: Arguments | None = None) -> Arguments:
        """Return the arguments of trial `number`: `given` ones, or the most promising.

        Given arguments outside the space are tried, and the sampler learns nothing of them.
        """
        if given is not None:
            if not lies_in(self.space, given):
                return given
            self.study.enqueue_trial({name: self.place(name, given[name]) for name in self.space})
        trial = self.asked[number] = self.study.ask(self.distributions)
        return given if given is not None else {name: self.value(name, trial.params[name]) for name in self.space}

    def tell(self, number: int, running: list[float], loss: float | None, is_pruned: bool) -> None:
        """Take in the mean loss after each fold, and the loss; None where the trial did not finish."""
        import optuna

        trial = self.asked.pop(number, None)
        if trial is None:
            return
        for fold, mean in enumerate(running):
            trial.report(mean, fold)
        state = optuna.trial.TrialState.PRUNED if is_pruned else optuna.trial.TrialState.FAIL
        self.study.tell(trial, loss, None if loss is not None else state)

    def place(self, name: str, value: Any) -> Any:
        """Return what Optuna calls a value: a choice is its place in the list."""
        tried = self.space[name]
        return value if isinstance(tried, Range) else tried.index(value)

    def value(self, name: str, place: Any) -> Any:
        """Return the argument: a choice, or a number of few digits within its range."""
        tried = self.space[name]
        if not isinstance(tried, Range):
            return tried[place]
        return int(place) if tried.integer else min(max(float(f"{place:.{DIGITS}g}"), tried.low), tried.high)

    def importance(self, seed: int) -> list[tuple[str, float]]:
        """Return how much of the loss's variance over the finished trials each argument explains, the most first.

        Empty where too few trials are finished to say. Source: Hutter et al. 2014, fANOVA; shares, their sum is 1.
        """
        import optuna

        finished = self.study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        if len(finished) < ENOUGH or len({trial.value for trial in finished}) == 1:
            return []
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        found = optuna.importance.get_param_importances(self.study, evaluator=evaluator)
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def distribution(tried: Range | list[Any]) -> Any:
    """Return a range or a list of choices as Optuna knows it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(tried, Range):
        return CategoricalDistribution(range(len(tried)))
    if tried.integer:
        return IntDistribution(int(tried.low), int(tried.high), log=tried.log)
    return FloatDistribution(tried.low, tried.high, log=tried.log)
