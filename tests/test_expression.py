"""Rules over several columns: what they say by hand, and the same on a row and on a table."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.runtime.contract import Column, Contract, Violation, check_row
from stages.runtime.contract_sql import SQL_TYPES, identifier, literal
from stages.runtime.expression import Rule, evaluate, parse_expression
from stages.runtime.expression_sql import expression_sql, involved_sql
from stages.shared.table.rules import contract_faults

TYPES = {
    "i": "integer", "n": "number", "money in": "money", "p": "percent", "b": "boolean", "other b": "boolean",
    "c": "category", "t": "text", "d": "date", "class": "date", "s": "timestamp", "missing": "integer",
}  # fmt: skip
DAY, MOMENT = date(2020, 2, 29), datetime(2020, 2, 29, 12)
ROW = {"i": 4, "n": 0.5, "money in": None, "p": -2.0, "b": True, "other b": None, "c": "it's", "t": "z", "d": DAY,
       "class": None, "s": MOMENT, "missing": 1}  # fmt: skip
CASES = [
    ("i > 3", True), ("i < 3", False), ("i == 4.0", True), ("i != 4", False), ("3 < i <= 4", True),
    ("3 < i < 4", False), ("`money in` > 3", None), ("5 < i < `money in`", False), ("3 < i < `money in`", None),
    ("i + n * 2 - 1 == 4", True), ("i / 8 == n", True), ("i / (n - 0.5) > 0", None), ("-i == -4", True),
    ("i / 0 is missing", True), ("(i * 1e200) * 1e200 > 0", None), ("1 / (i * 1e200 * 1e200) == 0", True),
    ("b", True), ("not b", False), ("not `other b`", None), ("b == true", True), ("b != false", True),
    ("b or `other b`", True), ("not b or `other b`", None), ("not b and `other b`", False), ("b and `other b`", None),
    ("c == \"it's\"", True), ("c in ['its', \"it's\"]", True), ("c not in ['a']", True), ("c < t", True),
    ("i in [1, 2.5, -4]", False), ("`money in` in [1]", None), ("`money in` not in [1]", None),
    ("`money in` is missing", True), ("i is not missing", True), ("`missing` is missing", False),
    ("d == '2020-02-29'", True), ("d in ['2020-02-28', '2020-03-01']", False), ("s > d", True),
    ("s == '2020-02-29T12:00'", True), ("'2020-01-01' <= d < '2020-03-01'", True), ("`class` >= d", None),
    ("days(d, s) == 0.5", True), ("days(s, '2020-03-01') == 0.5", True), ("days(d, `class`) > 1", None),
    ("`class` is missing or `class` >= d", True), ("i > 3 and (c == 'x' or p < 0)", True),
]  # fmt: skip


def contract(check: str, **more: Any) -> Contract:
    columns = {name: Column(kind) for name, kind in TYPES.items()} | {"y": Column("number", "target"), **more}  # type: ignore[arg-type]
    return Contract("t", "regression", None, columns, [], {"fits": Rule(check)})


def typed_literal(name: str, value: Any) -> str:
    text = "NULL" if value is None else literal(repr(value) if isinstance(value, float) else str(value))
    return f"{text}::{SQL_TYPES[TYPES[name]]}"


def of_table(check: str, rows: list[dict[str, Any]]) -> list[Any]:
    """What the SQL of a rule says of each row."""
    values = ", ".join("(" + ", ".join(typed_literal(name, row[name]) for name in TYPES) + ")" for row in rows)
    names = ", ".join(map(identifier, TYPES))
    rule = expression_sql(contract(check), "fits", {name: identifier(name) for name in TYPES})
    return [row[0] for row in duckdb.execute(f"SELECT {rule} FROM (VALUES {values}) v({names})").fetchall()]


@pytest.mark.parametrize(("check", "expected"), CASES)
def test_expression_says_the_same_of_a_row_and_a_table(check, expected):
    assert evaluate(parse_expression(check, TYPES), ROW) is expected
    assert of_table(check, [ROW]) == [expected]


NUMBERS = st.sampled_from(["i", "n", "`money in`", "p", "0", "1", "2.5", "1e300", "3"])
DATES = st.sampled_from(["d", "s", "`class`"])
numbers = st.recursive(
    NUMBERS | st.tuples(DATES, DATES).map(lambda pair: f"days({pair[0]}, {pair[1]})"),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
        | inner.map(lambda part: f"-{part}")
    ),
    max_leaves=4,
)
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
TEXTS = st.sampled_from(["c", "t", "'a'", '"it\'s"', "'é'"])


def compared(operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(operands, SIGNS, operands).map(" ".join)


conditions = st.recursive(
    compared(numbers) | compared(DATES) | compared(TEXTS)
    | st.tuples(numbers, SIGNS, numbers, SIGNS, numbers).map(" ".join)
    | st.tuples(DATES, SIGNS, st.sampled_from(["'2020-02-29'", "'1969-12-31 23:59:59'"])).map(" ".join)
    | st.tuples(numbers, st.sampled_from(["is missing", "is not missing", "in [1, 2.5]", "not in [0]"])).map(" ".join)
    | st.tuples(TEXTS, st.sampled_from(["is missing", "in ['a', 'b']"])).map(" ".join)
    | st.sampled_from(["b", "`other b`", "b == `other b`", "b != true"]),
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
    | inner.map(lambda part: f"not ({part})"),
    max_leaves=4,
)  # fmt: skip
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 2.5])
WHOLE = st.integers(-(10**18) + 1, 10**18 - 1) | st.integers(-3, 3)
WORDS = st.sampled_from(["a", "b", "A", "é", "it's", "z", "ﬀ", "😀", ""])
MOMENTS = st.datetimes() | st.sampled_from([MOMENT, datetime(2020, 2, 29), datetime(1, 1, 1), datetime(9999, 12, 31)])
VALUES = {"integer": WHOLE, "number": FLOATS, "money": FLOATS, "percent": FLOATS, "boolean": st.booleans(),
          "category": WORDS, "text": WORDS, "date": st.dates() | st.just(DAY), "timestamp": MOMENTS}  # fmt: skip
rows = st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in TYPES.items()})


@settings(
    max_examples=300, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(conditions, st.lists(rows, min_size=1, max_size=8))
def test_row_and_table_agree_on_any_expression(check, rows):
    node = parse_expression(f"i == i and {check}", TYPES)  # a rule has to name a column
    assert [evaluate(node, row) for row in rows] == of_table(f"i == i and {check}", rows)


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        ("c > 3", "c is a text, 3 a number: they cannot be compared"),
        ("d > 3", "d is a date, 3 a number"), ("d > '2013-02-30'", "'2013-02-30' should be a date"),
        ("d > 'soon'", "'soon' should be a date"), ("b > true", "b is a boolean: only == and !="),
        ("c + 1 > 2", "c should be a number, it is a text"), ("days(i, d) > 1", "i should be a date, it is a number"),
        ("days(d) > 1", "takes two dates"), ("nn > 1", "no column 'nn'; did you mean 'n'"),
        ("secret > 1", "no column 'secret'; it is dropped"), ("i", "i is a number, not a condition"),
        ("i + 1", "not a condition"), ("1 < 2", "names no column"), ("i >", "is not an expression"), ("", "is not an"),
        ("i = 3", "is not an expression"), ("i ** 2 > 1", "is not part of the language"),
        ("i % 2 == 0", "i % 2 is not part of the language"), ("len(c) > 1", "is not part of the language"),
        ("c == f'x'", "is not an expression"), ("c == 'a' 'b'", "is not an expression"),
        ("c == b'x'", "is not an expression"), ("i is None", "after is: should be missing"),
        ("c in 'abc'", "should be a list of literals"), ("i in []", "should be a list of literals"),
        ("i in [n]", "should be a list of literals"), ("i in ['a']", "cannot be compared"),
        ("[x for x in i] == 1", "is not part of the language"), ("i.real > 1", "is not part of the language"),
        ("True == b", "True is not part of the language"), ("i > 1e999", "too large a number"),
        ("i > " + "9" * 400, "too large a number"), ("i > 1" + " + 1" * 400, "at most 1000 characters"),
        ("(i > 1) == b", "is not part of the language"), ("i if b else n", "is not part of the language"),
        ("__import__('os').system('x') == 1", "is not part of the language"), ("i > 1j", "is not part of the language"),
        ("(" * 300 + "i" + ")" * 300 + " > 1", "is not an expression"),
    ],
)  # fmt: skip
def test_fault_of_an_expression_is_a_fault_of_the_contract(check, fault):
    [found] = contract_faults(contract(check, secret=Column("text", "drop", reason="private")))
    assert found.startswith("rules.fits.check: ")
    assert fault in found


def test_rule_with_a_columns_name_is_a_fault():
    given = Contract("t", "regression", None, {"a": Column("number"), "y": Column("number", "target")}, [],
                     {"a": Rule("a > 1")})  # fmt: skip
    assert contract_faults(given) == ["rules.a: a column has this name"]


def ordered(**more: Any) -> Contract:
    columns = {"a": Column("number", decimal=",", **more), "b": Column("date"), "y": Column("number", "target", True)}
    rules = {"small": Rule("a < 3", "fail"), "early": Rule("b < '2020-01-01' and a < 3"), "fits": Rule("y > a")}
    return Contract("t", "regression", None, columns, [], rules)


def test_broken_rule_names_itself_and_the_values_as_they_came():
    values, violations = check_row(ordered(), {"a": 3.5, "b": " 2021-01-01"}, ["a", "b"])
    assert values == {"a": 3.5, "b": date(2021, 1, 1)}
    assert violations == [
        Violation("small", "check", "a=3,5", "fail"),
        Violation("early", "check", "b= 2021-01-01, a=3,5", "quarantine"),
    ]
    assert str(violations[0]) == "small: check, got 'a=3,5'"


def test_rule_over_a_column_that_is_no_input_is_not_applied():
    record = {"a": 2, "b": "2019-01-01", "y": 1}
    assert check_row(ordered(), record, ["a", "b"])[1] == []
    assert [found.column for found in check_row(ordered(), record, ["a", "b", "y"])[1]] == ["fits"]


def test_rule_over_missing_or_broken_values_is_unknown():
    assert check_row(ordered(), {"a": None, "b": "2019-01-01"}, ["a", "b"])[1] == []
    _, violations = check_row(ordered(max=1, on_violation="null"), {"a": 5, "b": "2019-01-01"}, ["a", "b"])
    assert violations == [Violation("a", "max", "5", "null")]


def test_table_names_the_values_as_they_came():
    query = involved_sql(ordered(), "early", {"a": "x", "b": "z"})
    assert duckdb.execute(f"SELECT {query} FROM (VALUES ('3,5', NULL)) v(x, z)").fetchall() == [("b=, a=3,5",)]
