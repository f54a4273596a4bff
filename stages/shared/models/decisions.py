"""What is made of scores of rows that a model was not fitted on: calibration and threshold, or an interval."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from stages.shared.models.calibrate import apply, choose_calibration
from stages.shared.models.conformal import fit_interval, usual_error
from stages.shared.models.declared import Interval, ModelConf, Objective
from stages.shared.models.factors import choose_factors
from stages.shared.models.fit import Recipe
from stages.shared.models.judged import Judged
from stages.shared.models.objective import validation_loss
from stages.shared.models.threshold import Unreachable, choose_threshold, columns, cuts, rule_of, sensitivity
from stages.shared.plots import Table, thin, write_table

PLOT_POINTS = 200


def decide(recipe: Recipe, judged: Judged, plots: Path | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (what model.json gets, why): calibration and threshold or factors, or the interval.

    With `plots`, a folder, what other thresholds would give is written there.
    """
    conf, where, task = recipe.conf, recipe.where, recipe.task.kind
    rows, scores = judged.rows, judged.scores
    why: dict[str, Any] = {}
    if judged.n_validation < len(rows.y):
        why["decided_on"] = f"{len(rows.y)} training and validation rows, out of fold"
    if task == "regression":
        found = None if conf.interval is None else decide_interval(conf.interval, judged)
        if conf.interval is not None:
            why["interval"] = {"level": conf.interval.level, "quantile": found and round(found["quantile"], 6)}
        quantile = conf.objective.quantile if isinstance(conf.objective, Objective) else None
        return {"interval": found, **({} if quantile is None else {"quantile": quantile})}, why
    calibration, why["calibration"] = choose_calibration(conf.calibration, task, rows, scores, recipe.seed, where)
    decided: dict[str, Any] = {"calibration": calibration}
    calibrated = apply(calibration, scores)
    if task == "multiclass":
        if conf.threshold == "f1":
            decided["factors"], why["left_out_macro_f1"] = choose_factors(rows, calibrated)
            why["factors"] = [round(factor, 6) for factor in decided["factors"]]
    else:
        found_cuts = cuts(rows.y, calibrated[:, 0], rows.weight)
        decided["threshold"] = choose_threshold(conf.threshold, found_cuts, where)
        if rule_of(conf.threshold, where)[0] == "costs":
            decided["costs"] = dataclasses.asdict(rule_of(conf.threshold, where)[1])
        why["threshold"] = round(decided["threshold"], 6)
        why["threshold_sensitivity"] = sensitivity(conf.threshold, found_cuts, decided["threshold"], where)
        if plots is not None:
            write_threshold(plots / "threshold.csv", conf, found_cuts, where)
    return decided, why


def decide_baseline(recipe: Recipe, judged: Judged) -> dict[str, Any]:
    """Return what model.json of the baseline gets: decided as for the model, or a comparison would flatter that one.

    A floor of precision or recall that no cut of it reaches is left for the best F1.
    """
    if recipe.task.kind == "regression":
        return {}
    try:
        return decide(recipe, judged)[0]
    except Unreachable:
        return decide(recipe.with_conf(dataclasses.replace(recipe.conf, threshold="f1")), judged)[0]


def loss_on_validation(recipe: Recipe, judged: Judged) -> float:
    """Return the loss of the validation rows, before calibration, whichever rows decide."""
    own = judged.validation
    rows = judged.rows.take(own)
    return validation_loss(recipe.conf, recipe.task.kind, rows.y, judged.scores[own], rows.weight)


def decide_interval(asked: Interval, judged: Judged) -> dict[str, Any] | None:
    """Return the interval; None, and a line that says so, where the rows are too few."""
    rows = judged.rows
    scale = usual_error(*judged.usual()) if asked.scaled else ([], [])
    found = fit_interval(asked, rows.y, judged.scores[:, 0], rows.weight, scale)
    if found is None:
        kind = "validation rows" if judged.n_validation == len(rows.y) else "rows out of fold"
        print(
            f"train: no prediction interval: {len(rows.y)} {kind} are too few for a level of {asked.level}",
            file=sys.stderr,
        )
    return found


def write_threshold(path: Path, conf: ModelConf, found: Any, where: str) -> None:
    """Write what other thresholds would give, at most PLOT_POINTS of them."""
    import numpy as np

    by_name = {"threshold": found.threshold, **columns(conf.threshold, found, where)}
    points = thin(np.column_stack(list(by_name.values())), PLOT_POINTS)
    write_table(path, Table(list(by_name), points.tolist()))
