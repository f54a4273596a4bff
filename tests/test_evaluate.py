"""evaluate: the files it writes agree with each other and with the predictions."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from conftest import PIPELINE, ROOT, TOY, make_workspace, run_in, run_stage
from sklearn.metrics import f1_score, mean_absolute_error, mean_pinball_loss, roc_auc_score


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
    assert tables == {"baselines", "calibration", "confusion", "lift", "periods", "precision_recall", "roc"}
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


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / "reports/evaluate" / name).read_text())


def test_periods_hold_all_test_rows_and_are_what_the_plot_shows(small: Path) -> None:
    intervals = read(small, "intervals.json")
    periods = intervals["periods"]["list"]
    assert sum(part["rows"] for part in periods) == intervals["rows"]
    with (small / "reports/evaluate/plots/periods.csv").open() as file:
        shown = [(row["period"], int(row["rows"]), float(row["model"])) for row in csv.DictReader(file)]
    assert shown == [(part["period"], part["rows"], part["metrics"]["roc_auc"]["value"]) for part in periods]


def test_a_unit_that_there_is_not_is_refused_by_name(small: Path) -> None:
    done = run_stage(small, "evaluate", "evaluation=quick", "seed=1", "evaluation.periods=moth", check=False)
    assert done.returncode == 1
    assert "periods: should be one of auto, year, quarter, month, week, day, hour, got 'moth'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_declared_costs_are_measured_at_the_threshold(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    costs = "model.threshold={costs:{false_positive:1,false_negative:5,true_positive:-2}}"
    run_stage(folder, "train", "model=linear", "seed=1", costs)
    run_stage(folder, "evaluate", *PIPELINE["evaluate"])
    y, score = predictions(folder)
    called = score >= json.loads((folder / "data/train/model.json").read_text())["threshold"]
    mean = np.mean(1 * (called & (y == 0)) + 5 * (~called & (y == 1)) - 2 * (called & (y == 1)))
    assert read(folder, "metrics.json")["cost"] == pytest.approx(mean, abs=1e-6)


def other_task(folder: Path, target: str, *model: str) -> Path:
    """The toy table with another column as the target, all stages run."""
    make_workspace(folder)
    columns = TOY.replace("role: target, ", "").replace('task: binary\npositive: "yes"\n', "")
    lines = [
        line.replace("{", "{role: target, ", 1) if f" {target}: " in line else line for line in columns.split("\n")
    ]
    task = "regression" if target == "size" else "multiclass"
    (folder / "conf/data/toy.yaml").write_text("\n".join([f"task: {task}", *lines]))
    for stage, arguments in PIPELINE.items():
        run_stage(folder, stage, *arguments, *(model if stage == "train" else ()))
    return folder


@pytest.mark.slow
def test_a_number_is_measured_by_decile_interval_and_quantile(tmp_path: Path) -> None:
    folder = other_task(tmp_path / "workspace", "size", "+model.objective={quantile:0.8}")
    query = f"SELECT * FROM '{folder}/data/evaluate/predictions.parquet'"
    found = duckdb.execute(query).fetchnumpy()
    y, value, low, high = (found[name] for name in ("target", "score_0", "low", "high"))
    metrics, intervals = read(folder, "metrics.json"), read(folder, "intervals.json")
    level = intervals["prediction_interval"]["level"]
    expected = {
        "mae": mean_absolute_error(y, value),
        "pinball": mean_pinball_loss(y, value, alpha=0.8),
        "coverage": np.mean((low <= y) & (y <= high)),
        "interval_width": np.mean(high - low),
        "pinball_low": mean_pinball_loss(y, low, alpha=(1 - level) / 2),
        "pinball_high": mean_pinball_loss(y, high, alpha=(1 + level) / 2),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert sum(part["rows"] for part in intervals["deciles"]) == len(y)
    for part in intervals["deciles"]:
        own = (y >= part["from"]) & (y <= part["to"])
        assert (part["rows"], part["mae"]["value"]) == (
            own.sum(),
            pytest.approx(np.abs(y - value)[own].mean(), abs=1e-6),
        )
    assert "By decile of the target:" in (folder / "reports/package/card.md").read_text()
    assert (folder / "reports/evaluate/deciles.png").is_file()


@pytest.mark.slow
def test_each_class_is_measured_and_shown(tmp_path: Path) -> None:
    folder = other_task(tmp_path / "workspace", "colour")
    query = f"SELECT * FROM '{folder}/data/evaluate/predictions.parquet'"
    found = duckdb.execute(query).fetchnumpy()
    classes = read(folder, "intervals.json")["classes"]
    assert list(classes) == ["blue", "green", "red"]
    scores = np.column_stack([found[f"score_{number}"] for number in range(3)])
    meta = json.loads((folder / "data/train/model.json").read_text())
    called = np.array(meta["classes"])[(scores * meta["factors"]).argmax(axis=1)]
    for label, part in classes.items():
        assert part["rows"] == int((found["target"] == label).sum())
        expected = f1_score(found["target"] == label, called == label)
        assert part["f1"]["value"] == pytest.approx(expected, abs=1e-6)
        assert f"| {label} | {part['rows']} | " in (folder / "reports/package/card.md").read_text()
    assert "macro_roc_auc" in read(folder, "metrics.json")


@pytest.mark.slow
def test_reports_are_the_same_bytes_for_any_number_of_threads(small: Path, tmp_path: Path) -> None:
    written = []
    for threads in ("1", "2", "4"):
        folder = tmp_path / threads
        shutil.copytree(small, folder)
        run_in(folder, sys.executable, "-m", "stages.evaluate", *PIPELINE["evaluate"], PYTHONPATH=str(ROOT),
               OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads)  # fmt: skip
        written.append(
            {file.name: file.read_bytes() for file in (folder / "reports/evaluate").rglob("*") if file.is_file()}
        )
    assert written[0] == written[1] == written[2]
