"""Each kind of gate fires when what it guards is broken, on real stages; tools.gates says so and exits 1."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import PIPELINE, ROOT, run_in, run_stage
from test_slices import QUICK

from stages.shared.evaluation.gates import better_by, judge
from tools.gates import better_than

pytestmark = pytest.mark.slow

GATES = """tables:
  toy:
    slices: {greens: colour == 'green'}
    behaviour:
      any_colour: {kind: invariance, column: colour, to: [red, green, blue], tolerance: 0.1}
    gates:
      floor: {kind: floor, metric: roc_auc, limit: 0.8, bound: low}
      ceiling: {kind: ceiling, metric: roc_auc, limit: 0.9999, reason: too good to be true}
      constant: {kind: baseline, against: constant, bound: low}
      slice_floor: {kind: floor, metric: roc_auc, limit: 0.8, slice: greens}
      slices: {kind: slices, metric: log_loss, limit: 0.5, bound: low}
      fairness: {kind: fairness, column: colour, metric: calibration_gap, limit: 0.25, bound: low}
      behaviour: {kind: behaviour}
      calibration: {kind: calibration, limit: 0.15, bound: low}
"""


@pytest.fixture(scope="module")
def guarded(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy workspace with gates over a model that was not given the colour, which is sensitive."""
    folder = tmp_path_factory.mktemp("guarded") / "workspace"
    shutil.copytree(small, folder)
    (folder / "conf/evaluation/quick.yaml").write_text(QUICK + GATES)
    (folder / "params.yaml").write_text("data: toy\nevaluation: quick\n")
    (folder / "dvc.yaml").write_text("stages: {}\n")
    contract = folder / "data/prepare/contract.json"
    stored = json.loads(contract.read_text())
    next(column for name, column in stored["columns"] if name == "colour")["sensitive"] = True
    contract.write_text(json.dumps(stored))
    change(folder, "features", "colour", "0.0")
    evaluate(folder, train=True)
    return folder


def change(folder: Path, table: str, column: str, expression: str, where: str = "true") -> None:
    """Change a column of a stage's output where a condition holds."""
    path = folder / {"features": "data/featurize/features.parquet", "kept": "data/prepare/kept.parquet"}[table]
    replaced = f'CASE WHEN {where} THEN {expression} ELSE "{column}" END AS "{column}"'
    duckdb.execute(f"COPY (SELECT * REPLACE ({replaced}) FROM '{path}' ORDER BY _row) TO '{path}.new' (FORMAT parquet)")
    Path(f"{path}.new").replace(path)


def evaluate(folder: Path, train: bool = False) -> dict[str, dict[str, Any]]:
    """Run evaluate, and train before where told so; return the gates by name."""
    if train:
        run_stage(folder, "train", *PIPELINE["train"])
    run_stage(folder, "evaluate", *PIPELINE["evaluate"])
    return {gate["name"]: gate for gate in json.loads((folder / "reports/evaluate/gates.json").read_text())["gates"]}


def failing(gates: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, gate in gates.items() if gate["passed"] is False}


def ask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tools.gates in a workspace."""
    return run_in(folder, sys.executable, "-m", "tools.gates", *arguments, check=False, PYTHONPATH=str(ROOT))


@pytest.fixture
def broken(guarded: Path, tmp_path: Path) -> Path:
    """A copy of the guarded workspace to break something in."""
    return Path(shutil.copytree(guarded, tmp_path / "workspace"))


def test_all_pass_on_the_honest_model(guarded: Path) -> None:
    gates = json.loads((guarded / "reports/evaluate/gates.json").read_text())["gates"]
    assert {gate["name"]: gate["passed"] for gate in gates} == {gate["name"]: True for gate in gates}
    assert [gate["name"] for gate in gates] == [
        "floor", "ceiling", "constant", "slice_floor", "slices", "fairness", "behaviour", "calibration",
    ]  # fmt: skip
    done = ask(guarded)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n8 of 8 gates passed\n")


def test_shuffled_labels_fire_floor_and_baseline(broken: Path) -> None:
    change(broken, "features", "_target", "CASE WHEN hash(_row * 7919) % 100 < 47 THEN 'yes' ELSE 'no' END")
    gates = evaluate(broken, train=True)
    assert {"floor", "constant"} <= failing(gates)
    assert gates["floor"]["low"] < 0.8
    assert gates["constant"]["low"] <= 0
    done = ask(broken)
    assert done.returncode == 1
    assert "| FAIL | floor " in done.stdout
    assert "Traceback" not in done.stderr


def test_a_planted_leak_fires_the_ceiling(broken: Path) -> None:
    change(broken, "features", "size", "CASE WHEN _target = 'yes' THEN 1.0 ELSE 0.0 END")
    gates = evaluate(broken, train=True)
    assert failing(gates) == {"ceiling"}
    assert gates["ceiling"]["value"] == 1.0


def labelled(folder: Path, colour: str, expression: str) -> dict[str, dict[str, Any]]:
    """Give the test rows of one colour other labels; return what the gates then say."""
    path = folder / "data/prepare/kept.parquet"
    where = f"_split = 'test' AND _row IN (SELECT _row FROM '{path}' WHERE colour = '{colour}')"
    change(folder, "features", "_target", expression, where)
    return evaluate(folder)


def test_a_slice_that_went_bad_fires_its_floor_and_the_gate_of_all_slices(broken: Path) -> None:
    gates = labelled(broken, "green", "CASE WHEN _target = 'yes' THEN 'no' ELSE 'yes' END")
    assert {"slice_floor", "slices"} <= failing(gates)
    assert "greens" in gates["slices"]["why"] or "colour = green" in gates["slices"]["why"]


def test_a_model_unfair_to_a_group_fires_fairness(broken: Path) -> None:
    gates = labelled(broken, "red", "'no'")
    assert "fairness" in failing(gates)
    assert gates["fairness"]["low"] > 0.25


def test_an_emptied_group_fires_fairness_and_its_slices_floor(broken: Path) -> None:
    change(broken, "kept", "colour", "'blue'", "colour = 'green'")
    gates = evaluate(broken)
    assert {"fairness", "slice_floor"} <= failing(gates)
    assert gates["fairness"]["why"] == "no test rows of colour = green: it has no value there"
    assert gates["slice_floor"]["why"] == "greens: 0 rows, fewer than 30: it has no value there"


def test_a_model_that_reacts_to_the_colour_fires_behaviour(small: Path, broken: Path) -> None:
    shutil.rmtree(broken / "data/train")
    shutil.copytree(small / "data/train", broken / "data/train")  # it was given the colour
    gates = evaluate(broken)
    assert "behaviour" in failing(gates)
    assert gates["behaviour"]["why"] == "failing: any_colour"


def test_other_times_fire_calibration(broken: Path) -> None:
    change(broken, "features", "_target", "'yes'", "_split = 'test' AND _row % 3 > 0")
    gates = evaluate(broken)
    assert "calibration" in failing(gates)
    assert gates["calibration"]["low"] > 0.15


def commit(folder: Path, message: str) -> str:
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", message)
    return run_in(folder, "git", "rev-parse", "HEAD").stdout.strip()


def test_a_worse_model_than_another_revisions_fires(broken: Path) -> None:
    (broken / "conf/evaluation/quick.yaml").write_text(QUICK + "gates: {no_drop: {kind: revision, limit: -0.01}}\n")
    gates = evaluate(broken)
    assert gates["no_drop"]["passed"] is None
    assert "tools.gates" in gates["no_drop"]["why"]
    (broken / ".gitignore").write_text("data/\n")
    run_in(broken, "git", "init", "-q", "-b", "main")
    before = ask(broken)  # no commit yet: nothing to hold it against
    assert (before.returncode, "pending" in before.stdout) == (0, True)
    good = commit(broken, "Good")
    assert ask(broken).returncode == 0
    change(broken, "features", "size", "50.0")
    evaluate(broken, train=True)
    done = ask(broken, "--against", good)
    assert done.returncode == 1
    assert f"over {good[:10]}" in done.stdout
    assert ask(broken, "--against", "HEAD").returncode == ask(broken).returncode == 1
    commit(broken, "Worse")
    assert ask(broken, "--against", "HEAD").returncode == 0
    assert ask(broken, "--against", good).returncode == 1
    missing = ask(broken, "--against", "nobody")
    assert (missing.returncode, missing.stderr) == (1, "gates: 'nobody': no such commit, branch or tag\n")


def test_a_revision_without_the_numbers_fails_only_when_it_was_named(broken: Path) -> None:
    (broken / "conf/evaluation/quick.yaml").write_text(QUICK + "gates: {no_drop: {kind: revision, limit: 0}}\n")
    evaluate(broken)
    (broken / ".gitignore").write_text("data/\nreports/\n")
    run_in(broken, "git", "init", "-q", "-b", "main")
    commit(broken, "No reports")
    assert ask(broken).returncode == 0
    done = ask(broken, "--against", "main")
    assert done.returncode == 1
    assert "has no roc_auc in reports/evaluate/intervals.json" in done.stdout
    (broken / "params.yaml").write_text("data: boats\nevaluation: quick\n")
    commit(broken, "Boats")
    (broken / "params.yaml").write_text("data: toy\nevaluation: quick\n")
    other = ask(broken, "--against", "main")
    assert (other.returncode, "is about another table, boats" in other.stdout) == (0, True)


def test_gates_changed_since_evaluate_are_noticed(broken: Path) -> None:
    path = broken / "conf/evaluation/quick.yaml"
    path.write_text(path.read_text().replace("limit: 0.8,", "limit: 0.3,"))
    done = ask(broken)
    assert done.returncode == 1
    assert "gates.json is not of conf/evaluation/quick.yaml as it stands; `dvc repro` judges again" in done.stderr
    shutil.rmtree(broken / "reports")
    done = ask(broken)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "gates: reports/evaluate/gates.json: no such file; `dvc repro` makes it\n"


OF_THE_SCHEMA = {
    "{kind: floor, metric: f1}": ".limit: missing, floor needs it",
    "{kind: flor, metric: f1, limit: 1}": ".kind: should be one of floor, ceiling",
    "{kind: behaviour, metric: f1}": ".metric: behaviour takes no such key",
    "{kind: floor, metric: f1, limit: 1, on: low}": ".True: unknown key",
    "{kind: floor, metric: f1, limit: high}": ".limit: should be a number, got 'high'",
}
OF_THE_TABLE = {
    "{kind: floor, metric: roc_acu, limit: 1}": ".metric: no metric 'roc_acu'; did you mean 'roc_auc'?",
    "{kind: floor, metric: mae, limit: 1}": ".metric: no metric 'mae'",
    "{kind: floor, metric: f1, limit: 1, slice: grens}": ".slice: no slice 'grens'; did you mean 'greens'?",
    "{kind: fairness, metric: f1, limit: 1}": ".metric: no metric 'f1'; there are demographic_parity_difference",
    "{kind: fairness, metric: calibration_gap, limit: 1, column: bought}": ".column: no column 'bought'; there",
    "{kind: behaviour, test: any_color}": ".test: no test 'any_color'; did you mean 'any_colour'?",
}


@pytest.mark.parametrize("faults", [OF_THE_SCHEMA, OF_THE_TABLE], ids=["schema", "table"])
def test_gates_that_cannot_be_are_refused_by_name(broken: Path, faults: dict[str, str]) -> None:
    gates = "".join(f"      g{nth}: {gate}\n" for nth, gate in enumerate(faults))
    (broken / "conf/evaluation/quick.yaml").write_text(QUICK + GATES + gates)
    before = (broken / "reports/evaluate/gates.json").read_bytes()
    done = run_stage(broken, "evaluate", *PIPELINE["evaluate"], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("evaluate: conf/evaluation/quick.yaml is not valid\n")
    for nth, fault in enumerate(faults.values()):
        assert f"  tables.toy.gates.g{nth}{fault}" in done.stderr
    assert "Traceback" not in done.stderr
    assert (broken / "reports/evaluate/gates.json").read_bytes() == before


def test_a_difference_is_turned_so_that_more_is_better() -> None:
    row = {"value": -0.02, "low": -0.03, "high": 0.01}
    assert better_by("roc_auc", row) == row
    assert better_by("log_loss", row) == {"value": 0.02, "low": -0.01, "high": 0.03}


def test_two_intervals_make_one_of_their_difference() -> None:
    """Of two symmetric intervals: the root of the sum of squared halves."""
    own, other = {"value": 0.8, "low": 0.77, "high": 0.83}, {"value": 0.7, "low": 0.66, "high": 0.74}
    assert better_than("roc_auc", own, other) == {"value": 0.1, "low": 0.05, "high": 0.15}
    assert better_than("log_loss", own, other) == {"value": -0.1, "low": -0.15, "high": -0.05}


def test_no_gates_are_no_failure() -> None:
    assert judge({}, None) == []  # type: ignore[arg-type]
