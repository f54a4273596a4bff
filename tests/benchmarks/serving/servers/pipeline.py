"""The packaged model as a fitted scikit-learn Pipeline: what the peers serve, built in each peer's own environment.

It needs scikit-learn, pandas and LightGBM, and of ours the wheel's model folder (contract.json, plan.json, model.json,
model.txt, examples.json), no code. The trees are the same; a ColumnTransformer holds what the plan has learnt. It takes
columns typed as `frame` does it, and leaves out what one row would pay for without need: it is no straw man.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import Booster, LGBMClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, OrdinalEncoder

DTYPES = {
    "category": "str",
    "timestamp": "datetime64[us]",
    "boolean": "bool",
    "number": "float64",
    "integer": "float64",
}
LEVELS, MOMENTS, NUMBERS = ("category", "target"), ("part", "hours_since"), ("number",)
PARTS = {"hour": "hour", "weekday": "day_of_week", "day": "day", "month": "month", "year": "year"}
TINY = 1e-9  # as stages/runtime/calibration.py keeps probabilities from 0 and 1
Feature = dict[str, Any]


class Calibrated(ClassifierMixin, BaseEstimator):
    """A fitted classifier of two classes, with Platt's line over its log odds.

    CalibratedClassifierCV would draw it over the probabilities, and give others.
    """

    def __init__(self, estimator: Any, slope: float, intercept: float) -> None:
        self.estimator, self.slope, self.intercept = estimator, slope, intercept

    def fit(self, X: Any, y: Any) -> Calibrated:
        """Return itself: the estimator is fitted."""
        self.classes_ = self.estimator.classes_
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return P(each class), shape (n_rows, 2)."""
        p = np.maximum(self.estimator.predict_proba(X), TINY)
        positive = 1.0 / (1.0 + np.exp(-(self.slope * np.log(p[:, 1] / p[:, 0]) + self.intercept)))
        return np.column_stack([1.0 - positive, positive])

    def predict(self, X: Any) -> Any:
        """Return the likelier class, shape (n_rows,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def frame(records: list[dict[str, Any]], dtypes: dict[str, str]) -> pd.DataFrame:
    """Return records as typed columns: pandas itself would give one record other types than many."""
    return typed(pd.DataFrame.from_records(records, columns=list(dtypes)), dtypes)


def typed(rows: pd.DataFrame, dtypes: dict[str, str]) -> pd.DataFrame:
    """Return the columns with their types, in their order."""
    return rows[list(dtypes)].astype(dtypes)


def input_dtypes(model: Path) -> dict[str, str]:
    """Return the pandas type of each input column."""
    types = {name: column["type"] for name, column in json.loads((model / "contract.json").read_text())["columns"]}
    return {name: DTYPES[types[name]] for name in example_records(model)[0]}


def example_records(model: Path) -> list[dict[str, Any]]:
    """Return the wheel's example records."""
    return [example["record"] for example in json.loads((model / "examples.json").read_text())]


def build(model: Path) -> Pipeline:
    """Return the fitted Pipeline, from typed columns to P(each class).

    Raises ValueError for a model that has no equal here: one of two classes, of LightGBM, calibrated by Platt's line,
    with plain features, has.
    """
    plan, meta = json.loads((model / "plan.json").read_text()), json.loads((model / "model.json").read_text())
    form = (meta["task"], meta["kind"], (meta["calibration"] or {}).get("method"))
    unknown = {feature["op"] for feature in plan} - {*LEVELS, *MOMENTS, *NUMBERS}
    if unknown or form != ("binary", "lightgbm", "platt"):
        raise ValueError(f"{model}: no equal in scikit-learn here for {', '.join([*map(str, form), *sorted(unknown)])}")
    levels, moments, numbers = ([each for each in plan if each["op"] in ops] for ops in (LEVELS, MOMENTS, NUMBERS))
    columns = ColumnTransformer(
        [
            ("levels", level_encoder(levels), names(levels)),
            ("moments", FunctionTransformer(of_moments, kw_args={"features": moments}), names(moments)),
            ("numbers", FunctionTransformer(np.asarray, kw_args={"dtype": float}), names(numbers)),
        ]
    )
    made = [feature["name"] for feature in [*levels, *moments, *numbers]]
    in_order = FunctionTransformer(np.take, kw_args={"indices": [made.index(each["name"]) for each in plan], "axis": 1})
    rows = frame(example_records(model), input_dtypes(model))
    slope, intercept = meta["calibration"]["slope"], meta["calibration"]["intercept"]
    classifier = Calibrated(trees((model / "model.txt").read_text(), meta["classes"]), slope, intercept)
    y = np.arange(len(rows)) % 2  # nothing is learnt of it: all that is fitted was given
    return Pipeline([("columns", columns), ("in_order", in_order), ("model", classifier)]).fit(rows, y)


def names(features: list[Feature]) -> list[str]:
    """Return the columns that features read, each once."""
    return list(dict.fromkeys(each[key] for each in features for key in ("column", "origin") if key in each))


def level_encoder(features: list[Feature]) -> Pipeline:
    """Return the encoder of levels as what the plan says of them, of others as what it says of all others."""
    categories = [np.array([*each["levels"], np.nan], dtype=object) for each in features]
    unknown = max(map(len, categories))
    places = OrdinalEncoder(categories=categories, handle_unknown="use_encoded_value", unknown_value=unknown)
    tables = []
    for each in features:
        n_levels = len(each["levels"])
        values, other = each.get("values", range(n_levels)), each.get("other", n_levels)
        tables.append(np.array([*values, *[other] * (unknown + 1 - n_levels)], dtype=float))
    return make_pipeline(places, FunctionTransformer(of_places, kw_args={"tables": tables}))


def of_places(X: Any, tables: list[Any]) -> Any:
    """Return each place's value in its column's table; missing stays missing."""
    known = np.nan_to_num(X).astype(int)
    found = np.column_stack([table[places] for table, places in zip(tables, known.T, strict=True)])
    return np.where(np.isnan(X), np.nan, found)


def of_moments(X: pd.DataFrame, features: list[Feature]) -> Any:
    """Return parts of moments, and hours between them."""
    found = []
    for each in features:
        moment = X[each["column"]]
        if each["op"] == "part":
            part = getattr(moment.dt, PARTS[each["part"]]).to_numpy(dtype=float)
            found.append(part + 1 if each["part"] == "weekday" else part)
        else:
            found.append(((moment - X[each["origin"]]).dt.total_seconds() / 3600).to_numpy(dtype=float))
    return np.column_stack(found)


def trees(text: str, classes: list[str]) -> LGBMClassifier:
    """Return LightGBM's classifier with a stored model in it, as its own fit would leave it."""
    model = LGBMClassifier(n_jobs=1)
    model._Booster = Booster(model_str=text)
    model._n_features = model._n_features_in = model._Booster.num_feature()
    model._le = LabelEncoder().fit(classes)
    model._classes, model._n_classes, model._objective, model.fitted_ = model._le.classes_, len(classes), "binary", True
    return model
