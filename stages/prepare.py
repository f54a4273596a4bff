"""Checks every row of the source against the contract, sets the broken ones aside, and splits the rest.

conf/data/NAME.yaml, the source it names -> data/prepare/{kept,quarantine}.parquet, contract.json;
reports/prepare/summary.json. By hand: python -m stages.prepare data=rides

Every row ends as exactly one of kept, quarantined or merged (an exact duplicate); the stage fails if the three do not
add up to the rows of the source.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stages.runtime.contract import Column, Contract
from stages.runtime.contract_sql import identifier
from stages.runtime.expression import Rule
from stages.shared.account import apply_contract, count_broken_rules, count_fates, write_quarantine
from stages.shared.config import CONF, compose
from stages.shared.errors import InputError, did_you_mean, run
from stages.shared.files import replacing, write_json
from stages.shared.progress import Progress
from stages.shared.rules import contract_faults
from stages.shared.source import Source, load, read_header
from stages.shared.split import SIDES, Split, split_faults
from stages.shared.tables import connect, copy_to_parquet

if TYPE_CHECKING:
    import duckdb

RAW, DATA, REPORTS = Path("data/raw"), Path("data/prepare"), Path("reports/prepare")
REASONS_SHOWN = 20


@dataclass(frozen=True)
class Limits:
    """What may be lost before the stage fails."""

    quarantine: float = field(
        default=0.01, metadata={"min": 0, "max": 1, "doc": "Share of the rows that may go to quarantine."}
    )


@dataclass(frozen=True)
class DataConf:
    """The schema of conf/data/NAME.yaml."""

    task: Literal["binary", "multiclass", "regression"] = field(metadata={"doc": "What is predicted."})
    source: Source = field(metadata={"doc": "Where the table lies and how it is written."})
    columns: dict[str, Column] = field(metadata={"doc": "What each column must be, by name."})
    split: Split = field(metadata={"doc": "Which rows train, validate and test."})
    positive: str | None = field(
        default=None, metadata={"doc": "The class whose probability is the score.", "applies_to": "binary"}
    )
    limits: Limits = field(default_factory=Limits, metadata={"doc": "What may be lost before the stage fails."})
    duplicates: Literal["merge", "keep"] | None = field(
        default=None,
        metadata={"doc": "What becomes of exact duplicates; unless said, merged where a key tells rows apart."},
    )
    rules: dict[str, Rule] = field(
        default_factory=dict, metadata={"doc": "What must hold between the columns of a row, by a name of your own."}
    )


def main() -> None:
    """Read, check, split, write."""
    conf, name, _ = compose("data", DataConf)
    contract = make_contract(name, conf)
    columns = check_header(conf.source, contract)
    progress = Progress("prepare", "steps", 4)
    connection = connect()
    n_rows = load(connection, conf.source)
    progress.update(1, f": {n_rows} rows read")
    if n_rows == 0:
        raise InputError(f"{conf.source.path}: a header and no rows")
    merges = conf.duplicates == "merge" or (conf.duplicates is None and bool(contract.with_role("key")))
    apply_contract(connection, contract, conf.split, merges_duplicates=merges)
    counts = count_fates(connection, n_rows)
    progress.update(2, ": checked")
    with replacing(DATA, REPORTS) as (data, reports):
        write_quarantine(connection, conf.source, columns, data / "quarantine.parquet")
        check_limit(connection, conf, counts, data / "quarantine.parquet")
        progress.update(3, f": {counts['quarantined']} quarantined")
        copy_to_parquet(connection, "SELECT * FROM kept ORDER BY _row", data / "kept.parquet")
        write_json(data / "contract.json", contract.to_json())
        sides = summarise_sides(connection, contract)
        summary = {"rows": counts, "split": sides, "broken": count_broken_rules(connection)}
        write_json(reports / "summary.json", summary)
    progress.close()
    shown = ", ".join(f"{side} {sides[side]['rows']}" for side in SIDES)
    print(
        f"prepare: {DATA}/kept.parquet  {n_rows} rows = {counts['kept']} kept + {counts['quarantined']} quarantined "
        f"+ {counts['merged']} merged; {shown}"
    )


def make_contract(name: str, conf: DataConf) -> Contract:
    """Return the contract of a configuration, its values as texts. Raises InputError with all that is wrong in it."""
    columns = {}
    for key, column in conf.columns.items():
        required = column.role in ("target", "time", "group", "weight") or not column.nullable
        columns[key] = dataclasses.replace(column, nullable=not required)
    contract = Contract(name, conf.task, conf.positive, columns, conf.source.missing, conf.rules)
    faults = contract_faults(contract) + split_faults(contract, conf.split)
    if not name.isidentifier():
        faults.append(f"the file's name becomes the packaged model's: letters, digits and _ only, got {name!r}")
    for key in ("delimiter", "quote"):
        text = getattr(conf.source, key)
        if len(text) != 1 and not (key == "quote" and text == ""):
            faults.append(f'source.{key}: should be one character (a tab is "\\t" in double quotes), got {text!r}')
    if not Path(conf.source.path).is_relative_to(RAW / name):
        faults.append(f"source.path: should lie in {RAW / name}/, which dvc.yaml watches, got {conf.source.path!r}")
    if faults:
        raise InputError(f"{CONF}/data/{name}.yaml is not valid", faults)
    return contract


def check_header(source: Source, contract: Contract) -> list[str]:
    """Return the source's columns. Raises InputError where they are not exactly the contract's."""
    header = read_header(source)
    absent = [name for name in contract.columns if name not in header]
    strange = [name for name in header if name and name not in contract.columns]
    faults = [f"columns.{name}: not in the file{did_you_mean(name, header)}" for name in absent]
    faults += [f"{name!r}: in the file, not in columns{did_you_mean(name, contract.columns)}" for name in strange]
    faults += [f"{name!r}: stands twice in the header" for name in dict.fromkeys(header) if header.count(name) > 1]
    faults += [f"column {place} has no name in the header" for place, name in enumerate(header, 1) if not name]
    if faults:
        raise InputError(f"{source.path} does not have the columns of {CONF}/data/{contract.name}.yaml", faults)
    return header


def check_limit(connection: duckdb.DuckDBPyConnection, conf: DataConf, counts: dict[str, int], path: Path) -> None:
    """Raise InputError with the table of reasons when more rows are broken than the contract allows."""
    share, limit = counts["quarantined"] / counts["in"], conf.limits.quarantine
    if share <= limit:
        return
    reasons = connection.execute(
        f"""SELECT coalesce("column", 'row'), rule, count(*), min(line), first(value ORDER BY line)
            FROM '{path}' GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT {REASONS_SHOWN}"""
    ).fetchall()
    raise InputError(
        f"{conf.source.path}: {counts['quarantined']} of {counts['in']} rows ({share:.1%}) break the contract, "
        f"limit {limit:.1%} (limits.quarantine)",
        [
            f"{column}: {n} x {rule}{_declared(conf, column, rule)}    first at line {line}: {value!r}"
            for column, rule, n, line, value in reasons
        ],
    )


def _declared(conf: DataConf, column: str, rule: str) -> str:
    declared: Any = getattr(conf.columns.get(column), rule, None)
    return "" if declared is None else f" {declared}"


def summarise_sides(connection: duckdb.DuckDBPyConnection, contract: Contract) -> dict[str, dict[str, Any]]:
    """Return rows per side and the target's mean (regression) or class counts. Raises InputError for an empty side."""
    target = identifier(contract.target)
    sides: dict[str, dict[str, Any]] = {side: {"rows": 0} for side in SIDES}
    for side, n_rows in connection.execute("SELECT _split, count(*) FROM kept GROUP BY 1").fetchall():
        sides[side]["rows"] = n_rows
    empty = [side for side in SIDES if not sides[side]["rows"]]
    if empty:
        where = f"{CONF}/data/{contract.name}.yaml"
        raise InputError(f"{where}: the split leaves no rows for {' and '.join(empty)} (split)")
    if contract.task == "regression":
        # Summed in the order of rows: a parallel sum depends on the number of cores.
        query = f"SELECT _split, sum({target} ORDER BY _row) / count(*) FROM kept GROUP BY 1"
        for side, mean in connection.execute(query).fetchall():
            sides[side]["target_mean"] = round(mean, 6)
        return sides
    for side, label, n in connection.execute(f"SELECT _split, {target}, count(*) FROM kept GROUP BY ALL").fetchall():
        sides[side].setdefault("classes", {})[label] = n
    check_classes(contract, sides["train"]["classes"])
    return sides


def check_classes(contract: Contract, found: dict[str, int]) -> None:
    """Raise InputError for a declared class that no training row has."""
    absent = [label for label in contract.classes if label not in found]
    if absent:
        raise InputError(
            f"{CONF}/data/{contract.name}.yaml: no training rows of class {', '.join(map(repr, absent))} of "
            f"{contract.target}: change split, or take the class out of values (its rows then go to quarantine)"
        )


if __name__ == "__main__":
    run("prepare", main)
