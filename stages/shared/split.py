"""Which side a row is on: a function of its own values, so that appending or reordering rows moves no other row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import literal, text_sql

SIDES = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """By the MD5 of the group, key or content (shares of the rows), or by the time column (first moments)."""

    by: Literal["hash", "time"]
    validation: float | str  # hash: share of the rows; time: first moment of the validation rows
    test: float | str  # hash: share of the rows; time: first moment of the test rows


def split_faults(contract: Contract, split: Split) -> list[str]:
    """Return what is wrong with the split: shares that leave no training rows, dates that are none or out of order."""
    if split.by == "hash":
        if isinstance(split.validation, str) or isinstance(split.test, str):
            return ["split: by hash, validation and test should be shares of the rows, such as 0.2"]
        if split.validation <= 0 or split.test <= 0 or split.validation + split.test >= 1:
            given = f"{split.validation} and {split.test}"
            return [f"split: validation and test should be above 0 and leave training rows, got {given}"]
        return []
    faults = [] if contract.with_role("time") else ["split.by: time needs a column with role: time"]
    try:
        if cut(split.validation) >= cut(split.test):
            faults.append(f"split: validation should begin before test, got {split.validation} and {split.test}")
    except ValueError as error:
        faults.append(f"split: by time, validation and test should be dates, such as '2013-10-01': {error}")
    return faults


def cut(moment: float | str) -> datetime:
    """Return a declared first moment. Raises ValueError where it is none, or has a time zone."""
    parsed = datetime.fromisoformat(str(moment))
    if parsed.tzinfo is not None:
        raise ValueError(f"a time zone in {moment!r}")
    return parsed


def content_sql(contract: Contract) -> str:
    """Return the expression of what a row's side is the hash of: its group, else its key, else all its fields."""
    names = contract.with_role("group") or contract.with_role("key") or list(contract.columns)
    texts = ", ".join(f"coalesce({text_sql(name, contract.missing)}, '')" for name in names)
    return f"md5(concat_ws(chr(31), {texts}))"


def side_sql(split: Split, content: str, time: str) -> str:
    """Return the expression of a row's side from the expressions of its content hash and its time."""
    if split.by == "time":
        test, validation = (
            f"{time} >= TIMESTAMP {literal(str(cut(first)))}" for first in (split.test, split.validation)
        )
    else:  # hexadecimal digests of equal length compare as the numbers they are
        shares = (float(split.test), float(split.test) + float(split.validation))
        test, validation = (f"{content} < '{int(share * 16**8):08x}'" for share in shares)
    return f"CASE WHEN {test} THEN 'test' WHEN {validation} THEN 'validation' ELSE 'train' END"
