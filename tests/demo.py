"""The contracts of the demo tables, and records that they accept."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from typing import Any

from hypothesis import strategies as st

from stages.runtime.contract import Column, Contract
from stages.runtime.forms import bound
from stages.shared.config import compose
from stages.shared.table.schema import DataConf, make_contract

NAMES = ["houses", "jobs", "loans", "rides", "survival"]


@cache
def demo_contract(name: str) -> Contract:
    """Return the contract that prepare makes of conf/data/NAME.yaml."""
    conf, choice, _ = compose("data", DataConf, [f"data={name}"])
    return make_contract(choice, conf)


def values_of(column: Column) -> st.SearchStrategy[Any]:
    """Return typed values that the column accepts, None where it may be missing."""
    low, high = (None if limit is None else bound(column, limit) for limit in (column.min, column.max))
    if column.values is not None:
        found: st.SearchStrategy[Any] = st.sampled_from(column.values)
    elif column.type == "integer":
        found = st.integers(-(10**6) if low is None else int(low), 10**6 if high is None else int(high))
    elif column.type == "boolean":
        found = st.booleans()
    elif column.type == "date":
        found = st.dates(low or date(1900, 1, 1), high or date(2100, 1, 1))
    elif column.type == "timestamp":
        seconds = st.datetimes(low or datetime(1900, 1, 1), high or datetime(2100, 1, 1))
        found = seconds.map(lambda moment: moment.replace(microsecond=0))
    elif column.type in ("category", "text"):
        words = st.integers(0, 999).map(str) | st.text("abcXYZ é", min_size=1).map(str.strip).filter(bool)
        found = words if column.pattern is None else st.from_regex(column.pattern, fullmatch=True)
    else:
        found = st.floats(low, high, allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
    return st.none() | found if column.nullable else found


def records_of(contract: Contract) -> st.SearchStrategy[dict[str, Any]]:
    """Return records of typed values of the columns that a model reads; rules over several columns may not hold."""
    return st.fixed_dictionaries({name: values_of(contract.columns[name]) for name in contract.inputs})
