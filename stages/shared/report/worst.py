"""The test rows that the model was most wrong about, each with what its columns added to the answer."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.runtime.model import Model
from stages.runtime.predictor import answer
from stages.runtime.shapley import source_of
from stages.shared.files import read_json
from stages.shared.losses import row_loss
from stages.shared.report.parts import Html, details, number, section, table
from stages.shared.rows import FEATURES, Rows
from stages.shared.tables import connect, parquet

MOST_ROWS, MOST_COLUMNS = 10, 5
HIDDEN = "sensitive"


def worst_rows(contract: Contract, model: Model, rows: Rows, scores: np.ndarray[Any, Any], kept: Path) -> Html:
    """Return the section. Values of sensitive columns are not shown."""
    loss = row_loss(contract.task, rows.y, scores)
    places = np.lexsort((rows.number, -loss))[:MOST_ROWS]
    columns = [source_of(feature) for feature in read_json(FEATURES / "plan.json")]
    raw = raw_values(contract, kept, rows.number[places])
    listed, more = [], []
    for place in places.tolist():
        record = raw[int(rows.number[place])]
        called = answer(model.meta, scores[place].tolist())
        given = contract.classes[rows.y[place]] if contract.classes else float(rows.y[place])
        name = ", ".join(str(shown(contract, key, record)) for key in contract.with_role("key"))
        name = name or f"row {rows.number[place]}"
        listed.append(
            [
                name,
                given,
                said(called),
                float(loss[place]),
                contributions(contract, model, rows.X[place], columns, called, record),
            ]
        )
        cells = [[column, shown(contract, column, record)] for column in contract.inputs]
        more.append(details(f"All values of {name}", table(f"Values of {name}", ["column", "value"], cells)))
    header = ["row", "actual", "predicted", "loss", "what pushed the answer most"]
    return section("worst", "Worst rows", [table("Test rows of largest loss", header, listed), *more])


def raw_values(contract: Contract, kept: Path, numbers: np.ndarray[Any, Any]) -> dict[int, dict[str, Any]]:
    """Return {row number: {column: value}} of keys and inputs."""
    names = [*contract.with_role("key"), *contract.inputs]
    listed = ", ".join(map(identifier, names))
    wanted = ", ".join(str(int(number)) for number in numbers)
    found = connect().execute(f"SELECT _row, {listed} FROM {parquet(kept)} WHERE _row IN ({wanted})").fetchall()
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in found}


def shown(contract: Contract, column: str, record: dict[str, Any]) -> Any:
    """Return a value as the report shows it."""
    if contract.columns[column].sensitive:
        return HIDDEN
    value = record[column]
    return str(value) if isinstance(value, datetime.date | bool) else value


def said(found: dict[str, Any]) -> Html | str:
    """Return a prediction with its probability or interval."""
    if "probabilities" in found:
        return f"{found['prediction']} ({found['probabilities'][found['prediction']]:.1%})"
    around = f" [{', '.join(map(number, found['interval']))}]" if "interval" in found else ""
    return Html(f'<td data-v="{found["prediction"]!r}">{number(found["prediction"])}{around}</td>')


def contributions(
    contract: Contract, model: Model, x: np.ndarray[Any, Any], columns: list[str], called: dict[str, Any], record: Any
) -> str:
    """Return the largest parts of one answer: of the class called, of the positive one, or of the number."""
    parts = model.contributions_row(x.tolist(), columns)
    place = contract.classes.index(called["prediction"]) if contract.task == "multiclass" else 0
    largest = sorted(parts[place][1].items(), key=lambda part: (-abs(part[1]), part[0]))[:MOST_COLUMNS]
    return ", ".join(
        f"{name}{f' = {number(shown(contract, name, record))}' if name in record else ''} ({number(value, '+')})"
        for name, value in largest if value
    )  # fmt: skip
