"""The feature plan on one row (Python) and on a table (DuckDB): each operation by hand,
and both equal bit for bit."""

from __future__ import annotations

import math
import struct
from datetime import date, datetime
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.runtime.plan import compile_row, select_sql

SQL_TYPES = {
    "i": "BIGINT",
    "n": "DOUBLE",
    "b": "BOOLEAN",
    "c": "VARCHAR",
    "t": "VARCHAR",
    "d": "DATE",
    "s": "TIMESTAMP",
    'o"': "TIMESTAMP",
}
LEVELS = ["a", "it's", 'say "no"', "", "é", "e\u0301", "a b", "\\", "x\ny"]
PLAN: list[dict[str, Any]] = [
    *({"name": f"{name}.number", "op": "number", "column": name} for name in "inb"),
    {"name": 'c"', "op": "category", "column": "c", "levels": LEVELS},
    {"name": "c.none", "op": "category", "column": "c", "levels": []},
    *({"name": f"{name}.{part}", "op": "part", "column": name, "part": part}
      for name in "ds" for part in ("hour", "weekday", "day", "month")),
    *({"name": f"{end}.{start}", "op": "hours_since", "column": end, "origin": start}
      for end, start in (("d", "s"), ("s", "d"), ("s", 'o"'), ("d", 'o"'))),
    {"name": "t.length", "op": "length", "column": "t"},
    {"name": "t.words", "op": "words", "column": "t"},
]  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text(
    "ab \t\n\u00a0\u3000\u0301😀", max_size=20
)
VALUES = {
    "i": st.integers(-(10**18) + 1, 10**18 - 1), "n": st.floats(allow_nan=False, allow_infinity=False),
    "b": st.booleans(),
    "c": st.sampled_from(LEVELS) | TEXTS, "t": TEXTS, "d": st.dates(), "s": st.datetimes(), 'o"': st.datetimes(),
}  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), min_size=1, max_size=8
)
EDGES = [
    {"i": 2**53 + 1, "n": -0.0, "b": True, "c": "unseen", "t": " two\u00a0words\there ", "d": date(1, 1, 1),
     "s": datetime(9999, 12, 31, 23, 59, 59, 999999), 'o"': datetime(1, 1, 1)},
    {"i": -(2**53) - 3, "n": 5e-324, "b": False, "c": "it's", "t": "e\u0301 👩‍👩‍👧", "d": date(9999, 12, 31),
     "s": datetime(1, 1, 1, 0, 0, 0, 1), 'o"': datetime(9999, 12, 31)},
    {"i": None, "n": None, "b": None, "c": None, "t": None, "d": None, "s": None, 'o"': None},
    {"i": 0, "n": 1.7976931348623157e308, "b": None, "c": "", "t": "", "d": date(2012, 2, 29),
    "s": datetime(1969, 12, 31, 23), 'o"': None},
]  # fmt: skip


@cache
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    columns = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, kind in SQL_TYPES.items())
    connection.execute(f"CREATE TABLE kept (_row BIGINT, {columns})")
    return connection


def table_features(features: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[list[float]]:
    connection = database()
    connection.execute("DELETE FROM kept")
    connection.executemany(f"INSERT INTO kept VALUES ({', '.join('?' * (1 + len(SQL_TYPES)))})",
                           [[number, *(row.get(name) for name in SQL_TYPES)] for number,
                           row in enumerate(rows)])  # fmt: skip
    fetched = connection.execute(f"SELECT {select_sql(features)} FROM kept ORDER BY _row").fetchall()
    return [[math.nan if value is None else value for value in row] for row in fetched]


def bits(row: list[float]) -> list[bytes]:
    return [b"missing" if math.isnan(value) else struct.pack("<d", value) for value in row]


@settings(max_examples=80, deadline=None, database=None, derandomize=True)
@given(ROWS)
@example(EDGES)
def test_row_and_table_give_the_same_bits(rows):
    evaluate = compile_row(PLAN)
    for row, of_table in zip(rows, table_features(PLAN, rows), strict=True):
        of_row = dict(zip((feature["name"] for feature in PLAN), bits(evaluate(row)), strict=True))
        assert dict(zip(of_row, bits(of_table), strict=True)) == of_row


@pytest.mark.parametrize(
    ("feature", "row", "value"),
    [
        ({"op": "number", "column": "i"}, {"i": 7}, 7.0), ({"op": "number", "column": "b"}, {"b": True}, 1.0),
        ({"op": "category", "column": "c", "levels": ["x", "it's"]}, {"c": "it's"}, 1.0),
        ({"op": "category", "column": "c", "levels": ["x", "it's"]}, {"c": "X"}, 2.0),
        ({"op": "part", "column": "s", "part": "hour"}, {"s": datetime(2012, 2, 29, 13, 59)}, 13.0),
        ({"op": "part", "column": "d", "part": "hour"}, {"d": date(2012, 2, 29)}, 0.0),
        ({"op": "part", "column": "d", "part": "weekday"}, {"d": date(2012, 3, 4)}, 7.0),  # a Sunday
        ({"op": "part", "column": "d", "part": "day"}, {"d": date(2012, 2, 29)}, 29.0),
        ({"op": "part", "column": "s", "part": "month"}, {"s": datetime(2012, 2, 29)}, 2.0),
        ({"op": "hours_since", "column": "s", "origin": "d"}, {"s": datetime(2012, 3, 1, 1, 30),
        "d": date(2012, 2, 29)}, 25.5),
        ({"op": "hours_since", "column": "d", "origin": "s"}, {"d": date(2012, 2, 29),
        "s": datetime(2012, 2, 29, 0, 15)}, -0.25),
        ({"op": "length", "column": "t"}, {"t": "e\u0301 😀"}, 4.0),
        ({"op": "words", "column": "t"}, {"t": " a\u00a0b\tc  d "}, 3.0),
    ],
)  # fmt: skip
def test_feature_has_the_value_worked_out_by_hand(feature, row, value):
    feature = {"name": "f", **feature}
    assert compile_row([feature])(row) == [value]
    assert table_features([feature], [row]) == [[value]]


@pytest.mark.parametrize("feature", PLAN, ids=lambda feature: feature["name"])
def test_missing_value_is_a_missing_feature(feature):
    assert all(map(math.isnan, compile_row([feature])(dict.fromkeys(SQL_TYPES))))
    assert all(map(math.isnan, table_features([feature], [{}])[0]))
