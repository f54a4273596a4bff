"""What each column is for, proposed from its texts, its name and the table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import duckdb
import pytest

from stages.runtime.contract_sql import identifier
from stages.shared.errors import InputError
from tools.draft import roles
from tools.draft.columns import Drafted, Habits
from tools.draft.infer import infer
from tools.draft.sample import SAMPLE_ROWS, count_texts, draw
from tools.draft.splits import propose_split
from tools.draft.target import assign_target, choose_positive, find_target
from tools.draft.vocabulary import is_sensitive, names_entity, names_id, words

N = 400
TODAY = date(2025, 6, 1)


def load(table: Mapping[str, list[str]]) -> tuple[duckdb.DuckDBPyConnection, dict[str, Drafted]]:
    """A table as `raw`, drawn and inferred."""
    connection = duckdb.connect()
    names = list(table)
    columns = ", ".join(f"{identifier(name)} VARCHAR" for name in names)
    connection.execute(f"CREATE TABLE raw (_row BIGINT, {columns})")
    rows = [[number, *row] for number, row in enumerate(zip(*table.values(), strict=True), 1)]
    connection.executemany(f"INSERT INTO raw VALUES ({', '.join('?' * (len(names) + 1))})", rows)
    n_rows = draw(connection, names, len(rows))
    return connection, {name: infer(count_texts(connection, name, n_rows), Habits()) for name in names}


def yes_no(n: int = N) -> list[str]:
    return ["yes" if i % 3 == 0 else "no" for i in range(n)]


@pytest.mark.parametrize(
    ("name", "split"),
    [("customerID", ["customer", "id"]), ("RADMClient_No", ["radm", "client", "no"]), ("Über Größe", ["uber", "groe"])],
)
def test_names_are_split_into_words(name: str, split: list[str]) -> None:
    assert words(name) == split


@pytest.mark.parametrize(
    "name", ["sex", "Gender", "racepctblack", "maritalStatus", "date_of_birth", "Geschlecht", "AGE"]
)
def test_protected_traits_are_known_by_name(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize("name", ["page", "message", "stage", "usage", "unisex_store", "track", "average"])
def test_words_that_only_contain_a_trait_are_not_sensitive(name: str) -> None:
    assert not is_sensitive(name)


def test_ids_and_entities_are_known_by_name() -> None:
    assert all(map(names_id, ["id", "order_no", "uuid", "row#", "customerID"]))
    assert not any(map(names_id, ["number_of_rooms", "week_number", "width", "paid"]))
    assert names_entity("patient_id")
    assert not names_entity("package_id")


def test_an_absent_target_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no column 'chrun'; did you mean 'churn'\?\n  columns: age, churn"):
        find_target(["age", "churn"], "chrun", "t.csv")


def test_a_target_in_other_case_is_found() -> None:
    assert find_target(["Age", "Churn"], "churn", "t.csv") == "Churn"


@pytest.mark.parametrize(
    ("counts", "positive"),
    [
        ([("No", 60), ("Yes", 40)], "Yes"),
        ([("1", 90), ("0", 10)], "1"),
        ([("ckd", 250), ("notckd", 150)], "ckd"),
        ([("ham", 87), ("spam", 13)], "spam"),
        ([("not churned", 40), ("churned", 60)], "churned"),
    ],
)
def test_the_positive_class_says_yes_or_is_the_rarer(counts: list[tuple[str, int]], positive: str) -> None:
    assert choose_positive(counts) == positive


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (yes_no(), "binary"),
        ([str(i % 2) for i in range(N)], "binary"),
        ([str(i % 5) for i in range(N)], "multiclass"),
        ([f"{i % 2}.5" for i in range(N)], "binary"),
        ([str(i) for i in range(N)], "regression"),
        ([f"{i / 7:.2f}" for i in range(N)], "regression"),
        (["abc"[i % 3] for i in range(N)], "multiclass"),
    ],
)
def test_the_task_follows_from_the_target(values: list[str], task: str) -> None:
    _, columns = load({"y": values, "x": [str(i) for i in range(N)]})
    assert assign_target(columns["y"], "t.csv").task == task


def test_a_class_of_two_rows_is_left_to_quarantine_and_said() -> None:
    _, columns = load({"y": [*yes_no(), "odd", "odd"], "x": ["1"] * (N + 2)})
    target = assign_target(columns["y"], "t.csv")
    assert (target.task, target.classes) == ("binary", ["no", "yes"])
    assert "'odd' (2)" in target.notes[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["yes"] * N, "is 'yes' in every row"),
        ([*["yes", "no"] * 9, *[""] * 100], "has a value in 18 rows; fewer than 20"),
        ([f"word{i}x" for i in range(N)], "400 different texts: neither classes nor a number"),
        ([*["yes"] * N, "no"], "no two classes of 5 rows or more: 'yes' 400, 'no' 1"),
    ],
)
def test_a_target_that_cannot_be_predicted_is_refused(values: list[str], message: str) -> None:
    _, columns = load({"y": values, "x": [str(i) for i in range(len(values))]})
    with pytest.raises(InputError, match=message):
        assign_target(columns["y"], "t.csv")


def test_constant_empty_and_double_columns_are_dropped_with_the_reason() -> None:
    numbers = [str(i % 50) for i in range(N)]
    connection, columns = load({"a": numbers, "one": ["7"] * N, "none": ["?"] * N, "b": [f" {n}" for n in numbers]})
    roles.drop_empty(list(columns.values()), connection)
    roles.drop_duplicates(list(columns.values()), connection)
    assert {name: drafted.keys.get("reason") for name, drafted in columns.items()} == {
        "a": None,
        "one": "constant: 7",
        "none": "all missing",
        "b": "equals a in every row",
    }


def test_a_copy_of_the_target_is_dropped_and_not_the_target() -> None:
    connection, columns = load({"copy": yes_no(), "y": yes_no()})
    assign_target(columns["y"], "t.csv")
    roles.drop_duplicates(list(columns.values()), connection)
    assert [drafted.keys["role"] for drafted in columns.values()] == ["drop", "target"]


def test_the_key_is_unique_and_named_or_placed_like_one() -> None:
    unique = [str(i) for i in range(N)]
    connection, columns = load({"size": unique, "order_id": unique[::-1], "y": yes_no()})
    assert roles.assign_key(list(columns.values()), connection) is columns["order_id"]
    assert columns["order_id"].keys == {"type": "integer", "role": "key", "nullable": False, "unique": True}
    connection, columns = load({"y": yes_no(), "size": unique})
    assert roles.assign_key(list(columns.values()), connection) is None


def test_people_who_come_back_are_a_group_and_products_are_not() -> None:
    people = [f"p{i % 150}" for i in range(N)]
    _, columns = load({"user_id": people, "package_id": people})
    assert roles.assign_group(list(columns.values())) is columns["user_id"]
    assert "role" not in columns["package_id"].keys


def test_the_time_is_no_birthday_and_nothing_that_is_known_later() -> None:
    days = [f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}" for i in range(N)]
    _, columns = load({"birth_date": days, "closed_date": days, "created": days})
    assert roles.assign_time(list(columns.values()), TODAY) is columns["created"]
    _, columns = load({"seen": [*days[:200], *[""] * 200]})
    assert roles.assign_time(list(columns.values()), TODAY) is None


def test_a_column_that_gives_the_answer_is_dropped_and_a_near_one_doubted() -> None:
    _, columns = load({"status": yes_no(), "clue": yes_no(), "y": yes_no()})
    said = roles.mark_leaks(list(columns.values()), {"status": 0.99, "clue": 0.6}, "y")
    assert columns["status"].keys["reason"] == "a leak? alone explains 0.99 of y"
    assert "role" not in columns["clue"].keys
    assert [sentence.split(":")[0] for sentence in said] == ["status", "clue"]


def split_of(table: Mapping[str, list[str]], **given: str) -> tuple[dict[str, object], str]:
    connection, columns = load(table)
    target = assign_target(columns["y"], "t.csv")
    for name, role in given.items():
        columns[name].keys["role"] = role
    return propose_split(connection, list(columns.values()), target, N)


def test_the_split_is_by_time_at_whole_days_with_the_rows_of_each_side() -> None:
    days = [f"2024-{i // 40 + 1:02d}-{i % 40 % 28 + 1:02d}" for i in range(N)]
    split, note = split_of({"day": days, "y": yes_no()}, day="time")
    # 40 rows a month, days 1 to 12 twice: the 280th in order is July's last, the 340th September's 20th, so its day 10.
    assert split == {"by": "time", "validation": "2024-07-28", "test": "2024-09-10"}
    assert "train 279, validation 59, test 62" in note


def test_a_split_by_time_that_would_lack_a_class_is_not_proposed() -> None:
    days = [f"2024-{i // 40 + 1:02d}-{i % 40 % 28 + 1:02d}" for i in range(N)]
    split, note = split_of({"day": days, "y": ["yes" if i < 100 else "no" for i in range(N)]}, day="time")
    assert split["by"] == "hash"
    assert "the side validation would lack a class" in note


def test_without_time_the_split_is_by_group_then_key_then_content() -> None:
    table = {"who": [f"p{i % 150}" for i in range(N)], "n": [str(i) for i in range(N)], "y": yes_no()}
    assert split_of(table, who="group", n="key")[0]["by"] == "group"
    assert split_of(table, n="key")[0]["by"] == "key"
    assert split_of(table)[0]["by"] == "hash"


def test_the_sample_of_a_large_table_is_spread_and_rows_keep_their_place_in_it() -> None:
    connection = duckdb.connect()
    connection.execute(
        f"CREATE TABLE raw AS SELECT range + 1 AS _row, range::VARCHAR AS x FROM range({3 * SAMPLE_ROWS})"
    )
    n_rows = draw(connection, ["x"], 3 * SAMPLE_ROWS)
    assert abs(n_rows - SAMPLE_ROWS) < 0.01 * SAMPLE_ROWS
    thirds = connection.execute(f"SELECT count(*) FROM sample GROUP BY (_row - 1) // {SAMPLE_ROWS}").fetchall()
    assert all(abs(n - n_rows / 3) < 0.02 * n_rows for (n,) in thirds)


def test_a_few_rows_of_the_future_are_bounded_and_many_are_plans() -> None:
    days = [f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}" for i in range(N)]
    _, columns = load({"day": [*days[:-2], "2046-01-01", "2031-05-05"]})
    time = roles.assign_time(list(columns.values()), TODAY)
    assert time is not None
    assert time.keys["max"] == "2025-06-01"
    assert "2 rows lie after the day of this draft" in time.notes[0]
    time = roles.assign_time(list(load({"day": days})[1].values()), date(2024, 9, 1))
    assert time is not None
    assert "max" not in time.keys


def test_a_key_that_only_copies_repeat_is_a_key_and_one_that_others_repeat_is_not() -> None:
    keys = [str(i) for i in range(N)]
    connection, columns = load({"id": [*keys, "7"], "x": [*keys[::-1], keys[::-1][7]]})
    assert roles.assign_key(list(columns.values()), connection) is columns["id"]
    assert columns["id"].notes == ["1 rows are copies, merged"]
    connection, columns = load({"id": [*keys, "7"], "x": [*keys[::-1], "other"]})
    assert roles.assign_key(list(columns.values()), connection) is None


def test_whole_numbers_in_the_first_column_are_a_key_only_without_gaps() -> None:
    connection, columns = load({"n": [str(i + 5) for i in range(N)], "y": yes_no()})
    assert roles.assign_key(list(columns.values()), connection) is columns["n"]
    connection, columns = load({"income": [str(i * 37) for i in range(N)], "y": yes_no()})
    assert roles.assign_key(list(columns.values()), connection) is None
