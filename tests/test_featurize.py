"""featurize: fitted on training rows only, constant features left out, names safe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
from conftest import TOY, run_stage, toy_rows, write_toy


def featurized(workspace: Path, rows: list[list[str]], contract: str = TOY) -> list[dict[str, object]]:
    write_toy(workspace, rows)
    (workspace / "conf/data/toy.yaml").write_text(contract)
    run_stage(workspace, "prepare", "data=toy")
    run_stage(workspace, "featurize", "features=standard")
    return json.loads((workspace / "data/featurize/plan.json").read_text())


def test_other_rows_do_not_touch_what_is_fitted(workspace: Path) -> None:
    rows = toy_rows()
    featurized(workspace, rows)
    fitted = (workspace / "data/featurize/plan.json").read_bytes()
    for row in rows[1:]:
        if row[1] >= "2024-07":
            row[2], row[3], row[4] = "1", "red", "quite another text"
    featurized(workspace, rows)
    assert (workspace / "data/featurize/plan.json").read_bytes() == fitted


def test_rare_and_unseen_levels_share_a_code_and_missing_stays_missing(workspace: Path) -> None:
    rows = toy_rows()
    for row in rows[1:6]:
        row[3] = "blue"
    for row in rows[6:]:
        row[3] = "red" if int(row[0]) % 2 else "green"
    rows[-1][3], rows[-2][3] = "", "blue"
    plan = featurized(workspace, rows)
    [colour] = [feature for feature in plan if feature["column"] == "colour"]
    assert colour["levels"] == ["red", "green"] or colour["levels"] == ["green", "red"]
    codes = dict(duckdb.execute(f"SELECT _row, colour FROM '{workspace}/data/featurize/features.parquet'").fetchall())
    assert codes[1] == 2
    assert codes[399] == 2
    assert codes[400] is None


def test_a_column_with_one_value_in_training_rows_is_dropped_and_reported(workspace: Path) -> None:
    rows = toy_rows()
    for row in rows[1:]:
        row[3] = "red" if row[1] < "2024-07" else "blue"
    plan = featurized(workspace, rows)
    assert "colour" not in {feature["name"] for feature in plan}
    assert "colour" in json.loads((workspace / "reports/featurize/summary.json").read_text())["dropped_constant"]


def test_names_are_safe_for_boosters_and_unique(workspace: Path) -> None:
    contract = TOY.replace("size: {", '"si,ze [%]": {').replace("note: {", '"si:ze {%}": {')
    rows = toy_rows()
    rows[0][2], rows[0][4] = '"si,ze [%]"', "si:ze {%}"
    names = [feature["name"] for feature in featurized(workspace, rows, contract)]
    assert "si_ze____" in names
    assert len({str(name).lower() for name in names}) == len(names)
    assert all(set('",:[]{} ').isdisjoint(str(name)) for name in names)


def test_minimal_features_have_no_dates_or_texts(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    run_stage(folder, "featurize", "features=minimal")
    plan = json.loads((folder / "data/featurize/plan.json").read_text())
    assert {feature["op"] for feature in plan} == {"number", "category"}
