"""transformers in conf/features: one answer for a row, a batch and a table; what cannot give that is refused."""

from __future__ import annotations

import json
import math
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import yaml
from conftest import PIPELINE, TOY, make_workspace, run_in, run_stage, toy_rows, write_toy
from sklearn import impute, preprocessing

from stages.runtime.contract import Contract, Violation
from stages.runtime.plan import compile_row, table_sql
from stages.runtime.predictor import BrokenContract, Predictor
from stages.runtime.shapley import source_of
from stages.runtime.transformer import load_transformers, transformed
from stages.shared.features.transformed import BY_VALUE

TABLE = TOY.replace("  colour:", "  age: {type: integer}\n  colour:")
IMPUTER = {"_target_": "sklearn.impute.SimpleImputer", "strategy": "median"}
Declared = dict[str, Any]


def of(target: str, *columns: str, **arguments: Any) -> Declared:
    return {"_target_": f"sklearn.{target}", "of": list(columns), **arguments}


def piped(*steps: Declared, of: list[str], name: str) -> Declared:
    return {"_target_": "sklearn.pipeline.make_pipeline", "_args_": list(steps), "of": of, "name": name}


def ufunc(path: str) -> Declared:
    return {"_target_": "hydra.utils.get_method", "path": path}


MANY = [
    of("preprocessing.QuantileTransformer", "age", "size", n_quantiles=50, output_distribution="normal"),
    of("preprocessing.QuantileTransformer", "size", n_quantiles=7, subsample=90, name="sampled"),
    of("preprocessing.PowerTransformer", "size", "age"),
    of("preprocessing.RobustScaler", "size", quantile_range=[10, 90]),
    of("preprocessing.FunctionTransformer", "size", func=ufunc("numpy.log1p")),
    of("impute.KNNImputer", "size", "age"),
    of("decomposition.TruncatedSVD", "colour", n_components=1),
    piped(IMPUTER, {"_target_": "sklearn.decomposition.PCA"}, of=["size", "age", "colour", "day", "note"], name="pca"),
    piped(IMPUTER, {"_target_": "sklearn.preprocessing.SplineTransformer"}, of=["age"], name="spline"),
    piped(
        IMPUTER,
        {"_target_": "sklearn.preprocessing.KBinsDiscretizer", "n_bins": 4},
        of=["age", "size"],
        name="bins",
    ),
    piped(IMPUTER, {"_target_": "sklearn.cluster.KMeans", "n_clusters": 3}, of=["size"], name="near"),
    piped(
        IMPUTER,
        {"_target_": "sklearn.kernel_approximation.Nystroem", "n_components": 6},
        of=["age", "size"],
        name="kernel",
    ),
]  # fmt: skip
CONF = {
    "categories": {"encode": ["code", "target"], "min_rows": 5},
    "dates": {"parts": ["month"], "since": ["2024-01-01"]},
    "text": {"measures": ["words"], "grams": ["words"], "min_rows": 2},
}


def rows_with_gaps(n_rows: int = 400, seed: int = 3) -> list[list[str]]:
    """The toy table with a column `age`; a tenth of sizes and ages are missing, no colour or day is."""
    rng = random.Random(seed)
    header, *rows = toy_rows(n_rows)
    found = [[*header[:3], "age", *header[3:]]]
    for row in rows:
        size, age = (value if rng.random() > 0.1 else "" for value in (row[2], str(rng.randint(18, 90))))
        found.append([*row[:2], size, age, *row[3:]])
    return found


def featurized(
    workspace: Path, transformers: list[Declared], rows: list[list[str]] | None = None, check: bool = True, **more: Any
) -> subprocess.CompletedProcess[str]:
    write_toy(workspace, rows or rows_with_gaps())
    (workspace / "conf/data/toy.yaml").write_text(TABLE)
    run_stage(workspace, "prepare", "data=toy")
    (workspace / "conf/features/mine.yaml").write_text(yaml.safe_dump({**CONF, "transformers": transformers, **more}))
    return run_stage(workspace, "featurize", "features=mine", check=check)


def bits(values: Any) -> list[bytes]:
    missing = [value is None or math.isnan(value) for value in values]
    return [b"" if gone else struct.pack("<d", value) for gone, value in zip(missing, values, strict=True)]


def test_row_and_table_have_the_same_bits_on_rows_not_trained_on(workspace: Path) -> None:
    featurized(workspace, MANY, drop_constant=False, drop_duplicate=False)
    data = workspace / "data"
    plan = json.loads((data / "featurize/plan.json").read_text())
    names = [feature["name"] for feature in plan]
    assert len([name for name in names if name.startswith(("quantiletransformer_", "sampled_", "pca_"))]) == 2 + 1 + 8
    evaluate = compile_row(plan, load_transformers(data / "featurize"))
    asked = ", ".join(f't."{name}"' for name in names)
    source = f"""'{data}/prepare/kept.parquet' AS kept JOIN '{data}/featurize/features.parquet' AS t
        USING (_row) WHERE t._split <> 'train' ORDER BY _row"""
    given = duckdb.execute(f"SELECT kept.* FROM {source}")
    columns = [item[0] for item in given.description or []]
    rows, features = given.fetchall(), duckdb.execute(f"SELECT {asked} FROM {source}").fetchall()
    assert len(rows) == 200
    for row, expected in zip(rows, features, strict=True):
        found = dict(zip(names, bits(evaluate(dict(zip(columns, row, strict=True)))), strict=True))
        assert found == dict(zip(names, bits(expected), strict=True))


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages ran, with transformers and a linear model."""
    folder = make_workspace(tmp_path_factory.mktemp("packaged") / "workspace")
    featurized(folder, MANY)
    for stage in ("train", "evaluate", "package"):
        run_stage(folder, stage, *["model=linear" if word == "model=boosting" else word for word in PIPELINE[stage]])
    [wheel] = (folder / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder


def test_the_wheel_gives_a_row_and_a_batch_the_same_answers_and_says_what_it_needs(packaged: Path) -> None:
    """Package has replayed all test rows in batches, as evaluate saw them in the table; here rows go one by one."""
    predictor = Predictor(packaged / "site/toy_model/model")
    kept = duckdb.execute(
        f"SELECT size, age, colour, note, day::VARCHAR AS day FROM '{packaged}/data/prepare/kept.parquet'"
    )
    names = [item[0] for item in kept.description or []]
    records = [dict(zip(names, row, strict=True)) for row in kept.fetchall()]
    assert predictor.predict_many(records) == [predictor.predict(record) for record in records]
    [metadata] = (packaged / "site").glob("*.dist-info/METADATA")
    required = [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")]
    assert [line.split()[1].split("=")[0] for line in required] == ["numpy>", "scikit-learn", "skops"]


def test_parts_are_named_after_the_columns_and_add_up(packaged: Path) -> None:
    predictor = Predictor(packaged / "site/toy_model/model")
    record = {"size": 40, "age": 30, "colour": "red", "note": "a a", "day": "2024-11-02"}
    explained = predictor.explain(record)
    assert {"size", "age x size", "size x age x colour x day x note"} <= set(explained["contributions"])
    raw = predictor.model.raw_matrix(np.array([predictor._featurize(record)]))[0, 0]
    assert explained["base"] + sum(explained["contributions"].values()) == pytest.approx(raw)
    importance = (packaged / "reports/train/plots/importance.csv").read_text().splitlines()[1:]
    assert {line.split(",")[0] for line in importance} == {"size", "age", "colour", "note", "day"}


def test_a_table_without_transformers_has_no_file_of_them(small: Path) -> None:
    assert sorted(path.name for path in (small / "data/featurize").iterdir()) == ["features.parquet", "plan.json"]


@pytest.mark.parametrize("other", ["threads", "rows"])
def test_neither_threads_nor_other_rows_change_what_is_fitted(workspace: Path, tmp_path: Path, other: str) -> None:
    featurized(workspace, MANY)
    data = workspace / "data/featurize"
    first = {path.name: path.read_bytes() for path in data.iterdir()}
    assert len(first) == 3 + len(MANY)
    if other == "rows":
        rows = rows_with_gaps()
        for row in rows[1:]:
            if row[1] >= "2024-07":
                row[2], row[3] = str(float(row[2] or 3) / 7), "44"
        featurized(workspace, MANY, rows)
        del first["features.parquet"]
    else:
        variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "99"}
        root = str(Path(__file__).parent.parent)
        run_in(workspace, sys.executable, "-m", "stages.featurize", "features=mine", PYTHONPATH=root, **variables)
    assert {name: (data / name).read_bytes() for name in first} == first


def test_useless_outputs_go_and_their_archives_with_them(workspace: Path) -> None:
    constant = of("preprocessing.Binarizer", "size", threshold=1000.0)
    same = of("preprocessing.FunctionTransformer", "size")
    kept = of("preprocessing.StandardScaler", "age")
    full = [row if row[2] else [*row[:2], "1", *row[3:]] for row in rows_with_gaps()]
    featurized(workspace, [constant, same, kept], full)
    summary = json.loads((workspace / "reports/featurize/summary.json").read_text())
    assert summary["dropped_constant"] == ["binarizer_0"]
    assert summary["dropped_duplicate"] == {"functiontransformer_0": "size"}
    assert [path.name for path in sorted((workspace / "data/featurize").glob("*.skops"))] == ["transformed_2.skops"]


@pytest.mark.parametrize("kind", BY_VALUE)
def test_what_is_asked_in_blocks_gives_the_bits_of_rows_alone(kind: str) -> None:
    rng = np.random.default_rng(5)
    X = np.round(rng.normal(0, 10, (3000, 3)), 1) * [1, 1e-3, 1e9]
    arguments: dict[str, Any] = {
        "OneHotEncoder": {"handle_unknown": "ignore"}, "OrdinalEncoder": {"handle_unknown": "use_encoded_value",
        "unknown_value": -1}, "QuantileTransformer": {"output_distribution": "normal", "random_state": 0},
        "KBinsDiscretizer": {"quantile_method": "averaged_inverted_cdf"},
    }.get(kind, {})  # fmt: skip
    estimator = getattr(impute if kind == "SimpleImputer" else preprocessing, kind)(**arguments).fit(X[:500])
    if kind in ("SimpleImputer", "QuantileTransformer", "StandardScaler"):
        X[rng.random(X.shape) < 0.1] = np.nan
    alone = np.concatenate([transformed(estimator, row[None]) for row in X[400:1000]])
    assert transformed(estimator, X)[400:1000].tobytes() == alone.tobytes()


def ask(workspace: Path, **record: Any) -> list[float]:
    """Return what transformers give of a record in the packaged model, which has no model yet."""
    data, predictor = workspace / "data", Predictor.__new__(Predictor)
    predictor.contract = Contract.from_json(json.loads((data / "prepare/contract.json").read_text()))
    plan = json.loads((data / "featurize/plan.json").read_text())
    predictor._row_features = compile_row(plan, load_transformers(data / "featurize"))
    found = predictor._featurize(record)
    return [value for value, feature in zip(found, plan, strict=True) if feature["op"] == "transformed"]


def test_a_value_missing_for_the_first_time_is_missing_after_a_transformer_that_takes_none(workspace: Path) -> None:
    full = [[*row[:2], row[2] or "1", row[3] or "30", *row[4:]] for row in rows_with_gaps()]
    featurized(workspace, [of("decomposition.PCA", "size", "age")], full)
    record = {"size": 5, "age": 30, "colour": "red", "day": "2024-02-01"}
    assert np.isfinite(ask(workspace, **record)).all()
    assert np.isnan(ask(workspace, **{**record, "age": None})).all()


def test_an_answer_that_is_not_finite_is_missing_in_a_request(workspace: Path) -> None:
    full = [[*row[:2], row[2] if (row[2] or "0") != "0" else "1", *row[3:]] for row in rows_with_gaps()]
    featurized(workspace, [of("preprocessing.FunctionTransformer", "size", func=ufunc("numpy.log"))], full)
    record = {"age": 30, "colour": "red", "day": "2024-02-01"}
    assert ask(workspace, size=5, **record) == [math.log(5)]
    assert np.isnan(ask(workspace, size=0, **record)).all()


def test_a_value_that_a_transformer_refuses_refuses_the_request(workspace: Path) -> None:
    full = [[*row[:2], str(i % 5), *row[3:]] for i, row in enumerate(rows_with_gaps())]
    full[0][2] = "size"
    featurized(workspace, [of("preprocessing.OneHotEncoder", "size")], full)
    record = {"age": 30, "colour": "red", "day": "2024-02-01"}
    assert sum(ask(workspace, size=3, **record)) == 1
    with pytest.raises(BrokenContract) as caught:
        ask(workspace, size=77, **record)
    reason = "onehotencoder: Found unknown categories [np.float64(77.0)] in column 0 during transform"
    assert caught.value.violations == [Violation("size", "transformer", reason)]


def test_parts_go_to_all_columns_that_a_transformer_reads() -> None:
    feature = {"name": "pca_0", "op": "transformed", "output": "_transformed_0_0", "columns": ["a", "b", "c"]}
    assert source_of(feature) == "a x b x c"
    assert 't."_transformed_0_0"' in table_sql([feature], "kept")


SIZE = {"of": ["size"]}
FAULTS: dict[str, tuple[list[Any], str]] = {
    "no such class": (
        [of("preprocessing.QuantileTransformr", "size")],
        "transformers[0]: sklearn.preprocessing.QuantileTransformr cannot be made: No module named",
    ),
    "no class": ([SIZE], "transformers[0]: no _target_"),
    "no mapping": (["PCA"], "transformers[0]: should be a mapping, got 'PCA'"),
    "no columns": ([{"_target_": "sklearn.decomposition.PCA"}], "[0].of: should be a list of input columns"),
    "near column": ([of("decomposition.PCA", "sise")], "[0].of: no input column 'sise'; did you mean 'size'?"),
    "role": ([of("decomposition.PCA", "bought")], "transformers[0].of: bought has role target in toy"),
    "no feature": ([of("decomposition.PCA", "note", "size")], "transformers[0].of: no feature is made of note"),
    "argument": (
        [of("decomposition.PCA", "size", n_component=2)],
        "PCA cannot be made: PCA.__init__() got an unexpected keyword argument 'n_component'",
    ),
    "value": (
        [of("preprocessing.QuantileTransformer", "size", n_quantiles=-1)],
        "transformers[0]: QuantileTransformer cannot be fitted: The 'n_quantiles' parameter of",
    ),
    "not a transformer": (
        [of("linear_model.Ridge", "size")],
        "transformers[0]: sklearn.linear_model.Ridge is not a transformer: it has no transform",
    ),
    "a class": (
        [{"_target_": "hydra.utils.get_class", "path": "sklearn.decomposition.PCA", **SIZE}],
        "transformers[0]: hydra.utils.get_class is not a transformer: it gives a class",
    ),
    "the target": (
        [of("preprocessing.TargetEncoder", "colour")],
        "transformers[0]: sklearn.preprocessing.TargetEncoder learns from the target",
    ),
    "the target, within": (
        [piped(IMPUTER, {"_target_": "sklearn.feature_selection.SelectKBest", "k": 1}, of=["size"], name="best")],
        "transformers[0]: Pipeline learns from the target",
    ),
    "missing": (
        [of("decomposition.PCA", "size", "colour")],
        "transformers[0]: PCA takes no missing values, and size lacks them in ",
    ),
    "other rows": (
        [of("preprocessing.FunctionTransformer", "colour", func=ufunc("sklearn.preprocessing.scale"))],
        "transformers[0]: FunctionTransformer makes of a row alone not what it makes of it among others",
    ),
    "not finite": (
        [of("preprocessing.FunctionTransformer", "colour", func=ufunc("numpy.log"))],
        "transformers[0]: FunctionTransformer gives -inf in row 1, where colour is 0",
    ),
    "cannot be stored": ([of("cluster.Birch", "colour")], "transformers[0]: Birch cannot be stored: "),
    "of a strange type": (
        [of("cluster.FeatureAgglomeration", "colour", "day")],
        "transformers[0]: FeatureAgglomeration cannot be stored: a packaged model loads only the types in",
    ),
    "same name": (
        [of("decomposition.PCA", "colour"), of("decomposition.PCA", "colour")],
        "transformers[1].name: 'pca' names an earlier one",
    ),
    "name of a feature": (
        [of("preprocessing.StandardScaler", "size", name="a"), of("preprocessing.StandardScaler", "size", name="A")],
        "transformers[1].name: there is a feature A_0 already",
    ),
    "odd name": ([of("decomposition.PCA", "size", name="a b")], "transformers[0].name: should be letters, digits"),
}  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workspace(tmp_path_factory.mktemp("prepared") / "workspace")
    featurized(folder, [])
    return folder


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_a_feature_is_one_clear_line(case: str, prepared: Path) -> None:
    transformers, message = FAULTS[case]
    (prepared / "conf/features/faulty.yaml").write_text(
        yaml.safe_dump({"dates": {"parts": ["day"]}, "transformers": transformers})
    )
    done = run_stage(prepared, "featurize", "features=faulty", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if message in line]
    assert "conf/features/faulty.yaml" in done.stderr
    assert len(line) < 320
