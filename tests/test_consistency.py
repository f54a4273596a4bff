"""What the repository says of itself is true: deps, params, imports, configuration files, locks."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from closure import ROOT, import_closure, imports
from conftest import environment

from stages.featurize import FeaturesConf
from stages.package import PackagingConf
from stages.prepare import check_columns
from stages.shared.config import compose
from stages.shared.evaluation.declared import EvaluationConf
from stages.shared.table.reader import open_table
from stages.shared.table.schema import DataConf, make_contract
from stages.train import ModelConf

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = list(DVC["stages"])
SCHEMAS = {
    "data": DataConf,
    "features": FeaturesConf,
    "model": ModelConf,
    "evaluation": EvaluationConf,
    "packaging": PackagingConf,
}
CHOICES = [(group, file.stem) for group in SCHEMAS for file in sorted((ROOT / "conf" / group).glob("*.yaml"))]
SOURCES = sorted(file.relative_to(ROOT) for folder in ("stages", "tools") for file in (ROOT / folder).rglob("*.py"))
DATA_DEPS = ("data/", "reports/", "requirements.txt")


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_are_exactly_the_import_closure(stage: str) -> None:
    declared = {dep for dep in DVC["stages"][stage]["deps"] if not dep.startswith(DATA_DEPS)}
    needed = {path.as_posix() for path in import_closure(Path(f"stages/{stage}.py"))}
    if stage == "package":  # it copies all of the runtime into the wheel
        needed |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "stages/runtime").rglob("[!_]*.py")}
    assert declared == needed


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_depends_on_the_lock(stage: str) -> None:
    assert "requirements.txt" in DVC["stages"][stage]["deps"]


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_read_are_the_parameters_declared(stage: str) -> None:
    if stage == "report":  # it lays out what others found
        assert (DVC["stages"][stage].get("params"), DVC["stages"][stage]["cmd"]) == (None, "python -m stages.report")
        return
    group, takes_seed = composed(stage)
    files = [next(iter(item)) if isinstance(item, dict) else item for item in DVC["stages"][stage]["params"]]
    assert files == [f"conf/{group}/${{{group}}}.yaml", *(["seed"] if takes_seed else [])]
    seed = " seed=${seed}" if takes_seed else ""
    assert DVC["stages"][stage]["cmd"] == f"python -m stages.{stage} {group}=${{{group}}}{seed}"


def composed(stage: str) -> tuple[str, bool]:
    """Return (the group that the stage composes, whether it keeps the seed)."""
    tree = ast.parse((ROOT / f"stages/{stage}.py").read_text())
    [found] = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") == "compose"
    ]
    call, [names] = found.value, found.targets
    assert isinstance(call, ast.Call)
    assert isinstance(names, ast.Tuple)
    assert isinstance(call.args[0], ast.Constant)
    return str(call.args[0].value), getattr(names.elts[2], "id", "") == "seed"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_only_files_it_depends_on(stage: str) -> None:
    """Every data/STAGE or reports/STAGE path in the import closure, but the stage's own, is among its deps."""
    texts = [(ROOT / path).read_text() for path in import_closure(Path(f"stages/{stage}.py"))]
    read = {found for text in texts for found in re.findall(r'Path\("((?:data|reports)/[a-z]+)', text)}
    deps = DVC["stages"][stage]["deps"]
    others = {path for path in read if not path.endswith((f"/{stage}", "/raw", "/live"))}  # live metrics are written
    assert all(any(dep.startswith(path) for dep in deps) for path in others), others


def layer(path: Path) -> str:
    """Return the layer that a file of ours belongs to; folders within tools and stages/shared only sort its parts."""
    return "tools" if path.parts[0] == "tools" else "/".join(path.parent.parts[:2])


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_run_one_way(path: Path) -> None:
    allowed = {
        "stages/runtime": {"stages/runtime"},
        "stages/shared": {"stages/runtime", "stages/shared"},
        "stages": {"stages/runtime", "stages/shared"},
        "tools": {"stages", "stages/runtime", "stages/shared", "tools"},
    }[layer(path)]
    assert {layer(imported) for imported in imports(path)} <= allowed


def test_runtime_imports_nothing_of_ours_by_its_full_name() -> None:
    """Only relative imports still work inside a wheel of another name."""
    for path in (ROOT / "stages/runtime").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) (stages|tools)", path.read_text(), re.MULTILINE), path


def test_package_markers_are_empty() -> None:
    """They are in no stage's deps, so nothing may stand in them."""
    for path in [path for path in SOURCES if path.name == "__init__.py"]:
        assert (ROOT / path).read_text() == "", path


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids="/".join)
def test_every_choice_composes_and_validates(
    group: str, choice: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    checked, name, seed = compose(group, SCHEMAS[group], [f"{group}={choice}", "seed=1"])
    assert (type(checked), name, seed) == (SCHEMAS[group], choice, 1)
    composed_by_hydra, _, _ = compose(group, SCHEMAS[group], [f"{group}={choice}", "+by_hand=1"])
    assert composed_by_hydra == checked
    if isinstance(checked, DataConf):
        contract = make_contract(choice, checked)
        table = open_table(duckdb.connect(), checked.source, contract.columns, tmp_path)
        check_columns(table.columns, checked.source, contract)


@pytest.mark.parametrize("group", SCHEMAS)
def test_a_group_has_at_least_two_choices_and_params_picks_one(group: str) -> None:
    choices = [choice for other, choice in CHOICES if other == group]
    assert len(choices) >= 2
    assert PARAMS[group] in choices


def test_params_name_each_group_and_every_choice() -> None:
    assert list(PARAMS) == [*SCHEMAS, "seed"]
    root = yaml.safe_load((ROOT / "conf/config.yaml").read_text())
    assert [next(iter(item)) for item in root["defaults"] if item != "_self_"] == list(SCHEMAS)
    lines = (ROOT / "params.yaml").read_text().splitlines()
    for group, choice in CHOICES:
        assert choice in next(line for line in lines if line.startswith(f"{group}:")), (group, choice)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_block_has_a_short_desc_and_its_keys_in_order(stage: str) -> None:
    block: dict[str, Any] = DVC["stages"][stage]
    order = ["desc", "cmd", "deps", "params", "outs", "metrics", "plots"]
    assert list(block) == [key for key in order if key in block]
    assert len(block["desc"]) <= 80
    outs = [next(iter(item.values())) for kind in ("outs", "metrics") for item in block.get(kind, [])]
    assert all(out["persist"] for out in outs), "an output without persist is deleted while its stage runs"


def test_third_party_imports_are_declared() -> None:
    names = {"hydra": "hydra-core", "sklearn": "scikit-learn", "yaml": "omegaconf", "backports": "backports-zstd"}
    newer = {"compression"}  # part of Python from 3.14 on; yaml comes with omegaconf
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[=<>\[ ;]", dependency)[0] for dependency in project["dependencies"]}
    found = set()
    for path in SOURCES:
        if path.parts[0] == "stages":
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
                found |= {module.split(".")[0] for module in modules}
    third_party = {names.get(name, name) for name in found - set(sys.stdlib_module_names) - newer - {"stages"}}
    assert third_party <= declared
    unimported = {
        "tzdata",  # read as data by stages/runtime/zones.py, through importlib.resources
        "msgspec", "uvloop", "httptools",  # the packaged model's service
    }  # fmt: skip
    assert declared - third_party <= unimported


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("stages.prepare", ["sklearn", "matplotlib", "pandas", "lightgbm", "scipy", "skops"]),
        ("stages.featurize", ["sklearn", "matplotlib", "pandas", "lightgbm", "scipy", "skops", "holidays"]),
        ("stages.evaluate", ["sklearn", "pandas", "lightgbm", "scipy", "skops"]),
        ("stages.package", ["sklearn", "matplotlib", "pandas", "lightgbm", "scipy", "skops"]),
        ("stages.train", ["matplotlib", "optuna", "sqlalchemy"]),
    ],
)
def test_a_stage_run_imports_only_what_it_needs(module: str, heavy: list[str], small: Path, tmp_path: Path) -> None:
    """A whole run, not just the module's top: what is imported inside functions counts too."""
    stage = module.removeprefix("stages.")
    group, takes_seed = composed(stage)
    arguments = [f"{group}={ {'data': 'toy', 'model': 'boosting'}.get(group, 'standard') }", *["seed=1"] * takes_seed]
    command = [sys.executable, "-X", "importtime", "-m", module, *arguments]
    folder = shutil.copytree(small, tmp_path / "workspace")
    done = subprocess.run(command, cwd=folder, env=environment(PYTHONPATH=str(ROOT)), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = set(re.findall(r"\| +([a-zA-Z_0-9]+)", done.stderr))
    assert "duckdb" in imported or module == "stages.train"
    assert imported & set(heavy) == set()


def test_locks_name_no_index_and_carry_hashes() -> None:
    for lock in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / lock).read_text()
        assert not re.search(r"https?://|--index|--find-links", text)
        pinned = re.findall(r"^([a-zA-Z0-9_.-]+)==", text, re.MULTILINE)
        assert len(pinned) > 20
        assert len(re.findall(r"^[a-zA-Z0-9_.\[\]-]+==[^\n]+\\\n    --hash=sha256:", text, re.MULTILINE)) >= len(pinned)


def test_the_development_lock_holds_the_run_time_lock() -> None:
    pins = [set(re.findall(r"^([a-zA-Z0-9_.-]+==\S+)", (ROOT / lock).read_text(), re.MULTILINE))
            for lock in ("requirements.txt", "requirements-dev.txt")]  # fmt: skip
    assert pins[0] <= pins[1]
