"""Checks every row of the source against the contract, sets the broken ones aside, and splits the rest.

conf/data/NAME.yaml, the source it names -> data/prepare/{kept,quarantine}.parquet, contract.json;
reports/prepare/summary.json. By hand: python -m stages.prepare data=rides

Every row ends as exactly one of kept, quarantined or merged (an exact duplicate); the stage fails if they do not add up.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stages.runtime.contract import Column, Contract, as_text
from stages.runtime.contract_sql import identifier, literal, rule_sql, text_sql, value_sql
from stages.shared.config import CONF, compose
from stages.shared.errors import InputError, did_you_mean, run
from stages.shared.files import replacing, write_json
from stages.shared.rules import contract_faults
from stages.shared.source import Source, line_sql, load, read_header
from stages.shared.tables import connect, copy_to_parquet

if TYPE_CHECKING:
    import duckdb

RAW, DATA, REPORTS = Path("data/raw"), Path("data/prepare"), Path("reports/prepare")
SIDES = ("train", "validation", "test")
EXAMPLES_SHOWN = 20


@dataclass(frozen=True)
class Split:
    """How rows are divided: by the MD5 of the group, key or content (shares), or by the time column (dates)."""

    by: Literal["hash", "time"]
    validation: float | str  # hash: share of the rows; time: first moment of the validation rows
    test: float | str  # hash: share of the rows; time: first moment of the test rows


@dataclass(frozen=True)
class Limits:
    """What may be lost before the stage fails."""

    quarantine: float = 0.01  # share of the rows


@dataclass(frozen=True)
class DataConf:
    """The schema of conf/data/NAME.yaml."""

    task: Literal["binary", "multiclass", "regression"]
    source: Source
    columns: dict[str, Column]
    split: Split
    positive: str | None = None  # binary: the class whose probability is the score
    limits: Limits = field(default_factory=Limits)


def main() -> None:
    """Read, check, split, write."""
    conf, name, _ = compose("data", DataConf)
    contract = make_contract(name, conf)
    columns = check_header(conf.source, contract)
    connection = connect()
    n_rows = load(connection, conf.source)
    if n_rows == 0:
        raise InputError(f"{conf.source.path}: a header and no rows")
    apply_contract(connection, contract, conf.split)
    counts = account(connection, n_rows)
    with replacing(DATA, REPORTS) as (data, reports):
        write_quarantine(connection, conf.source, columns, data / "quarantine.parquet")
        check_limit(connection, conf, counts, data / "quarantine.parquet")
        copy_to_parquet(connection, "SELECT * FROM kept ORDER BY _row", data / "kept.parquet")
        write_json(data / "contract.json", contract.to_json())
        summary = {"rows": counts, "split": side_summary(connection, contract), "broken": broken_rules(connection)}
        write_json(reports / "summary.json", summary)
    sides = ", ".join(f"{side} {summary['split'][side]['rows']}" for side in SIDES)
    print(f"prepare: {DATA}/kept.parquet  {counts['in']} rows in = {counts['kept']} kept + {counts['quarantined']} "
          f"quarantined + {counts['merged']} merged; {sides}")  # fmt: skip


def make_contract(name: str, conf: DataConf) -> Contract:
    """Return the contract of a configuration, its values as texts. Raises InputError with all that is wrong in it."""
    columns = {}
    for key, column in conf.columns.items():
        values = None if column.values is None else [as_text(value) for value in column.values]
        required = column.role in ("target", "time") or not column.nullable
        columns[key] = dataclasses.replace(column, values=values, nullable=not required)
    contract = Contract(name, conf.task, conf.positive, columns, conf.source.missing)
    faults = contract_faults(contract) + split_faults(contract, conf.split)
    if not Path(conf.source.path).is_relative_to(RAW / name):
        faults.append(f"source.path: should lie in {RAW / name}/, which dvc.yaml watches, got {conf.source.path!r}")
    if faults:
        raise InputError(f"{CONF}/data/{name}.yaml is not valid", faults)
    return contract


def split_faults(contract: Contract, split: Split) -> list[str]:
    """Return what is wrong with the split: shares that leave no training rows, dates that are none or out of order."""
    from datetime import datetime

    if split.by == "hash":
        if isinstance(split.validation, str) or isinstance(split.test, str):
            return ["split: by hash, validation and test should be shares of the rows, such as 0.2"]
        if not (0 < split.validation < 1 and 0 < split.test < 1 and split.validation + split.test < 1):
            return [f"split: shares should be above 0 and leave training rows, got {split.validation} and {split.test}"]
        return []
    faults = [] if contract.with_role("time") else ["split.by: time needs a column with role: time"]
    try:
        if datetime.fromisoformat(str(split.validation)) >= datetime.fromisoformat(str(split.test)):
            faults.append(f"split: validation should begin before test, got {split.validation} and {split.test}")
    except ValueError as error:
        faults.append(f"split: by time, validation and test should be dates, such as '2013-10-01': {error}")
    return faults


def check_header(source: Source, contract: Contract) -> list[str]:
    """Return the source's columns. Raises InputError where they are not exactly the contract's."""
    header = read_header(source)
    faults = [f"columns.{name}: not in the file{did_you_mean(name, header)}" for name in contract.columns
              if name not in header]  # fmt: skip
    faults += [f"{name!r}: not in the contract{did_you_mean(name, contract.columns)}" for name in header
               if name not in contract.columns]  # fmt: skip
    faults += [f"{name!r}: stands twice in the header" for name in dict.fromkeys(header) if header.count(name) > 1]
    if faults:
        raise InputError(f"{source.path} does not have the columns of {CONF}/data/{contract.name}.yaml", faults)
    return header


def apply_contract(connection: duckdb.DuckDBPyConnection, contract: Contract, split: Split) -> None:
    """Create `violations` (_row, column, rule, value), `kept` (_row, _split, typed columns) and `merged` (_row)."""
    checked = contract.checked
    texts = ", ".join(f"{text_sql(name, contract.missing)} AS t{i}" for i, name in enumerate(checked))
    columns = [contract.columns[name] for name in checked]
    values = ", ".join(f"{value_sql(column, f't{i}')} AS v{i}" for i, column in enumerate(columns))
    rules = ", ".join(f"{rule_sql(column, f't{i}', f'v{i}')} AS r{i}" for i, column in enumerate(columns))
    every = ", ".join(identifier(name) for name in contract.columns)
    connection.execute(
        f"""CREATE TABLE checked AS SELECT *, {rules} FROM (SELECT *, {values} FROM (
            SELECT _row, md5(concat_ws(chr(31), {_contents(contract)})) AS _content, {texts} FROM raw))"""
    )
    connection.execute("CREATE TABLE violations (_row BIGINT, \"column\" VARCHAR, rule VARCHAR, value VARCHAR)")
    for i, name in enumerate(checked):
        value = f"(SELECT {identifier(name)} FROM raw WHERE raw._row = checked._row)"
        connection.execute(f"INSERT INTO violations SELECT _row, {literal(name)}, r{i}, {value} FROM checked "
                           f"WHERE r{i} IS NOT NULL")  # fmt: skip
        if columns[i].unique:
            connection.execute(f"""INSERT INTO violations SELECT _row, {literal(name)}, 'unique', {value} FROM (
                SELECT _row, row_number() OVER (PARTITION BY t{i} ORDER BY _row) AS nth, t{i} FROM checked
                WHERE r{i} IS NULL) AS checked WHERE nth > 1 AND t{i} IS NOT NULL""")
    sound = "SELECT * FROM checked WHERE _row NOT IN (SELECT _row FROM violations)"
    connection.execute(f"""CREATE TABLE merged AS SELECT _row FROM (
        SELECT raw._row, row_number() OVER (PARTITION BY {every} ORDER BY raw._row) AS nth
        FROM raw JOIN ({sound}) USING (_row)) WHERE nth > 1""")
    typed = ", ".join(f"v{i} AS {identifier(name)}" for i, name in enumerate(checked))
    connection.execute(f"""CREATE TABLE kept AS SELECT _row, {_split_sql(contract, split)} AS _split, {typed}
        FROM ({sound}) WHERE _row NOT IN (SELECT _row FROM merged)""")


def _contents(contract: Contract) -> str:
    """Return what a row's side is the hash of: the group, else the key, else all its fields."""
    names = contract.with_role("group") or contract.with_role("key") or list(contract.columns)
    return ", ".join(f"coalesce({text_sql(name, contract.missing)}, '')" for name in names)


def _split_sql(contract: Contract, split: Split) -> str:
    if split.by == "time":
        moment = f"v{contract.checked.index(contract.with_role('time')[0])}"
        test, validation = f"TIMESTAMP {literal(str(split.test))}", f"TIMESTAMP {literal(str(split.validation))}"
        return f"CASE WHEN {moment} >= {test} THEN 'test' WHEN {moment} >= {validation} THEN 'validation' ELSE 'train' END"
    # Hexadecimal digests of equal length compare as the numbers they are.
    test_below, validation_below = (f"{int(share * 16**8):08x}" for share in
                                    (split.test, float(split.test) + float(split.validation)))  # fmt: skip
    return f"CASE WHEN _content < '{test_below}' THEN 'test' WHEN _content < '{validation_below}' THEN 'validation' ELSE 'train' END"


def account(connection: duckdb.DuckDBPyConnection, n_rows: int) -> dict[str, int]:
    """Return the fate of every row, counted separately; it is our fault if they do not add up."""
    query = """SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM merged),
        (SELECT count(*) FROM rejects) + (SELECT count(DISTINCT _row) FROM violations)"""
    [(kept, merged, quarantined)] = connection.execute(query).fetchall()
    if kept + merged + quarantined != n_rows:
        raise RuntimeError(f"{n_rows} rows in, but {kept} kept + {quarantined} quarantined + {merged} merged")
    return {"in": n_rows, "kept": kept, "merged": merged, "quarantined": quarantined}


def write_quarantine(connection: duckdb.DuckDBPyConnection, source: Source, columns: list[str], path: Path) -> None:
    """Write every broken rule with source, line, column, rule, value and the whole record as JSON."""
    record = ", ".join(f"{identifier(name)}" for name in columns)
    copy_to_parquet(connection, f"""
        SELECT {literal(source.path)} AS source, {line_sql(source, "v._row")} AS line, v."column", v.rule, v.value, record
        FROM violations AS v JOIN (SELECT _row, to_json(COLUMNS_OF)::VARCHAR AS record FROM raw) USING (_row)
        UNION ALL SELECT {literal(source.path)}, {line_sql(source, "_row")}, NULL, rule, NULL, value FROM rejects
        ORDER BY line, "column" NULLS FIRST, rule""".replace("COLUMNS_OF", f"struct_pack({_packed(columns)})"), path)


def _packed(columns: list[str]) -> str:
    return ", ".join(f"{identifier(name)} := {identifier(name)}" for name in columns)


def check_limit(connection: duckdb.DuckDBPyConnection, conf: DataConf, counts: dict[str, int], path: Path) -> None:
    """Raise InputError with the table of reasons when more rows are broken than the contract allows."""
    share, limit = counts["quarantined"] / counts["in"], conf.limits.quarantine
    if share <= limit:
        return
    reasons = connection.execute(f"""SELECT coalesce("column", 'row'), rule, count(*), min(line), arg_min(value, line)
        FROM '{path}' GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT {EXAMPLES_SHOWN}""").fetchall()
    raise InputError(
        f"{conf.source.path}: {counts['quarantined']} of {counts['in']} rows ({share:.1%}) break the contract, "
        f"limit {limit:.1%} (limits.quarantine)",
        [f"{column}: {n} {rule}{_rule_text(conf, column, rule)}    first at line {line}: {value!r}"
         for column, rule, n, line, value in reasons],
    )  # fmt: skip


def _rule_text(conf: DataConf, column: str, rule: str) -> str:
    declared: Any = getattr(conf.columns.get(column), rule, None)
    return "" if declared is None else f" {declared}"


def side_summary(connection: duckdb.DuckDBPyConnection, contract: Contract) -> dict[str, dict[str, Any]]:
    """Return rows per side and the target's mean (regression) or class counts. Raises InputError for an empty side."""
    target = identifier(contract.target)
    summary: dict[str, dict[str, Any]] = {side: {"rows": 0} for side in SIDES}
    for side, n_rows in connection.execute("SELECT _split, count(*) FROM kept GROUP BY 1").fetchall():
        summary[side]["rows"] = n_rows
    empty = [side for side in SIDES if not summary[side]["rows"]]
    if empty:
        raise InputError(f"the split leaves no rows for {' and '.join(empty)} (split in {CONF}/data/{contract.name}.yaml)")
    if contract.task == "regression":
        for side, mean in connection.execute(f"SELECT _split, avg({target}) FROM kept GROUP BY 1").fetchall():
            summary[side]["target_mean"] = round(mean, 6)
        return summary
    for side, label, n in connection.execute(f"SELECT _split, {target}, count(*) FROM kept GROUP BY ALL").fetchall():
        summary[side].setdefault("classes", {})[label] = n
    return summary


def broken_rules(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Return {column: {rule: number of rows}} of what was set aside."""
    broken: dict[str, dict[str, int]] = {}
    query = 'SELECT "column", rule, count(*) FROM violations GROUP BY ALL UNION ALL SELECT \'row\', rule, count(*) FROM rejects GROUP BY rule'
    for column, rule, n in connection.execute(query).fetchall():
        broken.setdefault(column, {})[rule] = n
    return broken


if __name__ == "__main__":
    run("prepare", main)
