"""Measures the model on the test rows, with intervals, beside a constant and the linear baseline.

data/featurize, data/train, data/prepare/contract.json -> data/evaluate/predictions.parquet; reports/evaluate/.
By hand: python -m stages.evaluate evaluation=standard seed=7

Intervals are percentiles over bootstrap resamples of the test rows (of groups where there are any), the same resamples
for every model, so that differences are paired. Source: Efron & Tibshirani 1993, chapters 13 and 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.model import Model
from stages.runtime.predictor import interval as prediction_interval
from stages.shared import plots
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.files import read_json, replacing, write_json
from stages.shared.metrics import HEADLINE, HIGHER_IS_BETTER, compute
from stages.shared.pictures import draw
from stages.shared.progress import Progress
from stages.shared.rows import Rows, read_rows
from stages.shared.tables import connect, copy_to_parquet

CONTRACT, MODEL = Path("data/prepare/contract.json"), Path("data/train")
DATA, REPORTS = Path("data/evaluate"), Path("reports/evaluate")
Array = np.ndarray[Any, Any]
BLOCK_CELLS = 4_000_000  # resamples x rows held at once, some 100 MB


@dataclass(frozen=True)
class EvaluationConf:
    """The schema of conf/evaluation/NAME.yaml."""

    resamples: int = field(metadata={"min": 20})
    confidence: float = field(metadata={"min": 0.5, "max": 0.999})
    plot_points: int = field(metadata={"min": 2})


def main() -> None:
    """Predict, measure, compare, draw, write."""
    conf, _, seed = compose("evaluation", EvaluationConf)
    contract = Contract.from_json(read_json(CONTRACT))
    rows = read_rows("test", contract)
    check_classes(rows, contract)
    model, linear = Model(MODEL), Model(MODEL / "baseline")
    scores = model.score_matrix(rows.X)
    threshold = model.meta["threshold"]
    predictions = {
        "model": (scores, threshold),
        "linear": (linear.score_matrix(rows.X), linear.meta["threshold"]),
        "constant": (np.tile(model.meta["prior"], (len(rows.y), 1)), 0.5),
    }
    around = intervals_of(model, scores)
    measured = measure(contract.task, rows, predictions, conf.resamples, seed)
    compared = compare(measured, conf.confidence)
    if around is not None:
        compared["prediction_interval"] = covered(model, rows, around, conf, seed)
    headline = HEADLINE[contract.task]
    tables = plots.tables(contract, rows.y, scores, threshold, conf.plot_points)
    tables["baselines"] = baselines(headline, compared)
    with replacing(DATA, REPORTS) as (data, reports):
        write_predictions(data / "predictions.parquet", rows, contract, scores)
        told = compared["metrics"] | compared.get("prediction_interval", {}).get("measured", {})
        write_json(reports / "metrics.json", {name: row["value"] for name, row in told.items()})
        write_json(reports / "intervals.json", {"rows": len(rows.y), "confidence": conf.confidence, **compared})
        (reports / "plots").mkdir()
        for name, table in tables.items():
            plots.write_table(reports / "plots" / f"{name}.csv", table)
        draw(reports, tables, contract.classes)
    print(f"evaluate: {REPORTS}/metrics.json  {verdict(headline, compared)} ({len(rows.y)} test rows)")


def check_classes(rows: Rows, contract: Contract) -> None:
    """Raise InputError where test rows of one class, or one value, leave nothing to measure."""
    if len(np.unique(rows.y)) < 2:
        only = contract.classes[rows.y[0]] if contract.classes else float(rows.y[0])
        where = f"conf/data/{contract.name}.yaml"
        raise InputError(f"{where}: {contract.target} is {only!r} in all {len(rows.y)} test rows (split)")


def verdict(name: str, compared: dict[str, Any]) -> str:
    """Return the headline metric with its interval, and what can be said against the linear baseline."""
    row, against = compared["metrics"][name], compared["minus_linear"][name]
    word = "no telling it from" if against["verdict"] == "cannot tell" else f"{against['verdict']} than"
    return (
        f"{name} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}], {word} the linear baseline: "
        f"{against['value']:+.4f} [{against['low']:+.4f}, {against['high']:+.4f}]"
    )


def measure(
    task: str, rows: Rows, predictions: dict[str, tuple[Array, float]], n_resamples: int, seed: int
) -> dict[str, dict[str, Array]]:
    """Return {model: {metric: shape (1 + n_resamples,)}} of {model: (scores, threshold)}, the sample's value first."""
    parts: dict[str, list[dict[str, Array]]] = {name: [] for name in predictions}
    progress, done = Progress("evaluate", "resamples", n_resamples), 0
    for W in resample(rows, n_resamples, seed):
        for name, (scores, threshold) in predictions.items():
            parts[name].append(compute(task, rows.y, scores, threshold, W))
        done += len(W)
        progress.update(done - 1)  # the first is the sample itself
    progress.close()
    return {name: {m: np.concatenate([part[m] for part in found]) for m in found[0]} for name, found in parts.items()}


def intervals_of(model: Model, scores: Array) -> Array | None:
    """Return [low, high] around each predicted number, shape (n_rows, 2), as the packaged model gives them."""
    if model.meta.get("interval") is None:
        return None
    return np.array([prediction_interval(model.meta, value) for value in scores[:, 0].tolist()])


def covered(model: Model, rows: Rows, around: Array, conf: EvaluationConf, seed: int) -> dict[str, Any]:
    """Return the declared level and, measured over the resamples, the share of test rows inside and the mean width."""
    is_inside = (around[:, 0] <= rows.y) & (rows.y <= around[:, 1])
    values = np.column_stack([is_inside.astype(float), around[:, 1] - around[:, 0]])
    parts = [np.einsum("rn,nk->rk", W, values) / W.sum(1)[:, None] for W in resample(rows, conf.resamples, seed)]
    found = {
        name: interval(column, conf.confidence)
        for name, column in zip(("coverage", "interval_width"), np.vstack(parts).T, strict=True)
    }
    return {"level": model.meta["interval"]["level"], "measured": found}


def resample(rows: Rows, n_resamples: int, seed: int) -> Iterator[Array]:
    """Yield how often each row stands in each resample, times its weight, in blocks of shape (block, n_rows).

    The first block is the sample itself. Whole groups are drawn where the contract has a group.
    """
    n_rows = len(rows.y)
    clusters = np.arange(n_rows) if rows.group is None else np.unique(rows.group, return_inverse=True)[1]
    weight = 1.0 if rows.weight is None else rows.weight
    n = int(clusters.max()) + 1
    random = np.random.default_rng(seed)
    yield np.ones((1, n_rows)) * weight
    block = max(1, BLOCK_CELLS // n_rows)
    for start in range(0, n_resamples, block):
        draws = random.multinomial(n, np.full(n, 1 / n), size=min(block, n_resamples - start))
        yield draws[:, clusters] * weight


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
    """Return the sample's value and the percentile interval of the resamples, to 6 decimals.

    Resamples in which the metric has no value (no positive row was drawn) are left out and counted as `undefined`.
    """
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(values[1:], [tail, 1 - tail])
    row = {"value": round(float(values[0]), 6), "low": round(float(low), 6), "high": round(float(high), 6)}
    undefined = int(np.isnan(values[1:]).sum())
    return {**row, "undefined": undefined} if undefined else row


def difference(name: str, values: Array, confidence: float) -> dict[str, Any]:
    """Return the interval of a paired difference and whether it says better, worse or nothing."""
    row = interval(values, confidence)
    is_higher, is_lower = row["low"] > 0, row["high"] < 0
    if not (is_higher or is_lower):
        return {**row, "verdict": "cannot tell"}
    return {**row, "verdict": "better" if is_higher == HIGHER_IS_BETTER[name] else "worse"}


def write_predictions(path: Path, rows: Rows, contract: Contract, scores: Array) -> None:
    """Write row, target and scores (score_0, ...) of each test row, exactly as the model gave them."""
    connection = connect()
    labels = np.array(contract.classes, dtype=object)[rows.y] if contract.classes else rows.y
    columns = {"_row": rows.number, "target": labels}
    columns |= {f"score_{i}": np.ascontiguousarray(scores[:, i]) for i in range(scores.shape[1])}
    connection.execute("CREATE TABLE predictions AS SELECT * FROM columns")
    copy_to_parquet(connection, "SELECT * FROM predictions ORDER BY _row", path)


def baselines(name: str, compared: dict[str, Any]) -> plots.Table:
    """Return one metric of the model and of both baselines, each with its interval."""
    keys = {"model": "metrics", "linear": "linear", "constant": "constant"}
    rows = [[model, *(compared[key][name][part] for part in ("value", "low", "high"))] for model, key in keys.items()]
    return plots.Table(["predictor", name, "low", "high"], rows)


if __name__ == "__main__":
    run("evaluate", main)
