"""The contracts of the demo tables, and records that they accept."""

from __future__ import annotations

import json
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from hypothesis import strategies as st

from stages.runtime.contract import Column, Contract
from stages.runtime.forms import bound
from stages.runtime.predictor import Predictor
from stages.shared.config import compose
from stages.shared.models.store import store
from stages.shared.table.schema import DataConf, make_contract

NAMES = ["houses", "jobs", "loans", "rides", "survival"]


@cache
def demo_contract(name: str) -> Contract:
    """Return the contract that prepare makes of conf/data/NAME.yaml."""
    conf, choice, _ = compose("data", DataConf, [f"data={name}"])
    return make_contract(choice, conf)


def values_of(column: Column) -> st.SearchStrategy[Any]:
    """Return typed values that the column accepts, None where it may be missing."""
    low, high = (None if limit is None else bound(column, limit) for limit in (column.min, column.max))
    if column.values is not None:
        found: st.SearchStrategy[Any] = st.sampled_from(column.values)
    elif column.type == "integer":
        found = st.integers(-(10**6) if low is None else int(low), 10**6 if high is None else int(high))
    elif column.type == "boolean":
        found = st.booleans()
    elif column.type == "date":
        found = st.dates(low or date(1900, 1, 1), high or date(2100, 1, 1))
    elif column.type == "timestamp":
        seconds = st.datetimes(low or datetime(1900, 1, 1), high or datetime(2100, 1, 1))
        found = seconds.map(lambda moment: moment.replace(microsecond=0))
    elif column.type in ("category", "text"):
        words = st.integers(0, 999).map(str) | st.text("abcXYZ é", min_size=1).map(str.strip).filter(bool)
        found = words if column.pattern is None else st.from_regex(column.pattern, fullmatch=True)
    else:
        found = st.floats(low, high, allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
    return st.none() | found if column.nullable else found


def records_of(contract: Contract) -> st.SearchStrategy[dict[str, Any]]:
    """Return records of typed values of the columns that a model reads; rules over several columns may not hold."""
    return st.fixed_dictionaries({name: values_of(contract.columns[name]) for name in contract.inputs})


def demo_predictor(name: str, folder: Path) -> Predictor:
    """Return a predictor for a demo table's records: one feature or more of each column, and a few made trees."""
    contract = demo_contract(name)
    features = [feature for column in contract.inputs for feature in _features(column, contract.columns[column])]
    random = np.random.default_rng(1)
    X = random.normal(5, 20, (400, len(features)))
    X[random.random(X.shape) < 0.1] = np.nan
    y = np.nan_to_num(X).sum(axis=1) + random.normal(0, 9, 400)
    task = contract.task
    classes = contract.classes
    if task == "regression":
        estimator: Any = lightgbm.LGBMRegressor(n_estimators=20, min_child_samples=5, verbose=-1, n_jobs=1).fit(X, y)
    else:
        y = np.searchsorted(np.quantile(y, np.arange(1, len(classes)) / len(classes)), y)
        estimator = lightgbm.LGBMClassifier(n_estimators=10, min_child_samples=5, verbose=-1, n_jobs=1).fit(X, y)
    store(folder, estimator, {"task": task, "classes": classes, "dense": None, "threshold": 0.5,
                              "factors": [1.0] * len(classes)})  # fmt: skip
    (folder / "contract.json").write_text(json.dumps(contract.to_json()))
    (folder / "plan.json").write_text(json.dumps(features))
    return Predictor(folder)


def _features(name: str, column: Column) -> list[dict[str, Any]]:
    missing = {"name": f"{name}.missing", "op": "missing", "column": name}
    if column.type in ("category", "text"):
        levels = column.values or ["3", "a", "b", "X", *map(str, range(0, 1000, 7))]
        return [missing, {"name": name, "op": "category", "column": name, "levels": levels}]
    if column.type in ("date", "timestamp"):
        parts = ["year", "month", "day", "hour"]
        return [missing, *({"name": f"{name}.{p}", "op": "part", "column": name, "part": p} for p in parts)]
    return [missing, {"name": name, "op": "number", "column": name}]
