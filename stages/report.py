"""Writes reports/index.html: what all other stages found out, on one page for people.

data/{prepare,featurize,train,evaluate}, reports/ -> reports/index.html. By hand: python -m stages.report
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.model import Model
from stages.shared.errors import run
from stages.shared.files import read_json, read_table
from stages.shared.lineage import dvc_hash
from stages.shared.report import evidence, judgements, sections
from stages.shared.report.cards import cards
from stages.shared.report.page import page
from stages.shared.report.worst import worst_rows
from stages.shared.rows import read_rows
from stages.shared.tables import parquet, read_arrays

PREPARED, MODEL, PREDICTED = Path("data/prepare"), Path("data/train"), Path("data/evaluate/predictions.parquet")
MADE = [Path("data/prepare"), Path("data/featurize"), Path("data/train"), Path("data/evaluate")]
REPORTS = Path("reports")
STAGES = ["prepare", "featurize", "train", "evaluate", "package"]


def main() -> None:
    """Read what there is, lay it out, write."""
    contract = Contract.from_json(read_json(PREPARED / "contract.json"))
    reports = read_reports()
    model, rows = Model(MODEL), read_rows("test", contract)
    shown = [
        sections.verdict(contract, reports),
        sections.metrics(reports),
        sections.curves(contract, reports),
        judgements.slices(contract, reports),
        judgements.fairness(reports),
        judgements.behaviour(reports),
        sections.decisions(reports),
        sections.importance(reports),
        worst_rows(contract, model, rows, read_scores(), PREPARED / "kept.parquet"),
        evidence.data(reports),
        *cards(REPORTS / "package"),
        evidence.experiments(reports),
        evidence.lineage(reports, {path.as_posix(): dvc_hash(path) for path in MADE}, model.meta["estimator"]),
    ]
    description = f"Predicts {contract.target} ({contract.task}) from {len(contract.inputs)} columns."
    html = page(f"{contract.name}: report", description, shown)
    draft = REPORTS / ".index.html.new"
    draft.write_text(html, encoding="utf-8")
    draft.replace(REPORTS / "index.html")
    print(f"report: {REPORTS}/index.html  {len(html.encode()):,} bytes")


def read_reports() -> sections.Reports:
    """Return every JSON and CSV of the stages' reports, by its path in reports/."""
    found = sections.Reports()
    for stage in STAGES:
        for path in sorted((REPORTS / stage).rglob("*")):
            name = path.relative_to(REPORTS).as_posix()
            if path.suffix == ".json":
                found[name] = read_json(path)
            elif path.suffix == ".csv":
                found[name] = read_table(path)
    return found


def read_scores() -> np.ndarray[Any, Any]:
    """Return the scores of the test rows, shape (n_rows, n_outputs), in the rows' order."""
    arrays = read_arrays(f"{parquet(PREDICTED)} ORDER BY _row")
    n_outputs = sum(name.startswith("score_") for name in arrays)
    return np.column_stack([arrays[f"score_{i}"] for i in range(n_outputs)])


if __name__ == "__main__":
    run("report", main)
