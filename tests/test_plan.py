"""The feature plan on one row (Python) and on a table (DuckDB): each operation by hand,
and both equal bit for bit."""

from __future__ import annotations

import json
import math
import struct
from datetime import date, datetime
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.runtime.moments import HOLIDAYS
from stages.runtime.plan import ROW, SQL, compile_row, stored, table_sql

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
VALUES_OF = [0.1, -0.0, 1e300, 5e-324, 1 / 3, -1e-9, 123456789.123456789, 2.0**60, 7.0]
MANY = [*LEVELS, *(f"level {i}" for i in range(300))]  # so many are joined
TOKENS = ["ab", "b", "é", "aba", "b a", "0", "i̇", "ß", "σ", "a b", "ab ", "\n\ta", "😀"]
WEIGHTS = [(-1) ** i * (3**i + 7) for i in range(len(TOKENS))]
DAYS = ["1967-12-25", "1969-12-31", "1970-01-01", "1972-02-29", "2011-08-15", "2012-02-29", "2014-01-01"]
PLAN: list[dict[str, Any]] = [
    *({"name": f"{name}.number", "op": "number", "column": name} for name in "inb"),
    *({"name": f"{name}.clip", "op": "number", "column": name, "clip": [-0.1, 1e15 + 0.3]} for name in "in"),
    *({"name": f"{name}.log", "op": "number", "column": name, "log": True} for name in "in"),
    {"name": "n.both", "op": "number", "column": "n", "clip": [-1e-3, 1e6 / 3], "log": True},
    *({"name": f"{name}.bins", "op": "bins", "column": name, "edges": [-1e9, -0.0, 5e-324, 0.1, 7.0]} for name in "in"),
    *({"name": f"{op}.{a}.{b}", "op": op, "column": a, "with": b}
      for op in ("ratio", "difference", "product") for a, b in ("in", "ni", "nn", "bn", "nb")),
    {"name": 'c"', "op": "category", "column": "c", "levels": LEVELS},
    {"name": "c.none", "op": "category", "column": "c", "levels": []},
    {"name": "c.many", "op": "category", "column": "c", "levels": MANY},
    {"name": "c.t", "op": "category", "column": "c", "with": "t",
     "levels": [f"{x}\x1f{y}" for x in "a\\" for y in "ab"]},
    {"name": "c.mean", "op": "target", "column": "c", "levels": LEVELS, "values": VALUES_OF, "other": 0.3},
    {"name": "c.mean2", "op": "target", "column": "c", "levels": MANY, "values": [1 / (3 + i) for i in range(309)],
     "other": -0.1},
    {"name": "c.share", "op": "frequency", "column": "c", "levels": LEVELS, "values": VALUES_OF, "other": 0.0},
    {"name": "c.order", "op": "ordered", "column": "c", "levels": LEVELS, "values": VALUES_OF, "other": None},
    *({"name": f"{name}.{part}", "op": "part", "column": name, "part": part}
      for name in "ds" for part in ("hour", "weekday", "day", "month", "year")),
    *({"name": f"{name}.{part}.sin", "op": "cycle", "column": name, "part": part,
       "values": [1 / (3 + i) for i in range(32)]} for name in "ds" for part in ("hour", "weekday", "day", "month")),
    *({"name": f"{end}.{start}", "op": "hours_since", "column": end, "origin": start}
      for end, start in (("d", "s"), ("s", "d"), ("s", 'o"'), ("d", 'o"'))),
    *({"name": f"{end}.since", "op": "hours_since", "column": end, "moment": "1969-12-31T23:59:59.5"} for end in "ds"),
    *({"name": f"{name}.{op}.{first}", "op": op, "column": name, "first_year": first, "last_year": first + 3,
       "days": DAYS} for name in "ds" for op in HOLIDAYS for first in (1968, 2010)),
    {"name": "t.length", "op": "length", "column": "t"},
    {"name": "t.words", "op": "words", "column": "t"},
    *({"name": f"t.{kind}.{mean}", "op": "score", "column": "t", "grams": kind, "mean": mean, "tokens": TOKENS,
       "weights": WEIGHTS} for kind in ("words", "pairs", "trigrams") for mean in (True, False)),
    *({"name": f"t.{kind}.many.{mean}", "op": "score", "column": "t", "grams": kind, "mean": mean,
       "tokens": [*TOKENS, *MANY[9:]], "weights": [*WEIGHTS, *range(300)]}
      for kind in ("words", "pairs", "trigrams") for mean in (True, False)),
    *({"name": f"t.{kind}.component.{number}", "op": "component", "column": "t", "grams": kind,
       "tokens": [*TOKENS, *MANY[9:]], "weights": [number * w for w in [*WEIGHTS, *range(300)]],
       "squares": [65536 + 7 * i for i in range(313)]}
      for kind in ("words", "pairs", "trigrams") for number in (1, -2)),
]  # fmt: skip
# What a missing value is a value of.
FLAGS: list[dict[str, Any]] = [
    *({"name": f"{name}.missing", "op": "missing", "column": name} for name in SQL_TYPES),
    *({"name": f"c={level}", "op": "one_hot", "column": "c", "level": level} for level in LEVELS),
]
TEXTS = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.text("ab \t\n\u00a0\u3000\u0301😀", max_size=20)
    | st.text("abAB01. \x00\x7f_ÀàßẞÞÿİıΣςσЯёЁ", max_size=20)
)
WORDS = st.lists(st.sampled_from(["AB", "b", "a", "é", "0 7", "ABA", "😀"]), max_size=9).map(" ".join)  # mostly known
VALUES = {
    "i": st.integers(-(10**18) + 1, 10**18 - 1), "n": st.floats(allow_nan=False, allow_infinity=False),
    "b": st.booleans(),
    "c": st.sampled_from(LEVELS) | st.sampled_from(MANY) | TEXTS, "t": TEXTS | WORDS,
    "d": st.dates() | st.dates(date(1967, 11, 1), date(1972, 3, 1)),
    "s": st.datetimes() | st.datetimes(datetime(2009, 12, 1), datetime(2014, 2, 1)),
    'o"': st.datetimes(),
}  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), min_size=8, max_size=24
)
EDGES = [
    {"i": 2**53 + 1, "n": -0.0, "b": True, "c": "unseen", "t": " two\u00a0words\there ", "d": date(1, 1, 1),
     "s": datetime(9999, 12, 31, 23, 59, 59, 999999), 'o"': datetime(1, 1, 1)},
    {"i": -(2**53) - 3, "n": 5e-324, "b": False, "c": "it's", "t": "e\u0301 👩‍👩‍👧", "d": date(9999, 12, 31),
     "s": datetime(1, 1, 1, 0, 0, 0, 1), 'o"': datetime(9999, 12, 31)},
    {"i": None, "n": None, "b": None, "c": None, "t": None, "d": None, "s": None, 'o"': None},
    {"i": 0, "n": 1.7976931348623157e308, "b": None, "c": "", "t": "", "d": date(2012, 2, 29),
    "s": datetime(1969, 12, 31, 23), 'o"': None},
    {"i": 7, "n": -1.7976931348623157e308, "b": True, "c": "level 299", "t": "AB ab b A 9 ẞß ΣςI İ", "d": None,
    "s": None, 'o"': None},
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
    fetched = connection.execute(f"{table_sql(features, 'kept')} ORDER BY t._row").fetchall()
    return [[math.nan if value is None else value for value in row[1:]] for row in fetched]


def bits(row: list[float]) -> list[bytes]:
    return [b"missing" if math.isnan(value) else struct.pack("<d", value) for value in row]


@settings(max_examples=24, deadline=None, database=None, derandomize=True)
@given(ROWS)
@example(EDGES)
def test_row_and_table_give_the_same_bits(rows):
    features = PLAN + FLAGS
    evaluate = compile_row(features)
    for row, of_table in zip(rows, table_features(features, rows), strict=True):
        of_row = dict(zip((feature["name"] for feature in features), bits(evaluate(row)), strict=True))
        assert dict(zip(of_row, bits(of_table), strict=True)) == of_row


def test_the_plan_above_has_every_operation():
    asked = {feature["op"] for feature in PLAN + FLAGS} | {"transformed"}  # that one in test_transformers.py
    assert asked == ROW.keys() == SQL.keys()


@pytest.mark.parametrize(
    ("feature", "row", "value"),
    [
        ({"op": "number", "column": "i"}, {"i": 7}, 7.0), ({"op": "number", "column": "b"}, {"b": True}, 1.0),
        ({"op": "number", "column": "n", "clip": [0.0, 2.0]}, {"n": 3.5}, 2.0),
        ({"op": "number", "column": "n", "clip": [0.0, 2.0]}, {"n": -1.0}, 0.0),
        ({"op": "number", "column": "n", "log": True}, {"n": -3.0}, -math.log(4)),
        ({"op": "bins", "column": "n", "edges": [1.0, 2.0]}, {"n": 1.0}, 1.0),
        ({"op": "bins", "column": "n", "edges": [1.0, 2.0]}, {"n": 0.5}, 0.0),
        ({"op": "missing", "column": "n"}, {"n": None}, 1.0), ({"op": "missing", "column": "n"}, {"n": 0.0}, 0.0),
        ({"op": "ratio", "column": "n", "with": "i"}, {"n": 1.0, "i": 4}, 0.25),
        ({"op": "difference", "column": "n", "with": "i"}, {"n": 1.0, "i": 4}, -3.0),
        ({"op": "product", "column": "n", "with": "b"}, {"n": 1.5, "b": True}, 1.5),
        ({"op": "category", "column": "c", "levels": ["x", "it's"]}, {"c": "it's"}, 1.0),
        ({"op": "category", "column": "c", "levels": ["x", "it's"]}, {"c": "X"}, 2.0),
        ({"op": "category", "column": "c", "with": "t", "levels": ["x\x1fy"]}, {"c": "x", "t": "y"}, 0.0),
        ({"op": "one_hot", "column": "c", "level": "x"}, {"c": "x"}, 1.0),
        ({"op": "one_hot", "column": "c", "level": "x"}, {"c": None}, 0.0),
        ({"op": "target", "column": "c", "levels": ["x"], "values": [0.7], "other": 0.1}, {"c": "x"}, 0.7),
        ({"op": "target", "column": "c", "levels": ["x"], "values": [0.7], "other": 0.1}, {"c": "y"}, 0.1),
        ({"op": "part", "column": "s", "part": "hour"}, {"s": datetime(2012, 2, 29, 13, 59)}, 13.0),
        ({"op": "part", "column": "d", "part": "hour"}, {"d": date(2012, 2, 29)}, 0.0),
        ({"op": "part", "column": "d", "part": "weekday"}, {"d": date(2012, 3, 4)}, 7.0),  # a Sunday
        ({"op": "part", "column": "d", "part": "day"}, {"d": date(2012, 2, 29)}, 29.0),
        ({"op": "part", "column": "s", "part": "month"}, {"s": datetime(2012, 2, 29)}, 2.0),
        ({"op": "part", "column": "s", "part": "year"}, {"s": datetime(2012, 2, 29)}, 2012.0),
        ({"op": "cycle", "column": "d", "part": "weekday", "values": [0.0, 0.5, 0.7]}, {"d": date(2012, 3, 6)}, 0.7),
        ({"op": "hours_since", "column": "s", "origin": "d"}, {"s": datetime(2012, 3, 1, 1, 30),
        "d": date(2012, 2, 29)}, 25.5),
        ({"op": "hours_since", "column": "d", "origin": "s"}, {"d": date(2012, 2, 29),
        "s": datetime(2012, 2, 29, 0, 15)}, -0.25),
        ({"op": "hours_since", "column": "d", "moment": "2012-02-28"}, {"d": date(2012, 2, 29)}, 24.0),
        ({"op": "length", "column": "t"}, {"t": "e\u0301 😀"}, 4.0),
        ({"op": "words", "column": "t"}, {"t": " a\u00a0b\tc  d "}, 3.0),
        # "win", "win" and "now" once each; "win now" and "now win"; "in " and "now"; 65,536 is 1
        ({"op": "score", "column": "t", "grams": "words", "mean": False, "tokens": ["win", "now", "000"],
        "weights": [65536, 32768, 1]}, {"t": "WIN now, win!"}, 1.5),
        ({"op": "score", "column": "t", "grams": "words", "mean": True, "tokens": ["win", "now"],
        "weights": [65536, 32768]}, {"t": "WIN now, win!"}, 0.75),
        ({"op": "score", "column": "t", "grams": "pairs", "mean": False, "tokens": ["win now", "now win", "win"],
        "weights": [65536, 32768, 1]}, {"t": "WIN now, win!"}, 1.5),
        ({"op": "score", "column": "t", "grams": "trigrams", "mean": False, "tokens": ["in ", "now", ", w"],
        "weights": [65536, 32768, -65536]}, {"t": "WIN now, win!"}, 0.5),
        ({"op": "score", "column": "t", "grams": "words", "mean": False, "tokens": ["000"], "weights": [65536]},
        {"t": "call 123"}, 1.0),
        ({"op": "score", "column": "t", "grams": "words", "mean": True, "tokens": ["x"], "weights": [1]},
        {"t": ""}, 0.0),
        # "win" and "now" weigh 1 and 1/2 with IDFs of 3 and 4: 1.5 / 5
        ({"op": "component", "column": "t", "grams": "words", "tokens": ["win", "now", "000"],
        "weights": [65536, 32768, 1], "squares": [9 * 65536, 16 * 65536, 65536]}, {"t": "WIN now, win!"}, 0.3),
        ({"op": "component", "column": "t", "grams": "words", "tokens": ["win"], "weights": [-1], "squares": [65536]},
        {"t": ""}, 0.0),
        ({"op": "component", "column": "t", "grams": "words", "tokens": ["win"], "weights": [-1], "squares": [65536]},
        {"t": "unheard of"}, 0.0),
        *(({"op": op, "column": "d", "first_year": 2024, "last_year": 2024,
        "days": ["2023-12-25", "2024-01-01", "2024-04-01", "2025-01-01"]}, {"d": day}, value)
        for op, day, value in [
            ("holiday", date(2024, 4, 1), 1.0), ("holiday", date(2024, 4, 2), 0.0),
            ("days_to_holiday", date(2024, 4, 1), 0.0), ("days_to_holiday", date(2024, 3, 30), 2.0),
            ("days_to_holiday", date(2024, 12, 31), 1.0), ("days_since_holiday", date(2024, 4, 1), 0.0),
            ("days_since_holiday", date(2024, 3, 1), 60.0),
        ]),
        ({"op": "holiday", "column": "s", "first_year": 2024, "last_year": 2024, "days": ["2024-04-01"]},
        {"s": datetime(2024, 4, 1, 23, 59, 59, 999999)}, 1.0),
    ],
)  # fmt: skip
def test_feature_has_the_value_worked_out_by_hand(feature, row, value):
    feature = {"name": "f", **feature}
    row = {**dict.fromkeys(SQL_TYPES), **row}
    assert compile_row([feature])(row) == [value]
    assert table_features([feature], [row]) == [[value]]


@pytest.mark.parametrize(
    ("op", "row"), [("ratio", {"n": 1.0, "i": 0}), ("product", {"n": 1e300, "i": 10**17}), ("ratio", {"n": 1.0})]
)
def test_pair_without_a_finite_result_is_missing(op, row):
    feature = {"name": "f", "op": op, "column": "n", "with": "i"}
    row = {**dict.fromkeys(SQL_TYPES), **row}
    assert math.isnan(compile_row([feature])(row)[0])
    assert math.isnan(table_features([feature], [row])[0][0])


@pytest.mark.parametrize(
    ("op", "day"),
    [
        *((op, day) for op in HOLIDAYS for day in (date(2023, 12, 31), date(2025, 1, 1), date(1, 1, 1))),
        ("days_to_holiday", date(2024, 6, 1)),
        ("days_since_holiday", date(2024, 2, 1)),
    ],
)
def test_days_without_known_holidays_are_missing(op, day):
    kept = {"first_year": 2024, "last_year": 2024, "days": ["2024-04-01"]}
    feature, row = {"name": "f", "op": op, "column": "d", **kept}, {**dict.fromkeys(SQL_TYPES), "d": day}
    assert math.isnan(compile_row([feature])(row)[0])
    assert math.isnan(table_features([feature], [row])[0][0])


def test_a_stored_plan_has_each_long_list_once_and_gives_the_same():
    features = [feature for feature in PLAN if "tokens" in feature]
    kept = json.loads(json.dumps(stored([{**feature, "folds": []} for feature in features])))
    [components] = [[f for f in kept if f["op"] == "component" and f["grams"] == "words"]]
    assert [type(f["squares"]) for f in components] == [list, str]
    assert sum(isinstance(f["tokens"], list) for f in kept) == 2
    assert not any("folds" in feature for feature in kept)
    for row in EDGES:
        assert bits(compile_row(kept)(row)) == bits(compile_row(features)(row))


@pytest.mark.parametrize("feature", PLAN, ids=lambda feature: feature["name"])
def test_missing_value_is_a_missing_feature(feature):
    assert all(map(math.isnan, compile_row([feature])(dict.fromkeys(SQL_TYPES))))
    assert all(map(math.isnan, table_features([feature], [{}])[0]))


FOLDED = [
    {"name": "few", "op": "target", "column": "c", "levels": ["a"], "values": [1.0], "other": 2.0,
     "folds": [{"values": [10.0 * f], "other": 0.5 * f} for f in (1, 2)]},
    {"name": "many", "op": "target", "column": "c", "levels": ["a", *MANY[9:]], "values": [1.0] * 301, "other": 2.0,
     "folds": [{"values": [10.0 * f] * 301, "other": 0.5 * f} for f in (1, 2)]},
    {"name": "text", "op": "score", "column": "t", "grams": "words", "mean": False, "tokens": ["w"],
     "weights": [65536], "folds": [{"weights": [655360 * f]} for f in (1, 2)]},
    {"name": "texts", "op": "score", "column": "t", "grams": "words", "mean": False, "tokens": ["w", *MANY[9:]],
     "weights": [65536] * 301, "folds": [{"weights": [655360 * f] * 301} for f in (1, 2)]},
]  # fmt: skip


def test_folds_choose_the_values_of_training_rows():
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        "CREATE TABLE folded AS SELECT range AS _row, range AS _fold, 'a' AS c, 'w w' AS t FROM range(3)"
    )
    connection.execute("INSERT INTO folded SELECT range + 3, range, 'other', 'x' FROM range(3)")
    connection.execute("INSERT INTO folded VALUES (6, 1, NULL, NULL)")
    found = connection.execute(f"{table_sql(FOLDED, 'folded')} ORDER BY t._row").fetchall()
    seen = [(0, 1.0, 1.0, 1.0, 1.0), (1, 10.0, 10.0, 10.0, 10.0), (2, 20.0, 20.0, 20.0, 20.0)]
    unseen = [(3, 2.0, 2.0, 0.0, 0.0), (4, 0.5, 0.5, 0.0, 0.0), (5, 1.0, 1.0, 0.0, 0.0)]
    assert found == [*seen, *unseen, (6, None, None, None, None)]
