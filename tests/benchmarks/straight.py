"""The work of the five stages in one straight process, as one would script it: pandas, scikit-learn, LightGBM.

    python -m tests.benchmarks.straight OUT

It reads the rides table, checks the declared ranges, splits by time, makes the same features, fits LightGBM and the
linear baseline with the arguments of conf/, measures both with 1,000 paired bootstrap resamples of the same seven
metrics, draws the same six pictures, and writes the model, the predictions and the metrics.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from stages.shared.metrics import best_f1_threshold, compute

DATES = ["from_date", "to_date", "booking_created"]
CATEGORIES = [
    "vehicle_model_id",
    "package_id",
    "travel_type_id",
    "from_area_id",
    "to_area_id",
    "from_city_id",
    "to_city_id",
]
RANGES = {"from_lat": (12, 14), "from_long": (77, 78), "to_lat": (12, 14), "to_long": (77, 78)}
TARGET = "Car_Cancellation"


def read() -> pd.DataFrame:
    """Return the checked table."""
    table = pd.read_csv("data/raw/rides/rides.csv.gz", dtype=dict.fromkeys(CATEGORIES, "str"))
    for name in DATES:
        table[name] = pd.to_datetime(table[name], format="%m/%d/%y %H:%M")
    inside = [table[name].isna() | table[name].between(*ends) for name, ends in RANGES.items()]
    return table[np.logical_and.reduce(inside)].drop_duplicates()


def make_features(table: pd.DataFrame, is_train: pd.Series[bool]) -> pd.DataFrame:
    """Return numbers, category codes with rare levels joined, date parts and lead times."""
    features = table[["online_booking", "mobile_site_booking", *RANGES]].astype(float)
    for name in CATEGORIES:
        counts = table.loc[is_train, name].value_counts()
        codes = {level: code for code, level in enumerate(counts[counts >= 10].index[:254])}
        features[name] = table[name].map(codes).astype(float).fillna(len(codes)).where(table[name].notna())
    for name in DATES:
        features[f"{name}.hour"], features[f"{name}.weekday"] = (
            table[name].dt.hour,
            table[name].dt.isocalendar().day.astype(float),
        )
        if name != "booking_created":
            features[f"{name}.hours_since"] = (table[name] - table["booking_created"]).dt.total_seconds() / 3600
    return features


def draw(out: Path, name: str, x: Any, y: Any) -> None:
    """Draw one curve."""
    figure = Figure(figsize=(5.5, 4.2), dpi=100, layout="constrained")
    figure.add_subplot().plot(x, y)
    figure.savefig(out / f"{name}.png")


def main() -> None:
    """Do it all."""
    out = Path(sys.argv[1])
    arguments = yaml.safe_load(Path("conf/model/boosting.yaml").read_text())
    table = read()
    side = np.select(
        [table["booking_created"] >= "2013-10-01", table["booking_created"] >= "2013-08-15"],
        ["test", "validation"],
        "train",
    )
    features = make_features(table, pd.Series(side == "train", index=table.index))
    X, y = (
        {s: features[side == s] for s in ("train", "validation", "test")},
        {s: table.loc[side == s, TARGET].to_numpy() for s in ("train", "validation", "test")},
    )
    stop = lightgbm.early_stopping(arguments["early_stopping"], verbose=False)
    model = lightgbm.LGBMClassifier(**arguments["estimator"], random_state=7)
    model.fit(
        X["train"],
        y["train"],
        eval_X=X["validation"],
        eval_y=y["validation"],
        eval_metric="binary_logloss",
        callbacks=[stop],
        categorical_feature=CATEGORIES,
    )
    numbers = [name for name in features if name not in CATEGORIES]
    dense = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
            ("c", OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
        ]
    )
    linear = make_pipeline(dense, LogisticRegression(C=0.1, max_iter=1000)).fit(X["train"], y["train"])
    threshold = best_f1_threshold(y["validation"], model.predict_proba(X["validation"])[:, 1])
    scores = {name: fitted.predict_proba(X["test"])[:, 1:] for name, fitted in (("model", model), ("linear", linear))}
    n = len(y["test"])
    W = np.vstack([np.ones(n, int), np.random.default_rng(7).multinomial(n, np.full(n, 1 / n), 1000)])
    measured = {name: compute("binary", y["test"], score, threshold, W) for name, score in scores.items()}
    report = {
        name: {metric: np.quantile(values, [0.025, 0.5, 0.975]).tolist() for metric, values in found.items()}
        for name, found in measured.items()
    }
    score = scores["model"][:, 0]
    draw(out, "roc", *roc_curve(y["test"], score)[:2])
    draw(out, "precision_recall", *precision_recall_curve(y["test"], score)[1::-1])
    draw(out, "calibration", *calibration_curve(y["test"], score, n_bins=10, strategy="quantile")[::-1])
    draw(out, "confusion", [0, 1], confusion_matrix(y["test"], score >= threshold))
    draw(out, "baselines", ["model", "linear"], [report[name]["roc_auc"][1] for name in measured])
    (out / "metrics.json").write_text(json.dumps(report))
    model.booster_.save_model(out / "model.txt")
    pd.DataFrame({"score": score}).to_csv(out / "predictions.csv")
    table.to_csv(out / "kept.csv")
    features.to_csv(out / "features.csv")


if __name__ == "__main__":
    main()
