"""tools.diff: what changed between two revisions of the data, in real Git and DVC repositories."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, run_in

from stages.runtime.contract import Column, Contract
from stages.shared.profile.measure import profile, profile_bytes
from stages.shared.tables import connect, parquet
from tools.diff.data import broken_rules, compare_contracts
from tools.diff.data_report import lines
from tools.diff.rows import compare_rows
from tools.diff.shift import align, compare_columns, compare_labels, newcombe, wilson

COLUMNS = {
    "id": Column("integer", role="key"),
    "size": Column("number"),
    "colour": Column("category"),
    "bought": Column("category", role="target", values=["no", "yes"]),
}
CONTRACT = Contract("made", "binary", "yes", COLUMNS, [])
Row = tuple[Any, ...]  # _split, then the columns


def rows_of(n_rows: int = 300) -> list[Row]:
    source = random.Random(8)
    sides = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    return [
        (sides[i % 10], i, source.gauss(50, 9), source.choice(["red", "blue"]), source.choice(["no", "no", "yes"]))
        for i in range(n_rows)
    ]


def store(path: Path, rows: list[Row], contract: Contract = CONTRACT) -> Path:
    """Write a kept.parquet by hand."""
    kinds = {"integer": "BIGINT", "number": "DOUBLE"}
    types = ["BIGINT", "VARCHAR", *(kinds.get(column.type, "VARCHAR") for column in contract.columns.values())]
    names = ["_row", "_split", *contract.columns]
    connection = connect()
    connection.execute(f"CREATE TABLE kept ({', '.join(f'{n} {t}' for n, t in zip(names, types, strict=True))})")
    lists = [list(column) for column in zip(*((i, *row) for i, row in enumerate(rows, 1)), strict=True)]
    unnested = ", ".join(f"unnest(from_json(?, '[\"{kind}\"]'))" for kind in types)
    connection.execute(f"INSERT INTO kept SELECT {unnested}", [json.dumps(column) for column in lists])
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(f"COPY kept TO '{path}' (FORMAT parquet)")
    return path


def with_column(contract: Contract, name: str, **keys: Any) -> Contract:
    changed = {**contract.columns, name: dataclasses.replace(contract.columns[name], **keys)}
    return dataclasses.replace(contract, columns=changed)


def rows_compared(tmp_path: Path, before: list[Row], after: list[Row], *contracts: Contract) -> dict[str, Any]:
    first, second = contracts or (CONTRACT, CONTRACT)
    paths = store(tmp_path / "a.parquet", before, first), store(tmp_path / "b.parquet", after, second)
    return compare_rows(connect(), (paths[0], first), (paths[1], second))


def test_rows_are_added_removed_and_changed_by_key_wherever_they_stand(tmp_path: Path) -> None:
    before = rows_of()
    after = [list(row) for row in before[3:]] + [["train", 1000, 5.0, "red", "no"]]
    after[10][2] = -1.0  # id 13
    after[11][2], after[11][3] = None, "green"  # id 14
    after.reverse()
    found = rows_compared(tmp_path, before, [tuple(row) for row in after])
    assert {fate: found[fate] for fate in ("added", "removed", "changed", "same")} == {
        "added": 1, "removed": 3, "changed": 2, "same": 295,
    }  # fmt: skip
    assert found["columns"] == {"size": 2, "colour": 1}
    assert found["first"] == {"added": ["1000"], "removed": ["0", "1", "2"], "changed": ["13", "14"]}
    assert found["moved"] == {"rows": 0, "unchanged": 0, "between": {}}


def test_rows_that_change_sides_are_counted_and_called_out_when_the_split_did_not_change(tmp_path: Path) -> None:
    before = rows_of()
    after = [("test", *before[0][1:]), ("test", before[1][1], 99.0, *before[1][3:]), *before[2:]]
    found = rows_compared(tmp_path, before, after)
    assert found["moved"] == {"rows": 2, "unchanged": 1, "between": {"train to test": 2}}
    told = said({"rows": {**found, "split_changed": False}})
    assert "**2 rows changed sides (train to test 2), 1 of them with equal values, although the split did" in told
    assert "the split changed in the contract" in said({"rows": {**found, "split_changed": True}})


def said(found: dict[str, Any]) -> str:
    start = {"tables": ["made", "made"], "notes": [], "fates": [None, None], "broken": [None, None]}
    nothing: dict[str, Any] = {"added": [], "removed": [], "columns": {}, "rest": {}}
    return "\n".join(lines({**start, "contract": nothing, **found}))


def test_a_sensitive_key_is_not_shown(tmp_path: Path) -> None:
    hidden = with_column(CONTRACT, "id", sensitive=True)
    found = rows_compared(tmp_path, rows_of(), rows_of()[1:], CONTRACT, hidden)
    assert found["first"] == "hidden"
    assert "Keys are not shown" in said({"rows": {**found, "split_changed": False}})


def test_without_a_key_equal_rows_are_one_and_the_same(tmp_path: Path) -> None:
    keyless = with_column(CONTRACT, "id", role="feature")
    before, row = rows_of(), ("train", 7, 1.0, "red", "no")
    found = rows_compared(tmp_path, [*before, row, row, row], [*before[1:], row], keyless, keyless)
    assert (found["key"], found["added"], found["removed"], found["same"]) == ([], 0, 3, 300)
    found = rows_compared(tmp_path, before, [("test", *row[1:]) for row in before], keyless, keyless)
    assert found["moved"]["unchanged"] == sum(row[0] != "test" for row in before)


def test_a_key_that_is_not_unique_is_not_used(tmp_path: Path) -> None:
    found = rows_compared(tmp_path, rows_of(), [*rows_of(), rows_of()[0]])
    assert (found["key"], found["key_not_unique"], found["added"]) == ([], ["id"], 1)
    assert "`id` is not unique in both" in said({"rows": {**found, "split_changed": False}})


def test_a_key_of_two_columns_is_one_key(tmp_path: Path) -> None:
    double = with_column(CONTRACT, "colour", role="key")
    before = [("train", i // 2, 1.0, "ab"[i % 2], "no") for i in range(10)]
    found = rows_compared(tmp_path, before, before[1:], double, double)
    assert (found["key"], found["removed"], found["first"]["removed"]) == (["id", "colour"], 1, ["0, a"])


def test_whole_numbers_that_became_numbers_are_equal_and_other_types_are_not_compared(tmp_path: Path) -> None:
    before = [("train", i, float(i), "1", "no") for i in range(20)]
    whole, words = with_column(CONTRACT, "size", type="integer"), with_column(CONTRACT, "colour", type="number")
    found = rows_compared(tmp_path, before, [(*row[:2], int(row[2]), *row[3:]) for row in before], CONTRACT, whole)
    assert (found["same"], found["not_compared"]) == (20, [])
    found = rows_compared(tmp_path, before, [(*row[:3], 1.0, row[4]) for row in before], CONTRACT, words)
    assert (found["same"], found["not_compared"]) == (20, ["colour"])
    assert "their type changed: `colour`" in said({"rows": {**found, "split_changed": False}})


def test_intervals_are_the_published_ones() -> None:
    """Newcombe 1998, Statistics in Medicine 17:873, table II, method 10: 56/70 against 48/80, 10/10 against 0/10."""
    assert newcombe((48, 56), (80, 70)) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert newcombe((0, 10), (10, 10)) == pytest.approx((0.6075, 1.0), abs=1e-4)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def made(rows: list[Row], tmp_path: Path, contract: Contract = CONTRACT, **more: Any) -> dict[str, Any]:
    return profile(connect(), parquet(store(tmp_path / "made.parquet", rows, contract)), contract, **more)


def test_a_label_rate_within_chance_is_not_called_a_change(tmp_path: Path) -> None:
    before = [("train", i, 1.0, "red", "yes" if i % 4 == 0 else "no") for i in range(400)]
    slightly = [(*row[:4], "yes") if row[1] % 50 == 1 else row for row in before]
    strongly = [(*row[:4], "yes") if row[1] % 3 == 1 else row for row in before]
    base = made(before, tmp_path)
    [whole, train] = compare_labels(base, made(slightly, tmp_path))
    assert (whole["side"], train["side"], whole["base"], whole["head"]) == ("all", "train", 0.25, 0.27)
    assert not whole["changed"]
    assert compare_labels(base, made(strongly, tmp_path))[0]["changed"]
    assert "within chance" in said({"labels": [whole]})


def test_the_mean_of_a_number_is_compared_over_all_sides(tmp_path: Path) -> None:
    columns = {**COLUMNS, "bought": Column("number", role="target")}
    contract = dataclasses.replace(CONTRACT, task="regression", positive=None, columns=columns)
    before = [("train" if i % 3 else "test", i, 1.0, "red", float(i % 7)) for i in range(700)]
    after = [(*row[:4], row[4] + 1) for row in before]
    found = compare_labels(made(before, tmp_path, contract), made(after, tmp_path, contract))
    assert [label["side"] for label in found] == ["all", "train", "test"]
    assert (found[0]["base"], found[0]["difference"]) == (pytest.approx(3), pytest.approx(1))
    deviation = (sum((i - 3) ** 2 for i in range(7)) * 100 / 699) ** 0.5
    assert found[0]["interval"][1] - 1 == pytest.approx(1.959964 * (2 * deviation**2 / 700) ** 0.5)


def test_the_column_that_shifted_comes_first_and_the_others_are_within_chance(tmp_path: Path) -> None:
    before = rows_of(2000)
    after = [(*row[:2], row[2] + 9, None if i % 20 == 0 else row[3], row[4]) for i, row in enumerate(before)]
    base = made(before, tmp_path)
    found = compare_columns(base, made(after, tmp_path, like=base))
    assert [column["column"] for column in found if column["changed"]] == ["size", "colour"]
    assert found[0]["distance"] > 0.3
    assert found[1]["missing"] == [0.0, 0.05]
    again = compare_columns(base, made(list(reversed(before)), tmp_path, like=base))
    assert not any(column["changed"] for column in again)
    assert all(column.get("distance", 0) == 0 for column in again)


def test_two_draws_of_one_population_rarely_differ(tmp_path: Path) -> None:
    source = random.Random(5)
    population = rows_of(3000)
    alarms = 0
    for _ in range(10):
        first, second = (made(source.choices(population, k=400), tmp_path) for _ in range(2))
        alarms += any(column["changed"] for column in compare_columns(first, second))
    assert alarms <= 2


def test_profiles_with_other_bins_are_compared_on_common_edges() -> None:
    first = {"edges": [0, 5, 10, 15, 20], "counts": {"train": [1, 2, 3, 4, 5, 6]}}
    second = {"edges": [-10, 0, 10, 20, 30], "counts": {"train": [1, 10, 100, 1000, 10_000, None]}}
    aligned = align(first, second)
    assert aligned
    assert [column["edges"] for column in aligned] == [[0, 10, 20]] * 2
    assert [column["counts"]["train"] for column in aligned] == [[1, 5, 9, 6], [11, 100, 1000, 10_000]]
    assert align(first, {"edges": [1, 2], "counts": {"train": [1, 2, 3]}}) is None
    named = {"values": ["a", "b"], "counts": {"train": [5, 3, 2]}}
    other = {"values": ["b", "c"], "counts": {"train": [7, 1, 0]}}
    found = align(named, other)
    assert found
    assert [column["counts"]["train"] for column in found] == [[3, 7], [7, 1]]


def test_a_contract_is_compared_key_by_key() -> None:
    before = {
        "columns": {"a": {"type": "integer", "min": 0}, "b": {"type": "text"}},
        "split": {"by": "hash", "test": 0.2},
    }
    after = {
        "columns": {"a": {"type": "number", "unit": "cm"}, "c": {}},
        "split": {"by": "hash", "test": 0.3},
        "salt": 1,
    }
    assert compare_contracts(before, after) == {
        "added": ["c"],
        "removed": ["b"],
        "columns": {"a": {"type": ["integer", "number"], "min": [0, None], "unit": [None, "cm"]}},
        "rest": {"split.test": [0.2, 0.3], "salt": [None, 1]},
    }


def test_names_cannot_break_the_table() -> None:
    contract = {"added": ["a`b|c\n# no heading"], "removed": [], "columns": {}, "rest": {}}
    assert "- added: `` a`b|c # no heading ``" in said({"contract": contract})
    broken = [{"quarantine": {"a|b": {"type": 1}}}, {}]
    assert "| `a\\|b` | type | quarantine | 1 | 0 |" in said({"fates": [{"in": 2}, {"in": 2}], "broken": broken})


def test_a_summary_without_actions_counts_as_quarantine() -> None:
    assert broken_rules({"broken": {"size": {"max": 5}}}) == {"quarantine": {"size": {"max": 5}}}
    assert broken_rules({"broken": {"null": {}, "quarantine": {"a": {"type": 1}}}})["quarantine"] == {"a": {"type": 1}}
    assert broken_rules({}) is None


# A repository with three revisions: `first`, `second` (other rows, another minimum) and `other` (another table).


def write_state(folder: Path, rows: list[Row], name: str = "made", **conf: Any) -> None:
    contract = dataclasses.replace(CONTRACT, name=name)
    columns = {key: {"type": column.type, "role": column.role} for key, column in COLUMNS.items()}
    stated = {"task": "binary", "columns": columns, "split": {"by": "hash", "test": 0.2}, **conf}
    for path in ("conf/data", "reports/prepare"):
        (folder / path).mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(f"data: {name}\n")
    (folder / f"conf/data/{name}.yaml").write_text(yaml.safe_dump(stated, sort_keys=False))
    path = store(folder / "data/prepare/kept.parquet", rows, contract)
    (folder / "data/prepare/contract.json").write_text(json.dumps(contract.to_json()))
    counts = {"in": len(rows) + 5, "kept": len(rows), "merged": 0, "quarantined": 5}
    summary = {"rows": counts, "broken": {"quarantine": {"size": {"max": 5}}, "null": {}}}
    (folder / "reports/prepare/summary.json").write_text(json.dumps(summary))
    stored = profile_bytes(profile(connect(), parquet(path), contract))
    (folder / "reports/prepare/profile.json").write_bytes(stored)


def commit(folder: Path, tag: str) -> None:
    run_in(folder, "dvc", "commit", "-q", "-f")
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", tag)
    run_in(folder, "git", "tag", tag)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    run_in(folder, "git", "init", "-q", "-b", "main")
    run_in(folder, "dvc", "init", "-q")
    (folder / "dvc.yaml").write_text(
        "stages:\n  prepare:\n    cmd: 'true'\n    outs: [data/prepare: {persist: true}]\n"
    )
    (folder / "data").mkdir()
    (folder / "data/.gitignore").write_text("/prepare\n")
    run_in(folder, "git", "commit", "-qm", "Nothing", "--allow-empty")
    run_in(folder, "git", "tag", "empty")
    write_state(folder, rows_of(2000))
    commit(folder, "first")
    run_in(folder, "git", "checkout", "-qb", "change")
    after = [(*row[:2], row[2] + 9, *row[3:]) for row in rows_of(2000)[5:]]
    write_state(folder, after, limits={"quarantine": 0.5})
    commit(folder, "second")
    run_in(folder, "git", "checkout", "-qb", "elsewhere", "first")
    run_in(folder, "dvc", "checkout", "-q")
    write_state(folder, rows_of(500), name="another")
    commit(folder, "other")
    run_in(folder, "git", "checkout", "-q", "change")
    run_in(folder, "dvc", "checkout", "-q")
    return folder


def diff(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run_in(folder, sys.executable, "-m", "tools.diff", *arguments, check=check, PYTHONPATH=str(ROOT))


@pytest.mark.slow
def test_a_branch_is_compared_with_where_it_left_main(repository: Path) -> None:
    told = diff(repository).stdout
    assert "to the workspace" in told.splitlines()[0]
    assert "- `limits.quarantine`: nothing -> `0.5`" in told
    assert "| kept | 2,000 | 1,995 |" in told
    assert "0 added, 5 removed, 1,995 changed, 0 same." in told
    assert "| `size` | 1,995 |" in told
    assert "No row changed sides." in told
    assert "1 of 4 columns differ" in told
    assert "| `size` | 0." in told
    assert "within chance" in told


@pytest.mark.slow
def test_two_commits_are_compared_from_the_cache_whatever_lies_here(repository: Path) -> None:
    found = json.loads(diff(repository, "second", "first", "--json").stdout)
    assert found["data"]["rows"]["added"] == 5
    assert found["data"]["notes"] == []
    assert [column["column"] for column in found["data"]["columns"] if column["changed"]] == ["size"]
    same = json.loads(diff(repository, "second", "--json").stdout)["data"]
    assert same["rows"]["same"] == 1995
    assert not any(column["changed"] or column.get("distance") for column in same["columns"])


@pytest.mark.slow
def test_two_different_tables_are_said_to_be(repository: Path) -> None:
    told = diff(repository, "first", "other").stdout
    assert "Table: `made` -> `another`." in told
    assert "Two different tables" in told
    assert "### Rows kept" not in told
    assert "### Shift of columns" in told


@pytest.mark.slow
def test_without_cache_or_remote_the_reports_stand_in(repository: Path, tmp_path: Path) -> None:
    run_in(tmp_path, "git", "clone", "-q", str(repository), "clone")
    folder = tmp_path / "clone"
    told = diff(folder, "first", "second").stdout
    assert told.count("reports/prepare/profile.json stands in for them") == 2
    assert "### Rows kept" not in told
    assert "| kept | 2,000 | 1,995 |" in told
    assert "| `size` | 0." in told
    assert "### Label rate" in told
    assert not (folder / "data/prepare").exists()


@pytest.mark.slow
def test_one_revision_without_data_is_compared_with_the_rows_of_the_other(repository: Path, tmp_path: Path) -> None:
    run_in(tmp_path, "git", "clone", "-q", "-b", "change", str(repository), "clone")
    shutil.copytree(repository / "data/prepare", tmp_path / "clone/data/prepare")
    told = diff(tmp_path / "clone", "first").stdout
    assert told.count("stands in for them") == 1
    assert "| `size` | 0." in told


@pytest.mark.slow
def test_data_on_a_remote_are_fetched_for_the_comparison_alone(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository, tmp_path / "pushing", symlinks=True)
    pushing = tmp_path / "pushing"
    run_in(pushing, "dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    for tag in ("first", "second"):  # each by itself: at these commits there was no remote yet
        run_in(pushing, "git", "checkout", "-q", tag)
        run_in(pushing, "dvc", "push", "-q")
    shutil.copytree(pushing / ".dvc", tmp_path / "bare", ignore=shutil.ignore_patterns("cache", "tmp"))
    run_in(tmp_path, "git", "clone", "-q", str(repository), "clone")
    shutil.copytree(tmp_path / "bare", tmp_path / "clone/.dvc", dirs_exist_ok=True)
    found = json.loads(diff(tmp_path / "clone", "first", "second", "--json").stdout)["data"]
    assert (found["notes"], found["rows"]["removed"]) == ([], 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frist"], "diff: 'frist': no such commit, branch or tag; did you mean 'first'?\n"),
        (["first", "--", "-x"], "diff: '-x': no such commit, branch or tag\n"),
        (["empty"], "diff: empty ("),
    ],
)
def test_a_wrong_revision_is_one_line(repository: Path, arguments: list[str], message: str) -> None:
    done = diff(repository, *arguments, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_no_pipeline_at_a_revision_is_said(repository: Path) -> None:
    assert "no pipeline there: it has no dvc.yaml or no params.yaml" in diff(repository, "empty", check=False).stderr


def test_outside_a_repository_and_without_main_it_says_what_to_do(tmp_path: Path) -> None:
    assert diff(tmp_path, check=False).stderr == "diff: this folder is not in a Git repository\n"
    run_in(tmp_path, "git", "init", "-q", "-b", "trunk")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    run_in(tmp_path, "git", "add", "-A")
    assert diff(tmp_path, check=False).stderr == "diff: 'HEAD': no such commit, branch or tag\n"
    run_in(tmp_path, "git", "commit", "-qm", "One")
    expected = "diff: no branch main to compare with; name a base: python -m tools.diff BASE\n"
    assert diff(tmp_path, check=False).stderr == expected


@pytest.mark.slow
def test_after_prepare_the_difference_of_an_edited_source_is_shown(copy: Path) -> None:
    from conftest import toy_rows, write_toy

    rows = toy_rows()
    write_toy(copy, rows)
    run_in(copy, "sed", "-i", "s/^data: .*/data: toy/", "params.yaml")
    run_in(copy, "dvc", "repro", "-q", "prepare")
    assert (copy / "reports/prepare/profile.html").read_text().startswith("<!DOCTYPE html>")
    assert json.loads((copy / "reports/prepare/profile.json").read_text())["rows"]["train"] > 100
    run_in(copy, "git", "add", "-A")
    run_in(copy, "git", "commit", "-qm", "Toy")
    rows[10][3], rows[11][2] = "green", "huge"
    write_toy(copy, [*rows, ["9999", "2024-01-01", "3", "red", "", "no"]])
    run_in(copy, "dvc", "repro", "-q", "prepare")
    told = run_in(copy, sys.executable, "-m", "tools.diff", "HEAD").stdout
    assert "1 added, 1 removed, 1 changed, 398 same." in told
    assert "| quarantined | 0 | 1 |" in told
    assert "| `size` | type | quarantine | 0 | 1 |" in told
