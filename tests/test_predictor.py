"""Stored models: a row scores as it does in a matrix, bit for bit, and as the library that fitted it says."""

from __future__ import annotations

import ctypes
import sys

import lightgbm
import numpy as np
import pytest
from conftest import ROOT, run_in
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from stages.runtime.archive import load_archive
from stages.runtime.booster import Booster
from stages.runtime.check import compile_check
from stages.runtime.contract import Column, Contract
from stages.runtime.dense import FAR, LARGEST, expand_matrix, expand_row, narrow_matrix, narrow_row
from stages.runtime.expression import Rule
from stages.runtime.model import Model
from stages.runtime.predictor import BrokenContract, Predictor, answer
from stages.shared.errors import InputError
from stages.shared.models.archive import skops_bytes
from stages.shared.models.dense import fit_dense, mean_and_deviation
from stages.shared.models.make import make_estimator
from stages.shared.models.store import store

FEATURES = [{"name": "a", "op": "number", "column": "a"}, {"name": "b", "op": "number", "column": "b"},
            {"name": "c", "op": "category", "column": "c", "levels": ["x", "y"]}]  # fmt: skip
TASKS = ["binary", "multiclass", "regression"]
N_CLASSES = {"binary": 2, "multiclass": 3}
ESTIMATORS = {
    ("linear", "binary"): LogisticRegression(), ("linear", "multiclass"): LogisticRegression(),
    ("linear", "regression"): Ridge(),
    ("lightgbm", "binary"): lightgbm.LGBMClassifier(n_estimators=20, min_child_samples=5, verbose=-1, n_jobs=1),
    ("lightgbm", "multiclass"): lightgbm.LGBMClassifier(n_estimators=10, min_child_samples=5, verbose=-1, n_jobs=1),
    ("lightgbm", "regression"): lightgbm.LGBMRegressor(n_estimators=20, min_child_samples=5, verbose=-1, n_jobs=1),
    ("skops", "binary"): RandomForestClassifier(12, max_depth=4, random_state=0, n_jobs=2),
    ("skops", "multiclass"): RandomForestClassifier(12, max_depth=4, random_state=0, n_jobs=2),
    ("skops", "regression"): RandomForestRegressor(12, max_depth=4, random_state=0, n_jobs=2),
}  # fmt: skip


def features(n_rows: int, seed: int) -> np.ndarray:
    """Two numbers and the codes of a category, each sometimes missing; code 2 is the unseen level."""
    random = np.random.default_rng(seed)
    X = np.column_stack(
        [random.normal(3, 2, n_rows), random.exponential(1e4, n_rows), random.integers(0, 3, n_rows).astype(float)]
    )
    X[random.random(X.shape) < 0.1] = np.nan
    return X


X = features(300, 1)
X_NEW = np.vstack([features(100, 2), [[np.nan] * 3, [0.0, -0.0, 2.0], [1e30, -1e30, 7.0], [5e-324, 1e-300, 0.0]]])


def targets(task: str) -> np.ndarray:
    signal = (
        np.nan_to_num(X[:, 0])
        + np.nan_to_num(X[:, 1]) / 1e4
        + np.nan_to_num(X[:, 2])
        + np.random.default_rng(3).normal(0, 1, len(X))
    )
    return (
        signal
        if task == "regression"
        else np.searchsorted(np.quantile(signal, [0.5] if task == "binary" else [0.3, 0.7]), signal)
    )


@pytest.fixture(scope="module", params=ESTIMATORS, ids="-".join)
def stored(request, tmp_path_factory):
    """(kind, task, the fitted estimator, what it is fed for X_NEW, the stored model)."""
    kind, task = request.param
    estimator = ESTIMATORS[kind, task]
    dense = None if kind == "lightgbm" else fit_dense(FEATURES, X)
    encode = (lambda X: X) if dense is None else (lambda X: expand_matrix(dense, X))
    extra = {"categorical_feature": [2]} if kind == "lightgbm" else {}
    estimator.fit(encode(X), targets(task), **extra)
    folder = tmp_path_factory.mktemp(f"{kind}-{task}")
    meta = {"task": task, "classes": ["k", "l", "m"][: N_CLASSES.get(task, 0)], "threshold": 0.5, "dense": dense}
    assert store(folder, estimator, meta)["kind"] == kind
    return kind, task, estimator, encode(X_NEW), Model(folder)


def test_row_scores_as_in_the_matrix(stored):
    *_, model = stored
    together = model.score_matrix(X_NEW)
    alone = np.array([model.score_row(row) for row in X_NEW.tolist()])
    assert together.shape == (len(X_NEW), model.n_outputs)
    assert together.tobytes() == alone.tobytes()
    assert model.score_matrix(X_NEW[::-1]).tobytes() == together[::-1].tobytes()


def test_number_beyond_single_precision_is_answered(stored):
    """A contract without `max` accepts 1e300; trees of scikit-learn hold single-precision numbers."""
    *_, model = stored
    assert np.isfinite(model.score_row([1e300, -1e300, 0.0])).all()


def test_no_rows_give_no_scores(stored):
    kind, *_, model = stored
    if kind != "skops":  # scikit-learn refuses them
        assert model.score_matrix(X_NEW[:0]).shape == (0, model.n_outputs)


def test_scores_are_the_librarys_own(stored):
    kind, task, estimator, fed, model = stored
    expected = estimator.predict(fed)[:, None] if task == "regression" else estimator.predict_proba(fed)
    expected = expected[:, 1:] if task == "binary" else expected
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if kind == "linear" else {"rtol": 1e-13, "atol": 0}
    np.testing.assert_allclose(model.score_matrix(X_NEW), expected, **tolerance)


def test_plain_least_squares_is_stored_as_weights_too(tmp_path):
    estimator = LinearRegression().fit(np.nan_to_num(X), targets("regression"))
    assert (
        store(tmp_path, estimator, {"task": "regression", "classes": [], "threshold": 0.5, "dense": None})["kind"]
        == "linear"
    )
    rows = np.nan_to_num(X_NEW[:100])
    np.testing.assert_allclose(
        Model(tmp_path).score_matrix(rows)[:, 0], estimator.predict(rows), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("task", TASKS)
def test_booster_answers_exactly_as_lightgbm(task):
    arguments = {"num_class": 3} if task == "multiclass" else {}
    objective = {"objective": task, "verbose": -1, "min_data_in_leaf": 5, "num_threads": 1} | arguments
    trained = lightgbm.train(objective, lightgbm.Dataset(X, targets(task), categorical_feature=[2]), 15)
    own = lightgbm.Booster(model_str=trained.model_to_string())
    booster = Booster(trained.model_to_string(), 3 if task == "multiclass" else 1)
    expected = np.asarray(own.predict(X_NEW, num_threads=1)).reshape(len(X_NEW), -1)
    assert booster.predict_matrix(X_NEW).tobytes() == expected.tobytes()
    assert booster.predict_matrix(np.asfortranarray(X_NEW)).tobytes() == expected.tobytes()
    assert np.array([booster.predict_row(row) for row in X_NEW.tolist()]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("text", ["", "not a model", "tree\nversion=v4\n"])
def test_broken_booster_text_is_an_error(text):
    with pytest.raises(RuntimeError, match="LightGBM: "):
        Booster(text, 1)


def test_booster_refuses_a_row_of_another_length():
    trained = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, targets("binary")), 2
    )
    booster = Booster(trained.model_to_string(), 1)
    with pytest.raises(RuntimeError, match=r"LightGBM: .*number of features"):
        booster.predict_row([1.0, 2.0])


def test_booster_frees_its_model(monkeypatch):
    trained = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, targets("binary")), 2
    )
    booster = Booster(trained.model_to_string(), 1)
    freed = []
    monkeypatch.setattr(
        booster, "_library", type("Library", (), {"LGBM_BoosterFree": lambda self, handle: freed.append(handle)})()
    )
    booster.__del__()
    assert [type(handle) for handle in freed] == [ctypes.c_void_p]


NUMBERS = st.just(np.nan) | st.floats(-1e12, 1e12) | st.floats() | st.sampled_from([0.0, -0.0, 1.0, 2.0, 5e-324])
MEDIANS = st.floats(-1e6, 1e6) | st.floats(-LARGEST, LARGEST)
SCALES = st.floats(1e-3, 1e6) | st.floats(5e-324, LARGEST)
ENTRIES = st.fixed_dictionaries({"levels": st.integers(1, 4)}) | st.fixed_dictionaries(
    {"median": MEDIANS, "mean": MEDIANS, "scale": SCALES, "flag": st.booleans()})  # fmt: skip


@settings(deadline=None, database=None, derandomize=True)
@given(st.lists(ENTRIES, min_size=1, max_size=5).flatmap(
    lambda dense: st.tuples(st.just(dense), st.lists(st.lists(NUMBERS, min_size=len(dense), max_size=len(dense)),
    min_size=1, max_size=5))))  # fmt: skip
def test_dense_row_and_matrix_are_the_same_bits(case):
    dense, rows = case
    of_rows = np.array([expand_row(dense, row) for row in rows])
    assert expand_matrix(dense, np.array(rows)).tobytes() == of_rows.tobytes()
    assert np.abs(of_rows).max() <= FAR


@settings(deadline=None, database=None, derandomize=True)
@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_any_training_column_is_encoded_without_a_warning(values):
    [entry] = fit_dense(FEATURES[:1], np.array(values)[:, None])
    assert np.isfinite([entry["median"], entry["mean"], entry["scale"]]).all()
    assert entry["scale"] > 0
    assert np.isfinite(expand_matrix([entry], np.array(values)[:, None])).all()


@pytest.mark.parametrize(
    ("values", "mean", "scale"),
    [
        ([4e307, 4e307, 0.0, 0.0], 2e307, 2e307),  # their sum and their squares overflow
        ([2e-300, 0.0], 1e-300, 1e-300),  # their squares vanish
        ([1e300, 1e-300], 5e299, 5e299),
        ([np.inf, -np.inf, 1.7e308, -1.7e308], 0.0, LARGEST),
    ],
)
def test_mean_and_scale_of_huge_and_tiny_numbers(values, mean, scale):
    [entry] = fit_dense(FEATURES[:1], np.array(values)[:, None])
    assert (entry["mean"], entry["scale"]) == (pytest.approx(mean, rel=1e-12), pytest.approx(scale, rel=1e-12))


def test_mean_and_scale_of_ordinary_numbers_are_numpys_bit_for_bit():
    for scale in (1e-9, 1.0, 3e7):
        values = np.random.default_rng(5).normal(3, 2, 1001) * scale
        assert mean_and_deviation(values) == (float(np.mean(values)), float(np.std(values)))


def test_narrow_row_and_matrix_are_the_same_bits():
    row = [np.nan, 1e300, -np.inf, np.inf, -0.0, 5e-324, 1e30]
    assert np.array(narrow_row(row)).tobytes() == narrow_matrix(np.array([row]))[0].tobytes()
    assert narrow_row(row)[1:] == [2.0**100, -(2.0**100), 2.0**100, 0.0, 5e-324, 1e30]


def test_dense_encoding_is_what_it_says():
    train = np.array([[1.0, 0.0], [np.nan, 1.0], [4.0, np.nan], [1.0, 2.0]])  # median 1; imputed 1 1 4 1: mean 1.75
    dense = fit_dense([FEATURES[0], {**FEATURES[2], "levels": ["x"]}], train)
    assert dense == [{"median": 1.0, "mean": 1.75, "scale": pytest.approx(27**0.5 / 4), "flag": True}, {"levels": 2}]
    scale = dense[0]["scale"]
    assert expand_row(dense, [np.nan, 1.0]) == [-0.75 / scale, 1.0, 0.0, 1.0]
    assert expand_row(dense, [4.0, np.nan]) == [2.25 / scale, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("values", [[2.0, 2.0], [np.nan, np.nan]])
def test_constant_or_empty_number_is_not_divided_by_zero(values):
    [entry] = fit_dense(FEATURES[:1], np.array(values)[:, None])
    assert entry["scale"] == 1.0


@pytest.mark.parametrize(
    ("meta", "scores", "expected"),
    [
        ({"task": "regression"}, [1.5], {"prediction": 1.5}),
        ({"task": "binary", "classes": ["n", "p"], "threshold": 0.25}, [0.25],
         {"prediction": "p", "probabilities": {"n": 0.75, "p": 0.25}}),
        ({"task": "binary", "classes": ["n", "p"], "threshold": 0.5}, [0.25],
         {"prediction": "n", "probabilities": {"n": 0.75, "p": 0.25}}),
        ({"task": "multiclass", "classes": ["a", "b", "c"], "factors": [1.0, 1.0, 1.0]}, [0.2, 0.4, 0.4],
         {"prediction": "b", "probabilities": {"a": 0.2, "b": 0.4, "c": 0.4}}),
        ({"task": "multiclass", "classes": ["a", "b", "c"], "factors": [2.5, 1.0, 1.2]}, [0.2, 0.4, 0.4],
         {"prediction": "a", "probabilities": {"a": 0.2, "b": 0.4, "c": 0.4}}),
    ],
)  # fmt: skip
def test_answer_names_the_class(meta, scores, expected):
    assert answer(meta, scores) == expected


class Stranger(BaseEstimator):
    def fit(self, X, y):
        return self


def test_estimator_of_an_unknown_type_is_not_stored():
    with pytest.raises(InputError, match=r"Stranger cannot be stored.*\(TRUSTED\)\n  .*Stranger"):
        skops_bytes(Stranger())


def test_an_estimator_declared_with_a_list_is_stored():
    arguments = {"_target_": "sklearn.neural_network.MLPClassifier", "hidden_layer_sizes": [2], "activation": "tanh"}
    X = np.arange(20.0).reshape(10, 2)
    estimator = make_estimator({**arguments, "tol": 1.0}, 1, "c", "binary").fit(X, X[:, 0] > 9)
    assert load_archive(skops_bytes(estimator)).predict_proba(X).tolist() == estimator.predict_proba(X).tolist()


DUMP = """
import sys
from pathlib import Path
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stages.shared.models.archive import skops_bytes
padding = [object() for _ in range(int(sys.argv[2]))]  # other addresses than in the other process
X, y = np.arange(120.0).reshape(40, 3) % 7, np.arange(40) % 3
estimators = [RandomForestClassifier(3, random_state=0), HistGradientBoostingClassifier(max_iter=3, random_state=0),
              make_pipeline(StandardScaler(), KNeighborsClassifier())]
for number, estimator in enumerate(estimators):
    Path(f"{sys.argv[1]}/{number}.skops").write_bytes(skops_bytes(estimator.fit(X, y)))
"""


def test_archive_has_the_same_bytes_from_any_process(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    run_in(tmp_path, sys.executable, "-c", DUMP, str(there), "50000", PYTHONPATH=str(ROOT), PYTHONHASHSEED="5")
    monkeypatch.setattr("sys.argv", ["", str(here), "3"])
    exec(DUMP, {})
    dumped = [{path.name: path.read_bytes() for path in sorted(folder.iterdir())} for folder in (here, there)]
    assert list(dumped[0]) == ["0.skops", "1.skops", "2.skops"]
    assert [name for name in dumped[0] if dumped[0][name] != dumped[1][name]] == []


def bare_predictor(on_violation: str) -> Predictor:
    """A predictor that only reads its record."""
    columns = {"a": Column("integer", max=9, on_violation=on_violation), "b": Column("integer")}
    columns |= {"y": Column("number", "target")}
    asked = Predictor.__new__(Predictor)
    asked.contract = Contract("t", "regression", None, columns, [], {"fits": Rule("a <= b", "fail")})
    asked._check = compile_check(asked.contract, asked.contract.inputs)
    asked._row_features = lambda values: [values["a"], values["b"]]
    return asked


def test_value_that_its_column_makes_missing_refuses_no_request():
    assert bare_predictor("null")._featurize({"a": 10, "b": 3}) == [None, 3]


@pytest.mark.parametrize("on_violation", ["quarantine", "fail"])
def test_value_that_sets_a_row_aside_refuses_the_request(on_violation):
    with pytest.raises(BrokenContract, match=r"^a: max, got '10'$"):
        bare_predictor(on_violation)._featurize({"a": 10, "b": 3})


def test_broken_rule_refuses_the_request_and_nulled_values_are_not_named():
    with pytest.raises(BrokenContract, match=r"^fits: check, got 'a=4, b=3'$"):
        bare_predictor("null")._featurize({"a": 4, "b": 3})
    with pytest.raises(BrokenContract, match=r"^b: type, got 'x'$"):
        bare_predictor("null")._featurize({"a": 10, "b": "x"})
