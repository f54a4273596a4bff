"""Searches for the arguments with the least cross-validated loss, within a budget of trials.

Trials are asked for in batches of fixed size and told in order: what is found does not depend on how many processes
work, nor on which is done first. Nothing looks at a clock.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError
from stages.shared.models.crossvalidate import make_folds
from stages.shared.models.declared import ModelConf
from stages.shared.models.fit import Recipe, make_declared
from stages.shared.models.search import Arguments, Sampler, Space, declared_arguments, search_space
from stages.shared.models.trials import Job, Trial, Work, keep_trial, read_trials, running, with_arguments
from stages.shared.progress import Progress
from stages.shared.rows import Rows

ROOT = Path(__file__).parents[3]
WARM = 5  # finished trials before one is pruned


@dataclass(frozen=True)
class Tuned:
    """The configuration to fit, and how it was found."""

    conf: ModelConf
    trials: list[Trial] = field(default_factory=list)  # the first is as declared; none where nothing was tuned
    space: Space = field(default_factory=dict)
    importance: list[tuple[str, float]] = field(default_factory=list)
    kept: Path | None = None  # where the trials lie until the outputs are written

    @property
    def best(self) -> Trial:
        """The trial of least loss."""
        return best_of(self.trials)

    @property
    def chosen(self) -> Trial:
        """The trial whose arguments are fitted."""
        return chosen_of(self.trials, self.conf.tuning.margin)

    def forget(self) -> None:
        """Remove what an interrupted run would have gone on with."""
        if self.kept is not None:
            self.kept.unlink(missing_ok=True)
            if not any(self.kept.parent.iterdir()):
                self.kept.parent.rmdir()


def tune(recipe: Recipe, rows: Rows, gap_days: float, scratch: Path) -> Tuned:
    """Return the configuration with the best arguments found; as declared where `tuning.trials` is 0.

    A run that was killed goes on after its last finished trial, which lies in `scratch`. Raises InputError for a search
    that cannot be, and where no trial finishes.
    """
    conf, where, task = recipe.conf, recipe.where, recipe.task
    estimator = make_declared(recipe)
    space = search_space(conf, where, task.kind, estimator)
    if not conf.tuning.trials:
        return Tuned(conf)
    declared = declared_arguments(conf, task.kind, estimator, space)
    given = [declared, *(declared | {name: start[name] for name in start if name in space} for start in conf.start)]
    folds = make_folds(rows, conf.tuning.folds, gap_days)
    work = Work(recipe, rows, folds)
    kept = scratch / f"{key_of(work)}.jsonl"
    if conf.tuning.workers > 1:
        work = dataclasses.replace(work, recipe=recipe.with_conf(on_one_thread(conf, task.kind, estimator)))
    sampler = Sampler(space, recipe.seed)
    trials = run_all(work, sampler, given, kept)
    if all(trial.state == "failed" for trial in trials):
        raise InputError(f"{where}: tuning: all {len(trials)} trials failed, the first with: {trials[0].message}")
    chosen = chosen_of(trials, conf.tuning.margin)
    found = conf if chosen.number == 0 else with_arguments(conf, task.kind, chosen.arguments)
    return Tuned(found, trials, space, sampler.importance(recipe.seed), kept)


def on_one_thread(conf: ModelConf, task: str, estimator: Any) -> ModelConf:
    """Return the configuration of an estimator that would take more threads, with `n_jobs` of 1.

    None is all cores to LightGBM and XGBoost, one to scikit-learn, where some estimators warn of any other value.
    """
    parameters = estimator.get_params(deep=False)
    takes_all = type(estimator).__module__.split(".")[0] in ("lightgbm", "xgboost")
    if "n_jobs" not in parameters or (parameters["n_jobs"] is None and not takes_all):
        return conf
    return with_arguments(conf, task, {"n_jobs": 1})


def run_all(work: Work, sampler: Sampler, given: list[Arguments], kept: Path) -> list[Trial]:
    """Return all trials, by number."""
    tuning = work.recipe.conf.tuning
    done = {number: trial for number, trial in read_trials(kept).items() if number < tuning.trials}
    trials: list[Trial] = []
    told = f"{tuning.trials} trials of {len(work.folds)} folds"
    print(f"train: tuning, {told}{f', {len(done)} done before' if done else ''}", file=sys.stderr, flush=True)
    progress = Progress("train", "trials", tuning.trials)
    progress.skip(len(done))
    with running(work, tuning.workers) as run:
        while len(trials) < tuning.trials:
            numbers = range(len(trials), min(len(trials) + tuning.batch, tuning.trials))
            asked = {number: sampler.ask(number, dict(enumerate(given)).get(number)) for number in numbers}
            limits = limits_of(trials) if tuning.pruning else []
            # What is given is not pruned: it is what all else is compared with.
            jobs: list[Job] = [
                (number, arguments, [] if number < len(given) else limits)
                for number, arguments in asked.items()
                if number not in done
            ]
            for trial in run(jobs):
                keep_trial(kept, trial)
                done[trial.number] = trial
                note, shown = note_of(list(done.values()))
                progress.update(len(done), note, **shown)
            for number in numbers:
                trial = done[number]
                sampler.tell(number, trial.running, trial.loss, trial.state == "pruned")
                trials.append(trial)
    progress.close()
    return trials


def limits_of(trials: list[Trial]) -> list[float]:
    """Return the mean loss after each fold beyond which a trial is pruned: the median of the finished ones.

    Only trials of earlier batches count, so that it does not matter which one is done first. Source: Golovin et al.
    2017, Google Vizier, the median stopping rule. (A Wilcoxon test cannot reach p = 0.1 within three folds.)
    """
    finished = [trial.running for trial in trials if trial.state == "finished"]
    return [statistics.median(means) for means in zip(*finished, strict=True)] if len(finished) >= WARM else []


def best_of(trials: list[Trial]) -> Trial:
    """Return the finished trial of least loss, the first of equals."""
    return min((trial for trial in trials if trial.loss is not None), key=lambda trial: (trial.loss, trial.number))


def chosen_of(trials: list[Trial], margin: float) -> Trial:
    """Return the best trial where it beats the declared one by more than the margin, else the declared one.

    The best of many is best by luck, too: what wins on one fold and loses on others is no reason to change.
    """
    best = best_of(trials)
    return best if trials[0].state == "failed" or gain_of(best, trials[0]) > margin else trials[0]


def gain_of(best: Trial, declared: Trial) -> float:
    """Return by how many standard errors, of the differences fold by fold, a trial is better; 0 with a single fold."""
    gains = [before - after for before, after in zip(declared.folds, best.folds, strict=True)]
    spread = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else math.inf
    mean = statistics.fmean(gains)
    return mean / spread if spread else math.copysign(math.inf, mean) if mean else 0.0


def note_of(trials: list[Trial]) -> tuple[str, dict[str, float]]:
    """Return what progress says of the best trial, and what live metrics do."""
    if all(trial.loss is None for trial in trials):
        return "", {}
    best = best_of(trials)
    assert best.loss is not None
    return f", best loss {best.loss:.5f} in trial {best.number}", {"best_loss": best.loss, "best_trial": best.number}


def key_of(work: Work) -> str:
    """Return a hash of all that a trial's loss depends on: the conf but its budget, the rows, our code, the lock."""
    conf = work.recipe.conf
    plain = dataclasses.replace(conf, tuning=dataclasses.replace(conf.tuning, trials=0, workers=1))
    found = hashlib.sha256(json.dumps(dataclasses.asdict(work.recipe.with_conf(plain)), default=str).encode())
    arrays: list[Any] = [work.rows.X, work.rows.y, work.rows.weight]
    arrays += [places for fold in work.folds for places in (fold.fitted, fold.held)]
    for array in arrays:
        found.update(b"none" if array is None else array.tobytes())
    for path in [*sorted((ROOT / "stages").rglob("*.py")), ROOT / "requirements.txt"]:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
