"""Fixtures: a copy of the repository to run real commands in, and the environment they run with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]


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


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `dvc repro` of the default table has run. Shared by tests: copy it before changing anything."""
    folder = clone(tmp_path_factory.mktemp("reproduced"))
    run_in(folder, "dvc", "repro")
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "commit", "-qm", "Reproduce", "--allow-empty")
    return folder
