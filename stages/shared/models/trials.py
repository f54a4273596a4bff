"""Runs trials of tuning: arguments scored fold by fold, here or in worker processes, and kept on disk once done."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np

from stages.shared.errors import InputError
from stages.shared.models.crossvalidate import Fold, cross_validate
from stages.shared.models.declared import ModelConf
from stages.shared.models.fit import Recipe, one_order_of_sums
from stages.shared.models.objective import validation_loss
from stages.shared.progress import muted
from stages.shared.rows import Rows


@dataclass(frozen=True)
class Work:
    """What every trial is scored on."""

    recipe: Recipe
    rows: Rows
    folds: list[Fold]


@dataclass(frozen=True)
class Trial:
    """What became of some arguments."""

    number: int
    arguments: dict[str, Any]
    state: str  # finished, pruned, failed
    folds: list[float]  # the loss of each fold that was fitted
    running: list[float]  # the mean after each, weighted by rows
    message: str = ""  # of one that failed

    @property
    def loss(self) -> float | None:
        """The mean over all folds; None for one that did not finish."""
        return self.running[-1] if self.state == "finished" else None


Job = tuple[int, dict[str, Any], list[float]]  # number, arguments, the mean after each fold that is too high to go on


def with_arguments(conf: ModelConf, task: str, arguments: dict[str, Any]) -> ModelConf:
    """Return the configuration in which some arguments are declared otherwise."""
    if task == "regression":
        return dataclasses.replace(conf, regressor=conf.regressor | arguments)
    return dataclasses.replace(conf, classifier=conf.classifier | arguments)


def run_trial(work: Work, number: int, arguments: dict[str, Any], limits: list[float]) -> Trial:
    """Return the trial; pruned at the first fold, but the last, after which the mean is above that fold's limit."""
    recipe = work.recipe
    task = recipe.task.kind
    conf = with_arguments(recipe.conf, task, arguments)
    losses: list[float] = []
    running: list[float] = []
    sizes = [len(fold.held) for fold in work.folds]
    scored = cross_validate(recipe.with_conf(conf), work.rows, work.folds)
    try:
        with muted(), one_order_of_sums(None):
            for fold in scored:
                held = work.rows.take(fold.held)
                losses.append(validation_loss(conf, task, held.y, fold.scores, held.weight))
                if not math.isfinite(losses[-1]):
                    raise InputError(f"{recipe.where}: the loss of fold {len(losses)} is {losses.pop()}")
                running.append(float(np.average(losses, weights=sizes[: len(losses)])))
                place = len(losses) - 1
                if len(losses) < len(sizes) and place < len(limits) and running[-1] > limits[place]:
                    return Trial(number, arguments, "pruned", losses, running)
    except InputError as error:
        return Trial(number, arguments, "failed", losses, running, str(error))
    return Trial(number, arguments, "finished", losses, running)


@contextmanager
def running(work: Work, workers: int) -> Iterator[Callable[[list[Job]], Iterable[Trial]]]:
    """Yield the function that runs jobs and gives each trial when it is done, in any order.

    Workers are processes of one numerical thread each, begun anew: forking a process with threads may hang.
    """
    if workers == 1:
        yield lambda jobs: (run_trial(work, *job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work,))
    try:
        yield lambda jobs: (done.result() for done in as_completed([pool.submit(_run, *job) for job in jobs]))
    except BrokenProcessPool:
        raise InputError(
            f"{work.recipe.where}: tuning.workers: one of {workers} processes was killed (out of memory?); "
            "run it again with fewer, and it goes on where it was"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_work: Work  # of a worker process


def _begin(work: Work) -> None:
    """Prepare a worker process: one thread (before any library looks), and an end with the process that began it."""
    global _work
    _work = work
    os.environ["OMP_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _run(*job: Any) -> Trial:
    return run_trial(_work, *job)


def read_trials(path: Path) -> dict[int, Trial]:
    """Return the trials that `keep_trial` wrote, by number; a line that a kill cut short is removed."""
    if not path.exists():
        return {}
    whole = path.read_bytes().rpartition(b"\n")[0]
    path.write_bytes(whole + b"\n" if whole else b"")
    trials = [Trial(**json.loads(line)) for line in whole.splitlines()]
    return {trial.number: trial for trial in trials}


def keep_trial(path: Path, trial: Trial) -> None:
    """Append a trial to the file, as one line of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(json.dumps(dataclasses.asdict(trial)).encode() + b"\n")
