"""tools.diff on real pipelines: what the models of two commits say, from the cache, from Git alone, and why."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import clone, environment, run_in, toy_rows, write_toy

pytestmark = pytest.mark.slow


def edit(folder: Path, path: str, old: str, new: str) -> None:
    text = (folder / path).read_text()
    assert old in text
    (folder / path).write_text(text.replace(old, new))


def commit(folder: Path, tag: str) -> None:
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", tag)
    run_in(folder, "git", "tag", tag)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository on the toy table: `main` has run, and on the branch `change` data, code and parameters are other."""
    folder = clone(tmp_path_factory.mktemp("history"))
    write_toy(folder, toy_rows(1200))
    for old, new in (("data: rides", "data: toy"), ("evaluation: standard", "evaluation: quick")):
        edit(folder, "params.yaml", old, new)
    run_in(folder, "dvc", "repro", "-q")
    commit(folder, "before")
    run_in(folder, "git", "checkout", "-qb", "change")
    rows = toy_rows(1200)
    for row in rows[1:200]:
        row[5] = {"yes": "no", "no": "yes"}[row[5]]  # training rows
    rows[-1][5] = {"yes": "no", "no": "yes"}[rows[-1][5]]  # a test row
    write_toy(folder, rows[:-2] + rows[-1:])
    edit(folder, "params.yaml", "model: boosting", "model: linear")
    edit(folder, "stages/shared/losses.py", "EPSILON = 1e-15", "EPSILON = 1e-3")
    run_in(folder, "dvc", "repro", "-q")
    commit(folder, "after")
    return folder


def diff(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run_in(folder, sys.executable, "-m", "tools.diff", *arguments, check=check)


def found(folder: Path, *arguments: str) -> dict[str, Any]:
    return json.loads(diff(folder, *arguments, "--json").stdout)  # type: ignore[no-any-return]


def test_both_models_answer_for_the_same_rows(history: Path) -> None:
    both = found(history, "before", "after")
    metrics = both["metrics"]
    assert metrics["paired"]
    assert metrics["rows"]["base"] == metrics["rows"]["both"] + 1
    assert metrics["relabelled"] == 1
    assert metrics["matched_by"] == "key (id)"
    assert metrics["metrics"]["log_loss"]["verdict"] == "worse"
    reported = json.loads((history / "reports/evaluate/metrics.json").read_text())
    assert metrics["metrics"]["roc_auc"]["head"] == pytest.approx(reported["roc_auc"], abs=1e-6)
    flips = both["flips"]["all"]
    assert flips["now_wrong"] > flips["now_right"]
    assert both["parameters"]["params"] == {"model": ["boosting", "linear"]}
    assert len(both["model"]["predict_microseconds"]) == 2
    told = diff(history, "before", "after").stdout
    assert told.splitlines()[2].startswith("`roc_auc` ")
    assert "**The target of 1 of them changed; both are held against what it is now.**" in told
    assert len(told) < 65_536
    assert told.count("<details>") == told.count("</details>")
    assert (
        told.replace("µs", "") == diff(history).stdout.replace("µs", "") or "to the workspace" in diff(history).stdout
    )


def test_a_clone_without_cache_or_remote_reports_from_git_alone(history: Path, tmp_path: Path) -> None:
    run_in(tmp_path, "git", "clone", "-q", str(history), "clone")
    both = found(tmp_path / "clone", "before", "after")
    assert not both["metrics"]["paired"]
    assert both["metrics"]["metrics"]["roc_auc"]["difference"] < 0
    told = diff(tmp_path / "clone", "before", "after").stdout
    assert "(no remote is set)" in told
    assert "Intervals are unpaired" in told
    assert "Predict times are not measured" in told
    assert not (tmp_path / "clone/data/train").exists()


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        ("conf/data/toy.yaml", 'task: binary\npositive: "yes"', "task: multiclass", "the task was binary"),
        ("conf/data/toy.yaml", 'positive: "yes"', 'positive: "no"', "the positive class was yes and now is no"),
        ("conf/data/toy.yaml", "bought: {", "sold: {", "the target was bought and now is sold"),
        ("params.yaml", "data: toy", "data: loans", "the table was toy and now is loans"),
    ],
)  # fmt: skip
def test_models_that_answer_another_question_are_not_compared(
    history: Path, tmp_path: Path, path: str, old: str, new: str, said: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(history, folder, symlinks=True)
    edit(folder, path, old, new)
    told = diff(folder, "after").stdout
    assert f"The models are not compared: {said}" in told
    assert "Not known: predictions of both revisions" in told


def test_a_commit_is_run_again_for_its_predictions_where_asked(history: Path, tmp_path: Path) -> None:
    run_in(tmp_path, "git", "clone", "-q", str(history), "clone")
    done = diff(tmp_path / "clone", "before", "before", "--rerun")
    assert done.stderr.startswith("diff: running before (")
    assert "Both models on the same" in done.stdout
    assert "Equal in all" in done.stdout.splitlines()[2]
    assert not (tmp_path / "clone/data/train").exists()


def test_models_with_other_classes_are_not_compared(history: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(history, folder, symlinks=True)
    stored = json.loads((folder / "data/prepare/contract.json").read_text())
    dict(stored["columns"])["bought"]["values"].append("both")
    (folder / "data/prepare/contract.json").write_text(json.dumps(stored))
    told = diff(folder, "after").stdout
    assert "The models are not compared: the classes were no, yes and now are both, no, yes" in told


def test_a_revision_from_before_there_were_reports_is_noted(history: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(history, folder, symlinks=True)
    run_in(folder, "git", "rm", "-rqf", "reports/evaluate", "dvc.lock")
    commit(folder, "early")
    told = diff(folder, "early", "before").stdout
    assert "its dvc.lock does not name it" in told
    assert "has no reports/evaluate/intervals.json: nothing to compare." in told


def test_parts_of_a_change_add_up_and_nothing_else_is_touched(history: Path) -> None:
    before = run_in(history, "git", "status", "--porcelain=v2", "--branch").stdout
    files = sorted(str(path) for path in history.glob("*"))
    why = found(history, "before", "after", "--why", "--metric", "log_loss")["why"]
    assert [row["factors"] for row in why["parts"]] == [["data"], ["code"], ["parameters"]]
    assert sum(row["part"] for row in why["parts"]) == pytest.approx(why["after"] - why["before"], abs=1e-9)
    assert all(abs(row["part"]) > 1e-4 for row in why["parts"])
    assert why["unchanged"] == ["environment"]
    values = {tuple(mixture["after"]): mixture["value"] for mixture in why["mixtures"]}
    assert len(values) == 8
    reports = [json.loads(run_in(history, "git", "show", f"{tag}:reports/evaluate/metrics.json").stdout)["log_loss"]
               for tag in ("before", "after")]  # fmt: skip
    assert [values[()], values["code", "data", "parameters"]] == reports
    assert run_in(history, "git", "status", "--porcelain=v2", "--branch").stdout == before
    assert sorted(str(path) for path in history.glob("*")) == files
    assert run_in(history, "git", "worktree", "list").stdout.count("\n") == 1


def test_what_does_not_run_apart_is_not_parted(history: Path, tmp_path: Path) -> None:
    """The new code wants a key that only the new parameters have."""
    folder = tmp_path / "copy"
    shutil.copytree(history, folder, symlinks=True)
    run_in(folder, "git", "checkout", "-q", "-f", "before")
    run_in(folder, "dvc", "checkout", "-q")
    edit(
        folder, "stages/shared/evaluation/declared.py", "    plot_points: int", "    wanted: int\n    plot_points: int"
    )
    (folder / "conf/evaluation/quick.yaml").write_text(
        (folder / "conf/evaluation/quick.yaml").read_text() + "wanted: 1\n"
    )
    edit(folder, "params.yaml", "seed: 7", "seed: 8")
    run_in(folder, "dvc", "repro", "-q", "evaluate")
    commit(folder, "wanted")
    told = diff(folder, "before", "wanted", "--why").stdout
    assert "| code and parameters (not separable) |" in told
    assert "With only code changed, the pipeline fails: " in told
    assert "wanted" in told[told.index("With only code") :]


def test_a_changed_lock_counts_with_the_code(history: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(history, folder, symlinks=True)
    with (folder / "requirements.txt").open("a") as file:
        file.write("# another lock\n")
    told = diff(folder, "after", "--why").stdout
    assert "| code and environment |" in told
    assert "| data (unchanged) | 0 |" in told
    assert told.index("## Metrics") < told.index("## Why") < told.index("## Flips")
    assert "requirements.txt changed, and mixtures run in the environment that is here" in told


def test_an_unknown_metric_is_one_line(history: Path) -> None:
    done = diff(history, "before", "after", "--why", "--metric", "roc_acu", check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("diff: --metric: 'roc_acu' is no metric of both; did you mean 'roc_auc'? (there are ")
    assert "--metric is for --why" in diff(history, "--metric", "f1", check=False).stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_what_runs_and_leaves_nothing(history: Path, tmp_path: Path, sent: signal.Signals) -> None:
    folder, temporary = tmp_path / "copy", tmp_path / "temporary"
    shutil.copytree(history, folder, symlinks=True)
    temporary.mkdir()
    edit(folder, "params.yaml", "seed: 7", "seed: 9")
    command = [sys.executable, "-m", "tools.diff", "after", "--why"]
    running = subprocess.Popen(
        command, cwd=folder, env=environment(TMPDIR=str(temporary)), stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    assert "mixture 1 of 2" in running.stderr.readline()
    assert "mixture 2 of 2" in running.stderr.readline()
    time.sleep(1)
    running.send_signal(sent)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (1, "diff: interrupted\n")
    assert list(temporary.glob("tmp*")) == []
    inside = [link for link in Path("/proc").glob("[0-9]*/cwd") if str(temporary) in _target(link)]
    assert inside == []


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # it has ended, or is another user's
        return ""


def test_histories_without_a_common_commit_are_one_line(history: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(history, folder, symlinks=True)
    run_in(folder, "git", "checkout", "-q", "--orphan", "alone")
    run_in(folder, "git", "commit", "-qm", "Alone")
    done = diff(folder, check=False)
    assert done.stderr == "diff: HEAD and main have no commit in common; name a base: python -m tools.diff BASE\n"
