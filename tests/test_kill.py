"""kill -9 at any moment leaves each stage's outputs whole, old or new, and the next `dvc repro` completes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, environment, make_workspace, run_in, run_stage

from stages.shared.lineage import dvc_hash

pytestmark = pytest.mark.slow

# An edit for each stage that changes its outputs, so that old and new can be told apart.
EDITS = {
    "prepare": ("conf/data/rides.yaml", 'validation: "2013-08-15"', 'validation: "2013-08-01"'),
    "featurize": ("conf/features/standard.yaml", "min_rows: 10", "min_rows: 11"),
    "train": ("conf/model/boosting.yaml", "num_leaves: 15", "num_leaves: 14"),
    "evaluate": ("conf/evaluation/standard.yaml", "plot_points: 200", "plot_points: 199"),
    "package": ("conf/packaging/standard.yaml", "version: 0.1.0", "version: 0.1.1"),
}
N_KILLS = 6


def outputs(folder: Path, stage: str) -> tuple[str, str]:
    return dvc_hash(folder / "data" / stage), dvc_hash(folder / "reports" / stage)


def kill_after(folder: Path, command: list[str], seconds: float) -> bool:
    """Start a command in a process group of its own, kill all of it after a while; say whether it was still running."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def kill_while_writing(folder: Path, stage: str, command: list[str]) -> bool:
    """Start a stage and kill it as soon as it begins to fill its hidden folder; say whether it was caught there."""
    draft = folder / f"data/.{stage}.new"
    shutil.rmtree(draft, ignore_errors=True)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        if draft.is_dir():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return draft.is_dir()
        time.sleep(0.0005)
    return False


@pytest.mark.parametrize("stage", EDITS)
def test_a_killed_stage_leaves_whole_outputs_and_the_next_repro_completes(
    stage: str, reproduced: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "clone"
    shutil.copytree(reproduced, folder)
    old = outputs(folder, stage)
    name, before, after = EDITS[stage]
    path = folder / name
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    choices = yaml.safe_load((folder / "params.yaml").read_text())
    command = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"][stage]["cmd"]
    for choice, value in choices.items():
        command = command.replace(f"${{{choice}}}", str(value))

    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    started = time.monotonic()
    run_in(whole, *command.split())
    seconds = time.monotonic() - started
    new = outputs(whole, stage)
    assert new != old, "the edit must show in the outputs"

    for part in range(1, N_KILLS + 1):
        kill_after(folder, command.split(), seconds * part / N_KILLS)
        found = outputs(folder, stage)
        assert found[0] in (old[0], new[0])
        assert found[1] in (old[1], new[1])
    assert kill_while_writing(folder, stage, command.split()), "the kill must hit a stage that is writing"
    found = outputs(folder, stage)
    assert found[0] in (old[0], new[0])
    assert found[1] in (old[1], new[1])

    run_in(folder, "dvc", "repro")
    assert outputs(folder, stage) == new
    assert not list((folder / "data").glob(".*.new"))
    assert "up to date" in run_in(folder, "dvc", "status").stdout


def test_dvc_repro_itself_can_be_killed(reproduced: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    shutil.copytree(reproduced, folder)
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace("seed: 7", "seed: 8"))
    killed = sum(kill_after(folder, ["dvc", "repro"], seconds) for seconds in (1.5, 2.5, 3.5))
    assert killed >= 1, "the kills must hit a running pipeline"
    for stage in EDITS:
        assert (folder / "data" / stage).is_dir()
    finish(folder)
    assert "up to date" in run_in(folder, "dvc", "status").stdout


def finish(folder: Path) -> None:
    """Run `dvc repro` as README says after a kill: DVC writes its own lock in place and may have left half of it."""
    first = run_in(folder, "dvc", "repro", check=False)
    if first.returncode != 0:
        assert "rwlock" in first.stderr, first.stderr
        (folder / ".dvc/tmp/rwlock").unlink()
        run_in(folder, "dvc", "repro")


def test_a_kill_while_a_large_file_is_unpacked_and_read_leaves_no_scratch_behind(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "workspace")
    run_stage(folder, "prepare", "data=toy")
    old = outputs(folder, "prepare")
    header, *rows = (folder / "data/raw/toy/toy.csv").read_text().splitlines(keepends=True)
    with (folder / "data/raw/toy/toy.csv").open("w") as out:
        out.write(header)
        for number in range(2_000_000):
            row = rows[number % len(rows)]
            out.write(f"{number + 10}{row[row.index(',') :]}")
    conf = folder / "conf/data/toy.yaml"
    small_conf, scratch = conf.read_text(), folder / "data/.prepare.scratch"
    conf.write_text(small_conf.replace("toy.csv", "toy.csv\n  encoding: latin-1"))  # unpacked into the scratch folder
    command = [sys.executable, "-m", "stages.prepare", "data=toy"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not any(scratch.glob("*")):
        time.sleep(0.001)
    assert process.poll() is None, "the kill must hit a stage that is reading"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert any(scratch.iterdir())
    assert outputs(folder, "prepare") == old

    conf.write_text(small_conf)
    (folder / "data/raw/toy/toy.csv").write_text("".join([header, *rows]))
    run_stage(folder, "prepare", "data=toy")
    assert outputs(folder, "prepare") == old
    assert not list((folder / "data").glob(".*"))
