"""README is true: its commands exist, its map is the repository, its numbers are the reports'."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import yaml
from conftest import ROOT

README = (ROOT / "README.md").read_text()
MAP = re.search(r"## Map\n\n```\n(.*?)```", README, re.DOTALL)
assert MAP is not None
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.split()


def mapped() -> set[str]:
    """Return the paths that the map names, whole."""
    assert MAP is not None
    found, parents = set(), [""]
    for line in MAP.group(1).splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = line.split() if line.startswith("Makefile") else line.split()[:1]
        for name in names:
            parents = [*parents[: depth + 1], "".join(parents[depth : depth + 1]) + name]
            found.add("".join(parents[depth : depth + 1]) + name)
    return found


def test_the_map_names_only_what_is_there() -> None:
    assert [path for path in sorted(mapped()) if not (ROOT / path).exists()] == []


def test_the_map_names_every_module_stage_and_top_level_file() -> None:
    modules = {path for path in TRACKED if path.startswith(("stages/", "tools/")) and not path.endswith("__init__.py")}
    ignored = {".gitignore", ".dvcignore", "README.md", "dvc.lock"}
    top = {path for path in TRACKED if "/" not in path} - ignored
    assert (modules | top) - mapped() == set()


def test_stage_names_are_in_running_order() -> None:
    assert " -> ".join(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]) in README


def test_make_targets_and_modules_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)", README)) <= targets
    for module in re.findall(r"python -m ((?:stages|tools|tests)\.[a-z_.]+)", README):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_every_choice_of_conf_is_on_the_map() -> None:
    assert MAP is not None
    for group in ("data", "features", "model", "evaluation", "packaging"):
        [line] = [line for line in MAP.group(1).splitlines() if line.startswith(f"  {group}/")]
        for file in (ROOT / "conf" / group).glob("*.yaml"):
            assert file.stem in line


def test_overrides_in_commands_name_real_keys() -> None:
    for path, keys in re.findall(r"-S '?(conf/[a-z_/]+\.yaml):([a-z_.]+)=", README):
        value = yaml.safe_load((ROOT / path).read_text())
        for key in keys.split("."):
            value = value[key]
    for group, choice in re.findall(r"-S ([a-z]+)=([a-z]+)", README):
        if choice not in ("forrest", "shop"):  # a typo, and the table that the reader has
            assert (ROOT / "conf" / group / f"{choice}.yaml").is_file()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_numbers_of_the_default_table_are_the_reports() -> None:
    intervals = json.loads((ROOT / "reports/evaluate/intervals.json").read_text())
    row, against = intervals["metrics"]["roc_auc"], intervals["minus_linear"]["roc_auc"]
    [line] = [line for line in README.splitlines() if line.startswith("| [rides]")]
    assert f"| {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}] |" in line
    assert f"{against['value']:+.3f} [{against['low']:+.3f}, {against['high']:+.3f}] {against['verdict']}" in line
    assert f"roc_auc {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]" in README
    size = json.loads((ROOT / "reports/package/summary.json").read_text())["wheel_bytes"]
    assert f"-py3-none-any.whl  {size} bytes" in README


@pytest.mark.parametrize("name", ["rides", "survival", "loans", "houses", "jobs"])
def test_each_demo_table_is_small_and_has_a_page(name: str) -> None:
    page = (ROOT / f"data/raw/{name}.md").read_text()
    assert (ROOT / f"data/raw/{name}/{name}.csv.gz").stat().st_size <= 1_000_000
    assert all(word in page for word in ("**Source**", "**Licence**", "**Made by**"))
    columns = yaml.safe_load((ROOT / f"conf/data/{name}.yaml").read_text())["columns"]
    assert [column for column in columns if f"`{column}`" not in page] == []
