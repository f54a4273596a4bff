"""The contract on one row (Python) and on a table (DuckDB): each rule by hand, and both equal for any text."""

from __future__ import annotations

import math
import re
import struct
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from stages.runtime.contract import Column, Contract, Violation, as_text, check_row, parse
from stages.runtime.contract_sql import number_text_sql, rule_sql, text_sql, value_sql
from stages.runtime.dates import format_pattern
from stages.runtime.zones import find_zone, zone_names
from stages.shared.table.rules import contract_faults

KINDS = ["integer", "number", "money", "percent", "boolean", "category", "text", "date", "timestamp"]
MISSING = ["NA", "?", "it's unknown", " padded "]
FORMATS = ["%m/%d/%y %H:%M", "%d-%m-%Y", "%b %d %Y", "%Y-%m-%d %I:%M %p", "%B %d, %Y", "%d.%m.%Y %H.%M.%S",
           "%H:%M %d/%b/%y", "%d/%m/%Y %H:%M:%S.%f", "%Y%m%d", "%m/%Y", "%Y"]  # fmt: skip
PARITY = settings(max_examples=80, deadline=None, database=None, derandomize=True, phases=[Phase.explicit,
Phase.generate],
                  suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])  # fmt: skip


def fate(column: Column, text: str | None, missing: list[str]) -> tuple[Any, str | None]:
    """What the check of a row says of one text."""
    contract = Contract("t", "regression", None, {"x": column}, missing)
    values, violations = check_row(contract, {"x": text}, ["x"])
    return values["x"], violations[0].rule if violations else None


@cache
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def table_fates(column: Column, texts: list[str], missing: list[str]) -> dict[str, tuple[Any, str | None]]:
    """What the SQL of a table says of each text, nested as prepare nests it; no value where a rule is broken."""
    query = f"""SELECT x, v0, {rule_sql(column, "t0", "v0")} FROM (SELECT *, {value_sql(column, "t0")} AS v0 FROM (
        SELECT x, {text_sql("x", missing)} AS t0 FROM raw))"""
    connection = database()
    connection.execute("CREATE OR REPLACE TABLE raw AS SELECT unnest(?::VARCHAR[]) AS x", [texts])
    rows = connection.execute(query).fetchall()
    return {text: (None if rule else value, rule) for text, value, rule in rows}


def exact(fate: tuple[Any, str | None]) -> tuple[Any, ...]:
    """A fate in a form that tells -0.0 from 0.0, and True from 1."""
    value, rule = fate
    return type(value).__name__, struct.pack("<d", value) if isinstance(value, float) else value, rule


def differences(column: Column, texts: list[str], missing: list[str]) -> list[str]:
    """Every text that the two engines do not treat alike."""
    of_table = table_fates(column, texts, missing)
    pairs = [(text, fate(column, text, missing), of_table[text]) for text in texts]
    return [f"{text!r}: row {row}, table {table}" for text, row, table in pairs if exact(row) != exact(table)]


def is_accepted(column: Column) -> bool:
    """Whether a contract with this column passes the check of contracts."""
    columns = {"x": column, "y": Column("number", "target")}
    return not contract_faults(Contract("t", "regression", None, columns, []))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "00012", 12), ("integer", "+5", 5), ("integer", "-5.", -5), ("integer", "7.000", 7),
        ("integer", "9" * 18, 10**18 - 1), ("integer", "1" * 19, None), ("integer", "1.5", None),
        ("integer", "1e3", None),
        ("integer", "1_000", None), ("integer", "٣", None), ("integer", "", None), ("integer", "-", None),
        ("number", ".5", 0.5), ("number", "5.", 5.0), ("number", "-1e-3", -0.001), ("number", "1E+05", 1e5),
        ("number", "1e400", None), ("number", "nan", None), ("number", "inf", None), ("number", "-Infinity", None),
        ("number", "1_000", None), ("number", "1,5", None), ("number", "0x10", None), ("number", ".", None),
        ("number", "1e-400", 0.0), ("number", "1" * 400, None), ("number", "９", None),
        ("boolean", "TRUE", True), ("boolean", "t", True), ("boolean", "yes", True), ("boolean", "1", True),
        ("boolean", "No", False), ("boolean", "F", False), ("boolean", "0", False), ("boolean", "1.0", None),
        ("boolean", "oui", None), ("boolean", "y", None),
        ("category", "a'b\"", "a'b\""), ("text", "naïve  twice", "naïve  twice"),
        ("date", "2012-02-29", date(2012, 2, 29)), ("date", "2013-02-29", None), ("date", "2012-11-31", None),
        ("date", "2012-2-9 23:59:59", date(2012, 2, 9)), ("date", "31/11/2012", None), ("date", "12-01-01", None),
        ("date", "20120101", None), ("date", "0001-01-01", date(1, 1, 1)),
        ("timestamp", "2012-02-29T12:34", datetime(2012, 2, 29, 12, 34)),
        ("timestamp", "2012-02-29", datetime(2012, 2, 29)),
        ("timestamp", "2012-02-29 24:00", None), ("timestamp", "2012-02-29 12:34:60", None),
        ("timestamp", "2012-02-29 12:34:56.5", datetime(2012, 2, 29, 12, 34, 56, 500000)),
        ("timestamp", "2012-02-29 12:34:56.1234567", None), ("timestamp", "2012-02-29T12:34:56Z", None),
    ],
)  # fmt: skip
def test_text_becomes_the_type_or_breaks_it(kind, text, value):
    expected = (value, None if value is not None or not text else "type")
    assert exact(parse(Column(kind), text, frozenset())) == exact(expected)


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        ("%m/%d/%y %H:%M", "1/2/13 3:04", datetime(2013, 1, 2, 3, 4)),
        ("%m/%d/%y %H:%M", "1/2/68 0:00", datetime(2068, 1, 2)),
        ("%m/%d/%y %H:%M", "1/2/69 0:00", datetime(1969, 1, 2)),
        ("%m/%d/%y %H:%M", "1/2/99 0:00", datetime(1999, 1, 2)),
        ("%m/%d/%y %H:%M", "1/2/00 0:00", datetime(2000, 1, 2)), ("%m/%d/%y %H:%M", "1/2/13 24:00", None),
        ("%d-%m-%Y", "29-02-2013", None), ("%d-%m-%Y", "29-02-2000", datetime(2000, 2, 29)),
        ("%d-%m-%Y", "29-02-1900", None),
        ("%b %d %Y", "FEB 3 2012", datetime(2012, 2, 3)), ("%b %d %Y", "Foo 3 2012", None),
        ("%Y-%m-%d %I:%M %p", "2012-01-02 12:05 AM", datetime(2012, 1, 2, 0, 5)),
        ("%Y-%m-%d %I:%M %p", "2012-01-02 12:05 pm", datetime(2012, 1, 2, 12, 5)),
        ("%Y-%m-%d %I:%M %p", "2012-01-02 13:05 PM", None),
    ],
)  # fmt: skip
def test_own_format_is_read(form, text, value):
    assert parse(Column("timestamp", formats=[form]), text, frozenset()) == (value, None if value else "type")


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        (Column("money"), "$1,234.50", 1234.5), (Column("money"), "1,234.50 €", 1234.5),
        (Column("money"), "USD 5", 5.0),
        (Column("money"), "5USD", 5.0), (Column("money"), "-$5", -5.0), (Column("money"), "$-5", -5.0),
        (Column("money"), "- $5", -5.0), (Column("money"), "($5.25)", -5.25), (Column("money"), "$(5.25)", -5.25),
        (Column("money"), "(5) USD", -5.0), (Column("money"), "$5 USD", 5.0), (Column("money"), "1e3", 1000.0),
        (Column("money"), "5\u00a0€", 5.0), (Column("money"), "£.5", 0.5), (Column("money"), "-0", -0.0),
        (Column("money"), "$1,23", None), (Column("money"), "$12,34,567", None), (Column("money"), "1234,567", None),
        (Column("money"), "(-5)", None), (Column("money"), "-$-5", None), (Column("money"), "(5", None),
        (Column("money"), "5)", None), (Column("money"), "5-", None), (Column("money"), "usd 5", None),
        (Column("money"), "$", None), (Column("money"), "$$5", None), (Column("money"), "US 5", None),
        (Column("money"), "5%", None), (Column("money"), "5 kr", None), (Column("money"), "()", None),
        (Column("money", decimal=","), "1.234,50 €", 1234.5), (Column("money", decimal=","), "1.234", 1234.0),
        (Column("money", decimal=","), "1.5", None), (Column("money", thousands=""), "$1,234", None),
        (Column("money", thousands="'"), "CHF 1'234.50", 1234.5), (Column("money", thousands=" "), "1 234 $", 1234.0),
        (Column("percent"), "12.5%", 12.5), (Column("percent"), "12.5 %", 12.5), (Column("percent"), "12.5", 12.5),
        (Column("percent"), "-3\u00a0%", -3.0), (Column("percent"), "%5", None), (Column("percent"), "5%%", None),
        (Column("percent"), "%", None), (Column("percent", decimal=","), "12,5 %", 12.5),
        (Column("number", thousands=","), "1,234,567.5", 1234567.5),
        (Column("number", thousands=","), "1234.5", 1234.5),
        (Column("number", thousands=","), "1,2345", None), (Column("number", thousands=","), "1234,567", None),
        (Column("number", thousands=","), ",123", None), (Column("number", thousands=","), "1,234e2", 123400.0),
        (Column("number", decimal=","), "2,125", 2.125), (Column("number", decimal=","), "2.125", None),
        (Column("number", decimal=",", thousands="."), "2.125", 2125.0),
        (Column("number", decimal=",", thousands=" "), "12 345,5", 12345.5),
        (Column("number", decimal=",", thousands=" "), "12\u202f345,5", 12345.5),
        (Column("integer", thousands=","), "-1,234", -1234), (Column("integer", thousands=","), "1,23", None),
        (Column("integer", thousands=","), "999,999,999,999,999,999", 10**18 - 1),
        (Column("integer", thousands=","), "9,999,999,999,999,999,999", None),
        (Column("integer", decimal=",", thousands="."), "1.234,00", 1234),
        (Column("number"), "1e+-5", None), (Column("number"), "+-5", None), (Column("number"), "1e0005", 1e5),
    ],
    ids=str,
)  # fmt: skip
def test_marks_of_a_number_are_read(column, text, value):
    expected = (value, None if value is not None else "type")
    assert exact(parse(column, text, frozenset())) == exact(expected)
    assert differences(column, [text], []) == []


@pytest.mark.parametrize(
    ("zone", "text", "value"),
    [
        ("Europe/Rome", "2020-01-01 12:00", datetime(2020, 1, 1, 11)),
        ("Europe/Rome", "2020-07-01", datetime(2020, 6, 30, 22)),
        ("Europe/Rome", "2020-07-01 12:00Z", datetime(2020, 7, 1, 12)),
        ("Europe/Rome", "2020-07-01T12:00:00.5+05:30", datetime(2020, 7, 1, 6, 30, 0, 500000)),
        ("Europe/Rome", "2020-07-01 12:00 -0330", datetime(2020, 7, 1, 15, 30)),
        ("Europe/Rome", "2020-07-01 12:00-03", datetime(2020, 7, 1, 15)),
        ("Europe/Rome", "2020-03-29 02:30", datetime(2020, 3, 29, 1, 30)),   # skipped: read as 03:30 summer time
        ("Europe/Rome", "2020-10-25 02:30", datetime(2020, 10, 25, 1, 30)),  # twice: the second, winter time
        ("Europe/Rome", "2020-07-01Z", None), ("Europe/Rome", "2020-07-01 12:00+24", None),
        ("Europe/Rome", "2020-07-01 12:00z", None), ("Europe/Rome", "2020-07-01 12:00+1", None),
        ("Europe/Rome", "2020-07-01 12:00  Z", None), ("Europe/Rome", "0001-01-01", None),
        ("America/New_York", "9999-12-31 23:59", None), ("-02:00", "2020-01-01", datetime(2020, 1, 1, 2)),
        ("+0530", "2020-01-01", datetime(2019, 12, 31, 18, 30)), ("UTC", "2020-01-01", datetime(2020, 1, 1)),
        (None, "2020-07-01 12:00Z", None), (None, "2020-07-01 12:00+01:00", None),
    ],
)  # fmt: skip
def test_time_in_a_zone_becomes_utc(zone, text, value):
    column = Column("timestamp", timezone=zone)
    assert parse(column, text, frozenset()) == (value, None if value else "type")
    assert differences(column, [text], []) == []


def test_offset_is_read_behind_an_own_format():
    column = Column("timestamp", formats=["%d/%m/%Y %H:%M", "%d-%m-%Y"], timezone="Europe/Rome")
    assert parse(column, "01/07/2020 12:00+02:00", frozenset()) == (datetime(2020, 7, 1, 10), None)
    assert parse(column, "01-07-2020", frozenset()) == (datetime(2020, 6, 30, 22), None), "-2020 is no offset here"
    assert differences(column, ["01/07/2020 12:00+02:00", "01-07-2020"], []) == []


@pytest.mark.parametrize("name", ["Europe/Rome", "America/New_York", "America/Sao_Paulo", "Africa/Casablanca", "Iran",
                                  "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "WET",
                                  "Antarctica/Troll"])  # fmt: skip
def test_clock_changes_are_the_same_to_row_and_table(name):
    """Every quarter of an hour around each change of the clocks from 1970 to 2037, and some moments far away."""
    zone = find_zone(name)
    days = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(68 * 365)]
    changes = [
        day for day in days if day.astimezone(zone).utcoffset() != (day + timedelta(1)).astimezone(zone).utcoffset()
    ]
    near = [day.replace(tzinfo=None) + timedelta(minutes=15 * n) for day in changes for n in range(-60, 200)]
    moments = {
        *near,
        datetime(2, 1, 1),
        datetime(1900, 1, 1),
        datetime(1945, 6, 1),
        datetime(2100, 7, 1),
        datetime(9000, 7, 1),
    }
    assert changes
    assert differences(Column("timestamp", timezone=name), sorted(map(str, moments)), []) == []


@pytest.mark.slow
def test_every_zone_is_known_to_the_database_and_agrees_in_every_year():
    texts = [f"{year}-{month:02}-01 12:00" for year in range(1900, 2101, 5) for month in (1, 4, 7, 10)]
    names = sorted(zone_names())
    assert len(names) > 500
    assert [name for name in names if differences(Column("timestamp", timezone=name), texts, [])] == []


@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/New_York"])
def test_neither_the_machine_nor_the_session_has_a_say_in_utc(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        column = Column("timestamp", timezone="Europe/Rome")
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = '{zone}'")
            query = f"SELECT {value_sql(column, 't')} FROM (VALUES ('2020-07-01 12:00'), ('2020-07-01 12:00+02')) v(t)"
            assert connection.execute(query).fetchall() == [(datetime(2020, 7, 1, 10),)] * 2
        assert parse(column, "2020-07-01 12:00", frozenset())[0] == datetime(2020, 7, 1, 10)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_own_formats_come_before_iso():
    assert parse(Column("date", formats=["%Y-%d-%m"]), "2012-03-04", frozenset()) == (date(2012, 4, 3), None)


@pytest.mark.parametrize(("text", "fits"), [("3.4 (2012)", True), ("3x4 (2012)", False), ("3.4 2012", False)])
def test_literal_characters_of_a_format_stand_for_themselves(text, fits):
    assert bool(re.fullmatch(format_pattern("%d.%m (%Y)"), text)) == fits


@pytest.mark.parametrize(
    ("column", "text", "rule"),
    [
        (Column("integer", nullable=False), None, "required"),
        (Column("integer", nullable=False), " \t\v", "required"),
        (Column("integer"), None, None), (Column("integer", nullable=False), "NA", "required"),
        (Column("integer"), "NA", None),
        (Column("integer"), " ? ", None), (Column("integer"), "na", "type"),
        (Column("integer", min=3), "2", "min"), (Column("integer", min=3), "3", None),
        (Column("number", max=0.1), "0.1", None), (Column("number", max=0.1), "0.10000000000000002", "max"),
        (Column("date", min="2012-01-01"), "2011-12-31", "min"),
        (Column("date", min="2012-01-01"), "2012-01-01", None),
        (Column("timestamp", max="2012-01-01 12:00:00"), "2012-01-01 12:00:01", "max"),
        (Column("category", values=["a", "it's"]), "it's", None), (Column("category", values=["a"]), "A", "values"),
        (Column("integer", values=["1"]), "01", "values"),
        (Column("text", min_length=2), "a", "min_length"), (Column("text", min_length=2), "é😀", None),
        (Column("text", max_length=2), " ab ", None), (Column("text", max_length=2), "abc", "max_length"),
        (Column("money", min=3), "$2.99", "min"), (Column("percent", max=100), "100.1%", "max"),
        (Column("text", pattern="[a-z]+"), "abc", None), (Column("text", pattern="[a-z]+"), "abc1", "pattern"),
        (Column("text", pattern="a|b"), "ab", "pattern"),
        (Column("integer", values=["1"], pattern="9", min=5), "x", "type"),
        (Column("integer", values=["1"], pattern="9", min=5), "2", "values"),
        (Column("integer", values=["1"], pattern="9", min=5), "1", "pattern"),
        (Column("integer", values=["1"], pattern="1", min=5, max=0), "1", "min"),
    ],
)  # fmt: skip
def test_first_broken_rule_is_named(column, text, rule):
    value, found = parse(column, text, frozenset(MISSING))
    assert found == rule
    assert value is None or rule is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None), (math.nan, None), (np.float64("nan"), None), (True, "true"), (False, "false"),
        (np.bool_(True), "true"),
        (5, "5"), (5.0, "5"), (-0.5, "-0.5"), (1e22, "1e+22"), (np.int64(5), "5"), (np.float64(5.0), "5"),
        (np.float64(0.1), "0.1"), (np.float32(0.5), "0.5"), (np.str_("a"), "a"), ("5.0", "5.0"), ("", ""),
        (date(2012, 1, 2), "2012-01-02"), (datetime(2012, 1, 2, 3, 4, 5, 6), "2012-01-02 03:04:05.000006"),
        (np.datetime64("2012-01-02"), "2012-01-02"), (Decimal("1.50"), "1.50"), (math.inf, "inf"), ([1], "[1]"),
    ],
)  # fmt: skip
def test_value_has_one_text(value, text):
    assert as_text(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.datetimes() | st.integers(-(10**18) + 1, 10**18 - 1))
@settings(deadline=None, database=None, derandomize=True)
def test_text_of_a_value_parses_back_to_it(value):
    kind = {float: "number", datetime: "timestamp", int: "integer"}[type(value)]
    assert exact(parse(Column(kind), as_text(value), frozenset())) == exact((value, None))


def test_all_faults_of_a_row_are_listed_and_strangers_first():
    columns = {"a": Column("integer", nullable=False), "b": Column("number", max=1), "c": Column("text")}
    contract = Contract("t", "regression", None, columns, ["NA"])
    values, violations = check_row(contract, {"z": 1.0, "b": 2, "a": "NA", "c": " x "}, ["a", "b", "c"])
    assert violations == [Violation("z", "unknown", "1"), Violation("a", "required", "NA"), Violation("b", "max", "2")]
    assert values == {"a": None, "b": None, "c": "x"}
    assert str(violations[2]) == "b: max, got '2'"


def test_absent_column_counts_as_missing_and_unasked_one_is_not_checked():
    contract = Contract("t", "regression", None, {"a": Column("integer"), "b": Column("integer", nullable=False)}, [])
    assert check_row(contract, {}, ["a", "b"]) == ({"a": None, "b": None}, [Violation("b", "required", None)])
    assert check_row(contract, {"b": "no number"}, ["a"]) == ({"a": None}, [])


def test_contract_survives_json():
    columns = {
        "a": Column("date", "time", False, "2012-01-01", formats=["%Y"]),
        "y": Column("category", "target", values=["n", "p"]),
    }
    contract = Contract("t", "binary", "n", columns, ["NA"])
    assert Contract.from_json(contract.to_json()) == contract
    assert (contract.target, contract.classes, contract.inputs) == ("y", ["p", "n"], ["a"])


# Texts: hand-picked, random, from the type's own shape, and with one character changed.
ODD = [
    "", " ", "\t\v\f\r\n", "NA", " NA ", "na", "?", "it's unknown", "padded", " padded ", "nan", "inf", "-inf",
    "1e400", "-1e400",
    "1e-400", "00012", "+5", "5.", ".5", ".", "1_000", "1,000", "0x1F", "١٢", "１２", "1" * 18, "1" * 19, "9" * 400,
    "0." + "9" * 400, "1" * 350 + "e-100", "2.4703282292062327e-324", "2.4703282292062328e-324",
    "9007199254740993", "-0", "-0.0",
    "1.7976931348623158e308", "1.7976931348623159e308", "5\u00a0", "\u30005", "5\u0085", "5\x1f", "5\x00", "1\n2",
    "a'b", '"', "''",
    "TRUE", "İ", "ſ", "\u212a", "e\u0301", "é", "😀 x", "29 Feb", "2/29/12 0:00", "2/29/13 0:00", "31/11",
    "31-11-2012", "24:00",
    "1/1/68 0:00", "1/1/69 23:59", "12/31/99 24:00", "1/1/00 00:60", "01-01-0001", "31-12-9999", "Feb 29 2012",
    "Sept 1 2012",
    "May 1, 2012", "2012-01-01 12:00 AM", "2012-01-01 00:00 PM", "2012-01-01 12:00:60", "2012-01-01 24:00:00",
    "2012-13-01",
    "2012-01-01  00:00", "2012-01-01t00:00", "2012-01-01T00:00:00.000001", "2012-01-01 00:00:00.1234567",
    "2012-01-01Z",
    "1e+-5", "+-5", "$ +-5", "1e0005", "1e99999999999999999999", "$1,234.50", "(1.5)", "12.5\t%", "2012-01-01 12:00Z",
    "2012-01-01 12:00+01:00", "infinity", "epoch", "2012/01/01", "2012-01-01 (BC)", "-2012-01-01",
    "2012-01-01T12:00:00",
    "10000-01-01", "20120229", "20130229", "13/2012", "12/2012",
]  # fmt: skip
LETTERS = st.characters(exclude_categories=["Cs"])
RANDOM = (
    st.text(LETTERS, max_size=12)
    | st.text("0123456789.+-eE_ ", max_size=30)
    | st.text("0123456789/-: TAPMapm.", max_size=20)
)
NUMBERS = (
    st.floats().map(repr) | st.integers().map(str) | st.decimals(allow_nan=False).map(str)
    | st.from_regex(r"[+-]?[0-9]{0,25}\.?[0-9]{0,25}([eE][+-]?[0-9]{0,4})?", fullmatch=True)
)  # fmt: skip


def moments(forms: list[str]) -> st.SearchStrategy[str]:
    written = st.tuples(st.datetimes(datetime(1000, 1, 1)), st.sampled_from(forms)).map(
        lambda pair: pair[0].strftime(pair[1])
    )
    return written | st.sampled_from(forms).flatmap(lambda form: st.from_regex(format_pattern(form), fullmatch=True))


@st.composite
def changed(draw, texts: st.SearchStrategy[str]) -> str:
    text = draw(texts)
    place = draw(st.integers(0, len(text)))
    return (
        text[:place]
        + draw(st.text(LETTERS, max_size=1) | st.sampled_from(list("0 '9\t-")))
        + text[place + draw(st.integers(0, 1)) :]
    )


ZONES = ["UTC", "Europe/Rome", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "+05:30", "-0330", "Z"]
LENGTHS = st.none() | st.integers(1, 6)
OFFSETS = st.sampled_from(
    ["Z", " Z", "+01", "-0330", "+05:30", " +00:00", "+24:00", "-23:59", "+1", "z", "-00:60", "  Z"]
)


@st.composite
def with_offset(draw, texts: st.SearchStrategy[str]) -> str:
    return draw(texts) + draw(OFFSETS)


@st.composite
def written_numbers(draw, column: Column) -> str:
    """A number as people write it in such a column: marks, signs, currencies, parentheses, here and there wrong."""
    decimal, thousands = column.marks
    digits = draw(st.text("0123456789", min_size=1, max_size=20))
    if draw(st.booleans()):
        groups = [digits[max(0, end - 3) : end] for end in range(len(digits), 0, -3)][::-1]
        digits = (draw(st.sampled_from([thousands, thousands, ",", "\u00a0", "\u2019"]))).join(groups)
    parts = [
        draw(st.sampled_from(["", "", "-", "+", "("])),
        draw(st.sampled_from(["", "", "$", "€ ", "USD", "EUR\u00a0", "kr"])),
        draw(st.sampled_from(["", "", "-", "(", " "])), digits,
        draw(st.sampled_from(["", decimal, decimal + "5", decimal + "000", "e2", decimal + "25E-3", "_1"])),
        draw(st.sampled_from(["", "", "%", " %", "\u202f%", ")", " €", "USD"])),
        draw(st.sampled_from(["", "", ")", " $"])),
    ]  # fmt: skip
    return "".join(parts)


@st.composite
def cases(draw, kind: str) -> tuple[Column, list[str], list[str]]:
    """A column of one type, texts for it, and the words for missing."""
    fields: dict[str, Any] = {"nullable": draw(st.booleans())}
    near = RANDOM
    limits: st.SearchStrategy[Any] = st.none()
    if kind in ("integer", "number", "money", "percent"):
        fields["decimal"] = draw(st.sampled_from([None, ".", ","]))
        fields["thousands"] = draw(st.sampled_from([None, "", ",", ".", " ", "'"]))
        near = NUMBERS | written_numbers(Column(kind, **fields))
        limits = st.none() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | st.floats(-1e300, 1e300)
    elif kind in ("date", "timestamp"):
        zone = draw(st.sampled_from([None, *ZONES])) if kind == "timestamp" else None
        fields["timezone"] = zone
        fields["formats"] = draw(st.lists(st.sampled_from(FORMATS), max_size=3))
        near = moments([*fields["formats"], "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M"])
        near = with_offset(near) | near if zone else near
        limits = st.none() | (st.dates() if kind == "date" else st.datetimes()).map(str)
    elif kind == "boolean":
        near = st.sampled_from(["true", "T", "Yes", "1", "false", "f", "NO", "0", "yes ", "tru", "on"])
    else:
        fields["pattern"] = draw(
            st.sampled_from([None, "[a-z]+", "(a|ab)(c|bcd)?", "[^0-9]*", ".{2,4}", "'.*'|\\?", "a.b"])
        )
        near = RANDOM if fields["pattern"] is None else st.from_regex(fields["pattern"], fullmatch=True)
        fields |= {"min_length": draw(LENGTHS), "max_length": draw(LENGTHS)}
    fields |= {"min": draw(limits), "max": draw(limits)}
    texts = draw(st.lists(near | changed(near) | RANDOM | st.sampled_from(ODD), min_size=1, max_size=25, unique=True))
    fields["values"] = draw(st.none() | st.lists(st.sampled_from([*texts, "1", "b'"]), min_size=1, max_size=5))
    return Column(kind, **fields), texts, draw(st.lists(st.sampled_from([*MISSING, texts[0]]), max_size=3))


@pytest.mark.parametrize("kind", KINDS)
def test_row_and_table_agree_on_any_text(kind):
    @PARITY
    @given(cases(kind))
    @example((Column(kind, nullable=False, formats=FORMATS[:4] if kind in ("date", "timestamp") else []), ODD, MISSING))
    def agree(case):
        column, texts, missing = case
        if is_accepted(column):
            assert differences(column, texts, missing) == []

    agree()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_row_and_table_agree_on_every_shape_of_a_format(form, kind):
    @settings(PARITY, max_examples=5)
    @given(st.lists(moments([form]) | changed(moments([form])), min_size=20, max_size=40, unique=True))
    def agree(texts):
        assert differences(Column(kind, formats=[form]), texts, []) == []

    agree()


# What a contract may contain, if the check of contracts lets it pass, means the same to both engines.
@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (Column("date"), ["0000-01-01"]), (Column("timestamp", formats=["%d-%m-%Y"]), ["1-1-0000"]),
        (Column("date", formats=["%Y%m%d"]), ["2012229", "121231"]), (Column("date", formats=["%y%m%d"]), ["2012"]),
        (Column("timestamp", formats=["%I:%M"]), ["12:30"]),
        (Column("timestamp", formats=["%H:%M %p"]), ["1:30 PM", "13:30 PM"]),
        (Column("date", formats=["%Y %Y"]), ["2012 2013"]), (Column("date", formats=[""]), [" "]),
        (Column("integer", min=1e18), ["9" * 18]), (Column("number", min=2**53 + 1), [str(2**53)]),
        (Column("number", max=math.inf), ["0"]), (Column("number", min=math.nan), ["0"]),
        (Column("integer", max=10**45), ["9" * 18]),
        (Column("timestamp", min="20120101"), ["2012-01-02"]),
        (Column("timestamp", min="2012-01-01T05"), ["2012-01-02"]),
        (Column("timestamp", min="2012-01-01T00:00Z"), ["2012-01-02"]),
        (Column("date", min="2012-W01-1"), ["2012-01-02"]),
        (Column("category", values=[]), ["a"]), (Column("text", pattern=r"\d+"), ["12", "٣"]),
        (Column("text", pattern=r"\w+"), ["a_b", "é"]), (Column("text", pattern=r"\S+"), ["a", "a\u00a0b"]),
        (Column("text", pattern=r"a\sb"), ["a b", "a\vb"]), (Column("text", pattern=r"\bé\b"), ["é"]),
        (Column("text", pattern="a{,3}"), ["aa", "a{,3}"]), (Column("text", pattern="[[:alpha:]]"), ["a", ":]"]),
        (Column("text", pattern="(?i)k|é"), ["K", "\u212a", "É"]),
        (Column("text", pattern="a.b"), ["a\nb", "a\u2028b", "a😀b"]),
    ],
    ids=lambda value: None if isinstance(value, list) else " ".join(
        f"{key}={part}" for key in ("type", "min", "max", "values", "pattern", "formats")
        if (part := getattr(value, key)) not in (None, [] if key == "formats" else None)),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_accepted_column_means_the_same_to_row_and_table(column, texts):
    assert not is_accepted(column) or differences(column, texts, []) == []


def test_missing_value_among_the_values_is_a_fault_of_the_contract():
    assert not is_accepted(Column("category", values=["a", None]))


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        (Column("text", nullable=False, on_violation="null"), ".on_violation: null needs a nullable column"),
        (Column("text", unique=True, on_violation="null"), ".on_violation: null cannot mend a repeated value"),
        (Column("integer", "key", on_violation="null"), ".on_violation: a key column cannot do without values"),
        (Column("integer", "group", on_violation=None), ".on_violation: a group column cannot do without values"),
        (Column("text", min_length=3, max_length=2), ".min_length: should be at most max_length, got 3 and 2"),
        (Column("integer", max_length=2), ".max_length: only for category and text, not integer"),
        (Column("number", decimal=",", thousands=","), ".thousands: should differ from the decimal mark, both are ','"),
        (Column("integer", thousands="."), ".thousands: should differ from the decimal mark, both are '.'"),
        (Column("text", decimal=","), ".decimal: only for integer, number, money, percent, not text"),
        (Column("timestamp", timezone="Europe/Roma"), "got 'Europe/Roma'; did you mean 'Europe/Rome'?"),
        (Column("timestamp", timezone="../../etc/passwd"), ".timezone: should be an IANA name, UTC, or an offset"),
        (Column("date", timezone="UTC"), ".timezone: only for timestamp, not date"),
        (Column("percent", min=2, max=1), ".min: should be at most max, got 2 and 1"),
        (Column("date", min="2013-01-02", max="2013-01-01"), ".min: should be at most max"),
    ],
    ids=str,
)  # fmt: skip
def test_column_that_clashes_with_itself_is_a_fault(column, fault):
    columns = {"x": column, "z": Column("number"), "y": Column("number", "target")}
    [found] = contract_faults(Contract("t", "regression", None, columns, []))
    assert found.startswith("columns.x.")
    assert fault in found


@pytest.mark.parametrize(("name", "is_ours"), [("_row", True), ("_SPLIT", True), ("_id", False), ("__", False)])
def test_only_the_names_of_our_own_columns_are_reserved(name, is_ours):
    columns = {name: Column("number"), "y": Column("number", "target")}
    expected = [f"columns.{name}: the names _row and _split are ours"] if is_ours else []
    assert contract_faults(Contract("t", "regression", None, columns, [])) == expected


def test_contract_stored_before_is_read_with_defaults():
    stored = {"name": "t", "task": "regression", "positive": None, "missing": ["NA"],
              "columns": [["x", {"type": "integer", "role": "feature", "nullable": True}]]}  # fmt: skip
    assert Contract.from_json(stored) == Contract("t", "regression", None, {"x": Column("integer")}, ["NA"], {})


@pytest.mark.parametrize("number", [2.125, np.float64(2.125), Decimal("2.125")])
@pytest.mark.parametrize(("decimal", "thousands"), [(",", "."), (",", None), (".", ","), (None, None)])
def test_number_means_itself_whatever_the_marks_of_texts(number, decimal, thousands):
    column = Column("number", decimal=decimal, thousands=thousands)
    contract = Contract("t", "regression", None, {"x": column}, [])
    assert check_row(contract, {"x": number}, ["x"]) == ({"x": 2.125}, [])
    written = database().execute(f"SELECT {number_text_sql(column, 'x')} FROM (SELECT 2.125::DOUBLE AS x)").fetchall()
    assert table_fates(column, [written[0][0]], []) == {written[0][0]: (2.125, None)}


def test_word_for_missing_of_one_column_is_a_value_of_another():
    contract = Contract("t", "regression", None, {"x": Column("text", missing=["-"]), "z": Column("text")}, ["NA"])
    assert check_row(contract, {"x": "-", "z": "-"}, ["x", "z"]) == ({"x": None, "z": "-"}, [])
    assert check_row(contract, {"x": "NA", "z": "NA"}, ["x", "z"]) == ({"x": None, "z": None}, [])
