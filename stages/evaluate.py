"""Measures the model on the test rows, with intervals, beside a constant and the linear baseline.

data/{prepare,featurize,train} -> data/evaluate/predictions.parquet; reports/evaluate/.
By hand: python -m stages.evaluate evaluation=standard seed=7

Intervals are percentiles over bootstrap resamples of the test rows: stages/shared/bootstrap.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.model import Model
from stages.runtime.predictor import interval as prediction_interval
from stages.shared import plots
from stages.shared.bootstrap import compare, interval, measure, resample
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.evaluation.checks import check_demands, gates_line, run_checks
from stages.shared.evaluation.declared import EvaluationConf
from stages.shared.evaluation.resampled import Sample
from stages.shared.files import read_json, replacing, write_json
from stages.shared.metrics import HEADLINE, Cut
from stages.shared.pictures import draw
from stages.shared.rows import Rows, read_rows
from stages.shared.tables import connect, copy_to_parquet

CONTRACT, MODEL = Path("data/prepare/contract.json"), Path("data/train")
DATA, REPORTS = Path("data/evaluate"), Path("reports/evaluate")
Array = np.ndarray[Any, Any]


def main() -> None:
    """Predict, measure, compare, draw, write."""
    conf, choice, seed = compose("evaluation", EvaluationConf)
    contract = Contract.from_json(read_json(CONTRACT))
    rows = read_rows("test", contract)
    check_classes(rows, contract)
    model, linear = Model(MODEL), Model(MODEL / "baseline")
    scores = model.score_matrix(rows.X)
    predictions = {
        "model": (scores, cut_of(model)),
        "linear": (linear.score_matrix(rows.X), cut_of(linear)),
        "constant": (np.tile(model.meta["prior"], (len(rows.y), 1)), plain_cut(contract)),
    }
    around = intervals_of(model, scores)
    sample = Sample(contract, rows, scores, cut_of(model), conf.resamples, seed, conf.confidence)
    check_demands(conf, choice, sample, [] if around is None else ["coverage", "interval_width"])
    measured = measure(contract.task, rows, predictions, conf.resamples, seed)
    compared = compare(measured, conf.confidence)
    if around is not None:
        compared["prediction_interval"] = covered(model, rows, around, conf, seed)
    headline = HEADLINE[contract.task]
    tables = plots.tables(contract, rows.y, scores, cut_of(model), conf.plot_points)
    tables["baselines"] = baselines(headline, compared)
    told = compared["metrics"] | compared.get("prediction_interval", {}).get("measured", {})
    checked = run_checks(conf, sample, model, told, compared)
    with replacing(DATA, REPORTS) as (data, reports):
        write_predictions(data / "predictions.parquet", rows, contract, scores)
        write_json(reports / "metrics.json", {name: row["value"] for name, row in told.items()})
        write_json(reports / "intervals.json", {"rows": len(rows.y), "confidence": conf.confidence, **compared})
        for file, content in checked.items():
            write_json(reports / file, content)
        (reports / "plots").mkdir()
        for name, table in tables.items():
            plots.write_table(reports / "plots" / f"{name}.csv", table)
        draw(reports, tables, contract.classes)
    print(f"evaluate: {REPORTS}/metrics.json  {verdict(headline, compared)} ({len(rows.y)} test rows)")
    print(f"evaluate: {REPORTS}/gates.json  {gates_line(checked['gates.json']['gates'])}")


def check_classes(rows: Rows, contract: Contract) -> None:
    """Raise InputError where test rows of one class, or one value, leave nothing to measure."""
    if len(np.unique(rows.y)) < 2:
        only = contract.classes[rows.y[0]] if contract.classes else float(rows.y[0])
        where = f"conf/data/{contract.name}.yaml"
        raise InputError(f"{where}: {contract.target} is {only!r} in all {len(rows.y)} test rows (split)")


def cut_of(model: Model) -> Cut:
    """Return what calls a class: the threshold of two, the factors of more."""
    return model.meta["factors"] if model.task == "multiclass" else model.meta["threshold"]  # type: ignore[no-any-return]


def plain_cut(contract: Contract) -> Cut:
    """Return what calls the likeliest class."""
    return [1.0] * len(contract.classes) if contract.task == "multiclass" else 0.5


def verdict(name: str, compared: dict[str, Any]) -> str:
    """Return the headline metric with its interval, and what can be said against the linear baseline."""
    row, against = compared["metrics"][name], compared["minus_linear"][name]
    word = "no telling it from" if against["verdict"] == "cannot tell" else f"{against['verdict']} than"
    return (
        f"{name} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}], {word} the linear baseline: "
        f"{against['value']:+.4f} [{against['low']:+.4f}, {against['high']:+.4f}]"
    )


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
