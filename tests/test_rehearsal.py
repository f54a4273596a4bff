"""The operator's day, as README says it, from a bare repository: release, promote, roll back, fetch; real models."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, clone, run_in, toy_rows, write_toy

from tools.promote.evidence import read

pytestmark = pytest.mark.slow

SECTION = (ROOT / "README.md").read_text().partition("### Release\n")[2].partition("\n### ")[0].partition("\n## ")[0]
ASK = "import sys; sys.path.insert(0, sys.argv.pop(1)); from toy_model.runtime.cli import main; main()"


@dataclass
class Day:
    """The clone of who makes models, that of who operates them, and the bare repository between."""

    work: Path
    operator: Path
    hub: Path


def commands(word: str) -> list[str]:
    """Return the lines of README's block that begins with a comment, for the toy table."""
    [block] = [found for found in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL) if found.startswith(f"# {word}")]
    lines = [line.partition("   #")[0].strip() for line in block.splitlines()]
    return [line.replace("rides", "toy") for line in lines if line and not line.startswith("#")]


def say(folder: Path, word: str, **replaced: str) -> list[str]:
    """Run a block of README; return what each line printed."""
    lines = commands(word)
    for old, new in replaced.items():
        lines = [line.replace(old, new) for line in lines]
    return [run_in(folder, "bash", "-c", line).stdout for line in lines]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """v0.1.0, a boosting model, is in prod; its maker has a linear one, 0.2.0, not committed yet."""
    folder = tmp_path_factory.mktemp("day")
    (folder / "work").mkdir()
    work, hub = clone(folder / "work"), folder / "hub.git"
    write_toy(work, toy_rows())
    run_in(work, "sed", "-i", "s/^data: rides/data: toy/", "params.yaml")
    run_in(work, "dvc", "remote", "add", "-d", "store", str(folder / "store"))
    run_in(folder, "git", "init", "-q", "--bare", "-b", "main", "hub.git")
    run_in(work, "git", "remote", "add", "origin", str(hub))
    run_in(work, "git", "push", "-qu", "origin", "main")
    first = [line.replace("0.2.0", "0.1.0").replace("#3", "#1") for line in commands("release")]
    for line in [*first, "python -m tools.promote prod", "git push -q origin toy#prod#2"]:
        run_in(work, "bash", "-c", line)
    run_in(folder, "git", "clone", "-q", str(hub), "operator")
    run_in(work, "sed", "-i", "s/^model: boosting/model: linear/", "params.yaml")
    run_in(work, "sed", "-i", "s/^version: 0.1.0/version: 0.2.0/", "conf/packaging/standard.yaml")
    return Day(work, folder / "operator", hub)


def fetched(day: Day, folder: Path) -> Path:
    """Return the wheel that is in prod, as one gets it who has no clone, unpacked beside it."""
    folder.mkdir()
    [line] = [line for line in commands("fetch") if line.startswith("dvc artifacts get")]
    run_in(folder, "bash", "-c", line.replace("REPOSITORY", str(day.hub)))
    [wheel] = folder.glob("*/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return wheel


def answers(wheel: Path) -> str:
    """Return what a model says of all rows, after it has replayed its own examples."""
    header, *rows = toy_rows()
    installed = wheel.parent.parent / "installed"
    records = "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)
    (installed / "rows.jsonl").write_text(records)
    command = f"'{sys.executable}' -I -c '{ASK}' '{installed}'"
    assert "example records answered exactly as packaged" in run_in(installed, "bash", "-c", f"{command} verify").stdout
    return run_in(installed, "bash", "-c", f"{command} predict < rows.jsonl").stdout


def sha256(wheel: Path) -> str:
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_the_day_of_an_operator(day: Day, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fetched(day, tmp_path / "before")
    answered = answers(before)
    assert len(answered.splitlines()) == 400

    *_, promoted, _ = say(day.work, "release")
    assert promoted.endswith("next: git push origin toy@v0.2.0 toy#staging#3\n")
    run_in(day.operator, "git", "pull", "-q", "--tags")
    promoted, _ = say(day.operator, "promote")
    assert "promote: toy v0.2.0 is in prod, after v0.1.0" in promoted
    other = fetched(day, tmp_path / "other")
    assert answers(other) != answered

    assert not (day.operator / ".dvc/cache").exists() or not any((day.operator / ".dvc/cache").rglob(sha256(before)))
    back, _ = say(day.operator, "roll back")
    assert "promote: toy v0.1.0 is back in prod, after v0.2.0" in back
    after = fetched(day, tmp_path / "after")
    assert (after.name, sha256(after)) == (before.name, sha256(before))
    assert answers(after) == answered

    monkeypatch.chdir(day.operator)
    told = read("toy#prod#5")
    assert (told["wheel"]["sha256"], told["rollback"], told["before"]) == (sha256(before), True, "v0.2.0")
    status, shown, gto = say(day.operator, "look")
    assert re.search(r"^  prod +v0\.1\.0 ", status, re.MULTILINE)
    assert "next:" not in status
    assert yaml.safe_load(shown) == told
    assert re.search(r"v0\.1\.0 .* prod ", gto)


def test_ci_accepts_the_tag_and_the_wheel_installs(day: Day) -> None:
    """What release.yml runs before the image, on a fresh clone of the tag."""
    checkout = day.hub.parent / "checkout"
    run_in(day.hub.parent, "git", "clone", "-q", str(day.hub), "checkout")
    run_in(checkout, "git", "checkout", "-q", "toy@v0.1.0")
    make = ("make", "-s", "-o", ".venv/installed", f"PYTHON={sys.executable}")
    for target in ("ci-pull", "ci-repro"):
        run_in(checkout, *make, target)
    assert " as toy@v0.1.0 says" in run_in(checkout, *make, "release-check", TAG="toy@v0.1.0").stdout
    assert "example records answered exactly as packaged" in run_in(checkout, *make, "release-verify").stdout
    done = run_in(checkout, *make, "release-check", check=False, TAG="toy@v0.9.0")
    assert "promote: no tag 'toy@v0.9.0' here: git fetch origin --tags" in done.stderr
    assert run_in(checkout, "git", "status", "--porcelain").stdout == ""
