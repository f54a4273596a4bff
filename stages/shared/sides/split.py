"""Which side a row is on: a function of its own values, so that appending or reordering rows moves no other row.

Also how even the sides came out, a salt that makes them even, and a digest of who is on each side.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier, literal, text_sql

if TYPE_CHECKING:
    import duckdb

SIDES = ("train", "validation", "test")
SEPARATOR = "\x1f"  # stands between the texts of several hashed columns
SALTS = ["", *map(str, range(1, 20))]
EVEN = 1.0  # standard errors; a side's class share is further off in one draw of three
SCALE = 2**32  # steps from the smallest to the largest target: sums of whole numbers are the same in any order


@dataclass(frozen=True)
class Split:
    """By the MD5 of the key, group or content (shares of the rows), or by the time column (first moments)."""

    by: Literal["hash", "key", "group", "time"] = field(
        metadata={
            "doc": "`hash`: by the MD5 of the group, else the key, else all fields; `key` and `group` say which. "
            "`time`: by the time column."
        }
    )
    validation: float | str = field(
        metadata={"doc": "Validation rows. By time, their first moment (UTC), quoted; otherwise their share."}
    )
    test: float | str = field(metadata={"doc": "Test rows, written as `validation`."})
    salt: str = field(default="", metadata={"doc": "Appended to the hashed text: another one draws another split."})
    gap_days: float = field(
        default=0,
        metadata={"doc": "By time: rows of so many days before `validation` and `test` are on no side (`gap`)."},
    )


def split_faults(contract: Contract, split: Split) -> list[str]:
    """Return what is wrong with the split: no such column, shares that leave no training rows, dates out of order."""
    return _time_faults(contract, split) if split.by == "time" else _hash_faults(contract, split)


def _hash_faults(contract: Contract, split: Split) -> list[str]:
    faults = []
    if split.by in ("key", "group") and not contract.with_role(split.by):
        faults.append(f"split.by: {split.by} needs a column with role: {split.by}")
    if split.gap_days != 0:
        faults.append(f"split.gap_days: only by time, not by {split.by}")
    validation, test = split.validation, split.test
    if isinstance(validation, str) or isinstance(test, str):
        return [*faults, f"split: by {split.by}, validation and test should be shares of the rows, such as 0.2"]
    if not (validation > 0 and test > 0 and validation + test < 1):
        given = f"{validation} and {test}"
        faults.append(f"split: validation and test should be above 0 and leave training rows, got {given}")
    return faults


def _time_faults(contract: Contract, split: Split) -> list[str]:
    faults = [] if contract.with_role("time") else ["split.by: time needs a column with role: time"]
    if split.salt:
        faults.append("split.salt: not by time, where nothing is drawn")
    try:
        first, last = cut(split.validation), cut(split.test)
    except ValueError as error:
        return [*faults, f"split: by time, validation and test should be dates, such as '2013-10-01': {error}"]
    if first >= last:
        faults.append(f"split: validation should begin before test, got {split.validation} and {split.test}")
    longest = (first - datetime.min) / timedelta(days=1)
    if not 0 <= split.gap_days < longest:
        faults.append(f"split.gap_days: should be 0 or more days, got {split.gap_days}")
    return faults


def cut(moment: float | str) -> datetime:
    """Return a declared first moment. Raises ValueError where it is none, or has a time zone."""
    parsed = datetime.fromisoformat(str(moment))
    if parsed.tzinfo is not None:
        raise ValueError(f"a time zone in {moment!r}")
    return parsed


def hashed_columns(contract: Contract, split: Split) -> list[str]:
    """Return the columns whose texts decide a row's side, in the contract's order; none by time."""
    if split.by == "time":
        return []
    if split.by != "hash":
        return contract.with_role(split.by)
    return contract.with_role("group") or contract.with_role("key") or list(contract.columns)


def content_sql(contract: Contract, split: Split) -> str:
    """Return the expression over the source's texts of the digest that decides a row's side; NULL by time."""
    names = hashed_columns(contract, split)
    missing = {name: contract.missing + contract.columns[name].missing for name in names}
    texts = ", ".join(f"coalesce({text_sql(name, missing[name])}, '')" for name in names)
    return _digest_sql(f"concat_ws(chr({ord(SEPARATOR)}), {texts})", split) if names else "NULL::VARCHAR"


def _digest_sql(text: str, split: Split) -> str:
    return f"md5({text} || {literal(split.salt)})" if split.salt else f"md5({text})"


def side_sql(split: Split, content: str, time: str) -> str:
    """Return the expression of a row's side from the expressions of its digest and of its time."""
    if split.by == "time":
        tests = [(f"{time} >= TIMESTAMP {literal(str(first))}", side) for first, side in _first_moments(split)]
    else:  # hexadecimal digests compare as the numbers they are
        tests = [(f"{content} < '{bound}'", side) for bound, side in _bounds(split)]
    return f"CASE {' '.join(f'WHEN {test} THEN {literal(side)}' for test, side in tests)} ELSE 'train' END"


def side_of(split: Split, text: str, moment: date | None = None) -> str:
    """Return the side of one row, as `side_sql` does for a table.

    `text` is the stripped text of the hashed column ("" where missing; of several, joined by the byte 1f), `moment` the
    value of the time column. With a shell alone, the row's place among 2^32 is

        echo $((0x$(printf %s "$TEXT$SALT" | md5sum | cut -c1-8)))

    which is on the side test below floor(test * 2^32), validation below floor((test + validation) * 2^32), else train.
    """
    if split.by == "time":
        if moment is None:
            raise ValueError("a split by time needs the moment of the row")
        at = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)
        return next((side for first, side in _first_moments(split) if at >= first), "train")
    digest = hashlib.md5((text + split.salt).encode(), usedforsecurity=False).hexdigest()
    return next((side for bound, side in _bounds(split) if digest < bound), "train")


def _first_moments(split: Split) -> list[tuple[datetime, str]]:
    """Return the first moment of each side but train, the latest first."""
    moments = []
    for first, side in ((cut(split.test), "test"), (cut(split.validation), "validation")):
        moments.append((first, side))
        if split.gap_days:
            moments.append((first - timedelta(days=split.gap_days), "gap"))
    return moments


def _bounds(split: Split) -> list[tuple[str, str]]:
    """Return the first eight digits below which a digest is on the side, test first."""
    shares = (float(split.test), float(split.test) + float(split.validation))
    return [(f"{int(share * 16**8):08x}", side) for share, side in zip(shares, ("test", "validation"), strict=True)]


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
        side = side_sql(split, _digest_sql("text", dataclasses.replace(split, salt=salt)), "NULL")
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
