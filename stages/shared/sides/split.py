"""Which side a row is on: a function of its own values, so that appending or reordering rows moves no other row.

The same in DuckDB for a table and in Python for one row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import literal, text_sql

if TYPE_CHECKING:
    pass

SIDES = ("train", "validation", "test")
SEPARATOR = "\x1f"  # stands between the texts of several hashed columns


@dataclass(frozen=True)
class Split:
    """By the MD5 of the key, group or content (shares of the rows), or by the time column (first moments)."""

    by: Literal["hash", "key", "group", "time"] = field(
        metadata={
            "doc": "`hash`: by the MD5 of the group, else the key, else all columns not dropped; `key` and `group` "
            "say which. `time`: by the time column."
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
    return contract.with_role("group") or contract.with_role("key") or contract.checked


def content_sql(contract: Contract, split: Split) -> str:
    """Return the expression over the source's texts of the digest that decides a row's side; NULL by time."""
    names = hashed_columns(contract, split)
    missing = {name: contract.missing + contract.columns[name].missing for name in names}
    texts = ", ".join(f"coalesce({text_sql(name, missing[name])}, '')" for name in names)
    return digest_sql(f"concat_ws(chr({ord(SEPARATOR)}), {texts})", split) if names else "NULL::VARCHAR"


def digest_sql(text: str, split: Split) -> str:
    """Return the expression of the digest, 32 hexadecimal digits, that a hashed text draws its side by."""
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
