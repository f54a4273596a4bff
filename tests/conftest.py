"""Fixtures: a copy of the repository to run real commands in, and the environment they run with."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as stages/train.py says: two processes of tests share two cores


def environment(**extra: str) -> dict[str, str]:
    """The environment of a user who activated the virtual environment, and who is known to Git."""
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **who, "PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1", **extra}


def run_in(folder: Path, *command: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; on an unexpected failure show all it printed. `extra` are environment variables."""
    done = subprocess.run(command, cwd=folder, env=environment(**extra), text=True, capture_output=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


# Linux counts what the parent held at the fork into a child's peak; VmHWM begins anew with the program.
PEAK = """
import atexit, re, runpy, sys
from pathlib import Path
peak, module = sys.argv[1:3]
sys.argv = [module, *sys.argv[3:]]
status = Path("/proc/self/status")
atexit.register(lambda: Path(peak).write_text(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]))
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def run_measured(folder: Path, module: str, *arguments: str, **extra: str) -> tuple[str, float]:
    """Run `python -m module` in a folder with our code; return what it printed and its peak memory in MB."""
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc: peak memory is read on Linux only")
    peak = folder / "peak"
    command = (sys.executable, "-c", PEAK, str(peak), module, *arguments)
    done = run_in(folder, *command, PYTHONPATH=str(ROOT), **extra)
    return done.stdout, int(peak.read_text()) / 1024


def clone(folder: Path) -> Path:
    """A Git repository of this working tree's files (tracked, or new and not ignored), committed, no DVC cache."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run_in(folder, "git", "init", "-q", "-b", "main")
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", "Copy")
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A fresh clone of the repository as it stands."""
    folder = tmp_path / "copy"
    folder.mkdir()
    return clone(folder)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder as `make` fills it. Of the processes of a run the first makes it; each gets a copy of its own."""
    base = factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / f"{name}.once"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "made").exists():
            shutil.rmtree(shared, ignore_errors=True)
            (shared / name).mkdir(parents=True)
            make(shared / name)
            (shared / "made").touch()
    return shutil.copytree(shared / name, factory.mktemp(name) / name)


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `dvc repro` of the default table has run. Shared by tests: copy it before changing anything."""

    def make(folder: Path) -> None:
        clone(folder)
        run_in(folder, "dvc", "repro")
        run_in(folder, "git", "add", "-A")
        run_in(folder, "git", "commit", "-qm", "Reproduce", "--allow-empty")

    return made_once(tmp_path_factory, "reproduced", make)


TOY = """# A small made table.
task: binary
positive: "yes"
source:
  path: data/raw/toy/toy.csv
columns:
  id: {type: integer, role: key, nullable: false, unique: true}
  day: {type: date, role: time}
  size: {type: number, min: 0, max: 100}
  colour: {type: category, values: [red, green, blue]}
  note: {type: text}
  bought: {type: category, role: target, values: ["no", "yes"]}
split: {by: time, validation: "2024-07-01", test: "2024-09-01"}
limits: {quarantine: 0.05}
"""


def toy_rows(n_rows: int = 400) -> list[list[str]]:
    """Rows of the toy table, header first: big and red ones are bought."""
    rows = [["id", "day", "size", "colour", "note", "bought"]]
    for i in range(n_rows):
        size, colour = i * 37 % 101, ("red", "green", "blue")[i % 3]
        bought = "yes" if size + 30 * (colour == "red") + i * 13 % 29 > 75 else "no"
        day = f"2024-{i * 12 // n_rows + 1:02d}-{i % 28 + 1:02d}"
        rows.append([str(i), day, str(size), colour, "a " * (i % 4), bought])
    return rows


def write_toy(folder: Path, rows: list[list[str]]) -> None:
    """Put the toy table and its contract into a workspace."""
    (folder / "data/raw/toy").mkdir(parents=True, exist_ok=True)
    (folder / "data/raw/toy/toy.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    (folder / "conf/data/toy.yaml").write_text(TOY)


def make_workspace(folder: Path) -> Path:
    """A folder with this repository's conf/, lock and the toy table, in which stages run without Git or DVC."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copy2(ROOT / "requirements.txt", folder)
    write_toy(folder, toy_rows())
    return folder


def run_stage(folder: Path, stage: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one stage in a workspace with this repository's code."""
    return run_in(folder, sys.executable, "-m", f"stages.{stage}", *arguments, check=check, PYTHONPATH=str(ROOT))


PIPELINE = {
    "prepare": ["data=toy"],
    "featurize": ["features=standard"],
    "train": ["model=boosting", "seed=1"],
    "evaluate": ["evaluation=quick", "seed=1"],
    "package": ["packaging=standard"],
    "report": [],
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with the toy table and nothing run yet."""
    return make_workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages ran on the toy table. Shared: copy it before changing what it says."""

    def make(folder: Path) -> None:
        make_workspace(folder)
        for stage, arguments in PIPELINE.items():
            run_stage(folder, stage, *arguments)

    return made_once(tmp_path_factory, "small", make)
