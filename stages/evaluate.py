"""Measures the model on the test rows, with intervals, beside a constant and the linear baseline.

data/featurize, data/train, data/prepare/contract.json -> data/evaluate/predictions.parquet; reports/evaluate/.
By hand: python -m stages.evaluate evaluation=standard seed=7

Intervals are percentiles over bootstrap resamples of the test rows (of groups where there are any), the same resamples
for every model, so that differences are paired. Source: Efron & Tibshirani 1993, chapters 13 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.predictor import Model
from stages.shared import plots
from stages.shared.config import compose
from stages.shared.errors import run
from stages.shared.files import read_json, replacing, write_json
from stages.shared.metrics import HEADLINE, HIGHER_IS_BETTER, compute
from stages.shared.tables import connect, copy_to_parquet, parquet, read_arrays

CONTRACT, FEATURES, MODEL = Path("data/prepare/contract.json"), Path("data/featurize"), Path("data/train")
DATA, REPORTS = Path("data/evaluate"), Path("reports/evaluate")
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class EvaluationConf:
    """The schema of conf/evaluation/NAME.yaml."""

    resamples: int
    confidence: float
    plot_points: int


def main() -> None:
    """Predict, measure, compare, draw, write."""
    conf, _, seed = compose("evaluation", EvaluationConf)
    contract = Contract.from_json(read_json(CONTRACT))
    model, baseline = Model(MODEL), Model(MODEL / "baseline")
    X, y, arrays = read_test(contract)
    scores = {"model": model.score_matrix(X), "linear": baseline.score_matrix(X),
              "constant": np.tile(model.meta["prior"], (len(y), 1))}  # fmt: skip
    W = resample(arrays, conf.resamples, seed)
    measured = {
        name: compute(contract.task, y, s, model.meta["threshold"] if name == "model" else baseline.meta["threshold"], W)
        for name, s in scores.items()
    }
    compared = compare(measured, conf.confidence)
    with replacing(DATA, REPORTS) as (data, reports):
        write_predictions(data / "predictions.parquet", arrays, scores["model"])
        write_json(reports / "metrics.json", {name: row["value"] for name, row in compared["metrics"].items()})
        write_json(reports / "intervals.json", {"rows": len(y), "confidence": conf.confidence, **compared})
        draw(reports, contract, conf, y, scores["model"], compared, model.meta["threshold"])
    name = HEADLINE[contract.task]
    row, against = compared["metrics"][name], compared["minus_linear"][name]
    print(f"evaluate: {REPORTS}/metrics.json  {name} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}] on {len(y)} "
          f"test rows; {against['verdict']} than the linear baseline by {against['value']:+.4f} "
          f"[{against['low']:+.4f}, {against['high']:+.4f}]".replace("cannot tell than", "cannot tell from"))  # fmt: skip


def read_test(contract: Contract) -> tuple[Array, Array, dict[str, Array]]:
    """Return features, targets (class numbers or values) and all columns of the test rows."""
    arrays = read_arrays(f"{parquet(FEATURES / 'features.parquet')} WHERE _split = 'test'")
    names = [feature["name"] for feature in read_json(FEATURES / "plan.json")]
    X = np.column_stack([arrays[name].astype(float) for name in names])
    if contract.task == "regression":
        return X, arrays["_target"].astype(float), arrays
    numbers = {label: number for number, label in enumerate(contract.classes)}
    return X, np.array([numbers[label] for label in arrays["_target"]]), arrays


def resample(arrays: dict[str, Array], n_resamples: int, seed: int) -> Array:
    """Return how often each row stands in each resample, times its weight, shape (1 + n_resamples, n_rows).

    The first is the sample itself. Whole groups are drawn where the contract has a group.
    """
    n_rows = len(arrays["_row"])
    clusters = np.unique(arrays["_group"], return_inverse=True)[1] if "_group" in arrays else np.arange(n_rows)
    n = int(clusters.max()) + 1
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    W = np.vstack([np.ones(n_rows, dtype=draws.dtype), draws[:, clusters]])
    return W * arrays["_weight"] if "_weight" in arrays else W


def compare(measured: dict[str, dict[str, Array]], confidence: float) -> dict[str, Any]:
    """Return value, low and high of each model's metrics, and of the model's difference from each baseline."""
    compared: dict[str, Any] = {
        "metrics": {name: interval(values, confidence) for name, values in measured["model"].items()}
    }
    for other in ("linear", "constant"):
        compared[other] = {name: interval(values, confidence) for name, values in measured[other].items()}
        compared[f"minus_{other}"] = {
            name: difference(name, measured["model"][name] - measured[other][name], confidence)
            for name in measured["model"]
        }
    return compared


def interval(values: Array, confidence: float) -> dict[str, Any]:
    """Return the sample's value and the percentile interval of the resamples, to 6 decimals."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    return {"value": round(float(values[0]), 6), "low": round(float(low), 6), "high": round(float(high), 6)}


def difference(name: str, values: Array, confidence: float) -> dict[str, Any]:
    """Return the interval of a paired difference and whether it says better, worse or nothing."""
    row = interval(values, confidence)
    is_higher, is_lower = row["low"] > 0, row["high"] < 0
    if not (is_higher or is_lower):
        return {**row, "verdict": "cannot tell"}
    return {**row, "verdict": "better" if is_higher == HIGHER_IS_BETTER[name] else "worse"}


def write_predictions(path: Path, arrays: dict[str, Array], scores: Array) -> None:
    """Write row, target and scores (score_0, ...) of each test row, exactly as the model gave them."""
    connection = connect()
    columns = {"_row": arrays["_row"], "target": arrays["_target"]}
    columns |= {f"score_{i}": np.ascontiguousarray(scores[:, i]) for i in range(scores.shape[1])}
    connection.execute("CREATE TABLE predictions AS SELECT * FROM columns")
    copy_to_parquet(connection, "SELECT * FROM predictions ORDER BY _row", path)


def draw(reports: Path, contract: Contract, conf: EvaluationConf, y: Array, scores: Array, compared: dict[str, Any],
         threshold: float) -> None:  # fmt: skip
    """Write each curve as CSV for `dvc plots` and as PNG; calibration and confusion for every task."""
    curves = reports / "plots"
    curves.mkdir()
    best = scores.argmax(1)
    predicted, observed = scores[:, 0], y
    if contract.task == "multiclass":
        predicted, observed = scores.max(1), best == y
    rows = plots.calibration(predicted, observed)
    plots.write_table(curves / "calibration.csv", ["predicted", "observed", "rows"], rows.tolist())
    plots.draw_curve(reports / "calibration.png", rows, "mean predicted", "mean observed", "Calibration, bins of equal count",
                     with_diagonal=True, marker="o")  # fmt: skip
    if contract.task == "regression":
        plots.draw_points(reports / "predicted.png", scores[:, 0], y, "predicted", "actual", f"{contract.target}, test rows")
    else:
        called = (scores[:, 0] >= threshold).astype(int) if contract.task == "binary" else best
        labels = contract.classes
        pairs = [(labels[a], labels[p]) for a, p in zip(y, called, strict=True)]
        plots.write_table(curves / "confusion.csv", ["actual", "predicted"], pairs)
        counts = np.zeros((len(labels), len(labels)), dtype=int)
        np.add.at(counts, (y, called), 1)
        plots.draw_confusion(reports / "confusion.png", counts, labels, "Confusion, test rows")
    if contract.task == "binary":
        for name, points, x, label in (
            ("roc", plots.roc(y == 1, scores[:, 0]), "false positive rate", "true positive rate"),
            ("precision_recall", plots.precision_recall(y == 1, scores[:, 0]), "recall", "precision"),
        ):
            points = plots.thin(points, conf.plot_points)
            plots.write_table(curves / f"{name}.csv", [x.replace(" ", "_"), label.replace(" ", "_")], points.tolist())
            plots.draw_curve(reports / f"{name}.png", points, x, label, name.replace("_", "-").upper() if name == "roc" else
                             "Precision and recall", with_diagonal=name == "roc")  # fmt: skip
    name = HEADLINE[contract.task]
    models = [(model, *(compared[key][name][part] for part in ("value", "low", "high")))
              for model, key in (("model", "metrics"), ("linear", "linear"), ("constant", "constant"))]  # fmt: skip
    plots.write_table(curves / "baselines.csv", ["predictor", name, "low", "high"], models)
    plots.draw_intervals(reports / "baselines.png", models, f"{name}, {conf.confidence:.0%} interval")


if __name__ == "__main__":
    run("evaluate", main)
