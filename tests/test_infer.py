"""What a column is, inferred from its texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from stages.runtime.contract import Column
from tools.draft.amounts import ceiling
from tools.draft.columns import Drafted, Habits, Texts, fits
from tools.draft.drafting import infer_all
from tools.draft.infer import infer
from tools.draft.moments import find_moments


def texts(values: Iterable[str], name: str = "x") -> Texts:
    stripped = [value.strip() for value in values]
    counts = Counter(value for value in stripped if value)
    return Texts(name, counts.most_common(), len(stripped), stripped.count(""), len(counts))


def column(values: Iterable[str], name: str = "x", habits: Habits | None = None) -> Drafted:
    return infer(texts(values, name), habits or Habits())


def numbers(n: int = 200) -> list[str]:
    return [str(i % 90 + 1) for i in range(n)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (numbers(), "integer"),
        ([f"{i}.0" for i in range(50)], "integer"),
        ([f"{i}.5" for i in range(50)], "number"),
        ([*numbers(), "2.5"], "number"),
        (["1e3", "2.5e-2", "7"], "number"),
        (["yes", "No"] * 20, "boolean"),
        (["0", "1"] * 20, "boolean"),
        (["t", "f", "T"] * 20, "boolean"),
        (["Y", "N"] * 20, "category"),
        ([f"$1,{i:03d}.50" for i in range(200)], "money"),
        ([f"{i}.5%" for i in range(50)], "percent"),
        ([f"2024-02-{i % 28 + 1:02d}" for i in range(60)], "date"),
        ([f"2024-02-01 10:{i:02d}" for i in range(60)], "timestamp"),
        ([f"0{i:04d}" for i in range(60)], "category"),
        ([f"{i}" * 20 for i in range(1, 9)], "category"),
        (["red", "green", "blue"] * 20, "category"),
        ([f"a long remark number {i} about something" for i in range(60)], "text"),
        (['{"a": 1, "b": [2, 3], "long": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}'] * 30, "text"),
    ],
)
def test_the_type_is_found(values: list[str], expected: str) -> None:
    assert column(values).type == expected


@pytest.mark.parametrize("name", ["zipcode", "PLZ", "customer_id", "storeCode", "id"])
def test_whole_numbers_that_name_something_are_categories(name: str) -> None:
    assert column(numbers(), name).type == "category"


@pytest.mark.parametrize("name", ["number_of_reviews", "week_number", "width", "idle_time"])
def test_whole_numbers_that_count_something_are_numbers(name: str) -> None:
    assert column(numbers(), name).type == "integer"


@pytest.mark.parametrize(
    ("values", "decimal", "thousands"),
    [
        (["1,5", "2,25", "1000,0"], ",", None),
        (["1,234.0", "12,345.5", "1,234,567"], None, ","),
        (["1.234,5", "12.345,75"], ",", "."),
        (["1,234.5", "12,345.75"], None, ","),
        (["1 234.5", "12 345.75"], None, " "),
        (["1'234.5", "12'345.75"], None, "'"),
        (["1.5", "2.25"], None, None),
    ],
)
def test_marks_of_numbers_are_found(values: list[str], decimal: str | None, thousands: str | None) -> None:
    found = column(values * 10)
    assert (found.type, found.keys.get("decimal"), found.keys.get("thousands")) == (
        "number",
        decimal or ("." if thousands else None),
        thousands,
    )


@pytest.mark.parametrize("marker", ["?", "NA", "NULL", "-", "#N/A", "None", "unknown", "n/a"])
def test_markers_among_numbers_mean_missing(marker: str) -> None:
    found = column([*numbers(), marker, marker])
    assert (found.type, found.keys["missing"], found.n_missing) == ("integer", [marker], 2)
    assert "nullable" not in found.keys


def test_unknown_and_none_stay_categories_of_their_own() -> None:
    assert column(["a", "b", "unknown", "None"] * 30).keys["missing"] == []


def test_a_question_mark_among_words_means_missing() -> None:
    assert column(["a", "b", "?"] * 30).keys["missing"] == ["?"]


def test_na_among_country_codes_is_namibia() -> None:
    codes = ["DE", "FR", "NA", "IT"] * 20
    assert column(codes, habits=Habits(na_is_text=True)).keys["missing"] == []
    assert column(codes, habits=Habits(na_is_text=False)).keys["missing"] == ["NA"]


def test_a_repeated_word_among_numbers_is_the_tables_own_marker() -> None:
    found = column([*numbers(), *["not measured"] * 40])
    assert (found.type, found.keys["missing"], found.n_bad) == ("integer", ["not measured"], 0)


def test_a_few_odd_texts_do_not_change_the_type_and_cost_no_row() -> None:
    found = column([*numbers(), "12a"])
    assert (found.type, found.keys["on_violation"], found.n_bad) == ("integer", "null", 1)
    assert "nullable" not in found.keys
    assert any("'12a'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("values", "sentinel"),
    [
        ([*[f"{i / 10}" for i in range(100)], *["-200"] * 9], "-200"),
        ([*numbers(), *["999"] * 9], "999"),
        ([*numbers(), *["-999"] * 9], "-999"),
        ([*[str(i * 7) for i in range(300)], *["-200"] * 60], "-200"),
    ],
)
def test_sentinels_are_found(values: list[str], sentinel: str) -> None:
    assert column(values).keys["missing"] == [sentinel]


@pytest.mark.parametrize(
    "values",
    [
        [*numbers(), "999"],
        [*numbers(), *["0"] * 50],
        [*numbers(), *["99"] * 3],
        [*[str(i * 10) for i in range(200)], *["900"] * 9],
        [*numbers(), *["-1"] * 40],
    ],
)
def test_values_that_only_look_like_sentinels_stay(values: list[str]) -> None:
    assert column(values).keys["missing"] == []


def test_a_sentinel_of_one_column_is_one_in_the_others() -> None:
    far = texts([*[f"{i / 10}" for i in range(100)], *["-200"] * 9], "a")
    near = texts([*[str(i * 7) for i in range(300)], *["-200"] * 3], "b")
    columns, habits = infer_all([far, near], ",")
    assert habits.sentinels == {"200"}
    assert columns[1].keys["missing"] == ["-200"]


def test_bounds_are_ten_times_what_was_seen_and_forbid_negatives_only_where_there_are_none() -> None:
    assert {key: column(numbers()).keys[key] for key in ("min", "max")} == {"min": 0, "max": 900}
    assert column(["-3.5", "2.5"] * 20).keys["min"] == -40
    assert column(["1", "2"] * 20, "lat").keys["max"] == 90
    assert column(["1950", "2012", "1999"] * 20, "yr_built").keys["max"] == 2100


@pytest.mark.parametrize(("value", "expected"), [(900, 900), (901, 1000), (0.034, 0.04), (12345, 20000), (0, 1)])
def test_the_ceiling_keeps_one_digit(value: float, expected: float) -> None:
    assert ceiling(value, isinstance(value, int)) == expected


def test_whole_numbers_may_have_thousands() -> None:
    found = column(["1,234", "12,345", "1,234,567"] * 9)
    assert (found.type, found.keys["thousands"], found.high) == ("integer", ",", 1234567)


def test_money_wins_over_numbers_and_a_stray_percent_sign_does_not() -> None:
    assert column([*numbers(), "\u20ac 12", "$ 3"]).type == "money"
    found = column([*numbers(), "3%"])
    assert (found.type, found.n_bad) == ("integer", 1)


def test_a_small_frequent_set_is_closed_and_one_with_a_rare_value_is_not() -> None:
    assert column(["a", "b"] * 100).keys["values"] == ["a", "b"]
    assert "values" not in column([*["a", "b"] * 1000, "c"]).keys


def test_what_is_inferred_fits_what_it_was_inferred_from() -> None:
    for values in (numbers(), ["1,5"] * 9, ["$3", "$4.50"] * 9, ["3/4/2024 8:05 PM"] * 9, ["a", "b"] * 9):
        found = column(values)
        keys = {key: value for key, value in found.keys.items() if key in Column.__dataclass_fields__}
        assert fits(Column(**keys), found.present) == len(values)


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["13/02/2024", "01/02/2024"], ["%d/%m/%Y"]),
        (["02/13/2024", "02/01/2024"], ["%m/%d/%Y"]),
        (["1/13/24 8:01", "12/1/24 18:30"], ["%m/%d/%y %H:%M"]),
        (["20240213T000000"], ["%Y%m%dT%H%M%S"]),
        (["Feb 13 2024"], ["%b %d %Y"]),
        (["13-Feb-24"], ["%d-%b-%y"]),
        (["13.02.2024 14:05"], ["%d.%m.%Y %H:%M"]),
        (["2024-02"], ["%Y-%m"]),
        (["2024-02-13", "2024/02/14"], ["%Y/%m/%d"]),
        (["2024-02-13T10:00:00"], []),
    ],
)
def test_date_formats_are_found(values: list[str], formats: list[str]) -> None:
    found = find_moments([(value, 1) for value in values], prefers_day_first=False)
    assert found is not None
    assert (found.formats, found.n_read) == (formats, len(values))


def test_day_or_month_first_is_decided_by_the_other_columns() -> None:
    sure, unsure = texts(["25/12/2024"] * 9, "a"), texts(["01/02/2024", "03/04/2024"] * 9, "b")
    columns, _ = infer_all([sure, unsure], ",")
    assert columns[1].keys["formats"] == ["%d/%m/%Y"]
    assert any("No text decides" in note for note in columns[1].notes)


def test_offsets_need_a_zone_to_be_stored_in() -> None:
    found = column(["2024-02-13T10:00:00+02:00", "2024-02-13T11:30:00Z"] * 9)
    assert (found.type, found.keys["timezone"]) == ("timestamp", "UTC")


def test_numbers_that_are_no_dates_are_not_taken_for_dates() -> None:
    assert column([str(20_000_000 + i * 7919) for i in range(50)]).type == "integer"
