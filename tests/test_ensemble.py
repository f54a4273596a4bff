"""Ensembles: scores of rows not seen, the packaged mean, members that cannot, tables that are hardly there."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PIPELINE, TOY, make_workspace, run_in, run_stage, toy_rows, write_toy
from test_models import FEATURES, TASKS, X_NEW
from test_models import rows as plain_rows

from stages.runtime.model import Model
from stages.shared.config import build
from stages.shared.errors import InputError
from stages.shared.lineage import dvc_hash
from stages.shared.models.declared import Member, ModelConf
from stages.shared.models.ensemble import Ensemble, fit_ensemble, judge_ensemble, members_table, store_ensemble
from stages.shared.models.fit import Recipe, Task, fit_declared
from stages.shared.models.judged import Judged
from stages.shared.models.objective import validation_loss
from stages.shared.models.store import store
from stages.shared.rows import Rows


def members(task: str, *names: str) -> dict[str, Member]:
    number = task == "regression"
    kind = "Regressor" if number else "Classifier"
    trees = {"n_estimators": 40, "min_child_samples": 5, "verbosity": -1, "deterministic": True, "n_jobs": 1}
    known = {
        "trees": Member("native", {"_target_": f"lightgbm.LGBM{kind}", **trees}, early_stopping=10),
        "linear": Member("dense", {"_target_": f"sklearn.linear_model.{'Ridge' if number else 'LogisticRegression'}"}),
        "forest": Member("native", {"_target_": f"sklearn.ensemble.RandomForest{kind}", "n_estimators": 10}),
        "neural": Member(
            "dense", {"_target_": f"sklearn.neural_network.MLP{kind}", "hidden_layer_sizes": [8]}, early_stopping=3
        ),
    }
    return {name: known[name] for name in names or known}


def rows(task: str, n: int, seed: int, by_time: bool = False) -> Rows:
    given = plain_rows(task, n, seed)
    time = np.arange(n) * 86_400.0 if by_time else None
    return dataclasses.replace(given, bucket=np.arange(n) * 7 // 3 % 8, time=time)


def fit(task: str, conf: ModelConf, train: Rows, validation: Rows, of: Task | None = None) -> Ensemble:
    return fit_ensemble(Recipe(conf, "c", 1, of or TASKS[task], FEATURES), train, validation)


def stored(folder: Path, ensemble: Ensemble, of: Task) -> Model:
    shared = {"threshold": 0.5, "factors": [1.0] * len(of.classes), "reference": [0.0, 0.0, None, 0.0]}
    store_ensemble(folder, ensemble, {"task": of.kind, "classes": of.classes, **shared})
    return Model(folder)


def judged(folder: Path, ensemble: Ensemble, of: Task, train: Rows, validation: Rows) -> Judged:
    return judge_ensemble(ensemble, of, stored(folder, ensemble, of), train, validation)


def with_all(ensemble: Ensemble) -> Ensemble:
    """Return it with a pick more for every member, whatever selection said, as if folds were by bucket."""
    from stages.shared.models.ensemble import Part

    picks = {name: count + 1 for name, count in ensemble.selection.picks.items()}
    parts = [Part(name, fold.fitted, fold.classes) for name in picks for fold in ensemble.scored[name]]
    return dataclasses.replace(ensemble, selection=dataclasses.replace(ensemble.selection, picks=picks), parts=parts)


@pytest.mark.parametrize("task", TASKS)
def test_the_stored_ensemble_is_the_weighted_mean_and_a_row_scores_as_in_the_matrix(task: str, tmp_path: Path) -> None:
    found = with_all(fit(task, ModelConf(members=members(task), folds=2), rows(task, 200, 1), rows(task, 80, 2)))
    model = stored(tmp_path, found, TASKS[task])
    matrix = model.score_matrix(X_NEW)
    assert matrix.tobytes() == np.array([model.score_row(row) for row in X_NEW.tolist()]).tobytes()
    total, n = 0.0, 0
    for part in json.loads((tmp_path / "model.json").read_text())["parts"]:
        assert part["count"] == found.selection.picks[part["folder"].split("/")[1]]
        total = total + part["count"] * Model(tmp_path / part["folder"]).score_matrix(X_NEW)
        n += part["count"]
    np.testing.assert_allclose(matrix, total / n, rtol=1e-12)
    if task != "regression":
        assert matrix.min() >= 0
        assert matrix.max() <= 1
    parts = model.contributions_row(X_NEW[0].tolist(), [feature["column"] for feature in FEATURES])
    for (base, own), raw in zip(parts, model.raw_matrix(X_NEW[:1])[0], strict=True):
        assert base + sum(own.values()) == pytest.approx(raw, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_judged_by_models_that_were_not_fitted_on_them(task: str, tmp_path: Path) -> None:
    conf, train, validation = ModelConf(members=members(task, "linear")), rows(task, 150, 1), rows(task, 50, 2)
    ensemble = fit(task, conf, train, validation)
    before = judged(tmp_path / "before", ensemble, TASKS[task], train, validation)
    assert before.rows.number.tolist() == [*range(150), *range(50)]
    assert before.validation.tolist() == list(range(150, 200))
    fold = ensemble.folds[2].held
    y = before.rows.y.copy()
    y[fold] = y[fold][::-1] + (100 if task == "regression" else 0)
    changed = [dataclasses.replace(rows, y=part) for rows, part in ((train, y[:150]), (validation, y[150:]))]
    after = judged(tmp_path / "after", fit(task, conf, *changed), TASKS[task], *changed)
    assert (before.scores[fold] == after.scores[fold]).all()
    others = np.setdiff1d(np.arange(200), fold)
    assert (before.scores[others] != after.scores[others]).any(axis=1).all()
    places = np.array([3, 40, 199, 7])
    np.testing.assert_allclose(before.score(places, before.rows.X[places]), before.scores[places], rtol=1e-12)


def test_by_time_a_member_is_what_it_would_be_by_itself(tmp_path: Path) -> None:
    train, validation = rows("binary", 200, 1, by_time=True), rows("binary", 80, 2)
    validation = dataclasses.replace(validation, time=np.arange(200, 280) * 86_400.0)
    conf = ModelConf(members=members("binary", "trees"))
    ensemble = fit("binary", conf, train, validation)
    found = judged(tmp_path, ensemble, TASKS["binary"], train, validation)
    member = conf.members["trees"]
    alone = ModelConf("native", member.estimator, early_stopping=member.early_stopping)
    fitted = fit_declared(Recipe(alone, "c", 1, TASKS["binary"], FEATURES), train, validation)
    (tmp_path / "alone").mkdir()
    store(tmp_path / "alone", fitted.estimator, {"task": "binary", "classes": ["n", "p"], **fitted.meta})
    assert (found.scores == Model(tmp_path / "alone").score_matrix(validation.X)).all()
    assert found.n_validation == len(found.rows.y) == 80
    assert [path.name for path in (tmp_path / "members/trees").iterdir()] == ["1"]


def test_the_table_holds_loss_weight_and_cost_and_what_was_not_picked_is_not_stored(tmp_path: Path) -> None:
    train, validation = rows("binary", 200, 1), rows("binary", 80, 2)
    conf = ModelConf(members=members("binary", "trees", "linear"))
    ensemble = fit("binary", conf, train, validation)
    ensemble = dataclasses.replace(
        ensemble,
        selection=dataclasses.replace(ensemble.selection, picks={"trees": 3, "linear": 0}),
        parts=[part for part in with_all(ensemble).parts if part.member == "trees"],
    )
    found = judged(tmp_path, ensemble, TASKS["binary"], train, validation)
    table = members_table(ensemble, tmp_path)
    assert table.header == ["member", "loss", "weight", "trees", "bytes"]
    trees, linear, whole = table.rows
    assert trees[1] == pytest.approx(validation_loss(conf, "binary", found.rows.y, found.scores))
    assert trees[2:4] == [1.0, sum(fold.fitted.estimator.best_iteration_ for fold in ensemble.scored["trees"])]
    assert linear[0] == "linear"
    assert linear[2:] == [0.0, 0, 0]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert whole[4] == trees[4] == sum(path.stat().st_size for path in files) - (tmp_path / "model.json").stat().st_size
    assert sorted(path.name for path in (tmp_path / "members").iterdir()) == ["trees"]


def test_a_class_that_a_fold_lacks_is_scored_the_same_alone(tmp_path: Path) -> None:
    train, validation = rows("binary", 160, 1), rows("binary", 40, 2)
    of = Task("multiclass", ["n", "p", "rare"])
    y = train.y.copy()
    y[0] = 2
    train = dataclasses.replace(train, y=y)
    ensemble = with_all(fit("", ModelConf(members=members("binary", "trees", "linear")), train, validation, of))
    model = stored(tmp_path, ensemble, of)
    assert [0, 1] in [part["classes"] for part in model.meta["parts"]]
    matrix = model.score_matrix(X_NEW)
    assert matrix.tobytes() == np.array([model.score_row(row) for row in X_NEW.tolist()]).tobytes()
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_a_member_that_cannot_do_what_is_declared_for_all_is_left_out_aloud(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    train, validation = (rows("regression", n, n) for n in (200, 60))
    train, validation = (dataclasses.replace(part, y=np.maximum(part.y, 0)) for part in (train, validation))
    conf = ModelConf(members=members("regression", "linear", "trees"), objective="poisson")
    ensemble = fit("regression", conf, train, validation)
    assert "left out: c: members.linear: objective: Ridge is not offered poisson" in capsys.readouterr().err
    assert list(ensemble.selection.picks) == ["trees"]
    assert stored(tmp_path, ensemble, TASKS["regression"]).score_matrix(X_NEW).min() >= 0
    only = dataclasses.replace(conf, members=members("regression", "linear"))
    with pytest.raises(InputError, match=r"^c: no member can do what is declared for all$"):
        fit("regression", only, train, validation)


def test_a_rising_column_only_raises_the_mean() -> None:
    conf = ModelConf(members=members("regression", "trees", "linear"), monotone={"b": "increasing"})
    features = FEATURES[:3]
    train, validation = (
        dataclasses.replace(part, X=part.X[:, :3]) for part in (rows("regression", 200, 1), rows("regression", 60, 2))
    )
    ensemble = fit_ensemble(Recipe(conf, "c", 1, TASKS["regression"], features), train, validation)
    assert list(ensemble.selection.picks) == ["trees"]
    conf = dataclasses.replace(conf, monotone={"bb": "increasing"})
    with pytest.raises(InputError, match=r"monotone.bb: no number in the features has this name; did you mean 'b'"):
        fit_ensemble(Recipe(conf, "c", 1, TASKS["regression"], features), train, validation)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (Member("native", {"_target_": "lightgbm.LGBMClassifier", "num_leaves": 1}), r"^c: members.odd: .*num_leaves"),
        (
            Member("native", {"_target_": "lightgbm.LGBMClassifier", "num_leafs": 9}),
            r"^c: members.odd is not valid for",
        ),
        (Member("dense", {"_target_": "sklearn.linear_model.Ridge"}), r"^c: members.odd: .* Ridge gives no prob"),
        (Member("dense", {}), r"^c: members.odd: no _target_"),
    ],
)
def test_a_member_that_its_library_refuses_is_named(member: Member, message: str) -> None:
    conf = ModelConf(members={**members("binary", "linear"), "odd": member})
    with pytest.raises(InputError, match=message):
        fit("binary", conf, rows("binary", 100, 1), rows("binary", 40, 2))


GOOD = {"inputs": "native", "estimator": {}}


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"members": {"a": {"input": "native", "estimator": {}}}},
         ["members.a.input: unknown key; did you mean 'inputs'?", "members.a.inputs: missing"]),
        ({"members": {"a": {**GOOD, "early_stopping": 0}}}, ["members.a.early_stopping: should be in [1, inf], got 0"]),
        ({"members": {"a": GOOD}, "inputs": "dense"}, ["inputs: not beside members, each of which has its own"]),
        ({"members": {"../a": GOOD}}, ["members.../a: a name should be of a to z, 0 to 9 and _"]),
        ({"members": {}}, ["members: should hold at least one"]),
        ({"members": {"a": GOOD}, "folds": 3}, ["folds: should be one of 2, 4, 8, got 3"]),
        ({"members": {"a": GOOD}, "tuning": {"trials": 3}}, ["tuning: not beside members, which are not tuned"]),
        ({**GOOD, "rounds": 3}, ["rounds: only with members"]),
        ({"member": {"a": GOOD}},
         ["member: unknown key; did you mean 'members'?", "inputs: missing", "estimator: missing"]),
    ],
)  # fmt: skip
def test_a_faulty_declaration_is_told_by_key(given: dict[str, Any], faults: list[str]) -> None:
    found: list[str] = []
    build(ModelConf, given, "", found)
    assert found == faults


MINE = """folds: 4
interval: {level: 0.8}
members:
  trees:
    inputs: native
    early_stopping: 5
    classifier: {_target_: lightgbm.LGBMClassifier}
    regressor: {_target_: lightgbm.LGBMRegressor}
    estimator:
      {n_estimators: 30, min_child_samples: 3, num_leaves: 7, deterministic: true, force_row_wise: true, verbosity: -1}
  linear:
    inputs: dense
    classifier: {_target_: sklearn.linear_model.LogisticRegression}
    regressor: {_target_: sklearn.linear_model.Ridge}
    estimator: {}
  neural:
    inputs: dense
    early_stopping: 5
    classifier: {_target_: sklearn.neural_network.MLPClassifier}
    regressor: {_target_: sklearn.neural_network.MLPRegressor}
    estimator: {hidden_layer_sizes: [8], max_iter: 40}
"""
BY_KEY = TOY.replace('by: time, validation: "2024-07-01", test: "2024-09-01"', "by: hash, validation: 0.2, test: 0.25")
BY_KEY = BY_KEY.replace("day: {type: date, role: time}", "day: {type: date}")


def by_key(folder: Path, table: list[list[str]], contract: str = BY_KEY) -> Path:
    """Return a workspace with the toy table split by key, an ensemble to train, prepared and featurized."""
    make_workspace(folder)
    write_toy(folder, table)
    (folder / "conf/data/toy.yaml").write_text(contract)
    (folder / "conf/model/mine.yaml").write_text(MINE)
    for stage in ("prepare", "featurize"):
        run_stage(folder, stage, *PIPELINE[stage])
    return folder


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which an ensemble was packaged. Shared: copy it before changing what it says."""
    folder = by_key(tmp_path_factory.mktemp("ensemble") / "workspace", toy_rows())
    run_stage(folder, "train", "model=mine", "seed=1")
    run_stage(folder, "evaluate", *PIPELINE["evaluate"])
    assert "all equal" in run_stage(folder, "package", *PIPELINE["package"]).stdout
    return folder


@pytest.mark.slow
def test_the_reports_agree_with_each_other(packaged: Path) -> None:
    summary = json.loads((packaged / "reports/train/summary.json").read_text())
    with (packaged / "reports/train/plots/ensemble.csv").open() as file:
        table = {row["member"]: row for row in csv.DictReader(file)}
    why = json.loads((packaged / "reports/train/decisions.json").read_text())
    weights = why["weights"]
    assert {name: float(table[name]["weight"]) for name in weights} == weights
    assert sum(weights.values()) == pytest.approx(1, abs=1e-5)
    assert float(table["ensemble"]["loss"]) == summary["out_of_fold_loss"]
    assert summary["out_of_fold_loss"] <= min(float(row["loss"]) for row in table.values()) * 1.001
    split = json.loads((packaged / "reports/prepare/summary.json").read_text())["split"]
    n_rows = split["train"]["rows"] + split["validation"]["rows"]
    assert why["decided_on"] == f"{n_rows} training and validation rows, out of fold"
    assert "linear" in json.loads((packaged / "reports/evaluate/intervals.json").read_text())


def test_the_wheel_holds_every_part_and_refuses_a_changed_or_a_strange_one(packaged: Path, tmp_path: Path) -> None:
    [wheel] = (packaged / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    model = tmp_path / "site/toy_model/model"
    parts = [part["folder"] for part in json.loads((model / "model.json").read_text())["parts"]]
    manifest = json.loads((model / "manifest.json").read_text())
    assert {f"model/{part}/model.json" for part in parts} <= set(manifest["files"])
    kinds = {json.loads((model / part / "model.json").read_text())["kind"] for part in parts}
    needed = json.loads((model / "lineage.json").read_text())["model"]["requires"]
    assert [name.split("==")[0] for name in needed[1:]] == (["lightgbm"] if "lightgbm" in kinds else [])

    def predict() -> subprocess.CompletedProcess[str]:
        code = (
            f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import toy_model; print(toy_model.verify())"
        )
        return subprocess.run([sys.executable, "-I", "-c", code], text=True, capture_output=True)

    card = (packaged / "reports/package/card.md").read_text()
    assert re.search(r"^## Decided on \d+ training and validation rows, out of fold$", card, re.MULTILINE)
    assert predict().stdout == "5\n"
    path = model / parts[-1] / "model.json"
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    assert f"{parts[-1]}/model.json: SHA-256 should be" in predict().stderr
    shutil.copy(packaged / "data/train" / parts[-1] / "model.json", path)
    assert predict().stdout == "5\n"
    (model / "members/stranger.json").write_text("{}")
    assert "members/stranger.json: not in the manifest" in predict().stderr


NO_KEY = BY_KEY.replace(
    "id: {type: integer, role: key, nullable: false, unique: true}", "id: {type: integer, role: group}"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "table", "contract"),
    [
        ("30 rows", [toy_rows()[0], *toy_rows()[1:300:10]], BY_KEY),
        ("two of a class", [[*row[:5], "yes" if number in (1, 2) else "no"] if number else row
                            for number, row in enumerate(toy_rows(300))], BY_KEY),
        ("few groups", [[str(int(row[0]) % 23), *row[1:]] if number else row
                        for number, row in enumerate(toy_rows())], NO_KEY),
    ],
)  # fmt: skip
def test_a_table_that_is_hardly_there_gives_a_result_or_one_line(
    name: str, table: list[list[str]], contract: str, tmp_path: Path
) -> None:
    folder = by_key(tmp_path / "workspace", table, contract)
    done = run_stage(folder, "train", "model=mine", "seed=1", check=False)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.stderr.splitlines()[-1].startswith("train: ")


def test_one_group_is_one_line() -> None:
    train, validation = (dataclasses.replace(part, bucket=np.full(len(part.y), 3)) for part in (
        rows("binary", 50, 1), rows("binary", 20, 2)))  # fmt: skip
    with pytest.raises(InputError, match=r"^cross-validation: 70 rows give no fold with rows on both sides$"):
        fit("binary", ModelConf(members=members("binary", "linear")), train, validation)


def test_a_failing_member_leaves_the_last_good_model(packaged: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(packaged, folder)
    before = dvc_hash(folder / "data/train")
    path = folder / "conf/model/mine.yaml"
    path.write_text(path.read_text().replace("hidden_layer_sizes: [8]", "hidden_layer_sizes: [-8]"))
    done = run_stage(folder, "train", "model=mine", "seed=1", check=False)
    assert done.returncode == 1
    assert "conf/model/mine.yaml: members.neural: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert dvc_hash(folder / "data/train") == before


@pytest.mark.slow
def test_the_folds_give_equal_bytes_for_any_threads(packaged: Path, tmp_path: Path) -> None:
    found = set()
    for threads in ("1", "2", "4"):
        folder = tmp_path / threads
        shutil.copytree(packaged, folder)
        own = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "LOKY_MAX_CPU_COUNT": threads}
        command = (sys.executable, "-m", "stages.train", "model=mine", "seed=1")
        run_in(folder, *command, PYTHONPATH=str(Path(__file__).parent.parent), **own)
        found.add((dvc_hash(folder / "data/train"), dvc_hash(folder / "reports/train")))
    assert len(found) == 1
