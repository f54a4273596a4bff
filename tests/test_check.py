"""The compiled check of a record says what `check_row` says, and dates are read as strptime reads them."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import pytest
from demo import NAMES, demo_contract, records_of
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.runtime.check import compile_check
from stages.runtime.contract import Column, Contract, check_row
from stages.runtime.dates import ISO_FORMATS, format_pattern, moment_reader
from stages.runtime.expression import Rule
from stages.shared.records import json_value

FAST = settings(max_examples=60, derandomize=True, database=None, deadline=None)
ODDITIES = [
    10**5000, -1.0, -0.0, 3.0, 2.0**53, 1e16, 1e300, True, [1], {"a": 1}, b"x", date(2024, 1, 2),
    datetime(2024, 1, 2, 3, 4, 5, 6), "", " ", "NA", "-1", " 7", "7 ", "1.0", "true", "2024-02-29", "2024-2-9",
    "29/02/24 8:01", "2023-02-29", "2024-01-01 24:00:00", "2024-01-01T08:01",
]  # fmt: skip
NUMBERS = st.integers() | st.integers(-20, 120) | st.floats()
STRANGE = st.none() | st.booleans() | NUMBERS | st.text(max_size=4) | st.sampled_from(ODDITIES)
ODD = {
    "a": Column("integer", min=-3, max=9, missing=["-1"]), "b": Column("integer", nullable=False, max=1e300),
    "c": Column("number", decimal=",", thousands="."), "d": Column("money", min=0, on_violation="null"),
    "e": Column("percent", max=100), "f": Column("boolean"), "g": Column("boolean", missing=["false"]),
    "h": Column("category", values=["1", "7", "NA", "true", " 7"]), "i": Column("text", pattern="[0-9a-z]+"),
    "j": Column("text", min_length=2, max_length=3, nullable=False), "k": Column("date", min="2024-02-01"),
    "l": Column("timestamp", formats=["%d/%m/%y %H:%M"], max="2024-06-01 00:00:00"),
    "m": Column("timestamp", timezone="Europe/Rome"), "n": Column("number"), "y": Column("number", "target"),
}  # fmt: skip
RULES = {"ordered": Rule("a <= b"), "late": Rule("k < l or n > 3", "fail"), "unread": Rule("y > a")}


def test_a_strange_record_is_checked_alike() -> None:
    contract = Contract("t", "regression", None, ODD, ["NA"], RULES)
    check = compile_check(contract, contract.inputs)

    @settings(FAST, max_examples=1500)
    @given(st.fixed_dictionaries({}, optional=dict.fromkeys([*ODD, "other"], STRANGE)))
    def each(record: dict[str, Any]) -> None:
        assert repr(check(record)) == repr(check_row(contract, record, contract.inputs))

    each()


@pytest.mark.parametrize("name", NAMES)
def test_a_record_of_a_demo_table_is_checked_alike(name: str) -> None:
    contract = demo_contract(name)
    check = compile_check(contract, contract.inputs)

    @FAST
    @given(records_of(contract), st.dictionaries(st.sampled_from(contract.inputs), STRANGE, max_size=2))
    def each(record: dict[str, Any], change: dict[str, Any]) -> None:
        sent = {key: json_value(value, contract.columns[key]) for key, value in record.items()} | change
        assert repr(check(sent)) == repr(check_row(contract, sent, contract.inputs))

    each()


def test_what_is_missing_by_its_number_is_missing() -> None:
    contract = Contract("t", "regression", None, {"a": ODD["a"]}, [])
    check = compile_check(contract, ["a"])
    assert [check({"a": value})[0]["a"] for value in (-1, -1.0, "-1", math.nan, 3.0, 3)] == [None] * 4 + [3, 3]


FORMS = [*ISO_FORMATS["timestamp"], "%d/%m/%y %H:%M", "%d.%m.%Y", "%Y %m", "%m%d%Y", "%d %b %Y %I:%M %p",
         "%Y-%m-%d week 1",
         "%d.%m.%Y %H:%M:%S.%f", "%y/%d", "%H:%M %d-%m-%Y", "%Y-%m-%d %H"]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_moment_is_read_as_strptime_reads_it(form: str) -> None:
    shaped = st.from_regex(format_pattern(form), fullmatch=True)
    written = st.datetimes(datetime(1000, 1, 1)).map(lambda moment: moment.strftime(form))

    @settings(FAST, max_examples=300)
    @given(shaped | written)
    def each(text: str) -> None:
        try:
            expected = datetime.strptime(text, form)
        except ValueError:
            expected = None
        assert moment_reader(form)(text) == expected

    each()


def test_a_text_of_another_shape_is_no_moment() -> None:
    assert moment_reader("%Y-%m-%d")("20240102") is None
    assert moment_reader("%d.%m.%Y")("01.02.2024 ") is None
