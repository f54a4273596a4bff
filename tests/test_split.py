"""split: a row's side is a function of its own values, the same in DuckDB, Python and a shell."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import shlex
import subprocess
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.runtime.contract import Column, Contract
from stages.runtime.contract_sql import literal
from stages.shared.config import build
from stages.shared.sides.balance import SALTS, balance, best_salt, membership_digests
from stages.shared.sides.split import (
    SEPARATOR,
    SIDES,
    Split,
    content_sql,
    hashed_columns,
    side_of,
    side_sql,
    split_faults,
)

HASH = Split("hash", 0.2, 0.25)
TIME = Split("time", "2024-05-01", "2024-08-01", gap_days=10)
COLUMNS = {
    "id": Column("integer", role="key"),
    "who": Column("category", role="group"),
    "day": Column("date", role="time"),
    "size": Column("number"),
    "bought": Column("category", role="target", values=["no", "yes"]),
}


def contract(*without: str, task: str = "binary") -> Contract:
    columns = {name: column for name, column in COLUMNS.items() if name not in without}
    return Contract("toy", task, "yes" if task == "binary" else None, columns, ["NA"])


def made(n_rows: int, seed: int = 1) -> list[tuple[str, ...]]:
    """Rows of COLUMNS as texts; the entities come again and again."""
    draw = random.Random(seed)
    return [
        (
            str(i),
            f"user {draw.randrange(n_rows // 4)}",
            str(date(2024, 1, 1) + timedelta(days=draw.randrange(300))),
            str(draw.randrange(40)),
            "yes" if draw.random() < 0.2 else "no",
        )
        for i in range(n_rows)
    ]


def connection_with(rows: list[tuple[str, ...]], threads: int = 2) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": threads})
    connection.execute(f"CREATE TABLE raw ({', '.join(f'{name} VARCHAR' for name in COLUMNS)})")
    values = ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)
    connection.execute(f"INSERT INTO raw VALUES {values}")
    return connection


def keep(connection: duckdb.DuckDBPyConnection, contract: Contract, split: Split) -> None:
    """Create `kept` as prepare does."""
    side = side_sql(split, content_sql(contract, split), "day::DATE")
    typed = "id::BIGINT AS id, who, day::DATE AS day, size::DOUBLE AS size, bought"
    connection.execute(f"CREATE TABLE kept AS SELECT rowid + 1 AS _row, {side} AS _split, {typed} FROM raw")


def sides(rows: list[tuple[str, ...]], contract: Contract, split: Split) -> dict[int, str]:
    connection = connection_with(rows)
    keep(connection, contract, split)
    return dict(connection.execute("SELECT id, _split FROM kept").fetchall())


CASES = {
    "hash of the group": (contract(), HASH),
    "hash of the key": (contract("who"), HASH),
    "hash of the content": (contract("who", "id"), HASH),
    "key": (contract(), Split("key", 0.2, 0.25)),
    "group": (contract(), Split("group", 0.2, 0.25)),
    "key with salt": (contract(), Split("key", 0.2, 0.25, salt="7")),
    "group with salt": (contract(), Split("group", 0.2, 0.25, salt="it's")),
    "time": (contract(), dataclasses.replace(TIME, gap_days=0)),
    "time with gap": (contract(), TIME),
}


@pytest.mark.parametrize("case", CASES)
def test_appending_and_permuting_rows_moves_no_old_row(case: str) -> None:
    rows, more = made(400), [(str(400 + i), *row[1:]) for i, row in enumerate(made(300, seed=2))]
    before = sides(rows, *CASES[case])
    mixed = rows + more
    random.Random(3).shuffle(mixed)
    after = sides(mixed, *CASES[case])
    assert {key: after[key] for key in before} == before
    assert set(before.values()) == {*SIDES, *(["gap"] if CASES[case][1].gap_days else [])}, "a side was never drawn"


def test_by_group_and_by_key_hash_what_they_say_and_hash_prefers_the_group() -> None:
    rows = made(400)
    who = {int(row[0]): row[1] for row in rows}
    by = {name: sides(rows, contract(), Split(name, 0.2, 0.25)) for name in ("hash", "group", "key")}
    assert by["hash"] == by["group"] == {key: side_of(HASH, name) for key, name in who.items()}
    assert by["key"] == {key: side_of(HASH, str(key)) for key in who}
    assert by["key"] != by["group"]


def test_another_salt_draws_another_split_of_the_same_shares() -> None:
    rows = made(4000)
    plain, salted = (sides(rows, contract(), Split("key", 0.2, 0.25, salt=salt)) for salt in ("", "1"))
    moved = sum(plain[key] != salted[key] for key in plain) / 4000
    assert moved == pytest.approx(1 - 0.55**2 - 0.2**2 - 0.25**2, abs=0.04)  # as two independent draws
    for drawn in (plain, salted):
        assert {side: n / 4000 for side, n in Counter(drawn.values()).items()} == pytest.approx(
            {"train": 0.55, "validation": 0.2, "test": 0.25}, abs=0.03
        )


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\0", codec="utf-8")), salt=st.text("ab'1 ", max_size=3))
def test_duckdb_and_python_put_a_text_on_the_same_side(text: str, salt: str) -> None:
    split = Split("key", 0.3, 0.3, salt=salt)
    digest = f"md5({literal(text)} || {literal(salt)})"
    [(found,)] = duckdb.execute(f"SELECT {side_sql(split, digest, 'NULL')}").fetchall()
    assert found == side_of(split, text)


@pytest.mark.parametrize("name", ["id", "who", "day"])
def test_python_finds_the_side_that_a_table_has_from_the_stripped_text(name: str) -> None:
    columns = {name: Column("category", role="key"), "bought": COLUMNS["bought"]}
    rows = [(f" {row[0]}\t", f" {row[1]} ", "NA", *row[3:]) for row in made(50)]
    split = Split("key", 0.3, 0.3, salt="s")
    content = content_sql(Contract("toy", "binary", "yes", columns, ["NA"]), split)
    found = connection_with(rows).execute(f"SELECT {name}, {side_sql(split, content, 'NULL')} FROM raw").fetchall()
    assert found == [(text, side_of(split, "" if text == "NA" else text.strip())) for text, _ in found]


def test_several_key_columns_are_joined_by_a_byte_that_no_text_has() -> None:
    columns = {name: dataclasses.replace(COLUMNS[name], role="key") for name in ("who", "size")}
    split = Split("key", 0.3, 0.3)
    content = content_sql(Contract("toy", "binary", "yes", columns, []), split)
    found = connection_with(made(50)).execute(f"SELECT who, size, {side_sql(split, content, 'NULL')} FROM raw")
    for who, size, side in found.fetchall():
        assert side == side_of(split, f"{who}{SEPARATOR}{size}")


@settings(max_examples=200, deadline=None)
@given(moment=st.datetimes(datetime(2024, 4, 1), datetime(2024, 9, 1)), gap=st.sampled_from([0, 0.5, 30, 91, 400]))
def test_duckdb_and_python_put_a_moment_on_the_same_side(moment: datetime, gap: float) -> None:
    split = dataclasses.replace(TIME, gap_days=gap)
    for kind, value in (("TIMESTAMP", moment), ("DATE", moment.date())):
        [(found,)] = duckdb.execute(f"SELECT {side_sql(split, 'NULL', f'{kind} {literal(str(value))}')}").fetchall()
        assert found == side_of(split, "", value)


@pytest.mark.parametrize(
    ("day", "side"),
    [
        ("2024-04-20", "train"), ("2024-04-21", "gap"), ("2024-04-30", "gap"), ("2024-05-01", "validation"),
        ("2024-07-21", "validation"), ("2024-07-22", "gap"), ("2024-07-31", "gap"), ("2024-08-01", "test"),
    ],
)  # fmt: skip
def test_the_gap_lies_before_validation_and_before_test(day: str, side: str) -> None:
    assert side_of(TIME, "", date.fromisoformat(day)) == side


@pytest.mark.parametrize("salt", ["", "7"])
def test_the_shell_line_of_the_docstring_finds_a_row_s_side(salt: str) -> None:
    assert side_of.__doc__ is not None
    [line] = [line.strip() for line in side_of.__doc__.splitlines() if "md5sum" in line]
    split = Split("key", 0.2, 0.25, salt=salt)
    for text in ("1", "42", "user 7", "Zoë", "100%d", ""):
        done = subprocess.run(
            ["sh", "-c", f"TEXT={shlex.quote(text)} SALT={shlex.quote(salt)}; {line}"],
            capture_output=True,
            text=True,
            check=True,
        )
        place = int(done.stdout)
        test, validation = int(0.25 * 2**32), int((0.25 + 0.2) * 2**32)
        assert side_of(split, text) == ("test" if place < test else "validation" if place < validation else "train")


def test_only_the_deciding_columns_are_hashed() -> None:
    assert content_sql(contract(), TIME) == "NULL::VARCHAR"
    assert '"id"' not in content_sql(contract(), HASH)
    assert '"who"' not in content_sql(contract(), Split("key", 0.2, 0.2))


@pytest.mark.parametrize(
    ("split", "fault"),
    [
        (Split("hash", 0.5, 0.5), "validation and test should be above 0 and leave training rows, got 0.5 and 0.5"),
        (Split("hash", float("nan"), 0.5), "should be above 0 and leave training rows, got nan and 0.5"),
        (Split("key", "2024-01-01", 0.2), "by key, validation and test should be shares of the rows"),
        (Split("hash", 0.2, 0.2, gap_days=1), "split.gap_days: only by time, not by hash"),
        (Split("group", 0.2, 0.2), "split.by: group needs a column with role: group"),
        (dataclasses.replace(TIME, gap_days=-1), "split.gap_days: should be 0 or more days, got -1"),
        (dataclasses.replace(TIME, gap_days=float("inf")), "split.gap_days: should be 0 or more days, got inf"),
        (dataclasses.replace(TIME, gap_days=1e6), "split.gap_days: should be 0 or more days, got 1000000.0"),
        (dataclasses.replace(TIME, salt="1"), "split.salt: not by time, where nothing is drawn"),
        (dataclasses.replace(TIME, test="2024-05-01"), "validation should begin before test"),
        (dataclasses.replace(TIME, test="May"), "validation and test should be dates, such as '2013-10-01'"),
    ],
)
def test_a_split_that_cannot_be_is_named(split: Split, fault: str) -> None:
    [found] = split_faults(contract("who"), split)
    assert fault in found


@pytest.mark.parametrize("split", [split for _, split in CASES.values()])
def test_a_sound_split_has_no_fault(split: Split) -> None:
    assert split_faults(contract(), split) == []


def test_a_salt_that_is_no_text_is_named() -> None:
    faults: list[str] = []
    build(Split, {"by": "hash", "validation": 0.2, "test": 0.2, "salt": 7}, "split", faults)
    assert faults == ["split.salt: should be a text, got 7; quote it"]


def test_balance_gives_each_side_s_distance_from_the_whole_in_standard_errors() -> None:
    connection = duckdb.connect()
    counts = {"train": (60, 10), "validation": (10, 5), "test": (10, 5), "gap": (0, 50)}
    for side, (no, yes) in counts.items():
        query = f"SELECT '{side}' AS _split, if(i < {no}, 'no', 'yes') AS bought FROM range({no + yes}) AS t(i)"
        exists = side != "train"
        connection.execute(f"INSERT INTO kept {query}" if exists else f"CREATE TABLE kept AS {query}")
    found = balance(connection, "kept", contract("who"), HASH)
    # The whole, without the gap: 20 of 100. test: 5 of 15, error sqrt(0.2 * 0.8 / 15 * (1 - 15 / 100)).
    assert found["test"]["classes"]["yes"] == {"share": 0.3333, "standard_errors": 1.4}
    assert found["train"]["classes"]["yes"] == {"share": 0.1429, "standard_errors": -2.18}
    assert found["train"]["classes"]["no"] == {"share": 0.8571, "standard_errors": 2.18}


def test_balance_of_groups_counts_groups_not_rows() -> None:
    connection = duckdb.connect()
    connection.execute(
        """CREATE TABLE kept AS SELECT CASE WHEN i < 20 THEN 'test' WHEN i < 40 THEN 'validation' ELSE 'train' END
           AS _split, (i // 4)::VARCHAR AS who, if(i % 5 = 0 OR i < 4, 'yes', 'no') AS bought FROM range(100) AS t(i)"""
    )
    by_row, by_group = (balance(connection, "kept", contract(), Split(by, 0.2, 0.2)) for by in ("key", "group"))
    row, group = (found["test"]["classes"]["yes"]["standard_errors"] for found in (by_row, by_group))
    assert row / group == pytest.approx(2, abs=0.02)  # groups of four: the error is twice as large


def test_balance_of_a_regression_compares_means() -> None:
    connection = duckdb.connect()
    connection.execute(
        """CREATE TABLE kept AS SELECT CASE WHEN i < 20 THEN 'test' WHEN i < 40 THEN 'validation' ELSE 'train' END
           AS _split, i::DOUBLE / 10 AS size FROM range(100) AS t(i)"""
    )
    columns = {"size": Column("number", role="target"), "id": COLUMNS["id"]}
    found = balance(connection, "kept", Contract("toy", "regression", None, columns, []), HASH)
    # test: mean 0.95 of 20; the whole: mean 4.95, variance (100^2 - 1) / 12 / 100; error sqrt(8.3325 / 20 * 0.8).
    assert found["test"] == {"target_mean": 0.95, "standard_errors": -6.93}
    assert found["train"]["target_mean"] == 6.95


def test_balance_and_digests_do_not_depend_on_threads() -> None:
    rows = made(3000)
    found: list[Any] = []
    for threads in (1, 2, 4):
        connection = connection_with(rows, threads)
        keep(connection, contract(), HASH)
        regression = Contract("toy", "regression", None, {**COLUMNS, "size": Column("number", role="target")}, [])
        del regression.columns["bought"]
        found.append(
            (
                balance(connection, "kept", contract(), HASH),
                balance(connection, "kept", regression, HASH),
                membership_digests(connection, "kept", contract()),
                membership_digests(connection, "kept", contract("id")),
            )
        )
    assert found[0] == found[1] == found[2]


def test_the_best_salt_is_the_first_whose_sides_are_all_even() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE drawn AS SELECT i::VARCHAR AS text, i % 6 = 0 AS label FROM range(600) AS t(i)")
    worst = {}
    for salt in SALTS:  # the same by hand
        on: dict[str, list[bool]] = {side: [] for side in SIDES}
        for i in range(600):
            on[side_of(Split("key", 0.2, 0.25, salt=salt), str(i))].append(i % 6 == 0)
        p = 100 / 600
        errors = [(p * (1 - p) / len(rows) * (1 - len(rows) / 600)) ** 0.5 for rows in on.values()]
        worst[salt] = max(
            abs(sum(rows) / len(rows) - p) / error for rows, error in zip(on.values(), errors, strict=True)
        )
    assert worst[""] > 1, "nothing to choose"
    expected = next((salt for salt in SALTS if worst[salt] <= 1), min(worst, key=worst.__getitem__))
    assert best_salt(connection, "drawn", HASH) == expected
    assert expected != ""


def test_the_best_salt_is_the_least_uneven_where_none_is_even() -> None:
    connection = duckdb.connect()  # 40 classes of 10 rows: one of them is always off
    connection.execute("CREATE TABLE drawn AS SELECT i::VARCHAR AS text, i % 40 AS label FROM range(400) AS t(i)")
    assert best_salt(connection, "drawn", HASH) == best_salt(connection, "(FROM drawn ORDER BY label)", HASH)


def test_a_digest_is_the_sum_of_the_md5_of_the_keys() -> None:
    rows = made(300)
    connection = connection_with(rows)
    keep(connection, contract(), TIME)
    expected: dict[str, int] = Counter()
    for row in rows:
        side = side_of(TIME, "", date.fromisoformat(row[2]))
        expected[side] += int.from_bytes(hashlib.md5(row[0].encode()).digest(), "little")
    digests = membership_digests(connection, "kept", contract())
    assert digests == {side: f"{total % 2**128:032x}" for side, total in expected.items()}


def test_a_digest_changes_with_its_own_side_only_and_not_with_the_order() -> None:
    connection = connection_with(made(300))
    keep(connection, contract(), HASH)
    plain = membership_digests(connection, "kept", contract())
    assert membership_digests(connection, "(FROM kept ORDER BY size)", contract()) == plain
    one = "(SELECT * FROM kept WHERE id <> (SELECT min(id) FROM kept WHERE _split = 'test'))"
    fewer = membership_digests(connection, one, contract())
    assert fewer["test"] != plain["test"]
    assert (fewer["train"], fewer["validation"]) == (plain["train"], plain["validation"])


def test_two_equal_rows_do_not_cancel_out_in_a_digest() -> None:
    connection = connection_with(made(100))
    keep(connection, contract("id"), HASH)
    plain = membership_digests(connection, "kept", contract("id"))
    twice = membership_digests(connection, "(FROM kept UNION ALL FROM kept UNION ALL FROM kept)", contract("id"))
    assert all(twice[side] != plain[side] for side in SIDES)


def test_columns_that_are_dropped_do_not_decide_a_side() -> None:
    """Rows that differ in nothing else are equal: merged, the one that stays must be on the other's side."""
    columns = {"seq": Column("integer", role="drop", reason="a row's number"), "size": Column("number")}
    declared = Contract("toy", "regression", None, columns, [])
    assert hashed_columns(declared, HASH) == ["size"]
