"""evaluate: the files it writes agree with each other and with the predictions."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from conftest import PIPELINE, run_stage
from sklearn.metrics import roc_auc_score


def predictions(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    found = duckdb.execute(
        f"SELECT (target = 'yes')::INT AS y, score_0 FROM '{folder}/data/evaluate/predictions.parquet'"
    ).fetchnumpy()
    return found["y"], found["score_0"]


def test_metrics_are_those_of_the_predictions(small: Path) -> None:
    metrics = json.loads((small / "reports/evaluate/metrics.json").read_text())
    y, score = predictions(small)
    assert metrics["roc_auc"] == pytest.approx(roc_auc_score(y, score), abs=1e-6)


def test_every_metric_has_an_interval_around_it_and_a_verdict(small: Path) -> None:
    metrics = json.loads((small / "reports/evaluate/metrics.json").read_text())
    intervals = json.loads((small / "reports/evaluate/intervals.json").read_text())
    assert set(intervals["metrics"]) == set(metrics)
    for name, row in intervals["metrics"].items():
        assert row["low"] <= row["value"] <= row["high"], name
        assert row["value"] == metrics[name]
        for other in ("linear", "constant"):
            against = intervals[f"minus_{other}"][name]
            assert against["value"] == pytest.approx(row["value"] - intervals[other][name]["value"], abs=2e-6)
            assert against["verdict"] in ("better", "worse", "cannot tell")


def test_a_model_cannot_be_told_from_itself(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    run_stage(folder, "train", "model=linear", "seed=1")
    done = run_stage(folder, "evaluate", *PIPELINE["evaluate"])
    assert "no telling it from the linear baseline: +0.0000 [+0.0000, +0.0000]" in done.stdout


def test_the_confusion_counts_the_rows_at_the_threshold(small: Path) -> None:
    y, score = predictions(small)
    threshold = json.loads((small / "data/train/model.json").read_text())["threshold"]
    with (small / "reports/evaluate/plots/confusion.csv").open() as file:
        rows = [(row["actual"], row["predicted"]) for row in csv.DictReader(file)]
    assert rows.count(("yes", "yes")) == int(((y == 1) & (score >= threshold)).sum())
    assert len(rows) == len(y)


def test_every_table_has_its_picture(small: Path) -> None:
    reports = small / "reports/evaluate"
    tables = {path.stem for path in (reports / "plots").glob("*.csv")}
    assert tables == {"baselines", "calibration", "confusion", "lift", "precision_recall", "roc"}
    assert {path.stem for path in reports.glob("*.png")} == tables
    for path in reports.glob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_one_class_in_the_test_rows_is_refused(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    path = folder / "data/featurize/features.parquet"
    query = f"SELECT * REPLACE (CASE WHEN _split = 'test' THEN 'no' ELSE _target END AS _target) FROM '{path}'"
    duckdb.execute(f"COPY ({query} ORDER BY _row) TO '{path}.new' (FORMAT parquet)")
    Path(f"{path}.new").replace(path)
    done = run_stage(folder, "evaluate", *PIPELINE["evaluate"], check=False)
    assert done.returncode == 1
    assert "evaluate: conf/data/toy.yaml: bought is 'no' in all" in done.stderr
