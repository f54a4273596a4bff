"""Writes what tuning tried and found: every trial as Parquet, two plots, and the best arguments, ready to be pasted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from stages.shared.files import write_json
from stages.shared.models.trials import Trial
from stages.shared.models.tuning import Tuned
from stages.shared.plots import Table, write_table
from stages.shared.tables import connect, copy_to_parquet


def write_tuning(tuned: Tuned, data: Path, reports: Path) -> dict[str, Any]:
    """Write trials.parquet where there are trials, and the reports, empty or not; return what summary.json says."""
    summary = summary_of(tuned)
    write_json(reports / "tuning.json", summary | ({"start": [tuned.best.arguments]} if tuned.trials else {}))
    write_table(reports / "plots/tuning.csv", Table(["trial", "loss", "best"], progress_of(tuned.trials)))
    shares = [list(item) for item in tuned.importance]
    write_table(reports / "plots/tuning_importance.csv", Table(["argument", "importance"], shares))
    if tuned.trials:
        write_trials(data / "trials.parquet", tuned)
    return {"tuning": summary} if tuned.trials else {}


def summary_of(tuned: Tuned) -> dict[str, Any]:
    """Return how many trials ended how, and the losses of the declared and of the best arguments."""
    if not tuned.trials:
        return {"trials": 0}
    states = Counter(trial.state for trial in tuned.trials)
    declared = tuned.trials[0].loss
    return {
        "trials": len(tuned.trials),
        **{state: states[state] for state in ("finished", "pruned", "failed")},
        "declared_loss": None if declared is None else round(declared, 6),
        "best_loss": round(tuned.best.loss or 0.0, 6),
        "best_trial": tuned.best.number,
        "fitted_trial": tuned.chosen.number,
    }


def progress_of(trials: list[Trial]) -> list[list[Any]]:
    """Return [trial, loss, least loss so far] of the trials that finished."""
    rows: list[list[Any]] = []
    for trial in trials:
        if trial.loss is not None:
            rows.append([trial.number, trial.loss, min([trial.loss, *(row[1] for row in rows)])])
    return rows


def write_trials(path: Path, tuned: Tuned) -> None:
    """Write a row for each trial: number, state, loss, loss by fold, message, and the arguments by name."""
    columns: dict[str, list[Any]] = {
        "trial": [trial.number for trial in tuned.trials],
        "state": [trial.state for trial in tuned.trials],
        "loss": [trial.loss for trial in tuned.trials],
    }
    for fold in range(max(len(trial.folds) for trial in tuned.trials)):
        columns[f"fold_{fold + 1}"] = [dict(enumerate(trial.folds)).get(fold) for trial in tuned.trials]
    columns["message"] = [trial.message or None for trial in tuned.trials]
    columns |= {f"arguments.{name}": [trial.arguments.get(name) for trial in tuned.trials] for name in tuned.space}
    types = {name: type_of(values) for name, values in columns.items()}
    types |= {"state": "VARCHAR", "message": "VARCHAR"}
    texts = {name: [json.dumps(value) for value in values] if types[name] == "JSON" else values
             for name, values in columns.items()}  # fmt: skip
    connection = connect()
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in columns}
    listed = ", ".join(f"{quoted[name]} {types[name].replace('JSON', 'VARCHAR')}" for name in columns)
    connection.execute(f"CREATE TABLE trials ({listed})")
    places = ", ".join("?" for _ in columns)
    connection.executemany(f"INSERT INTO trials VALUES ({places})", list(zip(*texts.values(), strict=True)))
    copy_to_parquet(connection, "SELECT * FROM trials ORDER BY trial", path)


def type_of(values: list[Any]) -> str:
    """Return the type of a column: booleans, whole numbers, numbers, or JSON for all else."""
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, bool) for value in given):
        return "BOOLEAN"
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in given):
        return "JSON"
    return "BIGINT" if given and all(isinstance(value, int) for value in given) else "DOUBLE"


def told(tuned: Tuned) -> str:
    """Return what train prints of the tuning, with the line to paste into the file of conf/model."""
    import yaml

    found = summary_of(tuned)
    ended = ", ".join(f"{found[state]} {state}" for state in ("finished", "pruned", "failed") if found[state])
    declared = "failed" if found["declared_loss"] is None else found["declared_loss"]
    margin = f"{tuned.conf.tuning.margin:g} standard errors over the folds"
    fitted = (
        f"as declared: {margin} are not between them" if found["fitted_trial"] == 0 else f"the latter, beyond {margin}"
    )
    start = yaml.safe_dump([tuned.best.arguments], default_flow_style=True, sort_keys=False, width=10**9).strip()
    return (
        f"train: tuned, {found['trials']} trials ({ended}): cross-validated loss {declared} as declared, "
        f"{found['best_loss']} in trial {found['best_trial']}; fitted {fitted}\nstart: {start}"
    )
