"""How even the sides came out, a salt that makes them even, and a digest of who is on each side."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.shared.sides.split import SEPARATOR, SIDES, Split, digest_sql, hashed_columns, side_sql

if TYPE_CHECKING:
    import duckdb

SALTS = ["", *map(str, range(1, 20))]
EVEN = 1.0  # standard errors; a side's class share is further off in one draw of three
SCALE = 2**32  # steps from the smallest to the largest target: sums of whole numbers are the same in any order


def balance(
    connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract, split: Split
) -> dict[str, dict[str, Any]]:
    """Return {side: {"classes": {class: {share, standard_errors}}}}, for regression {side: {target_mean, ...}}.

    A hash that never moves a row cannot give every side the same class shares; this says how unlucky the draw was: how
    far a side is from all sides together, in standard errors of a random draw. Beyond 3 is no matter of luck; by time
    it shows how the target drifts. `kept` is a FROM clause; rows in a gap do not count.
    """
    target, group = identifier(contract.target), contract.with_role("group")
    is_drawn_by_group = bool(group) and hashed_columns(contract, split) == group
    unit = identifier(group[0]) if is_drawn_by_group else "NULL"
    if contract.task != "regression":
        drawn = f"(SELECT _split AS side, {unit} AS unit, {target} AS label, 1 AS amount FROM {kept})"
        sides: dict[str, dict[str, Any]] = {side: {"classes": {}} for side in SIDES}
        for (side, label), (share, errors) in _deviations(connection, drawn, is_drawn_by_group).items():
            sides[side]["classes"][label] = {"share": round(share, 4), "standard_errors": round(errors, 2)}
        return sides
    [(low, high)] = connection.execute(f"SELECT min({target})::DOUBLE, max({target})::DOUBLE FROM {kept}").fetchall()
    step = (high - low) / SCALE or 1.0
    amount = f"round(({target} - {low!r}) / {step!r})::BIGINT"
    drawn = f"(SELECT _split AS side, {unit} AS unit, '' AS label, {amount} AS amount FROM {kept})"
    found = _deviations(connection, drawn, is_drawn_by_group)
    return {
        side: {"target_mean": float(f"{low + step * mean:.6g}"), "standard_errors": round(errors, 2)}
        for (side, _), (mean, errors) in found.items()
    }


def _deviations(
    connection: duckdb.DuckDBPyConnection, drawn: str, is_drawn_by_unit: bool
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return {(side, label): (amount per row of the side, its distance from the whole in standard errors)}.

    The error is that of a sample without replacement (Cochran, Sampling Techniques, 1977, theorem 2.2), times the root
    of sum(m^2) / sum(m) where units of m rows are drawn: as if a unit's rows were all alike, which is the cautious end
    (Kish, Survey Sampling, 1965, section 5.4). Sums are of whole numbers, so that threads change nothing.
    """
    counted = f"(SELECT * FROM {drawn} WHERE side IN {SIDES})"
    rows = dict(connection.execute(f"SELECT side, count(*) FROM {counted} GROUP BY 1").fetchall())
    query = f"""SELECT side, label, sum(amount), sum(amount::HUGEINT * amount) FROM {counted}
        GROUP BY ALL ORDER BY ALL"""
    sums = {(side, label): (int(a), int(aa)) for side, label, a, aa in connection.execute(query).fetchall()}
    size = 1.0
    if is_drawn_by_unit and rows:
        per_unit = f"SELECT count(*)::HUGEINT AS m FROM {counted} GROUP BY unit"
        [(squares,)] = connection.execute(f"SELECT sum(m * m) FROM ({per_unit})").fetchall()
        size = int(squares) / sum(rows.values())
    return {
        (side, label): _deviation(side, rows, {s: sums.get((s, label), (0, 0)) for s in rows}, size)
        for label in sorted({label for _, label in sums})
        for side in SIDES
        if side in rows
    }


def _deviation(
    side: str, rows: dict[str, int], sums: dict[str, tuple[int, int]], unit_size: float
) -> tuple[float, float]:
    """Return (amount per row of the side, its distance from the whole in standard errors)."""
    n, n_rows, amount = rows[side], sum(rows.values()), sum(a for a, _ in sums.values())
    # n_rows^2 times the variance: whole numbers up to here, so that nothing cancels.
    spread = n_rows * sum(aa for _, aa in sums.values()) - amount**2
    mean, whole = sums[side][0] / n, amount / n_rows
    error = math.sqrt(spread / n_rows**2 * (1 - n / n_rows) / n * unit_size)
    return mean, (mean - whole) / error if error else 0.0


def best_salt(connection: duckdb.DuckDBPyConnection, drawn: str, split: Split) -> str:
    """Return the first of "", "1", ... "19" with which every side has the whole's class shares within EVEN.

    Where none does, the one whose worst side is best. `drawn` is a FROM clause of (text, label): the hashed text of
    each row and its class (for regression, its tenth of the target); it is read once for each salt.

    This is how a hash is stratified: choosing a draw by what is known before any model is fitted (rerandomisation:
    Morgan and Rubin, Annals of Statistics 40, 2012). It sees how many rows of each class a side has, never a feature
    or a score, so it can favour no model and no result; it only excludes draws that a stratified split would exclude
    too. The salt is then written down, and each row's side depends on its own text as before.
    """
    worst: dict[str, float] = {}
    for salt in SALTS:
        side = side_sql(split, digest_sql("text", dataclasses.replace(split, salt=salt)), "NULL")
        sided = f"(SELECT {side} AS side, text AS unit, label::VARCHAR AS label, 1 AS amount FROM {drawn})"
        found = _deviations(connection, sided, is_drawn_by_unit=True)
        is_whole = {at for at, _ in found} == set(SIDES)
        worst[salt] = max(abs(errors) for _, errors in found.values()) if is_whole else math.inf
        if worst[salt] <= EVEN:
            return salt
    return min(SALTS, key=lambda salt: worst[salt])


def membership_digests(connection: duckdb.DuckDBPyConnection, kept: str, contract: Contract) -> dict[str, str]:
    """Return {side: 32 digits} that change when, and only when, other rows are on the side; their order is no matter.

    The sum modulo 2^128 of the MD5 (little-endian) of each row's key, or without a key of its values. A sum, because
    with exclusive or two equal rows would cancel out. Who has the key's values can add it up anew.
    """
    names = contract.with_role("key") or contract.checked
    texts = ", ".join(f"coalesce({identifier(name)}::VARCHAR, '')" for name in names)
    low = 2**64 - 1
    query = f"""SELECT _split, sum((m >> 64)::UBIGINT), sum((m & {low}::UHUGEINT)::UBIGINT)
        FROM (SELECT _split, md5_number(concat_ws(chr({ord(SEPARATOR)}), {texts})) AS m FROM {kept})
        GROUP BY 1 ORDER BY 1"""
    sums = connection.execute(query).fetchall()
    return {side: f"{(int(high) * 2**64 + int(low)) % 2**128:032x}" for side, high, low in sums}
