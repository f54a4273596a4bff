"""The data section of tools.diff: contract, rows by key, fates, label rate, and the shift of each column."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Column, Contract
from stages.shared.errors import InputError
from stages.shared.profile.measure import profile
from stages.shared.tables import connect, parquet
from tools.diff.data_report import lines as markdown
from tools.diff.revision import Revision
from tools.diff.rows import compare_rows
from tools.diff.shift import compare_columns, compare_labels

if TYPE_CHECKING:
    import duckdb

KEPT, CONTRACT = "data/prepare/kept.parquet", "data/prepare/contract.json"
PROFILE, SUMMARY = "reports/prepare/profile.json", "reports/prepare/summary.json"
Pair = tuple[Any, Any]
__all__ = ["compare", "markdown"]


def broken_rules(summary: dict[str, Any]) -> dict[str, Any] | None:
    """Return {action: {column: {rule: rows}}}; a summary from before values could be made missing has no actions."""
    broken: dict[str, Any] | None = summary.get("broken")
    return broken if broken is None or set(broken) <= {"quarantine", "null"} else {"quarantine": broken}


def compare(base: Revision, head: Revision, folder: Path) -> dict[str, Any]:
    """Return what changed in the data; `notes` says what could not be compared, and why. Spills into `folder`."""
    names, confs = zip(*(chosen_data(revision) for revision in (base, head)), strict=True)
    found: dict[str, Any] = {"tables": list(names), "notes": [], "contract": compare_contracts(*confs)}
    if names[0] != names[1]:
        note = f"Two different tables, {names[0]} and {names[1]}: rows are not compared, columns only by their names."
        found["notes"].append(note)
    summaries = [revision.json(SUMMARY) or {} for revision in (base, head)]
    found["fates"] = [summary.get("rows") for summary in summaries]
    found["broken"] = [broken_rules(summary) for summary in summaries]
    tables = (_table(base, found["notes"]), _table(head, found["notes"]))
    connection = connect()
    connection.execute(f"SET temp_directory = '{folder / 'spill'}'")
    if names[0] == names[1] and tables[0] and tables[1]:
        found["rows"] = compare_rows(connection, tables[0], tables[1])
        found["rows"]["split_changed"] = confs[0].get("split") != confs[1].get("split")
    profiles = _profiles(connection, (base, head), tables)
    if not all(profiles):
        return found
    if [profiles[0]["target"]["name"], profiles[0]["task"]] == [profiles[1]["target"]["name"], profiles[1]["task"]]:
        found["labels"] = compare_labels(*profiles)
    else:
        found["notes"].append("The target or the task is another one: label rates are not compared.")
    found["columns"] = compare_columns(*profiles)
    return found


def chosen_data(revision: Revision) -> tuple[str, dict[str, Any]]:
    """Return the name and the configuration of the table that params.yaml picks."""
    name = (revision.yaml("params.yaml") or {}).get("data")
    conf = revision.yaml(f"conf/data/{name}.yaml")
    if not isinstance(conf, dict) or not isinstance(conf.get("columns"), dict):
        raise InputError(
            f"{revision}: no pipeline there: conf/data/{name}.yaml, which params.yaml picks, has no columns"
        )
    return str(name), conf


def compare_contracts(base: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
    """Return the columns added and removed, and the keys that changed, as {key: [before, after]}."""
    before, after = base["columns"], head["columns"]
    changed = {name: changes(before[name], after[name]) for name in before if name in after}
    rest, rest_after = ({key: value for key, value in conf.items() if key != "columns"} for conf in (base, head))
    return {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "columns": {name: changes for name, changes in changed.items() if changes},
        "rest": changes(rest, rest_after),
    }


def changes(before: Any, after: Any, prefix: str = "") -> dict[str, list[Any]]:
    """Return the leaves of two configurations that differ, as {key.key: [before, after]}, None for absent."""
    if {type(before), type(after)} <= {dict, type(None)} and before != after:
        before, after = before or {}, after or {}
    else:
        return {} if before == after else {prefix: [before, after]}
    found: dict[str, list[Any]] = {}
    for key in [*before, *(key for key in after if key not in before)]:
        found |= changes(before.get(key), after.get(key), f"{prefix}.{key}" if prefix else str(key))
    return found


def _table(revision: Revision, notes: list[str]) -> tuple[Path, Contract] | None:
    """Return the kept rows and their contract, None (and a note) where they are not to be had."""
    path, stored = revision.data(KEPT), revision.data(CONTRACT)
    if path and stored:
        return path, stored_contract(json.loads(stored.read_text(encoding="utf-8")))
    why = revision.why_no_data.get(KEPT) or revision.why_no_data.get(CONTRACT) or "as before"
    instead = f"{PROFILE} stands in for them" if revision.json(PROFILE) else f"nor is there a {PROFILE} to stand in"
    notes.append(f"The rows of {revision} are neither here, in the DVC cache, nor on a remote ({why}); {instead}.")
    return None


def stored_contract(stored: dict[str, Any]) -> Contract:
    """Return a stored contract, whichever version wrote it: unknown keys left out, absent ones at their default."""
    known = {field.name for field in dataclasses.fields(Column)}
    columns = [
        [name, {key: value for key, value in column.items() if key in known}] for name, column in stored["columns"]
    ]
    return Contract.from_json({"rules": [], **stored, "columns": columns})


def _profiles(connection: duckdb.DuckDBPyConnection, revisions: Pair, tables: Pair) -> Pair:
    """Return both profiles, on the bins and values of one of them where rows are to be had; None where nothing is."""
    stored = [None if table else revision.json(PROFILE) for revision, table in zip(revisions, tables, strict=True)]
    made = list(stored)
    for place in (0, 1) if tables[0] else (1, 0):
        if tables[place]:
            path, contract = tables[place]
            made[place] = profile(connection, parquet(path), contract, like=made[1 - place])
    return made[0], made[1]
