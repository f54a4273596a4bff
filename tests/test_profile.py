"""The profile: every number equals one found by another route, nobody is named in it, equal rows give equal bytes."""

from __future__ import annotations

import json
import random
import statistics
from bisect import bisect_right
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from stages.runtime.contract import Column, Contract
from stages.shared.profile import measure as module
from stages.shared.profile.bins import moment_edges, number_edges
from stages.shared.profile.measure import profile, profile_bytes
from stages.shared.profile.shift import noise, shares, total_variation, warn
from stages.shared.tables import connect

SQL = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}
SPLIT = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2


def contract_of(columns: dict[str, Column], task: str = "binary") -> Contract:
    target = {"y": Column("number" if task == "regression" else "category", role="target", values=["no", "yes"])}
    return Contract("made", task, "yes", {**columns, **target}, [])


def profiled(
    columns: dict[str, Column], values: dict[str, list[Any]], task: str = "binary", threads: int = 2, **more: Any
) -> dict[str, Any]:
    """The profile of a table given by columns; `split` and `y` have defaults."""
    n_rows = len(next(iter(values.values())))
    contract = contract_of(columns, task)
    split = values.pop("split", [SPLIT[i % 10] for i in range(n_rows)])
    y = values.pop("y", [1.5 if task == "regression" else "no"] * n_rows)
    rows = [list(range(1, n_rows + 1)), split, *values.values(), y]
    types = ["BIGINT", "VARCHAR", *(SQL.get(column.type, "VARCHAR") for column in contract.columns.values())]
    names = ["_row", "_split", *contract.columns]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    connection = connect()
    connection.execute(f"SET threads = {threads}")
    connection.execute(f"CREATE TABLE kept ({', '.join(f'{n} {t}' for n, t in zip(quoted, types, strict=True))})")
    for start in range(0, n_rows, 20_000):
        lists = [json.dumps(column[start : start + 20_000], default=str) for column in rows]
        unnested = ", ".join(f"unnest(from_json(?, '[\"{kind}\"]')) AS c{place}" for place, kind in enumerate(types))
        connection.execute(f"INSERT INTO kept SELECT {unnested}", lists)
    return profile(connection, "kept", contract, **more)


def column(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(column for column in found["columns"] if column["name"] == name)


def test_a_number_has_missing_distinct_ends_quantiles_and_bins_of_each_side() -> None:
    values = [1, 2, 2, 5, None, 9, 30, None, 4, 4]
    found = profiled({"size": Column("integer", unit="cm")}, {"size": values})
    assert found["rows"] == {"train": 6, "validation": 2, "test": 2}
    size = column(found, "size")
    assert size["unit"] == "cm"
    assert size["missing"] == {"train": 1, "validation": 1, "test": 0}
    assert size["distinct"] == {"train": 4, "validation": 1, "test": 1}
    assert size["min"] == {"train": 1, "validation": 30, "test": 4}
    assert size["max"] == {"train": 9, "validation": 30, "test": 4}
    assert size["quantiles"]["train"] == [1, 1, 2, 2, 5, 9, 9]
    assert size["edges"] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert size["counts"]["train"] == [0, 1, 2, 0, 0, 1, 0, 0, 0, 1, 0]
    assert size["counts"]["validation"] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("kind", ["integer", "number", "date", "timestamp"])
def test_bins_hold_their_lower_edge_and_lose_no_row(kind: str) -> None:
    source = random.Random(3)
    drawn = [source.choice([source.gauss(0, 300), source.randrange(-20, 20) * 50]) for _ in range(3000)]
    values: list[Any] = {
        "integer": [round(x) for x in drawn],
        "number": drawn,
        "date": [date(2020, 1, 1) + timedelta(days=round(x)) for x in drawn],
        "timestamp": [datetime(2020, 1, 1) + timedelta(hours=round(x)) for x in drawn],
    }[kind]
    found = profiled({"x": Column(kind)}, {"x": values})  # type: ignore[arg-type]
    x = column(found, "x")
    edges = x["edges"]
    if kind in ("date", "timestamp"):
        edges = [(date if kind == "date" else datetime).fromisoformat(edge) for edge in edges]
    for side in found["rows"]:
        own = [value for i, value in enumerate(values) if SPLIT[i % 10] == side]
        expected = Counter(bisect_right(edges, value) for value in own)
        assert x["counts"][side] == [expected[place] for place in range(len(edges) + 1)]
    assert 8 <= len(edges) <= 22
    outside = sum(cells[0] + cells[-1] for cells in x["counts"].values())
    assert outside <= 0.02 * len(values)


@pytest.mark.parametrize(
    ("low", "high", "is_whole", "edges"),
    [
        (0, 1, True, [0, 1, 2]),
        (3, 3, False, [3]),
        (0, 19.99, False, [*range(21)]),
        (0, 20, False, [*range(22)]),
        (0.001, 0.0173, False, [n / 1000 for n in range(1, 19)]),
        (-7, 93, True, [*range(-10, 100, 5)]),
    ],
)
def test_edges_are_multiples_of_a_round_step(low: float, high: float, is_whole: bool, edges: list[float]) -> None:
    assert number_edges(low, high, is_whole=is_whole) == edges


@pytest.mark.parametrize(
    ("low", "high"), [(-1.7e308, 1.7e308), (5e-324, 1e-323), (1e15, 1e15 + 0.25), (-1e-300, 1e300)]
)
def test_edges_of_extreme_numbers_ascend(low: float, high: float) -> None:
    edges = number_edges(low, high, is_whole=False)
    assert edges == sorted(set(edges))
    assert 1 <= len(edges) <= 23


def test_edges_of_the_whole_calendar_stay_in_it() -> None:
    edges = moment_edges(datetime(1, 1, 1), datetime(9999, 12, 31), is_date=True)
    assert edges == sorted(set(edges))
    assert len(edges) > 5


def test_a_category_has_its_values_the_others_and_what_is_new() -> None:
    colours = ["red", "red", "blue", None, "red", "green", "blue", "mauve", "mauve", None]
    found = column(profiled({"colour": Column("category")}, {"colour": colours}), "colour")
    assert found["values"] == ["red", "blue", "green", "mauve"]
    assert found["counts"] == {"train": [3, 1, 1, 0, 0], "validation": [0, 1, 0, 1, 0], "test": [0, 0, 0, 1, 0]}
    assert found["unseen"] == {"validation": 1, "test": 1}
    assert found["missing"] == {"train": 1, "validation": 0, "test": 1}
    assert found["distinct"] == {"train": 3, "validation": 2, "test": 1}


def test_only_twenty_values_are_listed_and_one_large_in_a_small_side_is_among_them() -> None:
    values = [f"v{i % 40:02d}" for i in range(1000)]
    values[9], values[19] = "rare", "rare"
    split = ["test" if i in (9, 19, 29) else "train" for i in range(1000)]
    found = column(profiled({"c": Column("category")}, {"c": values, "split": split}), "c")
    assert len(found["values"]) == 20
    assert "rare" in found["values"]
    assert sum(found["counts"]["train"]) == 997
    assert found["counts"]["train"][-1] > 400


def test_a_long_value_is_cut_and_still_told_from_another_with_its_start() -> None:
    found = column(profiled({"c": Column("category")}, {"c": ["a" * 5000 + "b"] * 5 + ["a" * 5000 + "c"] * 5}), "c")
    assert [len(value) for value in found["values"]] == [60, 60]
    assert found["counts"]["train"] == [5, 1, 0]
    assert found["distinct"]["train"] == 2


def test_a_boolean_is_counted_as_a_category() -> None:
    found = column(profiled({"b": Column("boolean")}, {"b": [True, False, False, None, True, True] + [False] * 4}), "b")
    assert found["values"] == ["true", "false"]
    assert found["counts"]["train"] == [3, 2, 0]


def test_of_a_text_only_the_length_is_said() -> None:
    texts = ["secret"] * 5 + ["größer", "", "a", None, "ccc"]
    found = profiled({"note": Column("text")}, {"note": texts})
    note = column(found, "note")
    assert note["max"] == {"train": 6, "validation": 1, "test": 3}
    assert note["distinct"]["train"] == 2
    assert b"secret" not in profile_bytes(found)


@pytest.mark.parametrize("role", ["key", "id", "group"])
@pytest.mark.parametrize("kind", ["integer", "category", "text"])
def test_keys_ids_and_groups_show_counts_only(role: Any, kind: Any) -> None:
    values = [7654321] * 10 if kind == "integer" else ["7654321"] * 10
    found = profiled({"who": Column(kind, role=role)}, {"who": values})
    assert column(found, "who").keys() == {"name", "type", "role", "missing", "distinct"}
    assert b"7654321" not in profile_bytes(found)


def test_of_a_sensitive_column_nothing_is_said_that_fewer_than_ten_rows_say() -> None:
    ages = [*[20 + i % 60 for i in range(990)], *[113] * 10]
    people = {"age": Column("integer", sensitive=True), "faith": Column("category", sensitive=True)}
    faith = ["rare" if i < 9 else "common" if i % 2 else "usual" for i in range(1000)]
    found = profiled(people, {"age": ages, "faith": faith})
    age = column(found, "age")
    assert "min" not in age
    assert "max" not in age
    assert age["quantiles"]["validation"][0] is None
    assert age["quantiles"]["validation"][3] is not None
    assert all(n is None or n == 0 or n >= 10 for cells in age["counts"].values() for n in cells)
    assert column(found, "faith")["values"] == ["common", "usual"]
    assert b"rare" not in profile_bytes(found)


def test_the_target_is_counted_by_class_or_averaged() -> None:
    y = ["no", "yes", "no", "no", "no", "no", "yes", "yes", "no", "yes"]
    sides = profiled({"x": Column("integer")}, {"x": [1] * 10, "y": y})["target"]["sides"]
    assert sides == {"train": {"no": 5, "yes": 1}, "validation": {"no": 0, "yes": 2}, "test": {"no": 1, "yes": 1}}
    numbers = [random.Random(1).gauss(1e6, 3) + i for i in range(1000)]
    sides = profiled({"x": Column("integer")}, {"x": [1] * 1000, "y": numbers}, "regression")["target"]["sides"]
    for side, found in sides.items():
        own = [value for i, value in enumerate(numbers) if SPLIT[i % 10] == side]
        assert found["mean"] == pytest.approx(statistics.fmean(own), rel=1e-14)
        assert found["deviation"] == pytest.approx(statistics.stdev(own), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_the_mean_of_any_size_of_numbers_is_right(scale: float) -> None:
    numbers = [scale * n for n in (1, 2, 3, 4, 5, 6, 10, 20, 7, 9)]
    sides = profiled({"x": Column("integer")}, {"x": [1] * 10, "y": numbers}, "regression")["target"]["sides"]
    assert sides["train"]["mean"] == pytest.approx(3.5 * scale)
    assert sides["train"]["deviation"] == pytest.approx(scale * 3.5**0.5)


EVERY = {
    "n": Column("number"), "i": Column("integer"), "c": Column("category"), "t": Column("text"),
    "d": Column("date"), "m": Column("timestamp"), "b": Column("boolean"), "k": Column("category", role="id"),
}  # fmt: skip


def every_kind(n_rows: int, seed: int = 5) -> dict[str, list[Any]]:
    source = random.Random(seed)
    return {
        "n": [source.gauss(0, 1e3) for _ in range(n_rows)],
        "i": [source.randrange(10**6) for _ in range(n_rows)],
        "c": [f"c{min(source.randrange(200), source.randrange(200))}" for _ in range(n_rows)],
        "t": ["x" * source.randrange(400) for _ in range(n_rows)],
        "d": [date(2000, 1, 1) + timedelta(days=source.randrange(9000)) for _ in range(n_rows)],
        "m": [datetime(2000, 1, 1) + timedelta(seconds=source.randrange(10**9)) for _ in range(n_rows)],
        "b": [source.random() < 0.3 for _ in range(n_rows)],
        "k": [f"k{source.randrange(n_rows)}" for _ in range(n_rows)],
    }


@pytest.mark.parametrize("exact_rows", [10**6, 1000])
def test_any_number_of_threads_gives_equal_bytes(exact_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_ROWS", exact_rows)
    y = [random.Random(2).gauss(0, 1) * 10 ** (i % 9) for i in range(20_000)]
    found = [
        profile_bytes(profiled(EVERY, {**every_kind(20_000), "y": list(y)}, "regression", threads))
        for threads in (1, 2, 5)
    ]
    assert len(set(found)) == 1


def test_above_the_limit_a_sample_that_more_rows_only_thin_speaks_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect()
    connection.execute("CREATE TABLE kept AS SELECT range + 1 AS _row FROM range(100_000)")
    drawn = {
        every: {row for (row,) in connection.execute(f"SELECT _row FROM {module.sampled('kept', every)}").fetchall()}
        for every in (1, 2, 7, 20)
    }
    assert drawn[20] < drawn[7] < drawn[2] < drawn[1]
    for every, rows in drawn.items():
        assert len(rows) == pytest.approx(100_000 / every, rel=0.01)
        assert sum(row % 10 == 3 for row in rows) == pytest.approx(10_000 / every, rel=0.05), "not even over periods"
    monkeypatch.setattr(module, "EXACT_ROWS", 10_000)
    monkeypatch.setattr(module, "SAMPLE_ROWS", 5000)
    values = every_kind(20_000)
    values["n"][::4] = [None] * 5000
    found = profiled(EVERY, dict(values))
    number = column(found, "n")
    assert found["sample"]["every"] == 4
    assert sum(number["missing"].values()) == 5000
    assert number["approximate"]
    assert sum(number["distinct"].values()) == pytest.approx(15_000, rel=0.1)
    own = sorted(value for i, value in enumerate(values["n"]) if value is not None and SPLIT[i % 10] == "train")
    assert number["min"]["train"] == pytest.approx(own[0], rel=1e-5)
    assert number["quantiles"]["train"][3] == pytest.approx(statistics.median(own), abs=100)
    sample = sum(found["sample"]["rows"].values())
    assert sample == pytest.approx(5000, rel=0.02)
    assert sum(sum(cells) for cells in column(found, "i")["counts"].values()) == sample


def test_another_tables_bins_and_values_can_be_used() -> None:
    first = profiled({"x": Column("integer"), "c": Column("category")}, {"x": [*range(10)], "c": [*"aabbccdddd"]})
    values = {"x": [100, *range(9)], "c": [*"zzzzzzzzza"]}
    second = profiled({"x": Column("integer"), "c": Column("category")}, values, like=first)
    assert column(second, "x")["edges"] == column(first, "x")["edges"]
    assert column(second, "x")["counts"]["train"][-1] == 1
    assert set(column(second, "c")["values"]) <= set(column(first, "c")["values"])
    assert column(second, "c")["counts"]["train"][-1] == 6


@pytest.mark.parametrize("name", ['a"b', "select", "_split2", "value", "n0", "größe", "a.b c", "profiled"])
@pytest.mark.parametrize("kind", ["category", "number"])
def test_columns_may_have_any_names(name: str, kind: Any) -> None:
    values = (
        ["1", "2", "2", "3", "3", "3", "1", "1", "1", "1"] if kind == "category" else [1, 2, 2, 3, 3, 3, 1, 1, 1, 1]
    )
    found = column(profiled({name: Column(kind)}, {name: values}), name)
    assert sum(found["counts"]["train"]) == 6
    assert found["distinct"]["train"] == 3


@pytest.mark.parametrize("kind", [*SQL, "category", "text"])
def test_a_column_without_values_and_a_side_without_rows_are_said_so(kind: Any) -> None:
    found = profiled({"x": Column(kind)}, {"x": [None] * 10, "split": ["train"] * 5 + ["gap"] * 5})
    assert found["rows"] == {"train": 5, "gap": 5}
    assert column(found, "x")["missing"] == {"train": 5, "gap": 5}
    assert column(found, "x")["distinct"] == {"train": 0, "gap": 0}
    assert b"NaN" not in profile_bytes(found)


def test_without_training_rows_the_next_side_sets_the_bins() -> None:
    found = profiled({"x": Column("integer")}, {"x": [*range(10)], "split": ["validation"] * 5 + ["test"] * 5})
    assert column(found, "x")["edges"] == [0, 1, 2, 3, 4, 5]


def test_it_stays_small_and_a_column_is_a_few_lines() -> None:
    values = every_kind(3000)
    columns = {f"{name}{i}": kind for i in range(20) for name, kind in EVERY.items()}
    found = profiled(columns, {f"{name}{i}": list(values[name]) for i in range(20) for name in EVERY})
    size = len(profile_bytes(found))
    assert size < 300_000 / 150 * 160
    assert json.loads(profile_bytes(found)) == found
    lines = profile_bytes(found).decode().splitlines()
    assert max(map(len, lines)) < 600
    assert len(lines) < 25 * len(found["columns"])


def test_chance_alone_is_below_the_bound_of_noise_and_a_real_shift_above() -> None:
    source = random.Random(11)
    population = [f"v{min(source.randrange(12), source.randrange(12))}" for _ in range(5000)]
    alarms, distances = 0, []
    for _ in range(300):
        drawn = [Counter(source.choices(population, k=n)) for n in (400, 250)]
        cells = [([drawn[i][f"v{v}"] / n for v in range(12)], n) for i, n in enumerate((400, 250))]
        distances.append(total_variation(cells[0][0], cells[1][0]))
        alarms += distances[-1] > noise(*cells, 0.05)
    assert alarms <= 15
    assert noise(*cells, 0.05) < 2.5 * statistics.fmean(distances), "too wide to find anything"
    assert total_variation([1, 0], [0.8, 0.2]) > noise(([1, 0], 400), ([0.8, 0.2], 250), 0.05)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2])
def test_the_bound_of_noise_is_close_for_a_rare_cell(share: float) -> None:
    """Below five standard errors at alpha 0.001, but above the 99.9% quantile of the normal approximation, 3.3."""
    cells = ([share, 1 - share], 10_000)
    error = (share * (1 - share) * 2 / 10_000) ** 0.5
    assert 3.3 * error < noise(cells, cells, 0.001) < 5 * error + 3e-3


def test_shares_count_missing_once_and_add_up_to_one() -> None:
    found = profiled({"c": Column("category")}, {"c": ["a", "a", None, None, "b", "a", "b", None, "b", "b"]})
    cells, n = shares(column(found, "c"), found["rows"], found["sample"]["rows"], ["train"])
    assert (n, cells) == (6, pytest.approx([3 / 6, 1 / 6, 0, 2 / 6]))
    cells, n = shares(
        column(found, "c"), found["rows"], found["sample"]["rows"], ["train", "validation", "test", "gap"]
    )
    assert (n, cells) == (10, pytest.approx([3 / 10, 4 / 10, 0, 3 / 10]))


def test_a_side_that_differs_is_warned_of_and_the_time_column_is_not() -> None:
    source = random.Random(4)
    n = 4000
    sizes = [source.gauss(0, 1) + (1 if SPLIT[i % 10] == "test" else 0) for i in range(n)]
    days = [date(2020, 1, 1) + timedelta(days=SPLIT.index(SPLIT[i % 10]) * 100) for i in range(n)]
    even = [source.gauss(0, 1) for _ in range(n)]
    columns = {"size": Column("number"), "even": Column("number"), "day": Column("date", role="time")}
    warnings = warn(profiled(columns, {"size": sizes, "even": even, "day": days}))
    assert list(warnings) == ["size"]
    [text] = warnings["size"]
    assert text.startswith("test differs from training: ")
