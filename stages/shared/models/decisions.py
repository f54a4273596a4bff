"""What is made of scores of rows that a model was not fitted on: calibration and threshold, or an interval."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from stages.shared.models.calibrate import apply, choose_calibration
from stages.shared.models.conformal import fit_interval, usual_error
from stages.shared.models.declared import Interval, ModelConf
from stages.shared.models.judged import Judged
from stages.shared.models.objective import validation_loss
from stages.shared.models.threshold import choose_threshold, columns, cuts, sensitivity
from stages.shared.plots import Table, thin, write_table

PLOT_POINTS = 200


def decide(
    conf: ModelConf, where: str, seed: int, task: str, judged: Judged, plots: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (what model.json gets, what the summary says): calibration and threshold, or the interval.

    `validation_loss` is that of the validation rows, whichever rows decide.
    """
    rows, scores, own = judged.rows, judged.scores, judged.validation
    validation = rows.take(own)
    loss = validation_loss(conf, task, validation.y, scores[own], validation.weight)
    summary: dict[str, Any] = {"validation_loss": round(loss, 6)}
    if task == "regression":
        found = None if conf.interval is None else decide_interval(conf.interval, judged)
        if conf.interval is not None:
            summary["interval"] = {"level": conf.interval.level, "quantile": found and round(found["quantile"], 6)}
        return {"interval": found}, summary
    calibration, summary["calibration"] = choose_calibration(conf.calibration, task, rows, scores, seed, where)
    decided: dict[str, Any] = {"calibration": calibration}
    if task == "binary":
        found_cuts = cuts(rows.y, apply(calibration, scores)[:, 0], rows.weight)
        decided["threshold"] = choose_threshold(conf.threshold, found_cuts, where)
        summary["threshold"] = round(decided["threshold"], 6)
        summary["threshold_sensitivity"] = sensitivity(conf.threshold, found_cuts, decided["threshold"], where)
        write_threshold(plots / "threshold.csv", conf, found_cuts, where)
    return decided, summary


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
