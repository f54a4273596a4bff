"""Behaviour tests ask the model again, by way of contract and plan, and list the rows that break them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from test_slices import evaluate

from stages.runtime.predictor import Predictor

RECORD = "{day: 2024-11-05, size: 90, colour: red, note: a}"


def behave(small: Path, folder: Path, test: str, sensitive: str | None = None) -> tuple[Path, dict[str, Any]]:
    """Run evaluate with one behaviour test called `it`; return the workspace and what is said of the test."""
    evaluate(small, folder, f"tables: {{toy: {{behaviour: {{it: {test}}}}}}}\n", sensitive)
    return folder, json.loads((folder / "reports/evaluate/behaviour.json").read_text())["it"]


def predictor(folder: Path) -> Predictor:
    """The packaged model's predictor over the files of the stages."""
    model = folder / "together"
    shutil.copytree(folder / "data/train", model)
    for file in ("prepare/contract.json", "featurize/plan.json"):
        shutil.copy(folder / "data" / file, model)
    return Predictor(model)


def test_a_model_that_reacts_to_a_column_it_must_not_is_caught_with_its_rows(small: Path, tmp_path: Path) -> None:
    test = "{kind: invariance, column: colour, to: [red, green], tolerance: 0.1, rows: 40}"
    folder, found = behave(small, tmp_path / "w", test)
    assert not found["passed"]
    assert found["rows"] == 40
    assert found["share"] == found["broken"] / 40 > 0.1
    asked = predictor(folder)
    for shown in found["failing"]:
        query = f"SELECT day, size, colour, note FROM '{folder}/data/prepare/kept.parquet' WHERE _row = {shown['_row']}"
        [row] = duckdb.execute(query).fetchall()
        record = dict(zip(("day", "size", "colour", "note"), (str(row[0]), *row[1:]), strict=True))
        assert record["colour"] == shown["from"]
        before, after = (
            asked.predict({**record, "colour": c})["probabilities"]["yes"] for c in (shown["from"], shown["to"])
        )
        assert [shown["score"], shown["changed_score"]] == [
            [pytest.approx(before, abs=1e-6)],
            [pytest.approx(after, abs=1e-6)],
        ]
        assert abs(after - before) > 0.1
    moved = [abs(shown["score"][0] - shown["changed_score"][0]) for shown in found["failing"]]
    assert moved == sorted(moved, reverse=True)


@pytest.mark.parametrize(
    ("test", "passed"),
    [
        ("{kind: invariance, column: colour, to: [red, green], tolerance: 1.0}", True),
        ("{kind: invariance, column: colour, permute: true, tolerance: 0.1}", False),
        ("{kind: invariance, column: size, add: 0.000001, tolerance: 0.5}", True),
        ("{kind: direction, column: size, add: 40, expect: not_lower, where: size < 60, tolerance: 0.1, allowed: 0.1}", True),
        ("{kind: direction, column: size, add: 40, expect: not_higher, where: size < 60, allowed: 0.1}", False),
        ("{kind: direction, column: size, add: 40, expect: not_higher, where: size < 60, of: 'no', tolerance: 0.1, allowed: 0.1}", True),
        ("{kind: direction, column: colour, to: [red], expect: not_higher}", False),
        (f"{{kind: minimum, cases: [{{row: {RECORD}, label: 'yes'}}]}}", True),
        (f"{{kind: minimum, cases: [{{row: {RECORD}, low: 0.5, high: 1.0}}]}}", True),
        (f"{{kind: minimum, cases: [{{row: {RECORD}, label: 'no'}}]}}", False),
        (f"{{kind: minimum, cases: [{{row: {RECORD}, of: 'no', low: 0.5}}]}}", False),
    ],
)  # fmt: skip
def test_what_holds_passes_and_what_does_not_fails(small: Path, tmp_path: Path, test: str, passed: bool) -> None:
    _, found = behave(small, tmp_path / "w", test)
    assert found["passed"] is passed
    assert (found["broken"] > 0) or passed
    assert len(found["failing"]) == min(10, found["broken"])


def test_changed_rows_that_the_contract_refuses_are_counted(small: Path, tmp_path: Path) -> None:
    _, found = behave(small, tmp_path / "some", "{kind: invariance, column: size, add: 40, tolerance: 1.0, rows: 1000}")
    assert found["passed"]
    query = f"SELECT count(*), sum((size > 60)::INT) FROM '{small}/data/prepare/kept.parquet' WHERE _split = 'test'"
    [(n_rows, n_refused)] = duckdb.execute(query).fetchall()
    assert (found["rows"], found["refused"]) == (n_rows - n_refused, n_refused)
    _, found = behave(small, tmp_path / "all", "{kind: invariance, column: size, add: 4000, tolerance: 1.0}")
    assert (found["passed"], found["rows"], found["why"]) == (False, 0, "the contract refuses every changed row")


def test_a_condition_that_no_row_meets_does_not_pass(small: Path, tmp_path: Path) -> None:
    _, found = behave(small, tmp_path / "w", "{kind: invariance, column: note, permute: true, where: size > 900}")
    assert (found["passed"], found["why"]) == (False, "no test row to try it on")


def test_values_of_sensitive_columns_are_not_shown(small: Path, tmp_path: Path) -> None:
    test = "{kind: invariance, column: colour, to: [red, green], tolerance: 0.1}"
    _, found = behave(small, tmp_path / "w", test, "colour")
    assert found["failing"]
    assert {(row["from"], row["to"]) for row in found["failing"]} == {("(not shown)", "(not shown)")}


def test_days_are_added_to_a_date_and_the_sample_is_the_seeds(small: Path, tmp_path: Path) -> None:
    test = "{kind: invariance, column: day, add: 400000000, rows: 20}"
    _, found = behave(small, tmp_path / "far", test)
    assert found["refused"] == 20
    test = "{kind: invariance, column: day, add: 30, rows: 20}"
    folder, found = behave(small, tmp_path / "near", test)
    assert (found["rows"], found["refused"]) == (20, 0)
    _, again = behave(small, tmp_path / "again", test)
    assert again == found


@pytest.mark.parametrize(
    ("test", "fault"),
    [
        ("{kind: invariance, column: color, permute: true}", ".column: no input column 'color'; did you mean 'colour'?"),
        ("{kind: invariance, column: colour}", ".to: invariance needs one of to, add, permute"),
        ("{kind: direction, column: colour, to: [red]}", ".expect: missing, direction needs it"),
        ("{kind: direction, column: size, permute: true, expect: not_lower}", ".permute: direction takes no such key"),
        ("{kind: invariance, column: colour, to: [pink]}", ".to[0]: 'pink' breaks the contract: colour values"),
        ("{kind: invariance, column: colour, add: 3}", ".add: a category cannot be added to"),
        ("{kind: invariance, column: size, add: 1, of: maybe}", ".of: should be one of no, yes, got 'maybe'"),
        ("{kind: invariance, column: size, add: 1, where: size >}", ".where: is not an expression"),
        ("{kind: minimum, cases: [{row: {size: 300}, label: 'yes'}]}", ".cases[0].row: size: max, got '300'"),
        ("{kind: minimum, cases: [{row: {siz: 3}, label: 'yes'}]}", ".cases[0].row: siz: unknown, got '3'"),
        ("{kind: minimum, cases: [{row: {size: 3}, label: maybe}]}", ".cases[0].label: should be one of no, yes"),
        ("{kind: minimum, cases: [{row: {size: 3}}]}", ".cases[0].label: missing; give label, or low and high"),
        ("{kind: minimum}", ".cases: missing, minimum needs it"),
        ("{kind: invariant, column: size, add: 1}", ".kind: should be one of invariance, direction, minimum"),
    ],
)  # fmt: skip
def test_a_test_that_cannot_be_is_refused_by_name(small: Path, tmp_path: Path, test: str, fault: str) -> None:
    _, said, _ = evaluate(small, tmp_path / "w", f"tables: {{toy: {{behaviour: {{it: {test}}}}}}}\n", check=False)
    assert f"  tables.toy.behaviour.it{fault}" in said
    assert "Traceback" not in said
