"""Measures the model on the test rows, with intervals, beside a constant and the linear baseline.

data/{prepare,featurize,train} -> data/evaluate/predictions.parquet; reports/evaluate/.
By hand: python -m stages.evaluate evaluation=standard seed=7

What each number is: conf/evaluation/REFERENCE.md. What its interval is: stages/shared/bootstrap.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.model import Model
from stages.runtime.predictor import interval as prediction_interval
from stages.shared import plots
from stages.shared.bootstrap import compare, intervals, over_resamples, units_of
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.evaluation.asked import asked_of
from stages.shared.evaluation.checks import check_demands, gates_line, run_checks
from stages.shared.evaluation.declared import EvaluationConf
from stages.shared.evaluation.detail import Inside, about_classes, about_deciles, deciles_table
from stages.shared.evaluation.draws import Draws
from stages.shared.evaluation.multiclass import Multiclass
from stages.shared.evaluation.periods import about_periods, periods_table
from stages.shared.evaluation.regression import Deciles
from stages.shared.evaluation.resampled import Sample
from stages.shared.files import read_json, replacing, write_json
from stages.shared.losses import Cut
from stages.shared.metrics import HEADLINE, prepare
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
    compared = compare_all(contract, rows, model, predictions, around, conf, seed)
    periods = about_periods(contract.task, rows, predictions, conf, seed, asked_of(model.meta))
    headline = HEADLINE[contract.task]
    tables = plots.tables(contract, rows.y, scores, cut_of(model), conf.plot_points)
    tables["baselines"] = baselines(headline, compared)
    if periods:
        compared["periods"] = periods
        tables["periods"] = periods_table(headline, periods["list"])
    if "deciles" in compared:
        tables["deciles"] = deciles_table(compared["deciles"])
    told = compared["metrics"] | compared.get("prediction_interval", {}).get("measured", {})
    checked = run_checks(conf, sample, model, told, compared)
    with replacing(DATA, REPORTS) as (data, reports):
        write_predictions(data / "predictions.parquet", rows, contract, scores, around)
        known = {name: row["value"] for name, row in told.items() if row["value"] is not None}
        write_json(reports / "metrics.json", known)
        write_json(reports / "intervals.json", {"rows": len(rows.y), "confidence": conf.confidence, **compared})
        for file, content in checked.items():
            write_json(reports / file, content)
        (reports / "plots").mkdir()
        for name, table in tables.items():
            plots.write_table(reports / "plots" / f"{name}.csv", table)
        draw(reports, tables, contract.classes)
    print(f"evaluate: {REPORTS}/metrics.json  {verdict(headline, compared)} ({len(rows.y)} test rows)")
    print(f"evaluate: {REPORTS}/gates.json  {gates_line(checked['gates.json']['gates'])}")


def compare_all(
    contract: Contract,
    rows: Rows,
    model: Model,
    predictions: dict[str, tuple[Array, Cut]],
    around: Array | None,
    conf: EvaluationConf,
    seed: int,
) -> dict[str, Any]:
    """Return what is said of all test rows: the model beside the others, and the parts that the task has.

    All is measured over the same resamples, in one pass.
    """
    asked, task, y = asked_of(model.meta), contract.task, rows.y
    prepared = {name: prepare(task, y, scores, cut, asked) for name, (scores, cut) in predictions.items()}
    measures: dict[str, Callable[[Draws], dict[str, Array]]] = {name: one.measure for name, one in prepared.items()}
    if isinstance(prepared["model"], Multiclass):
        measures["classes"] = prepared["model"].by_class
    deciles = Deciles(y, predictions["model"][0][:, 0])
    if task == "regression":
        measures["deciles"] = deciles.measure
    if around is not None:
        measures["interval"] = Inside(y, around, model.meta["interval"]["level"]).measure
    measured = over_resamples(measures, rows, conf.resamples, seed)
    units = units_of(rows)
    compared = compare({name: measured[name] for name in predictions}, conf.confidence, units)
    if "classes" in measured:
        compared["classes"] = about_classes(contract, y, measured["classes"], conf.confidence, units)
    if "deciles" in measured:
        compared["deciles"] = about_deciles(y, deciles, measured["deciles"], conf.confidence, units)
    if "interval" in measured:
        found = intervals(measured["interval"], conf.confidence, units)
        compared["prediction_interval"] = {"level": model.meta["interval"]["level"], "measured": found}
    return compared


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


def write_predictions(path: Path, rows: Rows, contract: Contract, scores: Array, around: Array | None = None) -> None:
    """Write row, target, scores (score_0, ...) and the ends of the interval, if any, exactly as the model gave them."""
    connection = connect()
    labels = np.array(contract.classes, dtype=object)[rows.y] if contract.classes else rows.y
    columns = {"_row": rows.number, "target": labels}
    columns |= {f"score_{i}": np.ascontiguousarray(scores[:, i]) for i in range(scores.shape[1])}
    if around is not None:
        columns |= {name: np.ascontiguousarray(around[:, i]) for i, name in enumerate(("low", "high"))}
    connection.execute("CREATE TABLE predictions AS SELECT * FROM columns")
    copy_to_parquet(connection, "SELECT * FROM predictions ORDER BY _row", path)


def baselines(name: str, compared: dict[str, Any]) -> plots.Table:
    """Return one metric of the model and of both baselines, each with its interval."""
    keys = {"model": "metrics", "linear": "linear", "constant": "constant"}
    rows = [[model, *(compared[key][name][part] for part in ("value", "low", "high"))] for model, key in keys.items()]
    return plots.Table(["predictor", name, "low", "high"], rows)


if __name__ == "__main__":
    run("evaluate", main)
