"""Tuning: the same result for any number of workers, after a kill too; nothing worse than declared; clear refusals."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import yaml
from conftest import ROOT, environment, run_in, run_stage
from test_equal_bytes import contents

from stages.shared.config import build
from stages.shared.errors import InputError
from stages.shared.models.crossvalidate import make_folds
from stages.shared.models.declared import ModelConf
from stages.shared.models.fit import Recipe, Task, make_declared
from stages.shared.models.record import summary_of, told
from stages.shared.models.search import Sampler, lies_in
from stages.shared.models.trials import Trial, Work, keep_trial, read_trials, run_trial
from stages.shared.models.tuning import Tuned, best_of, chosen_of, gain_of, limits_of, on_one_thread, tune
from stages.shared.rows import Rows

BOOSTING = """inputs: native
early_stopping: 5
estimator: {_target_: lightgbm.LGBMClassifier, n_estimators: 40, learning_rate: 0.1, num_leaves: 7, deterministic: true,
            force_row_wise: true, verbosity: -1}
tuning: {trials: 11, batch: 4, folds: 3, workers: 1, margin: 0.0}
search:
  estimator:
    learning_rate: {low: 0.02, high: 0.5, log: true}
    num_leaves: {low: 3, high: 31, integer: true}
    extra_trees: [false, true]
start: [{learning_rate: 0.3, num_leaves: 5}]
"""
LOGISTIC: dict[str, Any] = {
    "inputs": "dense",
    "estimator": {"_target_": "sklearn.linear_model.LogisticRegression", "C": 1.0},
    "tuning": {"trials": 9, "batch": 3, "folds": 3, "margin": 0.0},
    "search": {"estimator": {"C": {"low": 0.001, "high": 100, "log": True}}},
}
FEATURES = [{"name": name, "op": "number", "column": name} for name in "ab"]
TASK = Task("binary", ["no", "yes"])


def conf_of(**changes: Any) -> ModelConf:
    faults: list[str] = []
    conf = build(ModelConf, LOGISTIC | changes, "", faults)
    assert faults == []
    assert isinstance(conf, ModelConf)
    return conf


def rows(n: int = 160) -> Rows:
    random = np.random.default_rng(5)
    X = random.normal(size=(n, 2))
    y = (X[:, 0] + random.normal(size=n) > 0).astype(int)
    return Rows(X, y, np.arange(n), None, None, np.arange(n) % 8)


def tuned(folder: Path, given: Rows | None = None, **changes: Any) -> Tuned:
    return tune(Recipe(conf_of(**changes), "conf/model/x.yaml", 7, TASK, FEATURES), given or rows(), 0.0, folder)


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    """A copy of the workspace in which all stages ran, with a model that is tuned in seconds."""
    target = tmp_path / "workspace"
    shutil.copytree(small, target)
    (target / "conf/model/quick.yaml").write_text(BOOSTING)
    return target


def written(folder: Path) -> dict[str, bytes]:
    return {**contents(folder / "data/train"), **contents(folder / "reports/train")}


@pytest.fixture(scope="session")
def once(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, bytes]]:
    """What an uninterrupted tuning in one process prints and writes."""
    target = tmp_path_factory.mktemp("once") / "workspace"
    shutil.copytree(small, target)
    (target / "conf/model/quick.yaml").write_text(BOOSTING)
    done = run_stage(target, "train", "model=quick", "seed=1")
    assert not (target / "data/.tuning.scratch").exists()
    return done.stdout, written(target)


def trials_of(files: dict[str, bytes], folder: Path) -> list[dict[str, Any]]:
    (folder / "trials.parquet").write_bytes(files["trials.parquet"])
    table = duckdb.execute(f"SELECT * FROM '{folder}/trials.parquet'")
    names = [column[0] for column in table.description]
    return [dict(zip(names, row, strict=True)) for row in table.fetchall()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "threads"),
    [(2, "1"), *(pytest.param(*several, marks=pytest.mark.slow) for several in ((3, "2"), (1, "4"), (1, "1")))],
)
def test_workers_and_threads_change_no_byte(once: Any, folder: Path, workers: int, threads: str) -> None:
    arguments = ("model=quick", "seed=1", f"model.tuning.workers={workers}")
    cores = {"OMP_NUM_THREADS": threads, "LOKY_MAX_CPU_COUNT": threads}
    done = run_in(folder, sys.executable, "-m", "stages.train", *arguments, PYTHONPATH=str(ROOT), **cores)
    assert done.stdout == once[0]
    found = written(folder)
    assert {"trials.parquet", "tuning.json", "plots/tuning.csv", "plots/tuning_importance.csv"} <= set(found)
    assert [name for name in found if found[name] != once[1][name]] == []


def start_train(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stages.train", "model=quick", "seed=1", *arguments],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def kept_lines(folder: Path) -> list[str]:
    files = list((folder / "data/.tuning.scratch").glob("*.jsonl"))
    return files[0].read_text().splitlines() if files else []


def kill_after_trials(folder: Path, process: subprocess.Popen[str], n_trials: int) -> None:
    while process.poll() is None and len(kept_lines(folder)) < n_trials:
        time.sleep(0.002)
    assert process.poll() is None, "the kill must hit a stage that is tuning"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_tuning_goes_on_and_ends_with_the_same_bytes(once: Any, folder: Path, workers: int) -> None:
    before = written(folder)
    arguments = f"model.tuning.workers={workers}"
    for n_trials in (2, 6):
        kill_after_trials(folder, start_train(folder, arguments), n_trials)
        assert written(folder) == before
    n_kept = len(kept_lines(folder))
    done = run_stage(folder, "train", "model=quick", "seed=1")  # another number of workers goes on as well
    assert f"11 trials of 3 folds, {n_kept} done before" in done.stderr
    assert done.stdout == once[0]
    assert written(folder) == once[1]
    assert not (folder / "data/.tuning.scratch").exists()


@pytest.mark.slow
def test_what_was_kept_of_another_configuration_is_not_taken(folder: Path) -> None:
    kill_after_trials(folder, start_train(folder), 3)
    done = run_stage(folder, "train", "model=quick", "seed=1", "model.estimator.n_estimators=10")
    assert "11 trials of 3 folds\n" in done.stderr


def processes_of(group: int) -> list[int]:
    """Return the processes of a session, not those that ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(") ")[2].split()[:4]
        except OSError:
            continue
        if int(session) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
def test_workers_end_with_the_process_that_began_them(folder: Path) -> None:
    process = start_train(folder, "model.tuning.workers=2", "model.tuning.trials=500")
    while process.poll() is None and len(kept_lines(folder)) < 1:
        time.sleep(0.01)
    assert len(processes_of(process.pid)) >= 3
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for _ in range(500):
        if not processes_of(process.pid):
            return
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError("workers outlive the stage")


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_clear_line(folder: Path) -> None:
    command = [sys.executable, "-m", "stages.train", "model=quick", "seed=1", "model.tuning.workers=2"]
    variables = environment(PYTHONPATH=str(ROOT))
    with subprocess.Popen(
        command, cwd=folder, env=variables, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and len(kept_lines(folder)) < 1:
            time.sleep(0.01)
        [worker, *_] = [
            number
            for number in processes_of(process.pid)
            if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()
        ]
        os.kill(worker, signal.SIGKILL)
        _, error = process.communicate()
    assert process.returncode == 1
    assert "tuning.workers: one of 2 processes was killed (out of memory?)" in error
    assert "Traceback" not in error
    assert kept_lines(folder)


@pytest.mark.parametrize(
    ("estimator", "arguments"),
    [
        ({"_target_": "lightgbm.LGBMClassifier"}, {"n_jobs": 1}),
        ({"_target_": "sklearn.ensemble.RandomForestClassifier", "n_jobs": -1}, {"n_jobs": 1}),
        ({"_target_": "sklearn.linear_model.LogisticRegression"}, {}),  # warns of any n_jobs
        ({"_target_": "sklearn.naive_bayes.GaussianNB"}, {}),
    ],
)
def test_estimators_that_take_all_cores_get_one_in_a_worker(estimator: Any, arguments: Any) -> None:
    conf = conf_of(estimator=estimator)
    made = make_declared(Recipe(conf, "x", 7, TASK, FEATURES))
    assert on_one_thread(conf, TASK.kind, made).classifier == arguments


def test_a_line_cut_short_by_a_kill_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    whole = Trial(0, {"C": 0.1}, "finished", [0.1 + 0.2], [0.1 + 0.2])
    keep_trial(path, whole)
    with path.open("ab") as file:
        file.write(b'{"number": 1, "argu')
    assert read_trials(path) == {0: whole}
    other = dataclasses.replace(whole, number=1)
    keep_trial(path, other)
    assert read_trials(path) == {0: whole, 1: other}


def test_the_declared_arguments_are_trial_0_and_start_is_next(once: Any, tmp_path: Path) -> None:
    first, second, *others = trials_of(once[1], tmp_path)
    assert (first["trial"], first["arguments.learning_rate"], first["arguments.num_leaves"]) == (0, 0.1, 7)
    assert (second["trial"], second["arguments.learning_rate"], second["arguments.num_leaves"]) == (1, 0.3, 5)
    assert all(0.02 <= trial["arguments.learning_rate"] <= 0.5 for trial in others)
    assert {type(trial["arguments.extra_trees"]) for trial in others} == {bool}
    assert len({trial["arguments.learning_rate"] for trial in others}) > 5


def test_the_best_is_fitted_and_never_worse_than_declared(once: Any, tmp_path: Path) -> None:
    trials = trials_of(once[1], tmp_path)
    report = json.loads(once[1]["tuning.json"])
    best = min((trial for trial in trials if trial["state"] == "finished"), key=lambda trial: trial["loss"])
    assert report["fitted_trial"] == report["best_trial"] == best["trial"] > 0
    assert report["best_loss"] <= report["declared_loss"] == round(trials[0]["loss"], 6)
    assert json.loads(once[1]["summary.json"])["tuning"]["best_loss"] == report["best_loss"]
    leaves = [int(line.removeprefix("num_leaves=")) for line in once[1]["model.txt"].decode().splitlines()
              if line.startswith("num_leaves=")]  # fmt: skip
    assert max(leaves) <= best["arguments.num_leaves"]
    assert f"[learning_rate: {best['arguments.learning_rate']}]" in once[1]["model.txt"].decode()


def test_what_is_printed_can_be_pasted_and_gives_the_same_loss(once: Any, folder: Path, tmp_path: Path) -> None:
    report = json.loads(once[1]["tuning.json"])
    [line] = [line for line in once[0].splitlines() if line.startswith("start: ")]
    assert yaml.safe_load(line)["start"] == report["start"]
    pasted = BOOSTING.replace("start: [{learning_rate: 0.3, num_leaves: 5}]", line).replace("trials: 11", "trials: 2")
    (folder / "conf/model/quick.yaml").write_text(pasted)
    run_stage(folder, "train", "model=quick", "seed=1")
    again = json.loads((folder / "reports/train/tuning.json").read_text())
    assert (again["best_trial"], again["best_loss"]) == (1, report["best_loss"])


def test_the_plots_have_each_finished_trial_and_the_best_so_far(once: Any, tmp_path: Path) -> None:
    finished = [trial for trial in trials_of(once[1], tmp_path) if trial["state"] == "finished"]
    header, *lines = once[1]["plots/tuning.csv"].decode().splitlines()
    assert header == "trial,loss,best"
    found = [[float(cell) for cell in line.split(",")] for line in lines]
    assert [row[0] for row in found] == [trial["trial"] for trial in finished]
    losses = [round(trial["loss"], 6) for trial in finished]
    assert [row[1] for row in found] == losses
    assert [row[2] for row in found] == [min(losses[: place + 1]) for place in range(len(losses))]


def test_without_tuning_the_files_are_there_and_empty(small: Path) -> None:
    assert json.loads((small / "reports/train/tuning.json").read_text()) == {"trials": 0}
    assert (small / "reports/train/plots/tuning.csv").read_text() == "trial,loss,best\n"
    assert (small / "reports/train/plots/tuning_importance.csv").read_text() == "argument,importance\n"
    assert not (small / "data/train/trials.parquet").exists()
    assert "tuning" not in json.loads((small / "reports/train/summary.json").read_text())


def test_a_loss_is_the_mean_over_folds_of_rows_that_the_fit_did_not_see(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import StandardScaler

    given = rows()
    found = tuned(tmp_path, given).trials[0]
    losses, sizes = [], []
    for fold in make_folds(given, 3):
        scaler = StandardScaler().fit(given.X[fold.fitted])
        model = LogisticRegression(C=1.0).fit(scaler.transform(given.X[fold.fitted]), given.y[fold.fitted])
        scores = model.predict_proba(scaler.transform(given.X[fold.held]))
        losses.append(log_loss(given.y[fold.held], scores))
        sizes.append(len(fold.held))
    assert found.folds == pytest.approx(losses, abs=1e-6)
    assert found.loss == pytest.approx(np.average(losses, weights=sizes), abs=1e-6)
    assert sizes != [sizes[0]] * 3


def test_an_extreme_of_regularisation_is_left_behind(tmp_path: Path) -> None:
    declared = {"_target_": "sklearn.linear_model.LogisticRegression", "C": 0.001}
    found = tuned(tmp_path, estimator=declared)
    assert found.conf.classifier["C"] > 0.01
    assert found.best.loss < found.trials[0].loss  # type: ignore[operator]


def test_where_nothing_beats_the_declared_they_stay(tmp_path: Path) -> None:
    found = tuned(tmp_path, search={"estimator": {"C": {"low": 1e-6, "high": 1e-5}}})
    assert found.best.number == 0
    assert found.conf == conf_of(search={"estimator": {"C": {"low": 1e-6, "high": 1e-5}}})


def test_importance_finds_the_argument_that_matters(tmp_path: Path) -> None:
    search = {"estimator": {"C": {"low": 1e-5, "high": 1, "log": True}, "intercept_scaling": {"low": 0.9, "high": 1}}}
    found = tuned(tmp_path, tuning={"trials": 16, "folds": 3, "pruning": False}, search=search)
    assert [name for name, _ in found.importance] == ["C", "intercept_scaling"]
    assert sum(share for _, share in found.importance) == pytest.approx(1)
    assert found.importance[0][1] > 0.9


def finished(number: int, *losses: float) -> Trial:
    means = [float(np.mean(losses[: place + 1])) for place in range(len(losses))]
    return Trial(number, {}, "finished", list(losses), means)


def test_limits_are_medians_of_earlier_trials_and_want_five() -> None:
    trials = [finished(number, loss, loss + 2) for number, loss in enumerate([1.0, 5.0, 2.0, 4.0, 3.0])]
    assert limits_of(trials[:4]) == []
    assert limits_of([*trials[:4], Trial(5, {}, "pruned", [9.0], [9.0])]) == []
    assert limits_of(trials) == [3.0, 4.0]


def test_a_trial_stops_at_the_first_fold_that_is_too_bad_but_not_at_the_last() -> None:
    given = rows()
    work = Work(Recipe(conf_of(), "x", 7, TASK, FEATURES), given, make_folds(given, 3))
    whole = run_trial(work, 3, {"C": 0.5}, [])
    assert (whole.state, len(whole.folds)) == ("finished", 3)
    pruned = run_trial(work, 3, {"C": 0.5}, [9.0, whole.running[1] - 1e-9, 9.0])
    assert (pruned.state, pruned.folds, pruned.loss) == ("pruned", whole.folds[:2], None)
    assert run_trial(work, 3, {"C": 0.5}, [9.0, 9.0, 0.0]) == whole
    assert run_trial(work, 3, {"C": 0.5}, whole.running) == whole


def test_pruning_spares_folds_and_what_was_given(tmp_path: Path) -> None:
    declared = {"_target_": "sklearn.linear_model.LogisticRegression", "C": 0.001}
    changes: dict[str, Any] = {"estimator": declared, "start": [{"C": 0.002}]}
    pruned = tuned(tmp_path, tuning={"trials": 24, "folds": 3}, **changes).trials
    assert {trial.state for trial in pruned} == {"finished", "pruned"}
    assert [trial.state for trial in pruned[:2]] == ["finished", "finished"]
    whole = tuned(tmp_path, tuning={"trials": 24, "folds": 3, "pruning": False}, **changes).trials
    assert {trial.state for trial in whole} == {"finished"}


def test_a_sampler_told_the_same_asks_the_same() -> None:
    space = conf_of().search.estimator

    def asked(told: list[float]) -> list[dict[str, Any]]:
        sampler, found = Sampler(space, 3), []
        for number, loss in enumerate(told):
            found.append(sampler.ask(number))
            sampler.tell(number, [loss], loss, is_pruned=False)
        return [*found, sampler.ask(len(told))]

    losses = [0.5, 0.3, 0.9, 0.4, 0.8, 0.35, 0.7, 0.6, 0.31, 0.45, 0.52, 0.61]
    assert asked(losses) == asked(losses)
    assert asked(losses)[:-1] == asked([*losses[:-1], 0.1])[:-1]
    assert asked(losses) != asked([1 - loss for loss in losses])


def test_numbers_tried_are_short_and_within_their_range() -> None:
    sampler = Sampler({"C": conf_of().search.estimator["C"], "of": [None, [64, 32], "sqrt"]}, 1)
    found = [sampler.ask(number) for number in range(20)]
    assert all(float(f"{arguments['C']:.4g}") == arguments["C"] for arguments in found)
    assert all(0.001 <= arguments["C"] <= 100 for arguments in found)
    assert {json.dumps(arguments["of"]) for arguments in found} == {"null", "[64, 32]", '"sqrt"'}


def test_given_arguments_outside_the_space_are_tried_all_the_same(tmp_path: Path) -> None:
    found = tuned(tmp_path, start=[{"C": 1000.0}])
    assert found.trials[1].arguments == {"C": 1000.0}
    assert found.trials[1].state == "finished"
    assert not lies_in(found.space, found.trials[1].arguments)


def test_a_trial_that_the_estimator_refuses_stops_no_other(tmp_path: Path) -> None:
    search = {"estimator": {"solver": ["lbfgs", "no-such-solver"], "C": {"low": 0.1, "high": 1}}}
    found = tuned(tmp_path, search=search)
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert failed
    assert all("no-such-solver" in trial.message and trial.loss is None for trial in failed)
    assert summary_of(found)["failed"] == len(failed) < 9
    assert best_of(found.trials).arguments["solver"] == "lbfgs"


def test_where_all_trials_fail_the_first_cause_is_said(tmp_path: Path) -> None:
    estimator = {"_target_": "sklearn.linear_model.LogisticRegression", "solver": "no-such-solver"}
    with pytest.raises(InputError, match=r"conf/model/x.yaml: tuning: all 9 trials failed, .*no-such-s"):
        tuned(tmp_path, estimator=estimator)


def test_a_number_is_tuned_by_time_with_its_gap(tmp_path: Path) -> None:
    given = rows()
    given = dataclasses.replace(given, y=given.X[:, 0] * 3 + given.X[:, 1] ** 2, time=np.arange(160) * 86_400.0)
    conf = conf_of(
        estimator={"_target_": "sklearn.linear_model.Ridge", "alpha": 5000.0},
        search={"regressor": {"alpha": {"low": 0.01, "high": 10_000, "log": True}}},
    )
    task = Task("regression", [])
    found = [tune(Recipe(conf, "x", 7, task, FEATURES), given, gap_days, tmp_path) for gap_days in (0.0, 20.0)]
    assert all(tuned.conf.regressor["alpha"] < 5000 for tuned in found)
    assert all(len(tuned.best.folds) == 3 for tuned in found)
    assert found[0].trials[0].loss != found[1].trials[0].loss


def test_the_best_takes_the_place_of_the_declared_only_beyond_the_margin() -> None:
    declared, steady = finished(0, 1.0, 2.0, 3.0), finished(1, 0.8, 1.9, 2.9)
    lucky = finished(2, 0.0, 2.1, 2.9)
    # gains 0.2, 0.1, 0.1: mean 0.1333, standard deviation 0.05774, over sqrt(3) 0.03333
    assert gain_of(steady, declared) == pytest.approx(4.0)
    assert chosen_of([declared, steady], 3.9) == steady
    assert chosen_of([declared, steady], 4.1) == declared
    assert best_of([declared, steady, lucky]) == lucky
    assert chosen_of([declared, steady, lucky], 2.0) == declared
    assert chosen_of([declared, steady, lucky], 0.0) == lucky
    assert chosen_of([declared, finished(1, 1.0, 2.0, 3.0)], 0.0) == declared
    assert chosen_of([declared, finished(1, 0.5, 1.5, 2.5)], 9.0).number == 1
    assert chosen_of([Trial(0, {}, "failed", [], [], "why"), steady], 9.0) == steady
    assert chosen_of([finished(0, 1.0), finished(1, 0.1)], 2.0).number == 0


def test_within_the_margin_the_declared_are_fitted_and_the_best_is_told(tmp_path: Path) -> None:
    declared = {"_target_": "sklearn.linear_model.LogisticRegression", "C": 0.3}
    found = tuned(tmp_path, estimator=declared, tuning={"trials": 9, "folds": 3, "margin": 10.0})
    assert found.best.number > 0
    assert found.chosen.number == 0
    assert found.conf.classifier == {}
    assert "fitted as declared: 10 standard errors over the folds are not between them\nstart: [{C: " in told(found)


RANGE = {"low": 0.1, "high": 1}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"search": {"estimator": {"CC": RANGE}}}, "search.estimator.CC: unknown key for LogisticRegression"),
        ({"search": {"estimator": {"penalti": ["l1"]}}}, "did you mean 'penalty'"),
        ({"search": {"estimator": {"C": {"low": 2, "high": 1}}}}, "search.estimator.C: low should be at most high"),
        ({"search": {"classifier": {"C": {"low": 0, "high": 1, "log": True}}}}, "low should be above 0 where log"),
        ({"search": {"estimator": {"max_iter": {**RANGE, "integer": True}}}}, "max_iter: low and high should be whole"),
        ({"search": {"estimator": {"C": []}}}, "search.estimator.C: should have at least one choice"),
        ({"search": {"estimator": {"C": {"low": 1, "high": float("inf")}}}}, "low and high should be finite"),
        ({"search": {}}, "tuning.trials: 9 trials, and search names nothing to try"),
        ({"search": {"regressor": {"C": RANGE}}}, "tuning.trials: 9 trials, and search names nothing to try"),
        ({"start": [{"C": 1.0}, {"c": 1.0}]}, r"start\[1\].c: not in search"),
    ],
)
def test_a_search_that_cannot_be_is_one_clear_line(changes: Any, fault: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"(?s)conf/model/x.yaml is not valid.*{fault}"):
        tuned(tmp_path, **changes)


def test_all_faults_of_a_search_are_said_at_once_and_without_trials_too(tmp_path: Path) -> None:
    search = {"estimator": {"C": {"low": 2, "high": 1}, "D": RANGE}}
    with pytest.raises(InputError) as caught:
        tuned(tmp_path, search=search, tuning={"trials": 0}, start=[{"E": 1}])
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "search.estimator.C",
        "search.estimator.D",
        "start[0].E",
    ]


def test_lightgbm_takes_no_unknown_name_in_silence(tmp_path: Path) -> None:
    estimator = {"_target_": "lightgbm.LGBMClassifier", "verbosity": -1}
    with pytest.raises(InputError, match="num_leavs: unknown key for LGBMClassifier; did you mean 'num_leaves'"):
        tuned(tmp_path, estimator=estimator, inputs="native", search={"estimator": {"num_leavs": [3]}})


@pytest.mark.parametrize(
    ("search", "fault"),
    [
        ({"estimator": {"C": 3}}, "search.estimator.C: should be a mapping, or a list, got 3"),
        ({"estimator": {"C": {"low": 1}}}, "search.estimator.C.high: missing"),
        ({"estimater": {}}, "search.estimater: unknown key; did you mean 'estimator'?"),
    ],
)
def test_the_schema_refuses(search: Any, fault: str) -> None:
    faults: list[str] = []
    build(ModelConf, LOGISTIC | {"search": search}, "", faults)
    assert faults == [fault]


TUNED = [path for path in sorted((ROOT / "conf/model").glob("*.yaml")) if path.stem != "ensemble"]  # has no search


@pytest.mark.parametrize("path", TUNED, ids=lambda path: path.stem)
def test_every_choice_declares_a_search_in_which_the_declared_arguments_lie(path: Path) -> None:
    conf = yaml.safe_load(path.read_text())
    assert conf["tuning"]["trials"] == 0
    faults: list[str] = []
    built = build(ModelConf, conf, "", faults)
    assert faults == []
    for part in ("classifier", "regressor"):
        space = built.search.estimator | getattr(built.search, part)
        assert space
        assert lies_in(space, {"max_samples": None} | conf["estimator"] | conf[part]), part
