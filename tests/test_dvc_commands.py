"""DVC as its users know it: each command of the README run for real, in a copy of a reproduced clone."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import environment, run_in

pytestmark = pytest.mark.slow

STAGES = ["prepare", "featurize", "train", "evaluate", "package", "report"]
LIVE = "reports/live/train.json"
METRICS, ROC = "reports/evaluate/metrics.json", "reports/evaluate/plots/roc.csv"
PREDICT = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
print(json.dumps(importlib.import_module(sys.argv[2]).predict(json.loads(sys.argv[3]))))
"""


@pytest.fixture
def workspace(reproduced: Path, tmp_path: Path) -> Path:
    """The reproduced clone with its DVC cache, at a path of its own and free to change."""
    return shutil.copytree(reproduced, tmp_path / "workspace")


@pytest.fixture(scope="module")
def linear(reproduced: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A clone after `dvc exp run -S model=linear`, and the stages which that ran. Read only."""
    folder = shutil.copytree(reproduced, tmp_path_factory.mktemp("linear") / "workspace")
    return folder, stages_run(run_in(folder, "dvc", "exp", "run", "-S", "model=linear").stdout)


def stages_run(output: str) -> list[str]:
    return re.findall(r"^Running stage '(\w+)':", output, flags=re.MULTILINE)


def set_value(path: Path, key: str, value: object) -> None:
    """Change one value of a YAML file and leave the rest, comments included, as it is."""
    text, count = re.subn(rf"^(\s*{key}:) [^\s#]+", rf"\g<1> {value}", path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{path} has {count} lines for {key}"
    path.write_text(text)


def rename_key(path: Path, key: str, to: str) -> None:
    text, count = re.subn(rf"^(\s*){key}:", rf"\g<1>{to}:", path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{path} has {count} lines for {key}"
    path.write_text(text)


def commit(folder: Path, message: str) -> None:
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", message)


def as_json(folder: Path, *command: str) -> Any:
    return json.loads(run_in(folder, *command).stdout)


def committed(folder: Path, name: str) -> str:
    return run_in(folder, "git", "show", f"HEAD:{name}").stdout


def only_wheel(folder: Path) -> Path:
    [wheel] = (folder / "data/package").glob("*.whl")
    return wheel


# --- dvc repro and dvc status


def test_repro_of_an_unchanged_commit_runs_nothing(workspace: Path):
    lock = (workspace / "dvc.lock").read_bytes()
    done = run_in(workspace, "dvc", "repro")
    assert re.findall(r"Stage '(\w+)' didn't change", done.stdout) == STAGES
    assert stages_run(done.stdout) == []
    assert (workspace / "dvc.lock").read_bytes() == lock
    assert run_in(workspace, "git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize(
    ("group", "key", "value", "expected"),
    [
        ("model", "n_estimators", 10, ["train", "evaluate", "package", "report"]),
        ("evaluation", "resamples", 50, ["evaluate", "package", "report"]),
        ("packaging", "replay_alone", 3, ["package", "report"]),
    ],
)
def test_edit_of_a_picked_file_runs_its_stage_and_those_after_it(workspace: Path, group, key, value, expected):
    picked = yaml.safe_load((workspace / "params.yaml").read_text())[group]
    set_value(workspace / f"conf/{group}/{picked}.yaml", key, value)
    assert stages_run(run_in(workspace, "dvc", "repro").stdout) == expected
    assert as_json(workspace, "dvc", "status", "--json") == {}


def test_edit_of_files_that_are_not_picked_runs_nothing(workspace: Path):
    picks = yaml.safe_load((workspace / "params.yaml").read_text())
    others = [path for path in workspace.glob("conf/*/*.yaml") if picks[path.parent.name] != path.stem]
    assert {"linear.yaml", "quick.yaml", "minimal.yaml"} <= {path.name for path in others}
    for path in others:
        path.write_text(path.read_text() + "\nan_unknown_key: 1\n")
    assert stages_run(run_in(workspace, "dvc", "repro").stdout) == []


def test_comment_in_a_picked_file_runs_nothing(workspace: Path):
    picked = workspace / "conf/model/boosting.yaml"
    picked.write_text("# A remark.\n" + picked.read_text())
    assert stages_run(run_in(workspace, "dvc", "repro").stdout) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("requirements.txt", STAGES),
        ("stages/runtime/contract.py", STAGES),
        ("stages/shared/losses.py", ["train", "evaluate", "report"]),
        ("stages/shared/metrics.py", ["evaluate", "report"]),
        ("stages/train.py", ["train"]),
        ("stages/shared/packaging/wheel.py", ["package"]),
        ("stages/runtime/cli.py", ["package"]),
        ("tests/conftest.py", []),
        ("requirements-dev.txt", []),
    ],
)
def test_edit_of_code_makes_the_stages_that_use_it_stale(workspace: Path, name, expected):
    with (workspace / name).open("a") as file:
        file.write("# A remark.\n")
    status = as_json(workspace, "dvc", "status", "--json")
    assert sorted(status) == sorted(expected)
    assert all(status[stage] == [{"changed deps": {name: "modified"}}] for stage in expected)


def test_edited_output_is_noticed_and_put_back(workspace: Path):
    wheel = only_wheel(workspace)
    whole = wheel.read_bytes()
    wheel.chmod(0o644)
    wheel.write_bytes(whole[:-1])
    assert list(as_json(workspace, "dvc", "status", "--json")) == ["package"]
    run_in(workspace, "dvc", "checkout", "--force")
    assert wheel.read_bytes() == whole


# --- dvc exp


def test_experiment_with_another_model_runs_from_train_on(linear: tuple[Path, list[str]]):
    folder, ran = linear
    assert ran == ["train", "evaluate", "package", "report"]
    assert yaml.safe_load((folder / "params.yaml").read_text())["model"] == "linear"
    assert (folder / METRICS).read_text() != committed(folder, METRICS)


def test_experiment_with_one_value_of_a_conf_file_trains_with_it(workspace: Path):
    done = run_in(workspace, "dvc", "exp", "run", "-S", "conf/model/boosting.yaml:estimator.learning_rate=0.1")
    assert stages_run(done.stdout) == ["train", "evaluate", "package", "report"]
    [(name, changes)] = as_json(workspace, "dvc", "params", "diff", "--json").items()
    assert (name, list(changes)) == ("conf/model/boosting.yaml", ["estimator.learning_rate"])
    assert changes["estimator.learning_rate"]["new"] == 0.1
    assert "[learning_rate: 0.1]" in (workspace / "data/train/model.txt").read_text()


def test_experiment_changes_one_line_of_a_conf_file_and_keeps_its_comments(workspace: Path):
    before = (workspace / "conf/evaluation/standard.yaml").read_text().splitlines()
    run_in(workspace, "dvc", "exp", "run", "-S", "conf/evaluation/standard.yaml:resamples=50")
    after = (workspace / "conf/evaluation/standard.yaml").read_text().splitlines()
    [(old, new)] = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert new.startswith("resamples: 50 ")
    assert new.split("#")[1:] == old.split("#")[1:]


def test_queued_sweep_gives_one_row_each_with_metrics_of_its_own(workspace: Path):
    set_value(workspace / "conf/model/boosting.yaml", "n_estimators", 10)
    set_value(workspace / "params.yaml", "evaluation", "quick")
    commit(workspace, "Few trees")
    sweep = "conf/model/boosting.yaml:estimator.num_leaves=7,31"
    queued = run_in(workspace, "dvc", "exp", "run", "--queue", "-S", sweep).stdout
    assert len(re.findall(r"^Queued experiment", queued, flags=re.MULTILINE)) == 2
    run_in(workspace, "dvc", "exp", "run", "--run-all")
    check_sweep(experiments_of_json(workspace))
    check_sweep(experiments_of_csv(workspace))


def test_metrics_of_a_running_fit_can_be_shown(workspace: Path) -> None:
    """How far the trees are, asked by another process while an experiment runs; afterwards nothing is left."""
    slow = [f"conf/model/boosting.yaml:estimator.{value}" for value in ("learning_rate=0.001", "n_estimators=300")]
    command = ["dvc", "exp", "run", "-S", slow[0], "-S", slow[1], "train"]
    written, shown = [], []
    with subprocess.Popen(command, cwd=workspace, env=environment(), stdout=subprocess.DEVNULL) as ran:
        while ran.poll() is None:
            written.append(trees_so_far(workspace / LIVE))
            if written[-1] and not shown:
                shown.append(as_json(workspace, "dvc", "metrics", "show", "--json", LIVE)[""]["data"][LIVE]["data"])
            time.sleep(0.1)
    assert ran.returncode == 0
    trees = [count for count in written if count]
    assert 0 < trees[0] < max(trees) <= 300
    [numbers] = shown
    assert numbers
    assert all(name.startswith("live_") for name in numbers)
    assert 0 < numbers.get("live_validation_loss", 0.5) < 1
    assert json.loads((workspace / LIVE).read_text()) == {}
    assert run_in(workspace, "dvc", "status", "train").stdout.strip() == "Data and pipelines are up to date."


def trees_so_far(path: Path) -> int:
    """Return what the file of a running fit says; 0 while DVC lays the file anew before an experiment."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return 0
    return json.loads(text).get("live_trees", 0) if text.endswith("}\n") else 0


def check_sweep(losses: dict[int, float]) -> None:
    assert sorted(losses) == [7, 31]
    assert losses[7] != losses[31]


def experiments_of_json(folder: Path) -> dict[int, float]:
    """Return {num_leaves: log loss} of what `dvc exp show --json` lists below HEAD."""
    _, head = as_json(folder, "dvc", "exp", "show", "--json")
    revisions = [revision["data"] for experiment in head["experiments"] for revision in experiment["revs"]]
    return {data["params"]["conf/model/boosting.yaml"]["data"]["estimator"]["num_leaves"]:
            data["metrics"][METRICS]["data"]["log_loss"] for data in revisions}  # fmt: skip


def experiments_of_csv(folder: Path) -> dict[int, float]:
    """Return the same of `dvc exp show --csv`."""
    rows = csv.DictReader(io.StringIO(run_in(folder, "dvc", "exp", "show", "--csv").stdout))
    return {int(row["estimator.num_leaves"]): float(row["log_loss"]) for row in rows if row["typ"] != "baseline"}


# --- typos


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model=forrest", "conf/model/forrest.yaml"),
        ("modle=linear", "modle"),
        ("conf/model/boosting.yaml:early_stoping=9", "early_stoping"),
        ("conf/model/boosting.yaml:estimator.num_leafs=9", "num_leafs"),
    ],
)
def test_typo_in_an_override_is_refused_by_name(workspace: Path, override, named):
    lock = (workspace / "dvc.lock").read_bytes()
    done = run_in(workspace, "dvc", "exp", "run", "-S", override, check=False)
    assert done.returncode != 0
    assert named in done.stderr
    assert stages_run(done.stdout) == []
    assert (workspace / "dvc.lock").read_bytes() == lock


@pytest.mark.parametrize(
    ("file", "key", "typo", "message"),
    [
        ("conf/data/rides.yaml", "limits", "limts", r"limts: unknown key; did you mean 'limits'\?"),
        ("conf/features/standard.yaml", "max_levels", "max_level", r"categories\.max_level: unknown key; did you mean"),
        ("conf/model/boosting.yaml", "early_stopping", "early_stoping", r"early_stoping: unknown key; did you mean"),
        ("conf/model/boosting.yaml", "n_estimators", "n_estimatrs", r"n_estimatrs"),
        ("conf/evaluation/standard.yaml", "resamples", "resample", r"resample: unknown key; did you mean"),
        ("conf/packaging/standard.yaml", "examples", "example", r"example: unknown key; did you mean 'examples'\?"),
        ("params.yaml", "model", "modle", r"Could not find 'model'"),
    ],
)
def test_typo_of_a_key_is_refused_by_name_and_harms_nothing(workspace: Path, file, key, typo, message):
    wheel = only_wheel(workspace)
    before = wheel.read_bytes()
    rename_key(workspace / file, key, typo)
    done = run_in(workspace, "dvc", "repro", check=False)
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert only_wheel(workspace).name == wheel.name
    assert wheel.read_bytes() == before


# --- dvc metrics, params, plots, dag


def test_metrics_diff_gives_the_values_of_both_revisions(linear: tuple[Path, list[str]]):
    folder, _ = linear
    diff = as_json(folder, "dvc", "metrics", "diff", "--json")[METRICS]
    before, after = json.loads(committed(folder, METRICS)), json.loads((folder / METRICS).read_text())
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert {name: (row["old"], row["new"]) for name, row in diff.items()} == changed
    assert "roc_auc" in changed


def test_params_diff_names_file_and_key(linear: tuple[Path, list[str]]):
    folder, _ = linear
    diff = as_json(folder, "dvc", "params", "diff", "--json")
    assert diff["params.yaml"] == {"model": {"old": "boosting", "new": "linear"}}
    assert set(diff) == {"params.yaml", "conf/model/boosting.yaml", "conf/model/linear.yaml"}
    assert diff["conf/model/boosting.yaml"]["classifier._target_"]["old"] == "lightgbm.LGBMClassifier"
    assert diff["conf/model/linear.yaml"]["inputs"]["new"] == "dense"


def roc_plot(folder: Path, out: Path) -> dict[str, Any]:
    """Return the one Vega plot of `dvc plots diff` whose data are a ROC."""
    shown = as_json(folder, "dvc", "plots", "diff", "--json", "--out", str(out))
    plots = [plot["content"] for drawn in shown["data"].values() for plot in drawn]
    [roc] = [plot for plot in plots if "true_positive_rate" in plot["data"]["values"][0]]
    return roc


def points(rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(float(row["false_positive_rate"]), float(row["true_positive_rate"])) for row in rows]


def test_plots_diff_holds_the_roc_of_both_revisions(linear: tuple[Path, list[str]], tmp_path: Path):
    folder, _ = linear
    rows = roc_plot(folder, tmp_path)["data"]["values"]
    before, after = committed(folder, ROC), (folder / ROC).read_text()
    assert before != after
    for revision, text in (("HEAD", before), ("workspace", after)):
        drawn = points([row for row in rows if row["rev"] == revision])
        assert sorted(drawn) == sorted(points(list(csv.DictReader(io.StringIO(text)))))


def test_plots_diff_draws_the_roc_over_the_false_positive_rate(linear: tuple[Path, list[str]], tmp_path: Path):
    folder, _ = linear
    fields = re.findall(r'"x": \{[^{}]*"field": "(\w+)"', json.dumps(roc_plot(folder, tmp_path)))
    assert set(fields) == {"false_positive_rate"}


def test_plots_diff_writes_a_page_with_both_revisions(linear: tuple[Path, list[str]], tmp_path: Path):
    folder, _ = linear
    run_in(folder, "dvc", "plots", "diff", "--out", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert "true_positive_rate" in page
    assert {"HEAD", "workspace"} <= set(re.findall(r'"rev": "(\w+)"', page))


def test_dag_prints_the_five_stages(reproduced: Path):
    assert sorted(re.findall(r"\| (\w+) \|", run_in(reproduced, "dvc", "dag").stdout)) == sorted(STAGES)


# --- git checkout and dvc checkout


def test_checkout_of_an_old_commit_brings_its_wheel_back_byte_for_byte(workspace: Path, tmp_path: Path):
    first = only_wheel(workspace)
    whole = first.read_bytes()
    set_value(workspace / "params.yaml", "model", "linear")
    run_in(workspace, "dvc", "repro")
    commit(workspace, "Linear")
    assert only_wheel(workspace).name != first.name
    run_in(workspace, "git", "checkout", "-q", "HEAD~1")
    run_in(workspace, "dvc", "checkout")
    assert only_wheel(workspace) == first
    assert first.read_bytes() == whole
    assert as_json(workspace, "dvc", "status", "--json") == {}
    check_first_example(first, tmp_path / "unpacked")


def check_first_example(wheel: Path, folder: Path) -> None:
    """Ask the unpacked wheel, in a Python that sees nothing of the repository, for its first example."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    name = wheel.name.split("-")[0]
    example = json.loads((folder / name / "model/examples.json").read_text())[0]
    command = [sys.executable, "-I", "-c", PREDICT, str(folder), name, json.dumps(example["record"])]
    assert as_json(folder, *command) == example["answer"]
