"""Leaks across the split: what a model could know in training and not in use. Each blocks, unless waived by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.shared.config import CONF
from stages.shared.errors import InputError, did_you_mean
from stages.shared.sides.explained import explained_alone
from stages.shared.sides.split import SEPARATOR, SIDES, Split
from stages.shared.sides.twins import coincidence, find_twins

if TYPE_CHECKING:
    import duckdb

CHECKS = ("group_on_both_sides", "duplicates_across_sides", "feature_gives_the_answer", "future_in_training")

# Share of a side's rows that may equal a training row, on top of twice what coincidence explains. Found and expected
# in public tables without copies: 0.116 and 0.085, 0.083 and 0.056, 0.047 and 0.023 (the worst but one), 0.023 and
# 0.020, 0.006 and 0.012; eight correlated features of images: 0.232 and 0.052, which needs a waiver. With copies:
# 0.289 and 0.025 (hotel bookings), 0.080 and 0.000 (text messages), 0.069 and 0.008 (letters), 0.014 and 0.001.
DUPLICATES = 0.01
# Share of the target that one feature may explain. The best honest ones of 18 public tables explain 0.67 (kidney
# disease, nearly separable by several), 0.64 and 0.56; known leaks 0.92 (assaults per head for violent crimes per
# head), 0.98 (a PCR cycle count for the test's result) and 1.00 (a booking's status for its cancellation). One honest
# feature explains 1.00 as well: a rule by which poor health alone decides one class of nursery. That needs a waiver.
EXPLAINED = 0.9
FEATURES_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """What a check found: a number that leaks above `limit`, a sentence with the first example, and more numbers."""

    found: float
    limit: float
    said: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


def waive_faults(waive: dict[str, str]) -> list[str]:
    """Return what is wrong with the waivers: names that are no check, reasons that are blank."""
    faults = []
    for name, reason in waive.items():
        if name not in CHECKS:
            near = did_you_mean(name, CHECKS) or f"; checks are {', '.join(CHECKS)}"
            faults.append(f"waive.{name}: no such check{near}")
        elif not reason.strip():
            faults.append(f"waive.{name}: should say why, got {reason!r}")
    return faults


def find_leaks(
    connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract, split: Split, waive: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Return {check: {found, limit, waived: reason or None, waiver_needed where waived, more numbers}}.

    `kept` is a FROM clause of (_row, _split, typed columns); rows in a gap do not count. Raises InputError with every
    leak that is not waived.
    """
    where = f"{CONF}/data/{contract.name}.yaml"
    faults = waive_faults(waive)
    if faults:
        raise InputError(f"{where} is not valid", faults)
    findings = {
        "group_on_both_sides": _entities(connection, kept, contract),
        "duplicates_across_sides": _duplicates(connection, kept, contract, split),
        "feature_gives_the_answer": _features(connection, kept, contract, split),
        "future_in_training": _future(connection, kept, contract, split),
    }
    leaks = [
        f'{name}: {finding.said}. Mend it, or if it is right so, add to {where}: waive: {{{name}: "why"}}'
        for name, finding in findings.items()
        if finding.found > finding.limit and name not in waive
    ]
    if leaks:
        raise InputError(f"{where}: the data leaks across the split", leaks)
    return {name: _reported(finding, waive.get(name)) for name, finding in findings.items()}


def _reported(finding: Finding, reason: str | None) -> dict[str, Any]:
    needed = {} if reason is None else {"waiver_needed": finding.found > finding.limit}
    return {"found": finding.found, "limit": finding.limit, "waived": reason, **needed, **finding.detail}


def _entities(connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract) -> Finding:
    """Find groups, or without a group keys that may stand twice, that are on more than one side."""
    names = contract.with_role("group") or contract.with_role("key")
    if not names or any(contract.columns[name].unique for name in names):
        return Finding(0, 0)
    # Compared as values, not as texts: "7" and "007" are one number, and may hash to two sides.
    entity = ", ".join(map(identifier, names))
    present = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in names)
    rows = f"(SELECT *, hash({entity}) AS _hash FROM {kept} WHERE _split IN {SIDES} AND {present})"
    # Grouped by hash first, which takes a third of the memory of the values; then those that were found, exactly.
    bit = "CASE _split WHEN 'train' THEN 1 WHEN 'validation' THEN 2 ELSE 4 END::UTINYINT"
    suspects = f"SELECT _hash FROM {rows} GROUP BY 1 HAVING bit_or({bit}) NOT IN (1, 2, 4)"
    on_several = f"""SELECT min(_row) AS first, count(*) AS n FROM {rows} SEMI JOIN ({suspects}) AS s USING (_hash)
        GROUP BY {entity} HAVING min(_split) <> max(_split)"""
    query = f"SELECT count(*), coalesce(sum(n), 0), min(first) FROM ({on_several})"
    [(found, n_rows, first)] = connection.execute(query).fetchall()
    if not found:
        return Finding(0, 0, detail={"rows": 0})
    same = " AND ".join(
        f"{identifier(name)} = (SELECT {identifier(name)} FROM {kept} WHERE _row = ?)" for name in names
    )
    sides = connection.execute(
        f"SELECT _split, min(_row) FROM {kept} WHERE _split IN {SIDES} AND {same} GROUP BY 1 ORDER BY 2",
        [first] * len(names),
    ).fetchall()
    example = ", ".join(f"row {row} in {side}" for side, row in sides)
    said = f"{found} values of {', '.join(names)} ({n_rows} rows) are on more than one side, limit 0; first {example}"
    return Finding(found, 0, said, {"rows": int(n_rows)})


def _duplicates(connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract, split: Split) -> Finding:
    """Find validation and test rows that equal a training row in inputs and target, beyond coincidence.

    By time no row could equal an earlier one, so the time is left out there: a copy under a later date is a copy.
    """
    roles = ("feature", "target") if split.by == "time" else ("feature", "time", "target")
    columns = contract.with_role(*roles)
    query = f"SELECT _split, count(*) FROM {kept} WHERE _split IN ('validation', 'test') GROUP BY 1"
    sizes = dict(connection.execute(query).fetchall())
    twins = find_twins(connection, kept, columns)
    shares = {side: round(twins.get(side, 0) / sizes[side], 4) for side in ("validation", "test") if side in sizes}
    side = max(shares, key=lambda name: shares[name], default="test")
    found = shares.get(side, 0.0)
    expected = round(coincidence(connection, kept, columns), 4) if found > DUPLICATES else 0.0
    limit = round(min(1.0, DUPLICATES + 2 * expected), 4)
    first = connection.execute("SELECT min(_row) FROM twins WHERE _split = ?", [side]).fetchall()[0][0]
    connection.execute("DROP TABLE twins")
    said = (
        f"{twins.get(side, 0)} of {sizes.get(side, 0)} {side} rows ({found:.1%}) equal a training row in all inputs "
        f"and the target, limit {limit:.1%} as coincidence explains {expected:.1%}; first row {first}"
    )
    rows = {name: twins.get(name, 0) for name in ("validation", "test")}
    return Finding(found, limit, said, {"rows": rows, "by_coincidence": expected})


def _features(connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract, split: Split) -> Finding:
    """Find features that alone nearly give the target in training.

    By time, the time column is none: rows of one day may be alike, but no day of the test stands in training.
    """
    keys = contract.with_role("key")
    times = contract.with_role("time") if split.by == "time" else []
    texts = ", ".join(f"{identifier(name)}::VARCHAR" for name in keys)
    shares = explained_alone(
        connection,
        f"(SELECT * FROM {kept} WHERE _split = 'train')",
        contract.target,
        contract.task == "regression",
        {name: contract.columns[name].type for name in contract.inputs if name not in times},
        row=f"concat_ws(chr({ord(SEPARATOR)}), {texts})" if keys else "_row",
    )
    ranked = dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
    over = [f"{name} ({share:.3f})" for name, share in ranked.items() if share > EXPLAINED]
    said = (
        f"{', '.join(over)} alone nearly give {contract.target} (share explained, limit {EXPLAINED}); "
        "if it is known only after the fact, give it role: drop"
    )
    highest = dict(list(ranked.items())[:FEATURES_SHOWN])
    return Finding(max(shares.values(), default=0.0), EXPLAINED, said, {"highest": highest})


def _future(connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract, split: Split) -> Finding:
    """Find test rows that are earlier than the latest training row."""
    names = contract.with_role("time")
    if not names:
        return Finding(0, 0)
    time = identifier(names[0])
    latest = f"(SELECT max({time}) FROM {kept} WHERE _split = 'train')"
    query = f"""SELECT count(*) FILTER (_split = 'test'), count(*) FILTER (_split = 'test' AND {time} < {latest}),
        min(_row) FILTER (_split = 'test' AND {time} < {latest}), {latest}::VARCHAR FROM {kept}"""
    [(n_rows, n_earlier, first, last)] = connection.execute(query).fetchall()
    found = round(n_earlier / n_rows, 4) if n_rows else 0.0
    said = (
        f"{n_earlier} of {n_rows} test rows ({found:.1%}) are earlier than the latest training row "
        f"({names[0]} {last}), limit 0; first row {first}; split.by: time would test on the future"
    )
    return Finding(found, 0, said, {"rows": n_earlier})
