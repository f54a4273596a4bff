"""leakage: each planted leak is caught with its numbers, can be waived with a reason, and clean tables pass."""

from __future__ import annotations

import dataclasses
import random
import re
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest
from conftest import ROOT

from stages.runtime.contract import Column, Contract
from stages.shared.errors import InputError
from stages.shared.sides.explained import explained_alone
from stages.shared.sides.leakage import CHECKS, DUPLICATES, find_leaks, waive_faults
from stages.shared.sides.split import Split, side_of
from stages.shared.sides.twins import coincidence, find_twins

TABLES = ROOT.parent / "shared/tables"
SPLIT = Split("key", 0.2, 0.25)
BY_TIME = Split("time", "2024-07-01", "2024-10-01")
N = 2000


def contract(columns: dict[str, Column] | None = None, task: str = "binary") -> Contract:
    declared = {
        "id": Column("integer", role="key", unique=True),
        "size": Column("number"),
        "colour": Column("category"),
        "y": Column("category", role="target", values=["no", "yes"]),
        **(columns or {}),
    }
    return Contract("toy", task, "yes" if task == "binary" else None, declared, [])


def kept(threads: int = 2, n_rows: int = N) -> duckdb.DuckDBPyConnection:
    """A clean table, split by its key: size tells something of y, who rides again and again on one side only."""
    draw = random.Random(5)
    rows = []
    for i in range(n_rows):
        size, colour = draw.random(), draw.choice(["red", "green", "blue"])
        y = "yes" if size + draw.random() > 1.2 else "no"
        side = side_of(SPLIT, str(i))
        day = date(2024, 1, 1) + timedelta(days=draw.randrange(360))
        rows.append((i + 1, side, i, f"{side} {draw.randrange(200)}", day, size, colour, y))
    connection = duckdb.connect(config={"threads": threads})
    connection.execute(
        """CREATE TABLE kept
           (_row BIGINT, _split VARCHAR, id BIGINT, who VARCHAR, day DATE, size DOUBLE, colour VARCHAR, y VARCHAR)"""
    )
    lists = [list(values) for values in zip(*rows, strict=True)]
    connection.execute(f"INSERT INTO kept SELECT {', '.join(['unnest(?)'] * len(lists))}", lists)
    return connection


def leak(
    connection: duckdb.DuckDBPyConnection, check: str, said: str, contract: Contract, split: Split = SPLIT
) -> dict[str, Any]:
    """Assert that this check alone blocks and says so, and passes with its waiver; return what is then reported."""
    with pytest.raises(InputError, match=re.escape(f"{check}: ") + said) as caught:
        find_leaks(connection, "kept", contract, split, {})
    assert caught.value.what == "conf/data/toy.yaml: the data leaks across the split"
    [line] = caught.value.faults
    assert line.endswith(f'add to conf/data/toy.yaml: waive: {{{check}: "why"}}')
    found = find_leaks(connection, "kept", contract, split, {check: "it is so in use"})
    assert list(found) == list(CHECKS)
    assert [name for name in found if found[name]["waived"]] == [check]
    assert found[check]["waived"] == "it is so in use"
    assert found[check]["waiver_needed"] is True
    return found[check]


def test_a_clean_table_passes_and_says_what_was_found() -> None:
    who = {"who": Column("category", role="group")}
    found = find_leaks(kept(), "kept", contract(who), SPLIT, {})
    assert {name: (part["found"], part["limit"], part["waived"]) for name, part in found.items()} == {
        "group_on_both_sides": (0, 0, None),
        "duplicates_across_sides": (0.0, 0.01, None),
        "feature_gives_the_answer": (found["feature_gives_the_answer"]["found"], 0.9, None),
        "future_in_training": (0, 0, None),
    }
    assert list(found["feature_gives_the_answer"]["highest"]) == ["size", "colour"]
    assert 0.2 < found["feature_gives_the_answer"]["found"] < 0.6


def test_a_group_on_two_sides_is_caught() -> None:
    connection = kept()
    for side in ("train", "test"):
        first = f"(SELECT min(_row) FROM kept WHERE _split = '{side}')"
        connection.execute(f"UPDATE kept SET who = 'shared' WHERE _row = {first}")
    [(train, test)] = connection.execute(
        "SELECT min(_row) FILTER (_split = 'train'), min(_row) FILTER (_split = 'test') FROM kept"
    ).fetchall()
    both = sorted([(train, "train"), (test, "test")])
    said = r"1 values of who \(2 rows\) are on more than one side, limit 0; first " + ", ".join(
        f"row {row} in {side}" for row, side in both
    )
    found = leak(connection, "group_on_both_sides", said, contract({"who": Column("category", role="group")}))
    assert (found["found"], found["rows"], found["limit"]) == (1, 2, 0)


def test_a_key_that_may_stand_twice_is_an_entity_and_a_missing_one_is_none() -> None:
    connection = kept()
    one, other = (next(i for i in range(N) if i % 5 and side_of(SPLIT, str(i)) == side) for side in ("train", "test"))
    connection.execute("UPDATE kept SET id = NULL WHERE id % 5 = 0")
    connection.execute("UPDATE kept SET id = ? WHERE id = ?", [one, other])
    may_repeat = contract({"id": Column("integer", role="key")})
    assert leak(connection, "group_on_both_sides", r"1 values of id \(2 rows\)", may_repeat)["found"] == 1


def test_a_group_in_the_gap_is_on_no_side() -> None:
    connection = kept()
    connection.execute("UPDATE kept SET _split = 'gap', who = 'shared' WHERE _row = 1")
    connection.execute("UPDATE kept SET who = 'shared' WHERE _row = (SELECT min(_row) FROM kept WHERE _split = 'test')")
    group = contract({"who": Column("category", role="group")})
    assert find_leaks(connection, "kept", group, SPLIT, {})["group_on_both_sides"]["found"] == 0


def copy_rows(connection: duckdb.DuckDBPyConnection, n: int, change: str = "") -> None:
    """Add copies of `n` training rows to the test side, under keys of their own."""
    connection.execute(
        f"""INSERT INTO kept SELECT * REPLACE ('test' AS _split, id + 100000 AS id, _row + 100000 AS _row{change})
            FROM (FROM kept WHERE _split = 'train' ORDER BY _row LIMIT {n})"""
    )


def test_copies_of_training_rows_in_the_test_set_are_caught() -> None:
    connection = kept()
    [(n_test,)] = connection.execute("SELECT count(*) FROM kept WHERE _split = 'test'").fetchall()
    copy_rows(connection, 30)
    said = rf"30 of {n_test + 30} test rows \({30 / (n_test + 30):.1%}\) equal a training row in all inputs"
    found = leak(connection, "duplicates_across_sides", said, contract())
    assert found["rows"] == {"validation": 0, "test": 30}
    assert found["found"] == round(30 / (n_test + 30), 4)
    assert found["by_coincidence"] == 0


def test_copies_with_another_target_are_no_copies() -> None:
    connection = kept()
    copy_rows(connection, 100, ", if(y = 'yes', 'no', 'yes') AS y")
    assert find_leaks(connection, "kept", contract(), SPLIT, {})["duplicates_across_sides"]["found"] == 0


def test_missing_equals_missing_when_rows_are_compared() -> None:
    connection = kept()
    connection.execute("UPDATE kept SET colour = NULL")
    copy_rows(connection, 30)
    leak(connection, "duplicates_across_sides", "30 of ", contract())


def test_by_time_a_copy_under_a_later_date_is_caught() -> None:
    connection = kept()
    side = "CASE WHEN day >= '2024-10-01' THEN 'test' WHEN day >= '2024-07-01' THEN 'validation' ELSE 'train' END"
    connection.execute(f"UPDATE kept SET _split = {side}")
    timed = contract({"day": Column("date", role="time")})
    assert find_leaks(connection, "kept", timed, BY_TIME, {})["duplicates_across_sides"]["found"] == 0
    copy_rows(connection, 30, ", DATE '2024-12-31' AS day")
    leak(connection, "duplicates_across_sides", "30 of ", timed, BY_TIME)


def coarse(columns: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        f"""CREATE TABLE kept AS SELECT i AS _row, ['train', 'train', 'validation', 'test'][1 + i % 4] AS _split,
            i AS id, {columns} FROM range(8000) AS t(i)"""
    )
    return connection


def pick(place: int, n: int) -> str:
    """The expression of an independent draw from n values, equally likely."""
    return f"(md5_number('{place} ' || i) % {n})::INTEGER"


@pytest.mark.parametrize("n_values", [[3, 4, 2, 5], [10, 10, 10, 20], [12, 12, 12, 12]])
def test_the_estimate_of_coincidence_is_right_for_columns_that_are_independent(n_values: list[int]) -> None:
    names = [f"x{place}" for place in range(len(n_values))]
    connection = coarse(
        ", ".join(f"{pick(p, n)} AS {name}" for p, (name, n) in enumerate(zip(names, n_values, strict=True)))
    )
    n_cells = n_values[0] * n_values[1] * n_values[2] * n_values[3]
    by_hand = 1 - (1 - 1 / n_cells) ** 4000  # the chance that one of 4000 training rows falls into a row's cell
    twins = find_twins(connection, "kept", names)
    assert (twins["test"] + twins["validation"]) / 4000 == pytest.approx(by_hand, abs=0.03)
    assert coincidence(connection, "kept", names) == pytest.approx(by_hand, rel=0.3)


def test_a_coarse_table_whose_rows_coincide_passes_and_copies_in_a_fine_one_do_not() -> None:
    y = Column("category", role="target", values=["0", "1"])
    kinds = {name: Column("integer") for name in ("x0", "x1", "x2")}
    columns = {"id": Column("integer", role="key", unique=True), **kinds, "y": y}
    declared = Contract("toy", "binary", "1", columns, [])
    target = f"{pick(9, 2)}::VARCHAR AS y"
    natural = coarse(f"{pick(0, 5)} AS x0, {pick(1, 6)} AS x1, {pick(2, 4)} AS x2, {target}")
    found = find_leaks(natural, "kept", declared, SPLIT, {})
    assert found["duplicates_across_sides"]["found"] > 0.9
    assert found["duplicates_across_sides"]["limit"] == 1.0
    fine = coarse(f"{pick(0, 1000)} AS x0, {pick(1, 1000)} AS x1, i AS x2, {target}")
    # Rows 3, 43, ... of the test side become copies of the training rows 0, 40, ...: 200 of 2000.
    fine.execute(
        """UPDATE kept SET x0 = other.x0, x1 = other.x1, x2 = other.x2, y = other.y
           FROM kept AS other WHERE other._row + 3 = kept._row AND other._row % 40 = 0"""
    )
    copied = leak(fine, "duplicates_across_sides", r"200 of 2000 test rows \(10.0%\)", declared)
    assert copied["limit"] == DUPLICATES


LEAKS = {
    "a copy": ("category", "y"),
    "a copy under other names": ("category", "if(y = 'yes', 'b', 'a')"),
    "a flag": ("boolean", "y = 'yes'"),
    "a number that only one class has": ("number", "if(y = 'yes', size, NULL)"),
    "a number with a gap between the classes": ("number", "if(y = 'yes', size, size - 5)"),
    "a number that is one value for all of a class": ("number", "if(y = 'yes', 45, 30 + 14 * size)"),
    "missing for one class": ("text", "if(y = 'yes', 'text ' || _row, NULL)"),
    "a date": ("date", "if(y = 'yes', DATE '2024-01-01', DATE '2023-01-01') + (size * 5)::INTEGER"),
    "a copy with a few errors": ("category", "if(_row % 100 = 0, 'no', y)"),
}


@pytest.mark.parametrize("planted", LEAKS)
def test_a_feature_that_gives_the_answer_is_caught(planted: str) -> None:
    kind, expression = LEAKS[planted]
    connection = kept()
    connection.execute(f"CREATE TABLE more AS SELECT *, {expression} AS status FROM kept")
    connection.execute("DROP TABLE kept; ALTER TABLE more RENAME TO kept")
    leaking = contract({"status": Column(kind)})  # type: ignore[arg-type]
    if planted == "missing for one class":  # each text stands once: only that it is there can tell
        assert find_shares(connection, leaking)["status"] > 0.9
    said = r"status \((0\.9|1\.0)[0-9]+\) alone nearly give y \(share explained, limit 0.9\)"
    found = leak(connection, "feature_gives_the_answer", said, leaking)
    assert next(iter(found["highest"])) == "status"


def find_shares(connection: duckdb.DuckDBPyConnection, declared: Contract) -> dict[str, float]:
    kinds = {name: declared.columns[name].type for name in declared.inputs}
    return explained_alone(connection, "kept", declared.target, declared.task == "regression", kinds)


@pytest.mark.parametrize("copy", ["z * 1.1", "-z", "ln(z)", "round(z, 2)", "z + size"])
def test_a_feature_that_gives_a_number_is_caught_whatever_its_unit_or_scale(copy: str) -> None:
    connection = kept()  # a target with a long tail
    connection.execute(f"CREATE VIEW more AS SELECT *, {copy} AS w FROM (SELECT *, exp(9 * size) AS z FROM kept)")
    columns = {"w": Column("number"), "z": Column("number", role="target"), "y": Column("category")}
    declared = contract(columns, task="regression")
    del declared.columns["size"]
    with pytest.raises(InputError, match=r"feature_gives_the_answer: w \((0\.9|1\.0)[0-9]+\) alone nearly give z"):
        find_leaks(connection, "more", declared, SPLIT, {})


def test_the_share_explained_is_that_of_a_reckoning_by_hand() -> None:
    connection = duckdb.connect()
    rows = [(i, "ab"[i % 2], "yes" if i % 2 == 0 or i % 10 == 1 else "no") for i in range(1000)]
    lists = [list(values) for values in zip(*rows, strict=True)]
    connection.execute("CREATE TABLE t AS SELECT unnest(?) AS _row, unnest(?) AS x, unnest(?) AS y", lists)
    # yes: 600 of 1000; of x = a all, of x = b 100 of 500. Left: 500 * 0.2 * 0.8 of 1000 * 0.6 * 0.4.
    share = explained_alone(connection, "t", "y", False, {"x": "category"})["x"]
    assert share == pytest.approx(1 - 80 / 240, abs=0.01)


def test_chance_explains_nothing_whatever_the_number_of_values() -> None:
    connection = coarse(
        ", ".join(f"{pick(n, n)}::VARCHAR AS x{n}" for n in (2, 30, 700, 100000)) + f", {pick(9, 2)} AS y"
    )
    kinds = {f"x{n}": "category" for n in (2, 30, 700, 100000)}
    shares = explained_alone(connection, "kept", "y", False, kinds)
    assert max(shares.values()) < 0.01
    numbers = "(SELECT _row, y, " + ", ".join(f"{name}::DOUBLE AS {name}" for name in kinds) + " FROM kept)"
    assert max(explained_alone(connection, numbers, "y", True, dict.fromkeys(kinds, "number")).values()) < 0.01


def test_a_table_larger_than_the_sample_is_sampled_and_gives_the_same_to_a_hundredth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = kept(n_rows=6000)
    whole = find_shares(connection, contract())
    monkeypatch.setattr("stages.shared.sides.explained.SAMPLE", 3000)
    sampled = find_shares(connection, contract())
    assert sampled != whole
    assert sampled == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize("which", ["y = 'no'", "_row < 0", "_row = 1"])
@pytest.mark.parametrize("is_regression", [False, True])
def test_a_constant_target_or_no_rows_explain_nothing(which: str, is_regression: bool) -> None:
    source = f"(SELECT *, 1 AS one FROM kept WHERE {which})"
    target = "one" if is_regression else "y"
    shares = explained_alone(kept(), source, target, is_regression, {"colour": "category", "size": "number"})
    assert shares == {"colour": 0, "size": 0}
    assert explained_alone(kept(), source, target, is_regression, {}) == {}


def test_a_hashed_split_of_a_table_with_time_trains_on_the_future() -> None:
    connection = kept()
    connection.execute("UPDATE kept SET day = DATE '2024-06-01' WHERE _split <> 'test'")
    [(n_test, n_earlier, first)] = connection.execute(
        """SELECT count(*), count(*) FILTER (day < '2024-06-01'), min(_row) FILTER (day < '2024-06-01')
           FROM kept WHERE _split = 'test'"""
    ).fetchall()
    timed = contract({"day": Column("date", role="time")})
    said = (
        rf"{n_earlier} of {n_test} test rows \({n_earlier / n_test:.1%}\) are earlier than the latest training row "
        rf"\(day 2024-06-01\), limit 0; first row {first}; split.by: time"
    )
    found = leak(connection, "future_in_training", said, timed)
    assert found["found"] == round(n_earlier / n_test, 4)
    assert found["rows"] == n_earlier


def test_all_leaks_are_named_at_once() -> None:
    connection = kept()
    copy_rows(connection, 100, ", 'shared' AS who")
    connection.execute("UPDATE kept SET colour = y, who = 'shared' WHERE _split = 'train'")
    declared = contract({"who": Column("category", role="group"), "day": Column("date", role="time")})
    with pytest.raises(InputError, match="leaks across the split") as caught:
        find_leaks(connection, "kept", declared, SPLIT, {})
    assert [line.split(":")[0] for line in caught.value.faults] == [name for name in CHECKS if "duplicates" not in name]
    one = {"group_on_both_sides": "riders ride again"}
    with pytest.raises(InputError, match="leaks across the split") as caught:
        find_leaks(connection, "kept", declared, SPLIT, one)
    assert len(caught.value.faults) == 2


def test_a_waiver_that_is_not_needed_is_said() -> None:
    found = find_leaks(kept(), "kept", contract(), SPLIT, {"future_in_training": "no need"})
    assert found["future_in_training"] == {"found": 0, "limit": 0, "waived": "no need", "waiver_needed": False}


def test_a_waiver_of_an_unknown_check_or_without_a_reason_is_a_fault() -> None:
    waive = {"future_in_trainin": "why", "nonsense": "why", "group_on_both_sides": " ", "duplicates_across_sides": "so"}
    faults = waive_faults(waive)
    assert faults == [
        "waive.future_in_trainin: no such check; did you mean 'future_in_training'?",
        f"waive.nonsense: no such check; checks are {', '.join(CHECKS)}",
        "waive.group_on_both_sides: should say why, got ' '",
    ]
    with pytest.raises(InputError, match=r"conf/data/toy.yaml is not valid\n  waive.future_in_trainin: no such check"):
        find_leaks(kept(), "kept", contract(), SPLIT, waive)


def test_what_is_found_does_not_depend_on_threads() -> None:
    found = []
    for threads in (1, 2, 4):
        connection = kept(threads, 6000)
        copy_rows(connection, 100)
        declared = contract({"day": Column("date", role="time")})
        regression = dataclasses.replace(
            contract({"size": Column("number", role="target"), "y": Column("category")}, task="regression")
        )
        waive = dict.fromkeys(CHECKS, "planted")
        found.append([find_leaks(connection, "kept", part, SPLIT, waive) for part in (declared, regression)])
    assert found[0] == found[1] == found[2]


def test_nothing_is_left_in_the_database() -> None:
    connection = kept()
    copy_rows(connection, 100)
    find_leaks(connection, "kept", contract(), SPLIT, {"duplicates_across_sides": "planted"})
    assert [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()] == ["kept"]


@pytest.mark.skipif(not TABLES.is_dir(), reason="the shared tables are not beside this repository")
@pytest.mark.parametrize(
    ("file", "target", "column", "kind", "is_leak"),
    [
        ("covid_testing.csv.gz", "result", "ct_result", "number", True),
        ("hotel_bookings.parquet", "is_canceled", "reservation_status", "category", True),
        ("kidney_disease_dirty.csv", "classification", "sg", "category", False),
        ("kidney_disease_dirty.csv", "classification", "hemo", "number", False),
        ("adult_raw.csv.gz", "column14", "column07", "category", False),
    ],
)
def test_known_leaks_stand_out_and_honest_features_do_not(
    file: str, target: str, column: str, kind: str, is_leak: bool
) -> None:
    connection = duckdb.connect()
    value = f'TRY_CAST("{column}" AS DOUBLE)' if kind == "number" else f'"{column}"'
    connection.execute(
        f"""CREATE TABLE t AS SELECT row_number() OVER () AS _row, trim("{target}"::VARCHAR, chr(9) || ' ') AS y,
            {value} AS x FROM '{TABLES}/{file}' WHERE "{target}" IS NOT NULL"""
    )
    share = explained_alone(connection, "t", "y", False, {"x": kind})["x"]
    assert (share > 0.9) == is_leak, share


@pytest.mark.parametrize(("n_rows", "n_values"), [(300, 300), (1000, 150), (2000, 190), (3000, 190)])
def test_a_number_of_few_rows_a_value_cannot_hide_the_answer(n_rows: int, n_values: int) -> None:
    draw = random.Random(1)
    values = [draw.randrange(n_values) for _ in range(n_rows)]
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t AS SELECT unnest(range(?)) AS _row, unnest(?) AS x", [n_rows, values])
    rows = f"(SELECT *, (hash(_row) % 1000003)::DOUBLE AS noise, if(x >= {n_values // 2}, 'yes', 'no') AS y FROM t)"
    connection.execute(f"CREATE TABLE rows AS SELECT * FROM {rows}")
    shares = explained_alone(connection, "rows", "y", False, {"x": "integer", "noise": "number"})
    assert shares["x"] > 0.9
    assert shares["noise"] < 0.1


@pytest.mark.parametrize(
    "name",
    [
        "h",
        "H",
        "c0",
        "C1",
        "_digest",
        "_hash",
        "hashed",
        "m",
        "whole",
        "half",
        "amount",
        "name",
        "value",
        "bin",
        "trains",
    ],
)
def test_a_column_may_have_any_name(name: str) -> None:
    """The checks join tables of their own to the table; no name of a column may clash with theirs."""
    connection = kept()
    connection.execute(f'ALTER TABLE kept RENAME COLUMN size TO "{name}"')
    connection.execute("INSERT INTO kept SELECT * REPLACE (_row + 10000 AS _row, 'test' AS _split) FROM kept LIMIT 300")
    declared = contract()
    columns = {name if key == "size" else key: column for key, column in declared.columns.items()}
    with pytest.raises(InputError, match="duplicates_across_sides"):
        find_leaks(connection, "kept", dataclasses.replace(declared, columns=columns), SPLIT, {})


def test_by_time_the_time_is_no_leak_and_otherwise_it_is() -> None:
    connection = duckdb.connect()
    connection.execute(
        """CREATE TABLE kept AS SELECT i AS _row, CASE WHEN i < 6000 THEN 'train' WHEN i < 8000 THEN 'validation'
           ELSE 'test' END AS _split, DATE '2024-01-01' + (i // 25)::INT AS day, hash(i) % 7 AS size,
           sin(i // 25) AS y FROM range(10000) AS every(i)"""
    )
    columns = {"day": Column("date", role="time"), "size": Column("number"), "y": Column("number", role="target")}
    declared = Contract("toy", "regression", None, columns, [])
    by_time = Split("time", "2024-08-28", "2024-11-16")
    assert find_leaks(connection, "kept", declared, by_time, {})["feature_gives_the_answer"]["found"] < 0.1
    with pytest.raises(InputError, match="feature_gives_the_answer: day"):
        find_leaks(connection, "kept", declared, Split("hash", 0.2, 0.2), {"future_in_training": "a test"})
