"""Features of many records at once are those of each alone, bit for bit, or there are none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_check import ODD, RULES, STRANGE
from test_plan import EDGES, FLAGS, PLAN, ROWS, bits

from stages.runtime.check import LONG, compile_check, short_way
from stages.runtime.clocks import moments_reader
from stages.runtime.columns import compile_matrix
from stages.runtime.contract import Column, Contract
from stages.runtime.plan import compile_row

KINDS = {"i": "integer", "n": "number", "b": "boolean", "c": "category", "t": "text", "d": "date", "s": "timestamp",
         'o"': "timestamp", "y": "number"}  # fmt: skip
FAST = settings(max_examples=60, derandomize=True, database=None, deadline=None)
NEAR_ISO = st.from_regex(
    r"(0000|[0-9]{4})-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9]", fullmatch=True
) | st.text("0123456789-: T", min_size=19, max_size=19)


def written(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as JSON has it, to whole seconds: moments as ISO 8601."""
    return {
        name: value.replace(microsecond=0).isoformat(" ") if isinstance(value, datetime)
        else value.isoformat() if name == "d" and value is not None else value
        for name, value in row.items()
    }  # fmt: skip


def ensure_alike(contract: Contract, plan: list[dict[str, Any]], records: list[dict[str, Any]]) -> bool:
    """Hold many records at once against each alone; return whether they were read at once."""
    check, evaluate = compile_check(contract, contract.inputs), compile_row(plan)
    found = compile_matrix(contract, contract.inputs, plan)(records)
    if found is None:
        return False
    for record, row in zip(records, found.tolist(), strict=True):
        values, violations = check(record)
        assert violations == []
        assert bits(row) == bits(evaluate(values))
    return True


@FAST
@given(ROWS)
@example(EDGES)
def test_every_operation_gives_the_same_bits(rows: list[dict[str, Any]]) -> None:
    columns = {name: Column(kind, "target" if name == "y" else "feature") for name, kind in KINDS.items()}
    ensure_alike(Contract("t", "regression", "y", columns, []), PLAN + FLAGS, [written(row) for row in rows])


def test_ordinary_rows_are_read_at_once() -> None:
    columns = {name: Column(kind, "target" if name == "y" else "feature") for name, kind in KINDS.items()}
    full = {"i": 1, "n": -0.0, "b": True, "c": "a", "t": "ab b", "d": "2012-02-29", "s": "1969-12-31 23:59:59",
            'o"': "0001-01-01T00:00:00"}  # fmt: skip
    rows = [full, dict.fromkeys("inbcds"), {"n": 7, "b": False, "s": "2012-02-29 00:00:00"}]
    assert ensure_alike(Contract("t", "regression", "y", columns, []), PLAN + FLAGS, rows)


def test_strange_records_are_read_alike_or_one_by_one() -> None:
    contract = Contract("t", "regression", None, ODD, ["NA"], RULES)
    plan = [{"name": f"{name}.missing", "op": "missing", "column": name} for name in contract.inputs]
    records = st.fixed_dictionaries(
        {"b": st.just(1), "j": st.just("ab")}, optional={name: STRANGE for name in ODD if name not in "bj"}
    )

    @settings(FAST, max_examples=600)
    @given(st.lists(records, min_size=1, max_size=4))
    def each(found: list[dict[str, Any]]) -> None:
        ensure_alike(contract, plan, found)

    each()


@pytest.mark.parametrize("column", [
    Column("timestamp"), Column("timestamp", formats=["%m/%d/%y %H:%M"], nullable=False),
    Column("timestamp", min="2001-02-03 04:05:06", max="2050-01-01 00:00:00"),
])  # fmt: skip
def test_moments_are_those_of_the_short_way(column: Column) -> None:
    short, read = short_way(column, frozenset()), moments_reader(column, frozenset())
    assert read is not None

    @settings(FAST, max_examples=1000)
    @given(NEAR_ISO)
    @example("2013-10-02 24:00:00")
    @example("2013-10-02 23:59:60")
    @example("2013-02-29 00:00:00")
    @example("0000-01-01 00:00:00")
    @example("2013-00-01 00:00:00")
    def each(text: str) -> None:
        found = read([text])
        assert short(text) is LONG if found is None else found.tolist() == [short(text)]

    each()


def test_texts_that_only_joined_look_like_moments_are_not_read() -> None:
    read = moments_reader(Column("timestamp"), frozenset())
    assert read is not None
    assert read(["2013-10-02 02:24:0", "02013-10-02 02:24:00"]) is None
    assert read(["2013-10-02 02:24:0é"]) is None


@pytest.mark.parametrize(("column", "missing"), [
    (Column("timestamp", timezone="Europe/Rome"), frozenset()),
    (Column("date", formats=["%Y-%d-%m"]), frozenset()),
    (Column("timestamp"), frozenset(["1900-01-01 00:00:00"])),
    (Column("number"), frozenset()),
])  # fmt: skip
def test_moments_that_may_mean_something_else_are_left_to_the_short_way(
    column: Column, missing: frozenset[str]
) -> None:
    assert moments_reader(column, missing) is None
