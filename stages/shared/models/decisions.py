"""What is made of a model's scores on validation rows: calibration and threshold, or the interval of a number."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from stages.runtime.model import Model
from stages.shared.models.calibrate import apply, choose_calibration
from stages.shared.models.conformal import fit_interval, usual_error
from stages.shared.models.declared import ModelConf
from stages.shared.models.importance import some
from stages.shared.models.objective import validation_loss
from stages.shared.models.threshold import choose_threshold, columns, cuts, sensitivity
from stages.shared.plots import Table, thin, write_table
from stages.shared.rows import Rows

PLOT_POINTS = 200


def decide(
    conf: ModelConf, where: str, seed: int, model: Model, train: Rows, validation: Rows, plots: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (what model.json gets, what the summary says): calibration and threshold, or the interval."""
    scores = model.score_matrix(validation.X)
    loss = validation_loss(conf, model.task, validation.y, scores, validation.weight)
    summary: dict[str, Any] = {"validation_loss": round(loss, 6)}
    if model.task == "regression":
        found = None if conf.interval is None else decide_interval(conf, model, train, validation, scores)
        if conf.interval is not None:
            summary["interval"] = {"level": conf.interval.level, "quantile": found and round(found["quantile"], 6)}
        return {"interval": found}, summary
    calibration, summary["calibration"] = choose_calibration(
        conf.calibration, model.task, validation, scores, seed, where
    )
    decided: dict[str, Any] = {"calibration": calibration}
    if model.task == "binary":
        found_cuts = cuts(validation.y, apply(calibration, scores)[:, 0], validation.weight)
        decided["threshold"] = choose_threshold(conf.threshold, found_cuts, where)
        summary["threshold"] = round(decided["threshold"], 6)
        summary["threshold_sensitivity"] = sensitivity(conf.threshold, found_cuts, decided["threshold"], where)
        write_threshold(plots / "threshold.csv", conf, found_cuts, where)
    return decided, summary


def decide_interval(conf: ModelConf, model: Model, train: Rows, validation: Rows, scores: Any) -> dict[str, Any] | None:
    """Return the interval; None, and a line that says so, where validation rows are too few."""
    assert conf.interval is not None
    rows = some(train)
    scale = usual_error(rows.y, model.score_matrix(rows.X, together=True)[:, 0]) if conf.interval.scaled else ([], [])
    found = fit_interval(conf.interval, validation.y, scores[:, 0], validation.weight, scale)
    if found is None:
        too_few = f"{len(validation.y)} validation rows are too few for a level of {conf.interval.level}"
        print(f"train: no prediction interval: {too_few}", file=sys.stderr)
    return found


def write_threshold(path: Path, conf: ModelConf, found: Any, where: str) -> None:
    """Write what other thresholds would give, at most PLOT_POINTS of them."""
    import numpy as np

    by_name = {"threshold": found.threshold, **columns(conf.threshold, found, where)}
    points = thin(np.column_stack(list(by_name.values())), PLOT_POINTS)
    write_table(path, Table(list(by_name), points.tolist()))
