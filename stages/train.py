"""Fits the chosen model on the training rows, and beside it the linear baseline.

data/featurize, data/prepare/contract.json, split.json -> data/train/model.json and the model's own file, baseline/,
trials.parquet; reports/train/{summary,decisions,tuning}.json, plots/. By hand:
python -m stages.train model=boosting seed=7

Validation rows stop boosting early, calibrate, set the threshold or the interval, and rank the columns; test rows are
not read. Then the model is fitted again, with them too. `validation_loss` flatters: quote what evaluate finds. In an
ensemble, train and validation rows decide together, each scored by models that were not fitted on it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.model import Model
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.files import read_json, replacing, write_json
from stages.shared.live import live
from stages.shared.models.baseline import prior, store_baseline
from stages.shared.models.calibrate import apply
from stages.shared.models.chosen import fit_again, fit_chosen, judge, size, store_fitted, told_of
from stages.shared.models.decisions import decide, loss_on_validation
from stages.shared.models.declared import ModelConf
from stages.shared.models.ensemble import Ensemble, members_table
from stages.shared.models.fit import Recipe, Task, one_order_of_sums
from stages.shared.models.importance import even_places, permutation_importance
from stages.shared.models.judged import Judged
from stages.shared.models.objective import validation_loss
from stages.shared.models.record import told, write_tuning
from stages.shared.models.reference import fit_reference
from stages.shared.models.tuning import Tuned, tune
from stages.shared.plots import Table, write_table
from stages.shared.rows import FEATURES, Rows, read_rows, together

if TYPE_CHECKING:
    import numpy as np

CONTRACT, SPLIT = Path("data/prepare/contract.json"), Path("data/prepare/split.json")
DATA, REPORTS, UNFINISHED = Path("data/train"), Path("reports/train"), Path("data/.tuning.scratch")
LIVE = Path("reports/live/train.json")  # beside the reports, which change places as a whole


def main() -> None:
    """Read, tune, fit, decide, explain, write."""
    # For GCC's OpenMP, which LightGBM loads later: its threads wait for each other by spinning. Of two fits at once on
    # two cores each took six times as long as alone, and with this limit one and a half times; alone it costs nothing.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    conf, choice, seed = compose("model", ModelConf)
    where = f"conf/model/{choice}.yaml"
    contract = Contract.from_json(read_json(CONTRACT))
    features = read_json(FEATURES / "plan.json")
    train, validation = (read_rows(side, contract) for side in ("train", "validation"))
    check_target(train, contract)
    task = Task(contract.task, contract.classes)
    shared = {"task": task.kind, "classes": task.classes, **plain_cut(task), "prior": prior(train, contract)}
    gap_days = read_json(SPLIT)["gap_days"]
    recipe = Recipe(conf, where, seed, task, features)
    with live(LIVE), replacing(DATA, REPORTS) as (data, reports):
        tuned = Tuned(conf) if conf.members else tune(recipe, together(train, validation), gap_days, UNFINISHED)
        recipe = recipe.with_conf(tuned.conf)
        (data / "baseline").mkdir()
        (reports / "plots").mkdir()
        store_baseline(data / "baseline", recipe, train, validation, shared)
        fitted = fit_chosen(recipe, train, validation)
        store_fitted(data, fitted, shared, train)
        judged = judge(Model(data), fitted, task, train, validation)
        decided, why = decide(recipe, judged, reports / "plots")
        calibration = decided.get("calibration")
        write_importance(reports / "plots/importance.csv", recipe, judged, calibration)
        if isinstance(fitted, Ensemble):
            write_table(reports / "plots/ensemble.csv", members_table(fitted, data))
        summary = {"rows": len(train.y), **size(fitted)}  # where it stopped: the last fit has no stop of its own
        if conf.refit:
            fitted = fit_again(recipe, fitted, together(train, validation))
        meta = store_fitted(data, fitted, shared, train)
        write_json(data / "model.json", {**meta, **decided, "reference": fit_reference(features, train.X)})
        loss = loss_on_validation(recipe, judged)
        summary["validation_loss"] = round(loss, 6)
        summary |= {"threshold": why["threshold"]} if "threshold" in why else {}
        write_json(reports / "decisions.json", why | told_of(fitted))
        write_json(reports / "summary.json", {**summary, **write_tuning(tuned, data, reports)})
    tuned.forget()
    if tuned.trials:
        print(told(tuned))
    print(
        f"train: {DATA}/model.json  {choice} ({meta['kind']}), {summary['rows']} training rows, "
        f"validation loss {summary['validation_loss']}"
    )


def check_target(train: Rows, contract: Contract) -> None:
    """Raise InputError where there is nothing to tell apart: a class without training rows, a constant number."""
    if contract.task == "regression":
        if (train.y == train.y[0]).all():
            raise InputError(f"{contract.target}: all {len(train.y)} training rows have the value {train.y[0]}")
        return
    absent = [label for number, label in enumerate(contract.classes) if not (train.y == number).any()]
    if absent:
        raise InputError(f"{contract.target}: no training rows of class {', '.join(map(repr, absent))}")


def plain_cut(task: Task) -> dict[str, Any]:
    """Return what calls the likeliest class, until validation rows decide otherwise."""
    return {"threshold": 0.5} if task.kind != "multiclass" else {"factors": [1.0] * len(task.classes)}


def write_importance(path: Path, recipe: Recipe, judged: Judged, calibration: Any) -> None:
    """Write how much the loss of the rows that decide grows when a column is dealt out anew."""
    places = even_places(len(judged.rows.y))

    def loss_of(rows: Rows, X: np.ndarray[Any, Any]) -> float:
        scores = apply(calibration, judged.score(places, X))
        return validation_loss(recipe.conf, recipe.task.kind, rows.y, scores, rows.weight)

    with one_order_of_sums(None):
        found = permutation_importance(recipe.features, judged.rows.take(places), loss_of, recipe.seed)
    write_table(path, Table(["column", "loss_increase", "spread"], found))


if __name__ == "__main__":
    run("train", main)
