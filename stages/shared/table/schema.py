"""The schema of conf/data/NAME.yaml, and the contract that comes of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stages.runtime.contract import Column, Contract
from stages.runtime.expression import Rule
from stages.runtime.forms import NUMBERS
from stages.shared.config import CONF
from stages.shared.errors import InputError
from stages.shared.sides.leakage import waive_faults
from stages.shared.sides.split import Split, split_faults
from stages.shared.table.rules import contract_faults
from stages.shared.table.source import Source, dialect_faults, dialect_of

RAW = Path("data/raw")


@dataclass(frozen=True)
class Limits:
    """What may be lost before the stage fails."""

    quarantine: float = field(
        default=0.01, metadata={"min": 0, "max": 1, "doc": "Share of the rows that may be set aside."}
    )
    nulled: float = field(
        default=0.1,
        metadata={"min": 0, "max": 1, "doc": "Share of a column's values that `on_violation: null` may make missing."},
    )


@dataclass(frozen=True)
class DataConf:
    """The schema of conf/data/NAME.yaml."""

    task: Literal["binary", "multiclass", "regression"] = field(metadata={"doc": "What is predicted."})
    source: Source = field(metadata={"doc": "Where the table lies and how it is written."})
    columns: dict[str, Column] = field(metadata={"doc": "What each column must be, by name; every column is named."})
    split: Split = field(metadata={"doc": "Which rows train, validate and test."})
    positive: str | None = field(
        default=None, metadata={"doc": "The class whose probability is the score.", "applies_to": "binary"}
    )
    limits: Limits = field(default_factory=Limits, metadata={"doc": "What may be lost before prepare fails."})
    rules: dict[str, Rule] = field(
        default_factory=dict, metadata={"doc": "What must hold between the columns of a row, by a name of your own."}
    )
    duplicates: Literal["merge", "keep"] | None = field(
        default=None,
        metadata={"doc": "Rows equal in every column that is not dropped; unless said, merged where there is a key."},
    )
    waive: dict[str, str] = field(default_factory=dict, metadata={"doc": "Leakage check to let pass: the reason why."})


def make_contract(name: str, conf: DataConf) -> Contract:
    """Return the contract of a configuration, with what each column takes from the source's dialect.

    Raises InputError with all that is wrong in it.
    """
    columns = {key: complete(column, conf.source) for key, column in conf.columns.items()}
    contract = Contract(
        name, conf.task, conf.positive, columns, conf.source.missing, conf.rules, dialect_of(conf.source)
    )
    faults = contract_faults(contract) + split_faults(contract, conf.split) + dialect_faults(conf.source)
    faults += waive_faults(conf.waive)
    if not name.isidentifier():
        faults.append(f"the file's name becomes the packaged model's: letters, digits and _ only, got {name!r}")
    if not Path(conf.source.path).is_relative_to(RAW / name):
        faults.append(f"source.path: should lie in {RAW / name}/, which dvc.yaml watches, got {conf.source.path!r}")
    if faults:
        raise InputError(f"{CONF}/data/{name}.yaml is not valid", faults)
    return contract


def complete(column: Column, source: Source) -> Column:
    """Return a column with what its role demands and what it takes from the source's dialect."""
    required = column.role in ("target", "time", "group", "weight") or not column.nullable
    column = dataclasses.replace(column, nullable=not required)
    if column.type not in NUMBERS:
        return column
    decimal, thousands = column.decimal or source.decimal, column.thousands
    if thousands is None and decimal != source.thousands:
        thousands = source.thousands or None
    return dataclasses.replace(column, decimal=decimal, thousands=thousands)
