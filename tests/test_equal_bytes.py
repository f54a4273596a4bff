"""Equal inputs, equal bytes: one commit, reproduced at two paths and in two environments, gives one lock."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TOY, make_workspace, run_in

from stages.shared.lineage import dvc_hash

pytestmark = pytest.mark.slow

# What may differ between two people's machines: number of threads, order of sets, time zone.
ELSEWHERE = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1", "PYTHONHASHSEED": "4321", "TZ": "Asia/Kolkata"}
AT_HOME = {"OMP_NUM_THREADS": "2", "LOKY_MAX_CPU_COUNT": "2", "PYTHONHASHSEED": "1234", "TZ": "UTC"}


def clone_of(first: Path, folder: Path) -> Path:
    """Return a Git clone of another one's commit, without the lock and the reports that the commit may hold."""
    run_in(first, "git", "clone", "-q", str(first), str(folder))
    (folder / "dvc.lock").unlink(missing_ok=True)
    for reports in (folder / "reports").glob("*/"):
        shutil.rmtree(reports)
    return folder


def choose(params: Path, group: str, choice: str) -> None:
    text, count = re.subn(rf"^{group}: \S+", f"{group}: {choice}", params.read_text(), flags=re.MULTILINE)
    assert count == 1, f"params.yaml has {count} lines for {group}"
    params.write_text(text)


def check_equal(one: Path, other: Path) -> None:
    """Name every report that differs before comparing the locks, which hold the hash of all else."""
    reports = [contents(folder / "reports") for folder in (one, other)]
    assert "evaluate/metrics.json" in reports[0]
    assert sorted(reports[0]) == sorted(reports[1])
    assert [name for name in reports[0] if reports[0][name] != reports[1][name]] == []
    assert lock_of(one) == lock_of(other)


def lock_of(folder: Path) -> str:
    return (folder / "dvc.lock").read_text()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_clones_of_one_commit_give_equal_bytes(reproduced: Path, tmp_path: Path):
    other = clone_of(reproduced, tmp_path / "some where/else")
    run_in(other, "dvc", "repro", **ELSEWHERE)
    check_equal(reproduced, other)


@pytest.mark.parametrize("model", ["linear", "forest"])
def test_equal_bytes_with_another_table_and_model(copy: Path, tmp_path: Path, model: str):
    choose(copy / "params.yaml", "data", "jobs")
    choose(copy / "params.yaml", "model", model)
    if model == "forest":
        choose(copy / "conf/model/forest.yaml", "  n_estimators", "40")  # bytes of 200 say no more than of 40
    run_in(copy, "git", "commit", "-qam", "Choose")
    one, other = clone_of(copy, tmp_path / "one"), clone_of(copy, tmp_path / "some where/else")
    run_in(one, "dvc", "repro", **AT_HOME)
    run_in(other, "dvc", "repro", **ELSEWHERE)
    check_equal(one, other)
    assert {"conf/data/jobs.yaml", f"conf/model/{model}.yaml"} <= set(re.findall(r"conf/\w+/\w+\.yaml", lock_of(one)))


@pytest.mark.parametrize("threads", [1, 4])
def test_the_number_of_duckdbs_threads_changes_no_byte(reproduced: Path, tmp_path: Path, threads: int):
    """Set in the clone's code, since nothing in the environment sets it."""
    other = clone_of(reproduced, tmp_path / "other")
    path = other / "stages/shared/tables.py"
    before = "SET enable_progress_bar = false"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, f"{before}; SET threads = {threads}"))
    run_in(other, "dvc", "repro")
    assert contents(other / "reports") == contents(reproduced / "reports")
    for stage in ("prepare", "featurize", "train", "evaluate", "package"):
        assert dvc_hash(other / "data" / stage) == dvc_hash(reproduced / "data" / stage), stage


SHARED = """
import sys
from stages import prepare
from stages.shared import tables
connect = tables.connect
def with_threads(folder=None):
    connection = connect(folder)
    connection.execute("SET threads = {threads}")
    return connection
prepare.connect, prepare.LARGE = with_threads, {large}
sys.argv = ["prepare", "data=toy"]
prepare.run("prepare", prepare.main)
"""


def write_faulty_table(path: Path, n_rows: int = 300_000) -> None:
    """Write the toy table with lines that cannot be read, copies, keys that stand twice and values to make missing."""
    rng = random.Random(11)
    with path.open("w", encoding="utf-8") as out:
        out.write("id,day,size,colour,note,bought\n")
        for i in range(n_rows):
            size, colour, fate = rng.randint(0, 100), rng.choice(["red", "green", "blue"]), rng.random()
            bought = "yes" if size + rng.randint(-60, 60) > 50 else "no"
            row = f"{i},2024-{i * 12 // n_rows + 1:02d}-{i % 28 + 1:02d},{size},{colour},a {i % 977},{bought}"
            if fate < 0.005:
                row = rng.choice(["too,few", row + ",more", row.replace("a ", '"a" b '), ""])
            elif fate < 0.01:
                row = f"{row}\n{row}"
            elif fate < 0.015:
                row = row.replace(f"{i},", f"{max(0, i - 5)},", 1)
            elif fate < 0.03:
                row = row.replace(f",{size},", rng.choice([",huge,", ",,", ",101,"]))
            elif fate < 0.04:
                row = row.replace(f"a {i % 977}", f'"two\nlines ""{i}"""')
            elif fate < 0.045:
                row = row.replace(colour, "mauve")
            out.write(row + "\n")


def test_neither_threads_nor_work_on_disk_change_a_byte_of_a_large_faulty_table(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "workspace")
    write_faulty_table(folder / "data/raw/toy/toy.csv")
    contract = TOY.replace("max: 100}", 'max: 100, on_violation: "null"}')
    (folder / "conf/data/toy.yaml").write_text(contract)
    found = []
    for threads, large in ((1, 10**12), (2, 10**12), (4, 10**12), (1, 0), (4, 0)):
        run_in(folder, sys.executable, "-c", SHARED.format(threads=threads, large=large), PYTHONPATH=str(ROOT))
        found.append({**contents(folder / "data/prepare"), **contents(folder / "reports/prepare")})
    rows = json.loads(found[0]["summary.json"])["rows"]
    assert min(rows["merged"], rows["quarantined"]) > 1000
    assert set(found[0]) > {"kept.parquet", "quarantine.parquet", "summary.json", "profile.json", "profile.html"}
    for other in found[1:]:
        assert [name for name in other if other[name] != found[0][name]] == []
