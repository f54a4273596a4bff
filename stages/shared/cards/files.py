"""The files that cards are compiled from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.shared.cards.declared import CardText
from stages.shared.cards.facts import Fact, Facts
from stages.shared.files import read_json, read_table

CONTRACT, DECLARED = Path("data/prepare/contract.json"), Path("reports/prepare/declared.json")
SUMMARY, PROFILE = Path("reports/prepare/summary.json"), Path("reports/prepare/profile.json")
DECISIONS, IMPORTANCE = Path("reports/train/decisions.json"), Path("reports/train/plots/importance.csv")
INTERVALS, SLICES = Path("reports/evaluate/intervals.json"), Path("reports/evaluate/slices.json")
GATES, WHEEL = Path("reports/evaluate/gates.json"), Path("reports/package/wheel.json")
READ = [CONTRACT, DECLARED, SUMMARY, PROFILE, DECISIONS, IMPORTANCE, INTERVALS, SLICES, GATES]


class Report(Facts):
    """The facts of one model: `report[INTERVALS]`, `report.texts` what people state, `report.table` its name."""

    def __init__(self, files: dict[str, Any], conf: Path) -> None:
        super().__init__(files)
        self.table: Fact = self.of(CONTRACT)["name"]
        self.texts: Fact = self[conf.as_posix()]["tables"][self.table.value]

    def of(self, path: Path) -> Fact:
        """Return the whole of a file."""
        return self[path.as_posix()]


def read_report(lineage: dict[str, Any], conf: Path, tables: dict[str, CardText]) -> Report:
    """Return the facts of the model that `lineage` names, with what conf/packaging states of its table.

    Raises InputError where a report is absent.
    """
    read: dict[str, Callable[[Path], Any]] = {".csv": read_table, ".json": read_json}
    files = {path.as_posix(): read[path.suffix](path) for path in READ}
    name = files[CONTRACT.as_posix()]["name"]
    texts = dataclasses.asdict(tables.get(name, CardText()))
    return Report({**files, WHEEL.as_posix(): lineage, conf.as_posix(): {"tables": {name: texts}}}, conf)
