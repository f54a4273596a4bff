"""Checks every row of the source against the contract, sets the broken ones aside, and splits the rest.

conf/data/NAME.yaml, the source it names -> data/prepare/{kept,quarantine}.parquet, contract.json;
reports/prepare/{summary,profile,declared}.json, quarantine.md, profile.html.
By hand: python -m stages.prepare data=rides

Every row ends as exactly one of kept, quarantined or merged (an exact duplicate); the stage fails if the three do not
add up to the rows of the source, and if the sides leak into each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.shared.config import CONF, compose
from stages.shared.errors import InputError, did_you_mean, run
from stages.shared.files import replacing, scratch, write_json
from stages.shared.profile.measure import profile, profile_bytes
from stages.shared.profile.page import page
from stages.shared.progress import watching
from stages.shared.sides.balance import balance, membership_digests
from stages.shared.sides.leakage import find_leaks
from stages.shared.sides.split import SIDES, Split
from stages.shared.table.account import Account
from stages.shared.table.pin import pin_of
from stages.shared.table.reader import open_table
from stages.shared.table.reasons import Reasons
from stages.shared.table.schema import DataConf, make_contract
from stages.shared.table.source import Source, source_files
from stages.shared.tables import connect, parquet, plan_quickly

if TYPE_CHECKING:
    import duckdb

DATA, REPORTS = Path("data/prepare"), Path("reports/prepare")
LARGE = 100_000_000  # bytes of a source, beyond which the work lies on disk, compressed, instead of in memory


def main() -> None:
    """Read, check, split, write."""
    conf, name, _ = compose("data", DataConf)
    contract = make_contract(name, conf)
    files = source_files(conf.source)
    check_pin(conf.source, files)
    with scratch(DATA) as folder, replacing(DATA, REPORTS) as (data, reports):
        is_large = sum(file.stat().st_size for file in files) > LARGE
        connection = connect(folder if is_large else None)
        table = open_table(connection, conf.source, contract.columns, folder)
        check_columns(table.columns, conf.source, contract)
        plan_quickly(connection, len(table.columns))
        with watching(connection, "prepare", table.n_records) as begin:
            account = Account(connection, table, contract, conf.split)
            counts = account_for(account, conf, data, begin)
            sides = report(account, conf, counts, data, reports, begin)
            write_json(reports / "declared.json", declared(conf))
        connection.close()
    shown = ", ".join(f"{side} {sides[side]['rows']}" for side in sides)
    print(
        f"prepare: {DATA}/kept.parquet  {counts['in']} rows = {counts['kept']} kept + {counts['quarantined']} "
        f"quarantined + {counts['merged']} merged; {shown}"
    )


def check_pin(source: Source, files: list[Path]) -> None:
    """Raise InputError where the source is pinned to other content."""
    found = pin_of(files) if source.sha256 else None
    if found != source.sha256:
        raise InputError(
            f"{source.path}: not what it is pinned to: source.sha256 is {source.sha256}, the content has {found}"
        )


def declared(conf: DataConf) -> dict[str, Any]:
    """Return what the contract says of source, sides and limits, for the data card."""
    source = {"path": conf.source.path, "format": conf.source.format, "sha256": conf.source.sha256}
    return {"source": source, "split": asdict(conf.split), "limits": asdict(conf.limits)}


def check_columns(found: list[str], source: Source, contract: Contract) -> None:
    """Raise InputError where the source's columns are not exactly the contract's."""
    absent = [name for name in contract.columns if name not in found]
    strange = [name for name in found if name not in contract.columns]
    faults = [f"columns.{name}: not in the file{did_you_mean(name, found)}" for name in absent]
    faults += [f"{name!r}: in the file, not in columns{did_you_mean(name, contract.columns)}" for name in strange]
    if any(re.fullmatch(r"column_\d+|.*_\d+", name) for name in strange):
        faults.append("(in a header, a field without a name is column_N, a name that stands twice gets _2)")
    if faults:
        raise InputError(f"{source.path} does not have the columns of {CONF}/data/{contract.name}.yaml", faults)


def account_for(account: Account, conf: DataConf, data: Path, begin: Callable[[str], None]) -> dict[str, int]:
    """Write kept.parquet, quarantine.parquet, contract.json and split.json; return the rows by fate.

    `begin` is told what is done next. Raises InputError where more is broken than the contract allows.
    """
    contract, source = account.contract, conf.source.path
    begin("read and check")
    account.check()
    if not account.table.n_records:
        raise InputError(f"{source}: a header and no rows")
    merges = conf.duplicates == "merge" or (conf.duplicates is None and bool(contract.with_role("key")))
    begin("find duplicates")
    account.set_aside(merges_duplicates=merges)
    quarantine = data / "quarantine.parquet"
    begin("write quarantine")
    account.write_quarantine(quarantine)
    reasons = Reasons(account.connection, quarantine, contract, source)
    reasons.check_actions()
    reasons.check_quarantine(*account.count_quarantined(), conf.limits.quarantine)
    reasons.check_nulled(account.table.n_records, conf.limits.nulled)
    begin("write kept")
    n_kept = account.write_kept(data / "kept.parquet")
    write_json(data / "contract.json", contract.to_json())
    write_json(data / "split.json", {"by": conf.split.by, "gap_days": conf.split.gap_days})
    return account.count_fates(n_kept)


def report(
    account: Account, conf: DataConf, counts: dict[str, int], data: Path, reports: Path, begin: Callable[[str], None]
) -> dict[str, Any]:
    """Write the reports; return what is known of each side. Raises InputError for an empty side or a leak."""
    begin("compare sides")
    connection, contract, kept = account.connection, account.contract, parquet(data / "kept.parquet")
    sides = summarise_sides(connection, kept, contract, conf.split)
    begin("look for leaks")
    summary = {
        "rows": counts,
        "split": sides,
        "broken": account.count_broken_rules(),
        "leakage": find_leaks(connection, kept, contract, conf.split, conf.waive),
    }
    write_json(reports / "summary.json", summary)
    begin("profile")
    found = profile(connection, kept, contract)
    (reports / "profile.json").write_bytes(profile_bytes(found))
    (reports / "profile.html").write_text(page({**found, "fates": counts}), encoding="utf-8")
    reasons = Reasons(connection, data / "quarantine.parquet", contract, conf.source.path)
    (reports / "quarantine.md").write_text(reasons.page(counts), encoding="utf-8")
    return sides


def summarise_sides(
    connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract, split: Split
) -> dict[str, dict[str, Any]]:
    """Return of each side the rows, how its target lies beside the whole's, and a digest of which rows they are.

    Raises InputError for a side without rows, or training rows without a class.
    """
    found = connection.execute(f"SELECT _split, count(*) FROM {kept} GROUP BY 1").fetchall()
    rows = dict.fromkeys(SIDES, 0) | dict(found)
    where = f"{CONF}/data/{contract.name}.yaml"
    empty = [side for side in SIDES if not rows[side]]
    if empty:
        raise InputError(f"{where}: the split leaves no rows for {' and '.join(empty)} (split)")
    lies = balance(connection, kept, contract, split)
    if contract.task != "regression":
        check_classes(connection, kept, contract)
    members = membership_digests(connection, kept, contract)
    return {side: {"rows": n, "members": members[side], **lies.get(side, {})} for side, n in rows.items()}


def check_classes(connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract) -> None:
    """Raise InputError for a declared class that no training row has."""
    query = f"SELECT DISTINCT {identifier(contract.target)} FROM {kept} WHERE _split = 'train'"
    found = {label for (label,) in connection.execute(query).fetchall()}
    absent = [label for label in contract.classes if label not in found]
    if absent:
        raise InputError(
            f"{CONF}/data/{contract.name}.yaml: no training rows of class {', '.join(map(repr, absent))} of "
            f"{contract.target}: change split, or take the class out of values (its rows then go to quarantine)"
        )


if __name__ == "__main__":
    run("prepare", main)
