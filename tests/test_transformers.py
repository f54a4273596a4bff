"""transformers in conf/features: one answer for a row, a batch and a table; what cannot give that is refused."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import yaml
from conftest import PIPELINE, ROOT, TOY, make_workspace, run_in, run_stage, toy_rows, write_toy
from sklearn import impute, preprocessing

from stages.featurize import main
from stages.runtime.check import compile_check
from stages.runtime.contract import Contract
from stages.runtime.plan import compile_row, table_sql
from stages.runtime.predictor import BrokenContract, Predictor
from stages.runtime.scoring.matrix import matrix_by_rows
from stages.runtime.shapley import source_of
from stages.runtime.transformer import load_transformers, transformed
from stages.shared.errors import InputError
from stages.shared.features.transformed import BY_VALUE

TABLE = TOY.replace("  colour:", "  age: {type: integer}\n  colour:")
IMPUTER = {"_target_": "sklearn.impute.SimpleImputer", "strategy": "median"}
Declared = dict[str, Any]
Featurize = Callable[..., list[dict[str, Any]]]


def of(target: str, *columns: str, **arguments: Any) -> Declared:
    return {"_target_": f"sklearn.{target}", "of": list(columns), **arguments}


def piped(*steps: Declared, of: list[str], name: str) -> Declared:
    return {"_target_": "sklearn.pipeline.make_pipeline", "_args_": list(steps), "of": of, "name": name}


def method(path: str) -> Declared:
    return {"_target_": "hydra.utils.get_method", "path": path}


MANY = [
    of("preprocessing.QuantileTransformer", "age", "size", n_quantiles=50, output_distribution="normal"),
    of("preprocessing.QuantileTransformer", "size", n_quantiles=7, subsample=90, name="sampled"),
    of("preprocessing.PowerTransformer", "size", "age"),
    of("preprocessing.RobustScaler", "size", quantile_range=[10, 90]),
    of("preprocessing.FunctionTransformer", "size", func=method("numpy.log1p")),
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
    "text": {"measures": ["words"], "grams": ["words"], "min_rows": 2, "components": 2},
}


def rows_with_gaps(n_rows: int = 400, seed: int = 3) -> list[list[str]]:
    """The toy table with a column `age`; a tenth of sizes and ages are missing, no colour or day is."""
    rng = random.Random(seed)
    header, *rows = toy_rows(n_rows)
    found = [[*header[:3], "age", *header[3:]]]
    for row in rows:
        size, age = (value if rng.random() > 0.1 else "" for value in (row[2], str(rng.randint(18, 90))))
        note = " ".join(rng.choices(["good", "bad", "fine", "odd", "late"], k=rng.randrange(5)))
        found.append([*row[:2], size, age, row[3], note, row[5]])
    return found


def prepare(folder: Path, rows: list[list[str]]) -> Path:
    """Put rows, prepared, into a folder with conf/."""
    write_toy(folder, rows)
    (folder / "conf/data/toy.yaml").write_text(TABLE)
    run_stage(folder, "prepare", "data=toy")
    return folder


def choose(folder: Path, transformers: list[Any], **more: Any) -> None:
    (folder / "conf/features/mine.yaml").write_text(yaml.safe_dump({**CONF, "transformers": transformers, **more}))


@pytest.fixture(scope="module")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a feature plan that holds a transformer."""
    folder = prepare(make_workspace(tmp_path_factory.mktemp("featurized") / "workspace"), rows_with_gaps())
    choose(folder, MANY[:1])
    run_stage(folder, "featurize", "features=mine")
    return folder


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages ran, with transformers and a linear model."""
    folder = prepare(make_workspace(tmp_path_factory.mktemp("packaged") / "workspace"), rows_with_gaps())
    choose(folder, MANY)
    given = {**PIPELINE, "featurize": ["features=mine"], "train": ["model=linear", "seed=1"]}
    for stage in ("featurize", "train", "evaluate", "package"):
        run_stage(folder, stage, *given[stage])
    [wheel] = (folder / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose table has no missing size or age, prepared. Its features are each test's own."""
    folder = make_workspace(tmp_path_factory.mktemp("whole") / "workspace")
    return prepare(folder, [[*row[:2], row[2] or "1", row[3] or "30", *row[4:]] for row in rows_with_gaps()])


@pytest.fixture
def featurize(monkeypatch: pytest.MonkeyPatch) -> Featurize:
    """Run featurize in this process, which has imported scikit-learn already; return the plan."""

    def run(folder: Path, transformers: list[Any], **more: Any) -> list[dict[str, Any]]:
        choose(folder, transformers, **more)
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["featurize", "features=mine"])
        main()
        return json.loads((folder / "data/featurize/plan.json").read_text())

    return run


def bits(values: Any) -> list[bytes]:
    missing = [value is None or math.isnan(value) for value in values]
    return [b"" if gone else struct.pack("<d", value) for gone, value in zip(missing, values, strict=True)]


@pytest.mark.slow
def test_row_and_table_have_the_same_bits_on_rows_not_trained_on(packaged: Path) -> None:
    data = packaged / "data"
    plan = json.loads((data / "featurize/plan.json").read_text())
    names = [feature["name"] for feature in plan]
    [read] = [each["inputs"] for each in json.loads((data / "featurize/transformers.json").read_text())
              if each["name"] == "pca"]  # fmt: skip
    assert {feature["op"] for feature in read} >= {"number", "category", "target", "part", "score", "component"}
    assert {"quantiletransformer_1", "sampled_0", f"pca_{len(read) - 1}"} <= {*names}
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


@pytest.mark.slow
def test_the_wheel_gives_a_row_and_a_batch_the_same_answers_and_says_what_it_needs(packaged: Path) -> None:
    """Package has replayed all test rows in batches, as evaluate saw them in the table; here rows go one by one."""
    predictor = Predictor(packaged / "site/toy_model/model")
    kept = duckdb.execute(
        f"SELECT size, age, colour, note, day::VARCHAR AS day FROM '{packaged}/data/prepare/kept.parquet'"
    )
    names = [item[0] for item in kept.description or []]
    records = [dict(zip(names, row, strict=True)) for row in kept.fetchall()[::8]]
    assert predictor.predict_many(records) == [predictor.predict(record) for record in records]
    [metadata] = (packaged / "site").glob("*.dist-info/METADATA")
    required = [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")]
    base = [line for line in required if "extra ==" not in line]
    assert [line.split()[1].split("=")[0] for line in base] == ["numpy>", "scikit-learn", "skops"]


@pytest.mark.slow
def test_a_table_is_scored_row_by_row_where_a_transformer_has_no_table_form(packaged: Path, tmp_path: Path) -> None:
    predictor = Predictor(packaged / "site/toy_model/model")
    found = duckdb.sql(
        f"SELECT size, age, colour, note, day::VARCHAR AS day FROM '{packaged}/data/prepare/kept.parquet' LIMIT 60"
    )
    names = [name for name, *_ in found.description]
    duckdb.execute(f"COPY ({found.sql_query()}) TO '{tmp_path}/in.parquet'")
    lines = f"""import sys; sys.path.insert(0, {str(packaged / "site")!r})
from toy_model.runtime.cli import main; main(["score", "in.parquet", "out.parquet"])"""
    done = run_in(tmp_path, sys.executable, "-I", "-c", lines)
    assert "asked row by row, there is no form for tables" in done.stderr
    scored = duckdb.execute(f"SELECT row, probability_yes FROM '{tmp_path}/out.parquet' ORDER BY row").fetchall()
    rows = duckdb.execute(f"FROM '{tmp_path}/in.parquet'").fetchall()
    expected = [predictor.predict(dict(zip(names, row, strict=True)))["probabilities"]["yes"] for row in rows]
    assert scored == list(enumerate(expected, start=1))


@pytest.mark.slow
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


def fitted(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/featurize").iterdir()}


@pytest.mark.slow
def test_the_number_of_threads_changes_no_byte(packaged: Path, tmp_path: Path) -> None:
    shutil.copytree(packaged, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/data/featurize")
    variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "99", "PYTHONPATH": str(ROOT)}
    run_in(tmp_path / "copy", sys.executable, "-m", "stages.featurize", "features=mine", **variables)
    assert len(fitted(packaged)) == 3 + len(MANY)
    assert fitted(tmp_path / "copy") == fitted(packaged)


@pytest.mark.slow
def test_rows_not_trained_on_change_nothing_that_is_fitted(packaged: Path, workspace: Path) -> None:
    rows = rows_with_gaps()
    for row in rows[1:]:
        if row[1] >= "2024-07":
            row[2], row[3] = str(float(row[2] or 3) / 7), "44"
    choose(prepare(workspace, rows), MANY)
    run_stage(workspace, "featurize", "features=mine")
    first, second = fitted(packaged), fitted(workspace)
    assert first.pop("features.parquet") != second.pop("features.parquet")
    assert first == second


def test_useless_outputs_go_and_their_archives_with_them(whole: Path, featurize: Featurize) -> None:
    constant = of("preprocessing.Binarizer", "size", threshold=1000.0)
    same = of("preprocessing.FunctionTransformer", "size")
    featurize(whole, [constant, same, of("preprocessing.StandardScaler", "age")])
    summary = json.loads((whole / "reports/featurize/summary.json").read_text())
    assert summary["dropped_constant"] == ["binarizer_0"]
    assert summary["dropped_duplicate"] == {"functiontransformer_0": "size"}
    assert [name for name in fitted(whole) if name.endswith(".skops")] == ["transformed_2.skops"]


@pytest.mark.parametrize("kind", BY_VALUE)
def test_what_is_asked_in_blocks_gives_the_bits_of_rows_alone(kind: str) -> None:
    rng = np.random.default_rng(5)
    X = np.round(rng.normal(0, 10, (3000, 3)), 1) * [1, 1e-3, 1e9]
    arguments: dict[str, Any] = {
        "OneHotEncoder": {"handle_unknown": "ignore"}, "OrdinalEncoder": {"handle_unknown": "use_encoded_value",
        "unknown_value": -1}, "QuantileTransformer": {"output_distribution": "normal", "n_quantiles": 99},
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
    predictor._check = compile_check(predictor.contract, predictor.contract.inputs)
    plan = json.loads((data / "featurize/plan.json").read_text())
    predictor._row_features = compile_row(plan, load_transformers(data / "featurize"))
    found = predictor._featurize(record)
    return [value for value, feature in zip(found, plan, strict=True) if feature["op"] == "transformed"]


RECORD = {"size": 5, "age": 30, "colour": "red", "day": "2024-02-01"}


def test_a_value_missing_for_the_first_time_is_missing_after_a_transformer_that_takes_none(
    whole: Path, featurize: Featurize
) -> None:
    featurize(whole, [of("decomposition.PCA", "size", "age")])
    assert np.isfinite(ask(whole, **RECORD)).all()
    assert np.isnan(ask(whole, **{**RECORD, "age": None})).all()


def test_an_answer_that_is_not_finite_is_missing_in_a_request(whole: Path, featurize: Featurize) -> None:
    featurize(whole, [of("preprocessing.FunctionTransformer", "age", func=method("numpy.log"))])
    assert ask(whole, **RECORD) == [math.log(30)]
    assert np.isnan(ask(whole, **{**RECORD, "age": 0})).all()


def test_a_value_that_a_transformer_refuses_refuses_the_request(whole: Path, featurize: Featurize) -> None:
    categories = [[float(age) for age in range(18, 91)]]
    featurize(whole, [of("preprocessing.OneHotEncoder", "age", categories=categories)])
    assert sum(ask(whole, **RECORD)) == 1
    with pytest.raises(BrokenContract) as caught:
        ask(whole, **{**RECORD, "age": 17})
    [violation] = caught.value.violations
    assert (violation.column, violation.rule) == ("age", "transformer")
    assert str(violation.value).startswith("onehotencoder: Found unknown categories [")


def test_a_row_of_a_table_that_a_transformer_refuses_is_set_aside(whole: Path, featurize: Featurize) -> None:
    categories = [[float(age) for age in range(18, 91)]]
    plan = featurize(whole, [of("preprocessing.OneHotEncoder", "age", categories=categories)])
    connection = duckdb.connect()
    ages = "CASE WHEN _row = 2 THEN 17 ELSE age END AS age"
    connection.execute(f"CREATE VIEW t AS SELECT * REPLACE ({ages}) FROM '{whole}/data/prepare/kept.parquet'")
    connection.execute("CREATE VIEW five AS SELECT * FROM t WHERE _row <= 5")
    transformers = load_transformers(whole / "data/featurize")
    X, refused = matrix_by_rows(connection, plan, transformers, ["size", "age", "colour", "note", "day"], "five")
    assert X.shape == (4, len(plan))
    [(row, columns, why)] = refused
    assert (row, columns) == (2, "age")
    assert why.startswith("onehotencoder: Found unknown categories [")


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
        "transformers[0]: hydra.utils.get_class is not a transformer: a class, not made",
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
        [of("preprocessing.FunctionTransformer", "colour", func=method("sklearn.preprocessing.scale"))],
        "transformers[0]: FunctionTransformer makes of a row alone not what it makes of it among others",
    ),
    "not finite": (
        [of("preprocessing.FunctionTransformer", "colour", func=method("numpy.log"))],
        "transformers[0]: FunctionTransformer gives -inf in row ",
    ),
    "of texts": (
        [of("feature_extraction.FeatureHasher", "size")],
        "transformers[0]: FeatureHasher: 'numpy.ndarray' object has no attribute 'items'",
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


@pytest.mark.filterwarnings("ignore")  # scikit-learn's, of the table that it is given before it is refused
@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_a_feature_is_one_clear_line(case: str, featurized: Path, featurize: Featurize) -> None:
    transformers, message = FAULTS[case]
    before = fitted(featurized)
    with pytest.raises(InputError, match=r"^conf/features/mine.yaml") as caught:
        featurize(featurized, transformers, text={})
    [line] = [line for line in str(caught.value).splitlines() if message in line]
    assert len(line) < 320
    assert fitted(featurized) == before


@pytest.mark.slow
def test_dvc_repro_makes_a_wheel_that_answers_and_explains(copy: Path, tmp_path: Path) -> None:
    """The example of README, on rides."""
    example = re.search(r"```yaml\n(transformers:\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example is not None
    path = copy / "conf/features/standard.yaml"
    text, count = re.subn(r"^transformers: .*\n", example[1], path.read_text(), flags=re.MULTILINE)
    assert count == 1
    path.write_text(text)
    run_in(copy, "dvc", "repro")
    assert run_in(copy, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    [wheel] = (copy / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = f"""
import json, sys
sys.path.insert(0, {str(tmp_path / "site")!r})
import rides_model
found = json.load(open({str(tmp_path / "site/rides_model/model/examples.json")!r}))[0]
assert rides_model.predict(found["record"]) == found["answer"]
print(rides_model.verify(), json.dumps(rides_model.explain(found["record"])["contributions"]))"""
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, text=True, capture_output=True, check=True)
    n_examples, parts = done.stdout.split(" ", 1)
    assert int(n_examples) > 0
    names = [" x ".join(each["of"]) for each in yaml.safe_load(example[1])["transformers"]]
    assert set(names) <= set(json.loads(parts))
    assert "KMeans" in run_in(copy, "dvc", "exp", "show", "--csv").stdout
