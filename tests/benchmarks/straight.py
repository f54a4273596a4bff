"""The work of the five stages in one straight process, as one would script it: pandas, scikit-learn, LightGBM.

    python -m tests.benchmarks.straight OUT [--alone N]

It reads conf/ with Hydra and the rides table with pandas, checks every declared rule and sets broken rows aside, merges
duplicates, splits by time, makes the same features, fits LightGBM and the linear baseline with the same arguments,
measures both and a constant over the same 1,000 paired resamples, writes the same tables and pictures, packs the model,
and asks the packed model for every test row again: together, and N of them one by one.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from sklearn.calibration import calibration_curve
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from stages.shared.losses import best_f1_threshold
from stages.shared.metrics import compute

SIDES = ("train", "validation", "test")
METRICS = ("low", "value", "high")


def read_conf() -> dict[str, Any]:
    """Return all of conf/ for the default table."""
    choices = ["data=rides", "features=standard", "model=boosting", "evaluation=standard", "packaging=standard"]
    with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
        return OmegaConf.to_container(compose("config", [*choices, "seed=7"]), resolve=True)


def read_table(columns: dict[str, dict[str, Any]], out: Path) -> pd.DataFrame:
    """Return the sound rows, typed; write the others."""
    texts = pd.read_csv("data/raw/rides/rides.csv.gz", dtype="str", keep_default_na=False, na_values=[""])
    table, is_sound = pd.DataFrame(index=texts.index), pd.Series(True, index=texts.index)
    for name, column in columns.items():
        text = texts[name].str.strip()
        if column["type"] in ("number", "integer"):
            value = pd.to_numeric(text, errors="coerce")
        elif column["type"] == "timestamp":
            value = pd.to_datetime(text, format=column["formats"][0], errors="coerce")
        elif column["type"] == "boolean":
            value = text.map({"1": True, "0": False})
        else:
            value = text
        is_sound &= text.isna() | value.notna()
        if column.get("nullable") is False or column.get("role") in ("target", "time"):
            is_sound &= text.notna()
        if "values" in column:
            is_sound &= text.isna() | text.isin(column["values"])
        if "min" in column:
            is_sound &= text.isna() | value.between(column["min"], column["max"])
        if column.get("unique"):
            is_sound &= ~text.duplicated()
        table[name] = value
    texts[~is_sound].to_csv(out / "quarantine.csv")
    is_kept = is_sound & ~texts.duplicated()
    assert is_kept.sum() + (~is_sound).sum() + (is_sound & texts.duplicated()).sum() == len(texts)
    return table[is_kept]


def fit_levels(train: pd.DataFrame, categories: list[str], conf: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return the codes of the frequent levels of each category."""
    levels = {}
    for name in categories:
        counts = train[name].value_counts()
        frequent = counts[counts >= conf["min_rows"]].index[: conf["max_levels"]]
        levels[name] = {level: code for code, level in enumerate(frequent)}
    return levels


def make_features(table: pd.DataFrame, columns: dict[str, Any], levels: dict[str, dict[str, int]]) -> pd.DataFrame:
    """Return numbers, category codes, date parts and lead times."""
    features = {}
    for name, column in columns.items():
        if column.get("role", "feature") not in ("feature", "time"):
            continue
        if column["type"] == "category":
            codes = table[name].map(levels[name]).astype(float)
            features[name] = codes.fillna(len(levels[name])).where(table[name].notna())
        elif column["type"] == "timestamp":
            features[f"{name}.hour"] = table[name].dt.hour.astype(float)
            features[f"{name}.weekday"] = table[name].dt.day_of_week.astype(float)
            if name != "booking_created":
                since = table[name] - table["booking_created"]
                features[f"{name}.hours_since"] = since.dt.total_seconds() / 3600
        else:
            features[name] = table[name].astype(float)
    return pd.DataFrame(features)


def draw(out: Path, name: str, x: Any, y: Any) -> None:
    """Write one curve as table and picture."""
    pd.DataFrame({"x": np.ravel(x), "y": np.ravel(y)}).to_csv(out / f"{name}.csv", index=False)
    figure = Figure(figsize=(5.5, 4.2), dpi=100)
    axes = figure.add_subplot()
    axes.plot(x, y)
    axes.set(xlabel="x", ylabel="y", title=name)
    axes.grid(alpha=0.3)
    figure.savefig(out / f"{name}.png")


def main() -> None:
    """Do it all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--alone", type=int, default=0)
    arguments = parser.parse_args()
    out: Path = arguments.out
    conf = read_conf()
    columns, target = conf["data"]["columns"], "Car_Cancellation"
    table = read_table(columns, out)
    split, created = conf["data"]["split"], table["booking_created"]
    side = np.select([created >= split["test"], created >= split["validation"]], ["test", "validation"], "train")
    categories = [n for n, c in columns.items() if c["type"] == "category" and "role" not in c]
    levels = fit_levels(table[side == "train"], categories, conf["features"]["categories"])
    features = make_features(table, columns, levels)
    table.assign(side=side).to_csv(out / "kept.csv")
    features.to_csv(out / "features.csv")
    X = {name: features[side == name] for name in SIDES}
    y = {name: (table.loc[side == name, target] == "1").to_numpy().astype(int) for name in SIDES}

    model = lightgbm.LGBMClassifier(**conf["model"]["estimator"], random_state=conf["seed"])
    stop = lightgbm.early_stopping(conf["model"]["early_stopping"], verbose=False)
    model.fit(X["train"], y["train"], eval_X=X["validation"], eval_y=y["validation"], callbacks=[stop],
              eval_metric="binary_logloss", categorical_feature=categories)  # fmt: skip
    numbers = [name for name in features if name not in categories]
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    dense = ColumnTransformer([("n", scaled, numbers), ("c", OneHotEncoder(handle_unknown="ignore"), categories)])
    linear = make_pipeline(dense, LogisticRegression(C=0.1, max_iter=1000)).fit(X["train"], y["train"])
    threshold = best_f1_threshold(y["validation"], model.predict_proba(X["validation"])[:, 1])

    scores = {name: fitted.predict_proba(X["test"])[:, 1:] for name, fitted in (("model", model), ("linear", linear))}
    scores["constant"] = np.full((len(y["test"]), 1), y["train"].mean())
    n, n_resamples = len(y["test"]), conf["evaluation"]["resamples"]
    draws = np.random.default_rng(conf["seed"]).multinomial(n, np.full(n, 1 / n), n_resamples)
    W = np.vstack([np.ones(n, int), draws])
    measured = {name: compute("binary", y["test"], score, threshold, W) for name, score in scores.items()}
    report = {name: {metric: dict(zip(METRICS, np.quantile(values, [0.025, 0.5, 0.975]).tolist(), strict=True))
                     for metric, values in found.items()} for name, found in measured.items()}  # fmt: skip
    score = scores["model"][:, 0]
    draw(out, "roc", *roc_curve(y["test"], score)[:2])
    draw(out, "precision_recall", *precision_recall_curve(y["test"], score)[1::-1])
    draw(out, "calibration", *calibration_curve(y["test"], score, n_bins=10, strategy="quantile")[::-1])
    draw(out, "confusion", np.tile([0, 1], (2, 1)), confusion_matrix(y["test"], score >= threshold))
    draw(out, "baselines", list(report), [row["roc_auc"]["value"] for row in report.values()])
    pd.DataFrame({"score": score}).to_csv(out / "predictions.csv")
    (out / "metrics.json").write_text(json.dumps(report))
    model.booster_.save_model(out / "model.txt")
    (out / "plan.json").write_text(json.dumps(levels))
    with zipfile.ZipFile(out / "model.zip", "w") as archive:
        for name in ("model.txt", "plan.json", "metrics.json"):
            archive.write(out / name, name)
    release_check(out, table[side == "test"], columns, score, arguments.alone)


def release_check(out: Path, test: pd.DataFrame, columns: dict[str, Any], score: Any, n_alone: int) -> None:
    """Load the packed model and ask it for all test rows together and `n_alone` one by one."""
    with zipfile.ZipFile(out / "model.zip") as archive:
        booster = lightgbm.Booster(model_str=archive.read("model.txt").decode())
        levels = json.loads(archive.read("plan.json"))
    assert (booster.predict(make_features(test, columns, levels)) == score).all()
    for place in range(n_alone):
        row = test.iloc[[place]]
        assert booster.predict(make_features(row, columns, levels))[0] == score[place]


if __name__ == "__main__":
    main()
