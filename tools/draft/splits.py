"""Proposes the split of a drafted contract, with its reason."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Column
from stages.runtime.contract_sql import identifier, literal, present_sql, text_sql, value_sql
from stages.runtime.forms import NUMBERS
from stages.shared.sides.balance import best_salt
from stages.shared.sides.split import Split
from tools.draft.columns import Drafted
from tools.draft.roles import known_keys
from tools.draft.target import Target

if TYPE_CHECKING:
    import duckdb

CUTS = (0.7, 0.85)  # shares of the labelled rows before validation, and before test
SMALLEST = 0.05  # share of the rows on a side of a split by time
SHARES = {True: 0.15, False: 0.2}  # of validation and of test, in a table of MANY rows or fewer
MANY, MANY_FOR_SALTS = 5000, 200_000


def column_of(drafted: Drafted) -> Column:
    """Return a drafted column as the contract's."""
    keys = known_keys(drafted, Column.__dataclass_fields__)
    return Column(**({"decimal": drafted.decimal} | keys if drafted.type in NUMBERS else keys))


def text_of(drafted: Drafted) -> str:
    """Return the expression over `raw` of a column's text, NULL where it is missing."""
    return text_sql(drafted.name, [*drafted.keys.get("missing", []), *drafted.shared_missing])


def present_text(drafted: Drafted) -> str:
    """Return the expression over `sample`, where texts are stripped, of a column's text, NULL where it is missing."""
    return present_sql(identifier(drafted.name), [*drafted.keys.get("missing", []), *drafted.shared_missing])


def typed_of(drafted: Drafted) -> str:
    """Return the expression over `raw` of a column's typed value, NULL where it is missing or none."""
    return value_sql(column_of(drafted), text_of(drafted))


def label_of(drafted: Drafted) -> str:
    """Return the expression over `raw` of the target, NULL in rows that cannot be learned from."""
    values = drafted.keys.get("values")
    text = text_of(drafted)
    return f"CASE WHEN {text} IN ({', '.join(map(literal, values))}) THEN {text} END" if values else typed_of(drafted)


def propose_split(
    connection: duckdb.DuckDBPyConnection, columns: list[Drafted], target: Target, n_rows: int
) -> tuple[dict[str, Any], str]:
    """Return the keys of `split` and the reason: by time where there is one, else by group, key or content."""
    by_role = {drafted.keys.get("role"): drafted for drafted in columns}
    why_not = ""
    if "time" in by_role:
        split, note = _by_time(connection, by_role["time"], by_role["target"], target)
        if split:
            return split, note
        why_not = f"; {note}"
        del by_role["time"].keys["role"]  # or rows of the future in training would block
    by = "group" if "group" in by_role else "key" if "key" in by_role else "hash"
    share = SHARES[n_rows > MANY]
    reasons = {
        "group": "all rows of one {} stay on one side",
        "key": "of {}: no row moves when others come; nothing orders the rows in time",
        "hash": "of all columns: equal rows stay together; nothing orders the rows in time",
    }
    if why_not:
        reasons["key"], reasons["hash"] = "of {}: no row moves when others come", "of all columns"
    named = by_role[by].name if by in by_role else ""
    split = {"by": by, "validation": share, "test": share}
    hashed = [by_role[by]] if by in by_role else columns
    salt = _salt(connection, hashed, by_role["target"], target, Split(**split)) if n_rows <= MANY_FOR_SALTS else ""
    if salt:
        split["salt"] = salt
    return split, reasons[by].format(named) + why_not + ("; the salt draws even sides" if salt else "")


def _by_time(
    connection: duckdb.DuckDBPyConnection, time: Drafted, label: Drafted, target: Target
) -> tuple[dict[str, Any], str]:
    """Return a split by time with what is on each side, or nothing and why not."""
    moments = f"(SELECT {typed_of(time)}::TIMESTAMP AS t, {label_of(label)} AS y FROM raw)"
    labelled = f"{moments} WHERE t IS NOT NULL AND y IS NOT NULL"
    query = f"SELECT quantile_disc(t, {list(CUTS)}), min(t) FROM {labelled}"
    [(cuts, first)] = connection.execute(query).fetchall()
    validation, test = (datetime(moment.year, moment.month, moment.day) for moment in cuts)  # no day is divided
    if not first < validation < test:
        validation, test = cuts
    if not first < validation < test:
        return {}, f"{time.name} has too few different values for cut dates"
    side = f"CASE WHEN t >= '{test}' THEN 'test' WHEN t >= '{validation}' THEN 'validation' ELSE 'train' END"
    counted = "y" if target.classes else "''"
    query = f"SELECT {side}, {counted}, count(*) FROM {labelled} GROUP BY ALL"
    found: dict[str, dict[str, int]] = {"train": {}, "validation": {}, "test": {}}
    for name, text, n in connection.execute(query).fetchall():
        found[name][str(text)] = n
    rows = {name: sum(classes.values()) for name, classes in found.items()}
    shown = ", ".join(f"{name} {n:,}" for name, n in rows.items())
    if min(rows.values()) < SMALLEST * sum(rows.values()):
        return {}, f"by {time.name} the sides would be uneven ({shown})"
    fewest = {
        "train": len(target.classes),
        "validation": min(2, len(target.classes)),
        "test": min(2, len(target.classes)),
    }
    bare = [name for name, n in fewest.items() if len(found[name]) < n]
    if bare:
        return {}, f"by {time.name} the side {bare[0]} would lack a class"
    split = {
        "by": "time",
        "validation": str(validation).removesuffix(" 00:00:00"),
        "test": str(test).removesuffix(" 00:00:00"),
    }
    return split, f"of {time.name}: the model meets the future, so it is tested on it; {shown}"


def _salt(
    connection: duckdb.DuckDBPyConnection, hashed: list[Drafted], label: Drafted, target: Target, split: Split
) -> str:
    """Return the salt that gives every side its share of each class (of each tenth of a number)."""
    texts = ", ".join(f"coalesce({text_of(drafted)}, '')" for drafted in hashed)
    value = label_of(label) if target.classes else f"ntile(10) OVER (ORDER BY {label_of(label)}, _row)"
    drawn = f"(SELECT concat_ws(chr(31), {texts}) AS text, {value} AS label, {label_of(label)} AS y FROM raw)"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE drawn AS SELECT text, label FROM {drawn} WHERE y IS NOT NULL")
    return best_salt(connection, "drawn", split)
