"""One rival on one exported table: fits on train.parquet, predicts test.parquet, in an environment that has the rival.

    PATH/bin/python tests/benchmarks/versus_rival.py NAME FOLDER SECONDS

FOLDER/task.json, train.parquet, test.parquet -> FOLDER/NAME.parquet (score_0, ...: of the positive class, of each
class, or the number, in the rows' order) and FOLDER/NAME.json (seconds of fit and predict without imports). Besides
the rival the environment needs duckdb and pandas; of ours it needs nothing. Exit status 3: the rival is not installed.

LightGBM and HistGradientBoosting at their defaults get what a sensible user gives them: numbers as they are, labels,
booleans and texts as categories (of HistGradientBoosting, which takes no more, the 255 most frequent), moments as epoch
seconds. FLAML and AutoGluon get the columns themselves, since they make their own features of labels, texts and
moments; FLAML gets booleans as labels and, as it fails on a missing moment, a column that has one as epoch seconds. No
preset of AutoGluon that runs here downloads weights; where torch is not installed it leaves out its neural networks.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CORES, SEED, NOT_INSTALLED, HGB_LEVELS = 2, 1, 3, 255
METRICS = {
    "flaml": {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"},
    "autogluon": {"binary": "roc_auc", "multiclass": "log_loss", "regression": "root_mean_squared_error"},
}
Frame = Any  # a pandas.DataFrame
Fit = Callable[[dict[str, Any], Frame, Any, float], Callable[[Frame], Any]]


def main() -> None:
    """Fit, predict, write."""
    name, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    module, fit = RIVALS[name]
    if not is_installed(module):
        sys.exit(NOT_INSTALLED)
    import duckdb
    import numpy as np

    import_module(module)
    task = json.loads((folder / "task.json").read_text())
    train, test = (read(folder / f"{side}.parquet", task["kinds"]) for side in ("train", "test"))
    y = train.pop("target")
    started = time.perf_counter()
    predict = fit(task, train, y, seconds)
    fitted = time.perf_counter()
    scores = np.asarray(predict(test), dtype=float).reshape(len(test), -1)
    told = {"fit": fitted - started, "predict": time.perf_counter() - fitted}
    columns = {f"score_{i}": np.ascontiguousarray(scores[:, i]) for i in range(scores.shape[1])}  # noqa: F841
    duckdb.sql(f"COPY (SELECT * FROM columns) TO '{folder / name}.parquet' (FORMAT parquet)")
    (folder / f"{name}.json").write_text(json.dumps(told))


def is_installed(module: str) -> bool:
    """Return whether a module, dotted perhaps, can be found."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package it stands in
        return False


def read(path: Path, kinds: dict[str, str]) -> Frame:
    """Return a Parquet file; numbers as floats, booleans as NumPy's or with None.

    AutoGluon misreads pandas' own types, and takes a gap for 0 in a column that was of whole numbers while fitting.
    """
    import duckdb

    frame = duckdb.read_parquet(str(path)).df()
    for name, kind in kinds.items():
        if kind == "number":
            frame[name] = frame[name].astype(float)
        elif kind == "boolean" and frame[name].dtype != bool:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame


def fit_lightgbm(task: dict[str, Any], train: Frame, y: Any, seconds: float) -> Callable[[Frame], Any]:
    """Return the predictions of LightGBM at its defaults."""
    import lightgbm

    kind = lightgbm.LGBMRegressor if task["kind"] == "regression" else lightgbm.LGBMClassifier
    prepare = plain(task, train)
    model = kind(n_jobs=CORES, random_state=SEED, verbosity=-1).fit(prepare(train), y)
    return lambda X: scores_of(task, model, prepare(X))


def fit_hgb(task: dict[str, Any], train: Frame, y: Any, seconds: float) -> Callable[[Frame], Any]:
    """Return the predictions of HistGradientBoosting at its defaults, without the columns that it crashes on."""
    from sklearn import ensemble

    regressor, classifier = ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier
    kind = regressor if task["kind"] == "regression" else classifier
    prepare = plain(task, train.loc[:, train.notna().any()], HGB_LEVELS)
    model = kind(categorical_features="from_dtype", random_state=SEED).fit(prepare(train), y)
    return lambda X: scores_of(task, model, prepare(X))


def fit_flaml(task: dict[str, Any], train: Frame, y: Any, seconds: float) -> Callable[[Frame], Any]:
    """Return the predictions of FLAML's search."""
    from flaml import AutoML

    def prepare(frame: Frame) -> Frame:
        done = frame.copy()
        for name in train.columns:
            if task["kinds"][name] == "boolean":
                done[name] = texts(frame[name])
            elif name in moments:
                has_gaps = train[name].isna().any()
                done[name] = epoch(frame[name]) if has_gaps else frame[name].fillna(train[name].median())
        return done

    moments = [name for name in train.columns if task["kinds"][name] == "moment"]
    model = AutoML()
    kind = "regression" if task["kind"] == "regression" else "classification"
    metric = METRICS["flaml"][task["kind"]]
    limits = {"time_budget": seconds, "n_jobs": CORES, "seed": SEED, "verbose": 0}
    model.fit(prepare(train), y, task=kind, metric=metric, **limits)
    return lambda X: scores_of(task, model, prepare(X))


def fit_autogluon(presets: str) -> Fit:
    """Return the function that fits AutoGluon with some presets."""

    def fit(task: dict[str, Any], train: Frame, y: Any, seconds: float) -> Callable[[Frame], Any]:
        from autogluon.tabular import TabularPredictor

        metric = METRICS["autogluon"][task["kind"]]
        model = TabularPredictor("target", task["kind"], metric, path=presets, verbosity=1)
        model.fit(train.assign(target=y), presets=presets, time_limit=seconds, num_cpus=CORES, num_gpus=0)
        if task["kind"] == "regression":
            return model.predict
        wanted = [1] if task["kind"] == "binary" else list(range(task["n_classes"]))
        return lambda X: model.predict_proba(X).reindex(columns=wanted, fill_value=0.0)

    return fit


def plain(task: dict[str, Any], train: Frame, max_levels: int | None = None) -> Callable[[Frame], Frame]:
    """Return the function to numbers and categories: the levels of training rows, the most frequent."""
    import pandas as pd

    kinds = {name: task["kinds"][name] for name in train.columns}
    levels = {
        name: frequent(texts(train[name]))[:max_levels] for name, kind in kinds.items() if kind in ("label", "boolean")
    }

    def prepare(frame: Frame) -> Frame:
        columns = {}
        for name, kind in kinds.items():
            if name in levels:
                said = texts(frame[name])
                columns[name] = pd.Categorical(said.where(said.isin(levels[name]), None), categories=levels[name])
            else:
                columns[name] = epoch(frame[name]) if kind == "moment" else frame[name].astype(float)
        return pd.DataFrame(columns, index=frame.index)

    return prepare


def frequent(column: Any) -> Any:
    """Return the values of a column, the most frequent first, ties by the value: pandas' own order changes."""
    counts = column.value_counts().sort_index()
    return counts.sort_values(ascending=False, kind="stable").index


def texts(column: Any) -> Any:
    """Return each value as text, None for missing."""
    return column.astype(str).astype(object).where(column.notna(), None)


def epoch(column: Any) -> Any:
    """Return moments as seconds since 1970, NaN for missing."""
    import pandas as pd

    return (pd.to_datetime(column) - pd.Timestamp(0)).dt.total_seconds()


def scores_of(task: dict[str, Any], model: Any, X: Frame) -> Any:
    """Return what a model of scikit-learn's kind says: the number, P(positive) or P(each class), 0 for one unseen."""
    import numpy as np

    if task["kind"] == "regression":
        return model.predict(X)
    found = model.predict_proba(X)
    if task["kind"] == "binary":
        return found[:, -1]
    scores = np.zeros((len(X), task["n_classes"]))
    scores[:, np.asarray(model.classes_, dtype=int)] = found
    return scores


RIVALS: dict[str, tuple[str, Fit]] = {
    "lightgbm": ("lightgbm", fit_lightgbm),
    "hist_gradient_boosting": ("sklearn", fit_hgb),
    "flaml": ("flaml", fit_flaml),
    "autogluon_medium": ("autogluon.tabular", fit_autogluon("medium_quality")),
    "autogluon_good": ("autogluon.tabular", fit_autogluon("good_quality")),
}

if __name__ == "__main__":
    main()
