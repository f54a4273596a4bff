"""Declared models: constraints, objectives, stopping, explanations and stored kinds, by what the libraries say."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PIPELINE, ROOT, run_in, run_stage
from sklearn.metrics import mean_gamma_deviance, mean_pinball_loss, mean_poisson_deviance, mean_tweedie_deviance

from stages.runtime.calibration import make_calibrate
from stages.runtime.model import Model
from stages.runtime.predictor import Predictor
from stages.runtime.shapley import sampled_parts, source_of
from stages.shared.errors import InputError
from stages.shared.lineage import dvc_hash
from stages.shared.models.constraints import row_weights
from stages.shared.models.declared import ModelConf, Objective
from stages.shared.models.fit import Fitted, Recipe, Task, fit_declared
from stages.shared.models.importance import permutation_importance
from stages.shared.models.objective import validation_loss
from stages.shared.models.reference import fit_reference
from stages.shared.models.store import store
from stages.shared.rows import Rows

FEATURES = [{"name": "a", "op": "number", "column": "a"}, {"name": "b", "op": "number", "column": "b"},
            {"name": "c", "op": "category", "column": "c", "levels": ["x", "y", "z"]},
            {"name": "a2", "op": "number", "column": "a"}]  # fmt: skip
TASKS = {
    "binary": Task("binary", ["n", "p"]),
    "multiclass": Task("multiclass", ["k", "l", "m"]),
    "regression": Task("regression", []),
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lightgbm": ("lightgbm.LGBM", {"n_estimators": 40, "min_child_samples": 5, "verbosity": -1}),
    "xgboost": ("xgboost.XGB", {"n_estimators": 40, "max_depth": 3}),
    "sklearn": ("sklearn.ensemble.HistGradientBoosting", {"max_iter": 40, "min_samples_leaf": 5}),
    "neural": ("sklearn.neural_network.MLP", {"hidden_layer_sizes": [8, 4], "max_iter": 30}),
    "forest": ("sklearn.ensemble.RandomForest", {"n_estimators": 20}),
    "linear": ("", {}),
}


def rows(task: str, n: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    X = np.column_stack(
        [random.normal(3, 2, n), random.exponential(1e4, n), random.integers(0, 4, n), random.random(n)]
    )
    signal = np.sin(X[:, 0]) * 2 + X[:, 1] / 1e4 + (X[:, 2] == 1) + random.normal(0, 0.7, n)
    y = signal + 5 if task == "regression" else np.digitize(signal, [1] if task == "binary" else [0.5, 2])
    X[random.random(X.shape) < 0.1] = np.nan
    return Rows(X, y, np.arange(n), None, None)


def declared(kind: str, task: str, **more: Any) -> ModelConf:
    target, arguments = KINDS[kind]
    number = task == "regression"
    if kind == "linear":
        target = f"sklearn.linear_model.{'Ridge' if number else 'LogisticRegression'}"
    else:
        target += {"lightgbm": ["Classifier", "Regressor"]}.get(kind, ["Classifier", "Regressor"])[number]
    inputs = "dense" if kind in ("neural", "linear") else "native"
    return ModelConf(inputs, {"_target_": target, **arguments}, **more)


def fit(kind: str, task: str, train: Rows | None = None, **more: Any) -> Fitted:
    if kind == "xgboost":
        pytest.importorskip("xgboost")
    train = rows(task, 400, 1) if train is None else train
    return fit_declared(Recipe(declared(kind, task, **more), "c", 1, TASKS[task], FEATURES), train, rows(task, 200, 2))


def stored(folder: Path, fitted: Fitted, task: str) -> Model:
    reference = fit_reference(FEATURES, rows(task, 400, 1).X)
    meta = {"task": task, "classes": TASKS[task].classes, "threshold": 0.5, "reference": reference}
    store(folder, fitted.estimator, {**meta, **fitted.meta})
    return Model(folder)


def contributions(model: Model, row: list[float]) -> list[Any]:
    return model.contributions_row(row, [source_of(feature) for feature in FEATURES])


X_NEW = np.vstack([rows("binary", 150, 3).X, [[np.nan] * 4, [1e30, -1e30, 7.0, 0.0], [1e300, 5e-324, 3.0, -0.0]]])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("kind", "tolerance"), [("xgboost", 1e-5), ("neural", 1e-12), ("sklearn", 1e-13)])
@pytest.mark.parametrize("early_stopping", [None, 5])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_row_scores_as_in_the_matrix_and_as_the_library_says(
    kind: str, tolerance: float, task: str, early_stopping: int | None, tmp_path: Path
) -> None:
    fitted = fit(kind, task, early_stopping=early_stopping)
    model = stored(tmp_path, fitted, task)
    together = model.score_matrix(X_NEW)
    assert together.tobytes() == np.array([model.score_row(row) for row in X_NEW.tolist()]).tobytes()
    known = X_NEW[:150]
    np.testing.assert_allclose(
        model.score_matrix(known), fitted.score(TASKS[task], known), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize(
    "objective", ["absolute", "poisson", Objective(quantile=0.8), Objective(tweedie=1.5), Objective(huber=1)]
)
@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_objectives_are_fitted_and_stored(kind: str, objective: Any, tmp_path: Path) -> None:
    train = rows("regression", 400, 1)
    train = Rows(train.X, np.maximum(train.y, 0), train.number, None, None)
    fitted = fit(kind, "regression", train, objective=objective, early_stopping=20)
    model = stored(tmp_path, fitted, "regression")
    expected = fitted.score(TASKS["regression"], X_NEW[:150])
    np.testing.assert_allclose(model.score_matrix(X_NEW[:150]), expected, rtol=1e-5)
    if objective == Objective(quantile=0.8):
        assert (train.y <= fitted.score(TASKS["regression"], train.X)[:, 0]).mean() == pytest.approx(0.8, abs=0.08)


def test_an_objective_that_a_library_lacks_is_one_line() -> None:
    with pytest.raises(
        InputError, match=r"^c: objective: HistGradientBoostingRegressor is not offered huber; it has squ"
    ):
        fit("sklearn", "regression", objective=Objective(huber=1.0))
    with pytest.raises(InputError, match=r"^c: objective: Ridge is not offered poisson; say it in the arguments"):
        fit("linear", "regression", objective="poisson")


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("absolute", lambda y, p: float(np.abs(y - p).mean())),
        ("poisson", mean_poisson_deviance),
        (Objective(quantile=0.3), lambda y, p: mean_pinball_loss(y, p, alpha=0.3)),
        (Objective(tweedie=1.3), lambda y, p: mean_tweedie_deviance(y, p, power=1.3)),
        (Objective(tweedie=1.999), lambda y, p: mean_gamma_deviance(y, p)),
        (
            Objective(huber=1.0),
            lambda y, p: float(np.where(abs(y - p) <= 1, (y - p) ** 2 / 2, abs(y - p) - 0.5).mean()),
        ),
    ],
)
def test_the_loss_is_what_the_objective_minimises(objective: Any, expected: Any) -> None:
    random = np.random.default_rng(1)
    y, p = random.gamma(2, 2, 200), random.gamma(3, 2, 200)
    conf = ModelConf("native", {}, objective=objective)
    assert validation_loss(conf, "regression", y, p[:, None]) == pytest.approx(expected(y, p), rel=5e-3)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "sklearn", "forest"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_monotone_column_only_raises_the_answer(kind: str, task: str) -> None:
    def steps(**more: Any) -> np.ndarray:
        train = rows(task, 400, 1)
        filled = Rows(np.nan_to_num(train.X), train.y, train.number, None, None)
        fitted = fit(kind, task, filled, **more)
        grid = np.repeat(np.nan_to_num(rows(task, 30, 9).X), 40, axis=0)
        grid[:, 0] = np.tile(np.linspace(-3, 9, 40), 30)
        return np.diff(fitted.score(TASKS[task], grid)[:, 0].reshape(30, 40), axis=1)

    assert steps().min() < -1e-3  # a sine by itself
    assert steps(monotone={"a": "increasing"}).min() >= -1e-6
    assert steps(monotone={"a": "decreasing"}).max() <= 1e-6


@pytest.mark.parametrize(
    ("kind", "task", "column", "message"),
    [
        ("lightgbm", "binary", "aa", r"monotone.aa: no number in the features has this name; did you mean 'a'"),
        ("lightgbm", "binary", "c", r"monotone.c: no number in the features"),
        ("linear", "binary", "a", r"^c: monotone needs inputs: native and trees; LogisticRegression has no such thing"),
        ("lightgbm", "multiclass", "a", r"^c: monotone is for two classes or a number"),
    ],
)
def test_a_column_that_cannot_be_held_is_one_line(kind: str, task: str, column: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(kind, task, monotone={column: "increasing"})


@pytest.mark.parametrize(
    "made",
    [
        {"op": "ratio", "column": "b", "with": "a"},
        {"op": "transformed", "output": "_transformed_0_0", "columns": ["c", "b", "a"]},
    ],
)
def test_what_is_made_of_a_monotone_column_is_refused_by_name(made: dict[str, Any]) -> None:
    features = [*FEATURES[:3], {"name": "made", **made}]
    conf = declared("lightgbm", "binary", monotone={"a": "increasing"})
    recipe = Recipe(conf, "c", 7, TASKS["binary"], features)
    with pytest.raises(InputError, match=r"monotone.a: made is made of it too, and would bend it"):
        fit_declared(recipe, rows("binary", 50, 1), rows("binary", 50, 2))


def test_balanced_classes_weigh_the_same_and_a_mapping_counts() -> None:
    y = np.array([0, 0, 0, 1])
    given = Rows(np.zeros((4, 1)), y, y, np.array([1.0, 1.0, 2.0, 3.0]), None)
    balanced = row_weights(given, "balanced", ["n", "p"], "c")
    assert balanced is not None
    assert balanced[y == 0].sum() == pytest.approx(balanced[y == 1].sum())
    assert balanced.sum() == pytest.approx(7)
    assert row_weights(given, {"p": 5.0}, ["n", "p"], "c").tolist() == [1, 1, 2, 15]  # type: ignore[union-attr]


def test_class_weights_change_what_is_fitted() -> None:
    heavy, light = (fit("lightgbm", "binary", class_weight=w).score(TASKS["binary"], X_NEW) for w in ({"p": 9.0}, None))
    assert heavy.mean() > light.mean() + 0.05


@pytest.mark.parametrize(
    ("kind", "task", "weights", "message"),
    [
        ("lightgbm", "regression", "balanced", "class_weight is for classes"),
        ("lightgbm", "binary", {"q": 2.0}, "class_weight.q: no such class"),
        ("lightgbm", "binary", {"p": -1.0}, "class_weight should be above 0, got -1"),
    ],
)
def test_class_weights_without_sense_are_one_line(kind: str, task: str, weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(kind, task, class_weight=weights)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "sklearn", "neural"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_stopping_keeps_the_best_on_validation_rows(kind: str) -> None:
    more = {"lightgbm": {"learning_rate": 0.9}, "xgboost": {"learning_rate": 0.9}, "sklearn": {"learning_rate": 0.9}}
    train, validation = rows("binary", 150, 1), rows("binary", 300, 2)

    def loss(**stop: Any) -> float:
        conf = declared(kind, "binary", **stop)
        conf.estimator.update(more.get(kind, {"learning_rate_init": 0.05, "max_iter": 60}))
        fitted = fit_declared(Recipe(conf, "c", 1, TASKS["binary"], FEATURES), train, validation)
        return validation_loss(conf, "binary", validation.y, fitted.score(TASKS["binary"], validation.X))

    if kind == "xgboost":
        pytest.importorskip("xgboost")
    assert loss(early_stopping=8) < loss()


def test_early_stopping_is_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match=r"^c: early_stopping: RandomForestClassifier has none"):
        fit("forest", "binary", early_stopping=5)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_contributions_add_up_to_the_answer_before_the_link(kind: str, task: str, tmp_path: Path) -> None:
    model = stored(tmp_path, fit(kind, task), task)
    for row in [*X_NEW[:20].tolist(), [np.nan] * 4]:
        parts = contributions(model, row)
        assert [list(columns) for _, columns in parts] == [["a", "b", "c"]] * model.n_outputs
        raw = [base + sum(columns.values()) for base, columns in parts]
        score = model.score_row(row)
        if task == "regression":
            expected = raw
        elif task == "binary":
            expected = [1 / (1 + np.exp(-raw[0]))]
        else:
            expected = (np.exp(raw) / np.exp(raw).sum()).tolist()
        assert score == pytest.approx(expected, rel=1e-9, abs=3e-9)  # where a forest says 0 or 1, 1e-9 from it
        assert contributions(model, row) == parts


@pytest.mark.parametrize("kind", ["xgboost", "sklearn", "neural", "forest"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_sampled_base_is_the_answer_to_the_reference_row(kind: str, tmp_path: Path) -> None:
    model = stored(tmp_path, fit(kind, "regression"), "regression")
    reference = model.meta["reference"]
    [(base, columns)] = contributions(model, reference)
    assert base == pytest.approx(model.score_row(reference)[0], rel=1e-12)
    assert set(columns.values()) == {0.0}


def test_a_linear_model_sampled_has_its_exact_parts(tmp_path: Path) -> None:
    """Two routes to one thing: the weights, and the samples against the mean training row."""
    train = rows("regression", 400, 1)
    train = Rows(np.nan_to_num(train.X), train.y, train.number, None, None)
    model = stored(tmp_path, fit("linear", "regression", train), "regression")
    row = np.nan_to_num(X_NEW[0])
    [(_, exact)] = contributions(model, row.tolist())
    reference = np.median(train.X, axis=0)
    reference[2] = row[2]
    [(_, from_reference)] = contributions(model, reference.tolist())
    columns = [source_of(feature) for feature in FEATURES]
    [(_, sampled)] = sampled_parts(model.score_matrix, reference.tolist(), row.tolist(), columns)
    assert sampled == pytest.approx({name: exact[name] - from_reference[name] for name in exact}, abs=1e-9)


def test_the_linear_base_is_the_mean_training_row(tmp_path: Path) -> None:
    train = rows("regression", 400, 1)
    model = stored(tmp_path, fit("linear", "regression", train), "regression")
    [(base, _)] = contributions(model, train.X[0].tolist())
    assert base == pytest.approx(train.y.mean())


def test_importance_deals_all_features_of_a_column_and_knows_what_is_idle() -> None:
    given = rows("binary", 500, 4)
    X = np.nan_to_num(given.X)
    X[:, 3] = X[:, 0]  # made of the same column

    def loss_of(of: Rows, values: np.ndarray) -> float:
        return float(np.abs(values[:, 0] - values[:, 3]).sum() + np.mean((values[:, 1] - X[:, 1]) ** 2))

    found = permutation_importance(FEATURES, Rows(X, given.y, given.number, None, None), loss_of, 1)
    assert [row[0] for row in found] == ["b", "a", "c"]
    assert found[0][1] == pytest.approx(2 * X[:, 1].var(), rel=0.2)
    assert found[1][1:] == found[2][1:] == [0.0, 0.0]
    assert found == permutation_importance(FEATURES, Rows(X, given.y, given.number, None, None), loss_of, 1)
    pair = [*FEATURES[:3], {"name": "c.ratio.a", "op": "ratio", "column": "c", "with": "a"}]
    by_name = {row[0]: row[1] for row in permutation_importance(pair, dataclasses.replace(given, X=X), loss_of, 1)}
    assert by_name["a"] == 0.0
    assert by_name["c"] > 1


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    target = tmp_path / "workspace"
    shutil.copytree(small, target)
    return target


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml")))
def test_a_choice_runs_through_to_the_wheel_and_is_the_same_for_any_threads(folder: Path, model: str) -> None:
    if model == "xgboost":
        pytest.importorskip("xgboost")
    found = set()
    for threads in ("1", "2", "4"):
        environment = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "LOKY_MAX_CPU_COUNT": threads}
        done = run_train(folder, model, environment)
        assert f"{model} (" in done
        found.add((dvc_hash(folder / "data/train"), dvc_hash(folder / "reports/train")))
    assert len(found) == 1
    run_stage(folder, "evaluate", *PIPELINE["evaluate"])
    assert "also alone, all equal" in run_stage(folder, "package", *PIPELINE["package"]).stdout


def run_train(folder: Path, model: str, environment: dict[str, str]) -> str:
    command = (sys.executable, "-m", "stages.train", f"model={model}", "seed=1")
    return run_in(folder, *command, PYTHONPATH=str(ROOT), **environment).stdout


@pytest.mark.parametrize("model", ["boosting", pytest.param("forest", marks=pytest.mark.slow)])
def test_the_wheel_explains_as_the_model_does(folder: Path, model: str, tmp_path: Path) -> None:
    if model != "boosting":
        run_stage(folder, "train", f"model={model}", "seed=1")
        run_stage(folder, "evaluate", *PIPELINE["evaluate"])
        run_stage(folder, "package", *PIPELINE["package"])
    [wheel] = (folder / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    packed = tmp_path / "site/toy_model/model"
    example = json.loads((packed / "examples.json").read_text())[0]
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); "
        "from toy_model.runtime.cli import main; main(['explain'])"
    )
    command, given = [sys.executable, "-I", "-c", code], json.dumps(example["record"])
    first, again = (
        subprocess.run(command, input=given, text=True, capture_output=True, check=True).stdout for _ in range(2)
    )
    assert first == again
    told = json.loads(first)
    assert {key: told[key] for key in example["answer"]} == example["answer"]
    assert set(told["contributions"]) <= set(example["record"])
    assert Predictor(packed).explain(example["record"]) == told
    raw = told["base"] + sum(told["contributions"].values())
    calibrated = make_calibrate(Model(packed).meta["calibration"])([1 / (1 + np.exp(-raw))])
    assert calibrated[0] == pytest.approx(told["probabilities"]["yes"], rel=1e-9, abs=3e-9)
