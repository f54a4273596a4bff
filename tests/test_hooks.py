"""The pre-commit hooks are local, pass on the tree as it is, and stop what they should."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, run_in

pytestmark = pytest.mark.slow


def hooks() -> list[str]:
    [repo] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    return [hook["id"] for hook in repo["hooks"]]


def test_every_hook_passes_and_a_forgotten_dep_is_stopped(copy: Path) -> None:
    (copy / ".venv").symlink_to(ROOT / ".venv")
    if (ROOT / ".mypy_cache").is_dir():  # where `make lint` ran, mypy takes what has the same content as checked
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    run_in(copy, "git", "add", "-A")
    assert hooks() == ["ruff-check", "ruff-format", "mypy", "consistency"]
    done = run_in(copy, "pre-commit", "run", "--all-files")
    assert done.stdout.count("Passed") == 4
    path = copy / "dvc.yaml"
    path.write_text(path.read_text().replace("      - stages/shared/metrics.py\n", "", 1))
    run_in(copy, "git", "add", "dvc.yaml")
    done = run_in(copy, "pre-commit", "run", "consistency", "--files", "dvc.yaml", check=False)
    assert done.returncode != 0
    assert "test_code_deps_are_exactly_the_import_closure" in done.stdout
