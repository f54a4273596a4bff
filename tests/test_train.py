"""train: any estimator by name, the threshold from validation rows, baselines beside it, the same bytes twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
import yaml
from conftest import PIPELINE, run_stage
from sklearn.metrics import f1_score

from stages.runtime.contract import Contract
from stages.runtime.model import Model
from stages.shared.config import build
from stages.shared.lineage import dvc_hash
from stages.shared.models.declared import ModelConf
from stages.shared.models.fit import Recipe, Task, fit_declared, refit, steps
from stages.shared.rows import read_rows, together


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    """A copy of the workspace in which all stages ran."""
    target = tmp_path / "workspace"
    shutil.copytree(small, target)
    return target


@pytest.mark.parametrize("model", ["boosting", "linear", pytest.param("forest", marks=pytest.mark.slow)])
def test_two_runs_give_the_same_bytes(folder: Path, model: str) -> None:
    run_stage(folder, "train", f"model={model}", "seed=3")
    first = dvc_hash(folder / "data/train")
    run_stage(folder, "train", f"model={model}", "seed=3")
    assert dvc_hash(folder / "data/train") == first


@pytest.mark.slow
@pytest.mark.parametrize("model", ["boosting", pytest.param("forest", marks=pytest.mark.slow)])
def test_the_seed_matters(folder: Path, model: str) -> None:
    run_stage(folder, "train", f"model={model}", "seed=3")
    first = dvc_hash(folder / "data/train")
    run_stage(folder, "train", f"model={model}", "seed=4")
    assert dvc_hash(folder / "data/train") != first


def validation_rows(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    names = [feature["name"] for feature in json.loads((folder / "data/featurize/plan.json").read_text())]
    columns = ", ".join(f"coalesce(\"{name}\", 'nan'::DOUBLE)" for name in names)
    source = f"'{folder}/data/featurize/features.parquet' WHERE _split = 'validation'"
    found = np.array(duckdb.execute(f"SELECT (_target = 'yes')::INT, {columns} FROM {source}").fetchall(), dtype=float)
    return found[:, 1:], found[:, 0]


def test_the_threshold_gives_the_best_f1_on_validation_rows(folder: Path) -> None:
    run_stage(folder, "train", *PIPELINE["train"], "model.refit=false")
    X, y = validation_rows(folder)
    model = Model(folder / "data/train")
    score = model.score_matrix(X)[:, 0]
    best = max(f1_score(y, score >= cut) for cut in np.unique(score))
    assert f1_score(y, score >= model.meta["threshold"]) == pytest.approx(best, abs=1e-12)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("neural", "boosting_sklearn")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["boosting", "linear", *SLOW])
def test_the_last_fit_is_on_validation_rows_too_with_as_many_trees(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stage(folder, "train", f"model={name}", "seed=1", "model.refit=false")
    alone = [Model(folder / "data/train" / part) for part in (".", "baseline")]
    run_stage(folder, "train", f"model={name}", "seed=1")
    both = [Model(folder / "data/train" / part) for part in (".", "baseline")]
    monkeypatch.setattr("stages.shared.rows.FEATURES", folder / "data/featurize")
    contract = Contract.from_json(json.loads((folder / "data/prepare/contract.json").read_text()))
    train, validation = (read_rows(side, contract) for side in ("train", "validation"))
    features = json.loads((folder / "data/featurize/plan.json").read_text())
    conf = build(ModelConf, yaml.safe_load((folder / f"conf/model/{name}.yaml").read_text()), "", [])
    task = Task("binary", contract.classes)
    first = fit_declared(Recipe(conf, "c", 1, task, features), train, validation)
    rows = together(train, validation)
    expected = refit(Recipe(conf, "c", 1, task, features), rows, first)
    assert steps(expected.estimator) in (None, steps(first.estimator)) or name == "neural"
    np.testing.assert_allclose(both[0].uncalibrated_matrix(rows.X), expected.score(task, rows.X), atol=1e-9)
    np.testing.assert_allclose(alone[0].uncalibrated_matrix(rows.X), first.score(task, rows.X), atol=1e-9)
    assert both[0].meta["threshold"] == alone[0].meta["threshold"]
    assert both[1].meta["weights"] != alone[1].meta["weights"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["boosting", "xgboost"])
def test_the_summary_says_at_how_many_trees_it_stopped(folder: Path, name: str) -> None:
    if name == "xgboost":
        pytest.importorskip("xgboost")
    found = []
    for asked in ("model.refit=false", "model.refit=true"):
        run_stage(folder, "train", f"model={name}", "seed=1", asked)
        found.append(json.loads((folder / "reports/train/summary.json").read_text())["trees"])
    assert found[0] == found[1] > 0


def test_the_baseline_is_decided_by_the_same_rules(folder: Path) -> None:
    run_stage(folder, "train", "model=linear", "seed=1")
    model, baseline = (Model(folder / "data/train" / part) for part in (".", "baseline"))
    assert baseline.meta["threshold"] == model.meta["threshold"] != 0.5
    assert baseline.meta["calibration"] == model.meta["calibration"]
    run_stage(folder, "train", "model=boosting", "seed=1", "model.threshold={precision: 0.97}")
    assert 0 < Model(folder / "data/train/baseline").meta["threshold"] < 1


def test_a_fixed_threshold_is_taken_as_given(folder: Path) -> None:
    run_stage(folder, "train", *PIPELINE["train"], "model.threshold=0.25")
    assert json.loads((folder / "data/train/model.json").read_text())["threshold"] == 0.25


def test_test_rows_are_not_read(folder: Path) -> None:
    before = dvc_hash(folder / "data/train")
    path = folder / "data/featurize/features.parquet"
    query = f"SELECT * REPLACE (CASE WHEN _split = 'test' THEN 0 ELSE size END AS size) FROM '{path}' ORDER BY _row"
    duckdb.execute(f"COPY ({query}) TO '{path}.new' (FORMAT parquet)")
    Path(f"{path}.new").replace(path)
    run_stage(folder, "train", *PIPELINE["train"])
    assert dvc_hash(folder / "data/train") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        "_target_: sklearn.ensemble.HistGradientBoostingClassifier, max_iter: 20",
        "_target_: sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "_target_: sklearn.neural_network.MLPClassifier, max_iter: 1000",
        "_target_: sklearn.naive_bayes.GaussianNB",
    ],
)
def test_any_scikit_learn_estimator_is_one_file_away(folder: Path, estimator: str) -> None:
    (folder / "conf/model/mine.yaml").write_text(f"inputs: dense\nestimator: {{{estimator}}}\n")
    run_stage(folder, "train", "model=mine", "seed=1")
    run_stage(folder, "evaluate", *PIPELINE["evaluate"])
    done = run_stage(folder, "package", *PIPELINE["package"])
    assert "also alone, all equal" in done.stdout


def test_a_type_that_the_packaged_model_would_refuse_is_named(folder: Path) -> None:
    (folder / "conf/model/mine.yaml").write_text(
        "inputs: dense\nestimator: {_target_: sklearn.gaussian_process.GaussianProcessClassifier}\n"
    )
    done = run_stage(folder, "train", "model=mine", "seed=1", check=False)
    assert done.returncode == 1
    assert "GaussianProcessClassifier cannot be stored" in done.stderr
    assert "sklearn.gaussian_process.kernels" in done.stderr
