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


def behave(
    small: Path, folder: Path, tests: dict[str, str], sensitive: str | None = None
) -> tuple[Path, dict[str, Any]]:
    """Run evaluate with behaviour tests by name; return the workspace and what is said of each."""
    declared = "".join(f"      {name}: {test}\n" for name, test in tests.items())
    evaluate(small, folder, f"tables:\n  toy:\n    behaviour:\n{declared}", sensitive)
    return folder, json.loads((folder / "reports/evaluate/behaviour.json").read_text())


def predictor(folder: Path) -> Predictor:
    """The packaged model's predictor over the files of the stages."""
    model = folder / "together"
    shutil.copytree(folder / "data/train", model)
    for file in ("prepare/contract.json", "featurize/plan.json"):
        shutil.copy(folder / "data" / file, model)
    return Predictor(model)


def test_a_model_that_reacts_to_a_column_it_must_not_is_caught_with_its_rows(small: Path, tmp_path: Path) -> None:
    test = "{kind: invariance, column: colour, to: [red, green], tolerance: 0.1, rows: 40}"
    folder, tests = behave(small, tmp_path / "w", {"it": test})
    found = tests["it"]
    assert not found["passed"]
    assert found["rows"] == 40
    assert found["share"] == found["broken"] / 40 > 0.1
    asked = predictor(folder)
    for shown in found["failing"]:
        query = f"SELECT day, size, colour, note FROM '{folder}/data/prepare/kept.parquet' WHERE _row = {shown['_row']}"
        [row] = duckdb.execute(query).fetchall()
        record = dict(zip(("day", "size", "colour", "note"), (str(row[0]), *row[1:]), strict=True))
        assert record["colour"] == shown["from"]
        colours = shown["from"], shown["to"]
        scores = [asked.predict({**record, "colour": colour})["probabilities"]["yes"] for colour in colours]
        assert [*shown["score"], *shown["changed_score"]] == pytest.approx(scores, abs=1e-6)
        assert abs(scores[0] - scores[1]) > 0.1
    moved = [abs(shown["score"][0] - shown["changed_score"][0]) for shown in found["failing"]]
    assert moved == sorted(moved, reverse=True)


UP = "kind: direction, column: size, add: 40, where: size < 60, tolerance: 0.1, allowed: 0.1"
HOLDS = {
    "any_colour": "{kind: invariance, column: colour, to: [red, green], tolerance: 1.0}",
    "a_little": "{kind: invariance, column: size, add: 0.000001, tolerance: 0.5}",
    "larger": f"{{{UP}, expect: not_lower}}",
    "larger_no": f"{{{UP}, expect: not_higher, of: 'no'}}",
    "label": f"{{kind: minimum, cases: [{{row: {RECORD}, label: 'yes'}}]}}",
    "score": f"{{kind: minimum, cases: [{{row: {RECORD}, low: 0.5, high: 1.0}}]}}",
}
FAILS = {
    "any_colour": "{kind: invariance, column: colour, permute: true, tolerance: 0.1}",
    "larger": f"{{{UP}, expect: not_higher}}",
    "red": "{kind: direction, column: colour, to: [red], expect: not_higher}",
    "label": f"{{kind: minimum, cases: [{{row: {RECORD}, label: 'no'}}]}}",
    "score": f"{{kind: minimum, cases: [{{row: {RECORD}, of: 'no', low: 0.5}}]}}",
}


@pytest.mark.parametrize(("tests", "passed"), [(HOLDS, True), (FAILS, False)], ids=["holds", "fails"])
def test_what_holds_passes_and_what_does_not_fails(
    small: Path, tmp_path: Path, tests: dict[str, str], passed: bool
) -> None:
    _, found = behave(small, tmp_path / "w", tests)
    assert {name: test["passed"] for name, test in found.items()} == dict.fromkeys(tests, passed)
    for test in found.values():
        assert (test["broken"] > 0) or passed
        assert len(test["failing"]) == min(10, test["broken"])


def test_changed_rows_that_the_contract_refuses_are_counted(small: Path, tmp_path: Path) -> None:
    tests = {
        "some": "{kind: invariance, column: size, add: 40, tolerance: 1.0, rows: 1000}",
        "all": "{kind: invariance, column: size, add: 4000, tolerance: 1.0}",
        "none": "{kind: invariance, column: note, permute: true, where: size > 900}",
        "far": "{kind: invariance, column: day, add: 400000000, rows: 20}",
        "near": "{kind: invariance, column: day, add: 30, rows: 20}",
    }
    _, found = behave(small, tmp_path / "w", tests)
    query = f"SELECT count(*), sum((size > 60)::INT) FROM '{small}/data/prepare/kept.parquet' WHERE _split = 'test'"
    [(n_rows, n_refused)] = duckdb.execute(query).fetchall()
    assert found["some"]["passed"]
    assert (found["some"]["rows"], found["some"]["refused"]) == (n_rows - n_refused, n_refused)
    told = {name: (test["passed"], test["rows"], test["why"]) for name, test in found.items()}
    assert told["all"] == (False, 0, "the contract refuses every changed row")
    assert told["none"] == (False, 0, "no test row to try it on")
    assert found["far"]["refused"] == 20
    assert (found["near"]["rows"], found["near"]["refused"]) == (20, 0)
    _, again = behave(small, tmp_path / "again", tests)
    assert again == found


def test_values_of_sensitive_columns_are_not_shown(small: Path, tmp_path: Path) -> None:
    test = "{kind: invariance, column: colour, to: [red, green], tolerance: 0.1}"
    _, found = behave(small, tmp_path / "w", {"it": test}, "colour")
    assert found["it"]["failing"]
    assert {(row["from"], row["to"]) for row in found["it"]["failing"]} == {("(not shown)", "(not shown)")}


OF_THE_SCHEMA = {
    "{kind: invariance, column: colour}": ".to: invariance needs one of to, add, permute",
    "{kind: direction, column: colour, to: [red]}": ".expect: missing, direction needs it",
    "{kind: direction, column: size, permute: true, expect: not_lower}": ".permute: direction takes no such key",
    "{kind: minimum, cases: [{row: {size: 3}}]}": ".cases[0].label: missing; give label, or low and high",
    "{kind: minimum}": ".cases: missing, minimum needs it",
    "{kind: invariant, column: size, add: 1}": ".kind: should be one of invariance, direction, minimum",
}
OF_THE_TABLE = {
    "{kind: invariance, column: color, permute: true}": ".column: no input column 'color'; did you mean 'colour'?",
    "{kind: invariance, column: colour, to: [pink]}": ".to[0]: 'pink' breaks the contract: colour values",
    "{kind: invariance, column: colour, add: 3}": ".add: a category cannot be added to",
    "{kind: invariance, column: size, add: 1, of: maybe}": ".of: should be one of no, yes, got 'maybe'",
    "{kind: invariance, column: size, add: 1, where: size >}": ".where: is not an expression",
    "{kind: minimum, cases: [{row: {size: 300}, label: 'yes'}]}": ".cases[0].row: size: max, got '300'",
    "{kind: minimum, cases: [{row: {siz: 3}, label: 'yes'}]}": ".cases[0].row: siz: unknown, got '3'",
    "{kind: minimum, cases: [{row: {size: 3}, label: maybe}]}": ".cases[0].label: should be one of no, yes",
}


@pytest.mark.parametrize("faults", [OF_THE_SCHEMA, OF_THE_TABLE], ids=["schema", "table"])
def test_tests_that_cannot_be_are_refused_by_name_all_at_once(
    small: Path, tmp_path: Path, faults: dict[str, str]
) -> None:
    tests = "".join(f"      t{nth}: {test}\n" for nth, test in enumerate(faults))
    conf = f"tables:\n  toy:\n    behaviour:\n{tests}"
    _, said, _ = evaluate(small, tmp_path / "w", conf, check=False)
    assert "Traceback" not in said
    for nth, fault in enumerate(faults.values()):
        assert f"  tables.toy.behaviour.t{nth}{fault}" in said
