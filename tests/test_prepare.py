"""prepare: every row ends as kept, quarantined or merged, and no row changes sides."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import PIPELINE, TOY, run_stage, toy_rows, write_toy


def prepared(workspace: Path, rows: list[list[str]], contract: str = TOY) -> dict[str, Any]:
    write_toy(workspace, rows)
    (workspace / "conf/data/toy.yaml").write_text(contract)
    run_stage(workspace, "prepare", "data=toy")
    return json.loads((workspace / "reports/prepare/summary.json").read_text())


HASHED = '{by: hash, validation: 0.2, test: 0.3}\nwaive: {future_in_training: "the hash is what is tested"}'


def table(workspace: Path, name: str, columns: str = "*") -> list[tuple[Any, ...]]:
    return duckdb.execute(f"SELECT {columns} FROM '{workspace}/data/prepare/{name}.parquet'").fetchall()


def test_every_broken_row_is_kept_aside_with_line_column_value_and_rule(workspace: Path) -> None:
    rows = toy_rows()
    rows[10][2] = "huge"  # line 11 of the file
    rows[20][2] = "101"
    rows[30][3] = "mauve"
    rows[40][5] = ""
    rows[50][0] = rows[49][0]
    summary = prepared(workspace, rows)
    assert summary["rows"] == {"in": 400, "kept": 395, "merged": 0, "quarantined": 5}
    found = {row[:4] for row in table(workspace, "quarantine", 'line, "column", rule, value')}
    assert found == {
        (11, "size", "type", "huge"),
        (21, "size", "max", "101"),
        (31, "colour", "values", "mauve"),
        (41, "bought", "required", None),
        (51, "id", "unique", "48"),
    }
    [record] = [json.loads(row[0]) for row in table(workspace, "quarantine", "record, line") if row[1] == 11]
    assert record == dict(zip(rows[0], rows[10], strict=True))


def test_a_row_that_breaks_two_rules_is_one_row(workspace: Path) -> None:
    rows = toy_rows()
    rows[5][2], rows[5][3] = "-1", "mauve"
    assert prepared(workspace, rows)["rows"]["quarantined"] == 1
    assert len(table(workspace, "quarantine")) == 2


def test_exact_duplicates_are_merged_and_counted(workspace: Path) -> None:
    rows = toy_rows()
    summary = prepared(workspace, [*rows, rows[7], rows[7], rows[8]])
    assert summary["rows"] == {"in": 403, "kept": 400, "merged": 3, "quarantined": 0}


@pytest.mark.parametrize(("duplicates", "kept"), [("", 403), ("duplicates: keep\n", 403), ("duplicates: merge\n", 400)])
def test_without_a_key_equal_rows_may_be_different_things(workspace: Path, duplicates: str, kept: int) -> None:
    rows = toy_rows()
    contract = TOY.replace("role: key, nullable: false, unique: true", "role: id") + duplicates
    assert prepared(workspace, [*rows, rows[7], rows[7], rows[8]], contract)["rows"]["kept"] == kept


def test_a_broken_row_does_not_take_the_sound_one_with_its_key(workspace: Path) -> None:
    rows = toy_rows()
    broken = [*rows[6]]
    broken[2] = "oops"
    assert prepared(workspace, [rows[0], broken, *rows[1:]])["rows"]["kept"] == 400


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["k", "rule", "score_1"], marks=pytest.mark.slow),
        pytest.param(["n", "value", "record"], marks=pytest.mark.slow),
        pytest.param(["raw", "line", "t0"], marks=pytest.mark.slow),
        ["select", "größe", 'a"b'],
        pytest.param(["a.b c", "row", "target"], marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def test_columns_may_have_any_names(workspace: Path, names: list[str]) -> None:
    """Names that our SQL uses itself, or that SQL or files find special."""
    rows, contract = toy_rows(), TOY
    for place, name in zip((2, 3, 4), names, strict=True):
        contract = contract.replace(f"  {rows[0][place]}:", f"  '{name}':")
        rows[0][place] = '"' + name.replace('"', '""') + '"'
    rows.insert(9, ["too", "short"])
    rows[20][2] = "oops"
    assert prepared(workspace, rows, contract)["rows"]["quarantined"] == 2
    for stage in ("featurize", "train", "evaluate", "package"):
        run_stage(workspace, stage, *PIPELINE[stage])


def test_lines_that_cannot_be_read_are_kept_aside_whole(workspace: Path) -> None:
    rows = toy_rows()
    rows.insert(100, ["1", "2", "3"])
    rows.insert(200, ["1", "2024-01-01", "3", "red", "x", "yes", "more"])
    summary = prepared(workspace, rows)
    assert summary["rows"] == {"in": 402, "kept": 400, "merged": 0, "quarantined": 2}
    assert table(workspace, "quarantine", "line, record") == [(101, "1,2,3"), (201, "1,2024-01-01,3,red,x,yes,more")]


def test_lines_are_counted_through_quoted_line_breaks_and_blank_lines(workspace: Path) -> None:
    rows = toy_rows()
    rows[3][4] = '"two\nlines"'
    rows[10][2] = "broken"
    write_toy(workspace, rows)
    path = workspace / "data/raw/toy/toy.csv"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:6], "", *lines[6:]]))
    run_stage(workspace, "prepare", "data=toy")
    [(line, value)] = table(workspace, "quarantine", "line, value")
    assert path.read_text().split("\n")[line - 1].startswith("9,")
    assert value == "broken"


def test_a_hashed_row_is_on_the_side_its_key_says(workspace: Path) -> None:
    contract = TOY.replace('{by: time, validation: "2024-07-01", test: "2024-09-01"}', HASHED)
    prepared(workspace, toy_rows(), contract)
    for key, side in table(workspace, "kept", "id, _split"):
        place = int(hashlib.md5(str(key).encode()).hexdigest()[:8], 16) / 16**8
        assert side == ("test" if place < 0.3 else "validation" if place < 0.5 else "train")


@pytest.mark.parametrize("by", ["key", "group", "content"])
def test_appending_and_reordering_rows_moves_no_old_row(workspace: Path, by: str) -> None:
    contract = TOY.replace('{by: time, validation: "2024-07-01", test: "2024-09-01"}', HASHED)
    if by == "group":
        contract = contract.replace("note: {type: text}", "note: {type: text, role: group}")
    if by == "content":
        contract = contract.replace("role: key, ", "role: id, ")
    header, *every = toy_rows(600)
    for row in every:
        row[4] = f"group {int(row[0]) % 50}"
    rows, more = [header, *every[:400]], every[400:]
    prepared(workspace, rows, contract)
    before = dict(table(workspace, "kept", "id, _split"))
    prepared(workspace, [rows[0], *more, *reversed(rows[1:])], contract)
    after = dict(table(workspace, "kept", "id, _split"))
    assert {key: after[key] for key in before} == before
    if by == "group":
        assert len(set(table(workspace, "kept", "note, _split"))) == 50, "a group stands on two sides"


def test_a_time_split_cuts_at_the_declared_moments(workspace: Path) -> None:
    prepared(workspace, toy_rows())
    for day, side in table(workspace, "kept", "day, _split"):
        assert side == ("test" if day.month >= 9 else "validation" if day.month >= 7 else "train")


def test_parquet_gives_the_same_rows_as_csv(workspace: Path) -> None:
    prepared(workspace, toy_rows())
    from_csv = table(workspace, "kept")
    source = workspace / "data/raw/toy/toy.csv"
    rows = f"SELECT * FROM read_csv('{source}', types = {{'bought': 'VARCHAR'}})"
    duckdb.execute(f"COPY ({rows}) TO '{source.with_suffix('.parquet')}'")
    contract = TOY.replace("toy.csv", "toy.parquet\n  format: parquet")
    (workspace / "conf/data/toy.yaml").write_text(contract)
    run_stage(workspace, "prepare", "data=toy")
    assert table(workspace, "kept") == from_csv


def test_not_a_number_in_parquet_is_missing(workspace: Path) -> None:
    prepared(workspace, toy_rows())
    source = workspace / "data/raw/toy/toy.csv"
    size = "CASE WHEN id % 4 = 0 THEN 'nan'::DOUBLE ELSE size END AS size"
    rows = f"SELECT * REPLACE ({size}) FROM read_csv('{source}', types = {{'bought': 'VARCHAR'}})"
    duckdb.execute(f"COPY ({rows}) TO '{source.with_suffix('.parquet')}'")
    (workspace / "conf/data/toy.yaml").write_text(TOY.replace("toy.csv", "toy.parquet\n  format: parquet"))
    run_stage(workspace, "prepare", "data=toy")
    assert len(table(workspace, "kept")) == 400
    assert table(workspace, "kept", "count(*) - count(size)") == [(100,)]


def test_rows_of_a_file_read_by_several_threads_keep_their_numbers(workspace: Path) -> None:
    words = ["red", "green", "blue", "grey", "pink", "teal"]  # so many that DuckDB would look them up by a join
    contract = TOY.replace("[red, green, blue]", str(words))
    contract += f'rules: {{known: {{check: "colour in {words}"}}}}\n'
    contract = contract.replace("path: data", 'missing: ["NA", "NULL", "?", "n/a", "-"]\n  path: data')
    (workspace / "conf/data/toy.yaml").write_text(contract)
    duckdb.execute(
        f"""COPY (SELECT i AS id, DATE '2024-01-01' + (i // 1200)::INTEGER AS day, i * 37 % 101 AS size,
                {words}[i % 6 + 1] AS colour, repeat('x', 40) AS note, if(hash(i) % 2 = 0, 'yes', 'no') AS bought
            FROM range(400_000) AS every(i)) TO '{workspace}/data/raw/toy/toy.csv' (HEADER)"""
    )
    run_stage(workspace, "prepare", "data=toy")
    [(n_rows, n_wrong)] = table(workspace, "kept", "count(*), count(*) FILTER (_row <> id + 1)")
    assert (n_rows, n_wrong) == (400_000, 0)
