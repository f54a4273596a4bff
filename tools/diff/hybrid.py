"""Mixtures of two revisions in temporary folders: one's data with the other's code, and what the pipeline makes of it.

A mixture is a plain folder outside the repository, without Git, whose DVC shares the repository's cache; neither the
workspace nor Git's own folder is touched. Stages whose inputs are all as in one of the revisions are taken from its
dvc.lock, the others run; dvc.yaml is without `persist` there, so that DVC's run cache remembers them.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from stages.shared.errors import InputError
from stages.shared.lineage import dvc_hash
from tools.diff.cache import settings
from tools.diff.revision import Revision, git

FACTORS = ("data", "code", "parameters", "environment")
KEPT = ("stages/", "conf/", "data/raw/", "reports/", "requirements", "params.yaml", "dvc.", ".dvcignore")
STAGES = ("prepare", "featurize", "train", "evaluate")
GROUPS = ("data", "features", "model", "evaluation")  # of conf/, that stages up to evaluate read


def factor_of(path: str) -> str | None:
    """Return what a file belongs to, None for what no stage reads. params.yaml belongs to two."""
    if path.startswith(("data/raw/", "conf/data/")):
        return "data"
    if path.startswith(("stages/", "dvc.yaml", ".dvcignore")):
        return "code"
    if path.startswith("requirements"):
        return "environment"
    return "parameters" if path.startswith("conf/") or path == "params.yaml" else None


def unpack(revision: Revision, folder: Path) -> Path:
    """Write a revision's files that stages read, and its reports, into a folder; return it."""
    folder.mkdir()
    if revision.commit is None:
        listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard") or ""
        for path in filter(None, listed.split("\0")):
            if path.startswith(KEPT) and Path(path).is_file():
                _copy(Path(path), folder / path)
        return folder
    index = {**os.environ, "GIT_INDEX_FILE": str(folder.with_suffix(".index"))}
    for command in (["read-tree", revision.commit], ["checkout-index", "--all", f"--prefix={folder}/"]):
        done = subprocess.run(["git", *command], env=index, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"git {command[0]} of {revision} failed: {' '.join(done.stderr.split())}")
    return folder


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def changed_factors(base: Path, head: Path) -> list[str]:
    """Return which factors differ between two unpacked revisions, in their usual order; choices not taken do not."""
    files = {path.relative_to(side).as_posix() for side in (base, head) for path in side.rglob("*") if path.is_file()}
    params = [_params(side) for side in (base, head)]
    chosen = [f"conf/{group}/{side.get(group)}.yaml" for side in params for group in GROUPS]
    sources = [f"data/raw/{side.get('data')}" for side in params]
    read = {path for path in files if not path.startswith(("conf/", "data/raw/")) and path != "params.yaml"}
    read |= {path for path in files if path in chosen or path.startswith(tuple(sources))}
    different = {factor_of(path) for path in read if _content(base / path) != _content(head / path)}
    keys = [key for key in (*GROUPS, "seed") if params[0].get(key) != params[1].get(key)]
    different |= {"data" if key == "data" else "parameters" for key in keys}
    return [factor for factor in FACTORS if factor in different]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _params(side: Path) -> dict[str, Any]:
    return yaml.safe_load((side / "params.yaml").read_text(encoding="utf-8")) or {}


def mix(sides: dict[str, Path], of_head: frozenset[str], folder: Path) -> bool:
    """Write the mixture that takes the factors `of_head` from the head and all others from the base.

    Return whether one of the two has run just that, so that its reports are the mixture's.
    """
    folder.mkdir()
    for name, side in sides.items():
        for path in (path for path in side.rglob("*") if path.is_file()):
            relative = path.relative_to(side)
            factor = factor_of(relative.as_posix())
            if factor and (factor in of_head) == (name == "head"):
                _copy(path, folder / relative)
    params = {name: _params(side) for name, side in sides.items()}
    data, rest = ("head" if factor in of_head else "base" for factor in ("data", "parameters"))
    mixed = {**params[rest], "data": params[data]["data"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(mixed, sort_keys=False), encoding="utf-8")
    _share_cache(folder)
    whence = _take_over(sides, folder)
    return len({whence.get(stage) for stage in STAGES}) == 1 and STAGES[-1] in whence


def _share_cache(folder: Path) -> None:
    """Make a folder one of DVC's, without Git, with the cache and the remotes of the repository that we are in."""
    (folder / ".dvc").mkdir()
    for name in ("config", "config.local"):
        if Path(".dvc", name).is_file():
            _copy(Path(".dvc", name), folder / ".dvc" / name)
    local = folder / ".dvc/config.local"
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read(local, encoding="utf-8")
    config.read_dict({"core": {"no_scm": "true"}, "cache": {"dir": str(settings()[0].resolve())}})
    with local.open("w", encoding="utf-8") as file:
        config.write(file)


def _take_over(sides: dict[str, Path], folder: Path) -> dict[str, str]:
    """Write dvc.lock and reports of the stages that a revision ran with just these inputs; return whose, by stage."""
    declared = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))
    for block in declared["stages"].values():
        _let_runs_be_cached(block)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
    locks = {name: _lock(side) for name, side in sides.items()}
    taken: dict[str, Any] = {}
    whence: dict[str, str] = {}
    made: dict[str, str] = {}
    params = _params(folder)
    for stage, block in declared["stages"].items():
        cmd = re.sub(r"\$\{(\w+)\}", lambda found: str(params.get(found[1])), block["cmd"])
        for name, lock in locks.items():
            entry = lock.get(stage)
            if stage not in taken and entry and entry["cmd"] == cmd and is_current(entry, folder, made):
                taken[stage], whence[stage] = entry, name
                made |= {out["path"]: out["md5"] for out in entry.get("outs", [])}
                for out in (out["path"] for out in entry.get("outs", []) if out["path"].startswith("reports/")):
                    _copy_out(sides[name] / out, folder / out)
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": taken}), encoding="utf-8")
    return whence


def _let_runs_be_cached(block: dict[str, Any]) -> None:
    """Change a stage so that DVC's run cache remembers it: nothing persists, and what Git keeps is called metrics."""
    for kind in ("outs", "metrics"):
        for out in (out for out in block.get(kind, []) if isinstance(out, dict)):
            for flags in out.values():
                flags.pop("persist", None)
    in_git = [out for out in block.get("outs", []) if isinstance(out, dict) and not _flags(out).get("cache", True)]
    block["metrics"] = [*block.get("metrics", []), *in_git]
    block["outs"] = [out for out in block.get("outs", []) if out not in in_git]


def _flags(out: dict[str, Any]) -> dict[str, Any]:
    [flags] = out.values()
    return flags or {}


def _lock(side: Path) -> dict[str, Any]:
    path = side / "dvc.lock"
    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return (found or {}).get("stages") or {}


def _copy_out(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        _copy(source, target)


def is_current(entry: dict[str, Any], folder: Path, made: dict[str, str]) -> bool:
    """Return whether a stage's entry in dvc.lock is of the inputs that lie in a folder.

    `made` are the hashes of other stages' outputs. What lies within one is left to DVC, which looks at all again.
    """
    for dep in entry.get("deps", []):
        path = folder / dep["path"]
        if dep["path"].startswith(("data/", "reports/")) and not dep["path"].startswith("data/raw/"):
            is_same = made.get(dep["path"], dep.get("md5")) == dep.get("md5")
        elif path.exists():
            is_same = dvc_hash(path) == dep.get("md5")
        else:
            pointer = folder / f"{dep['path']}.dvc"
            is_same = pointer.is_file() and f"md5: {dep.get('md5')}" in pointer.read_text(encoding="utf-8")
        if not is_same:
            return False
    return all(_has_values(folder / path, values) for path, values in (entry.get("params") or {}).items())


def _has_values(path: Path, values: dict[str, Any]) -> bool:
    found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return isinstance(found, dict) and _alike({key: found.get(key) for key in values}, values)


def _alike(first: Any, second: Any) -> bool:
    """Return whether two values of YAML are equal: 1e-3 is a text to one reader, and a number to DVC's."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_alike(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_alike, first, second))
    if isinstance(first, str) != isinstance(second, str):
        try:
            return float(first) == float(second)
        except (TypeError, ValueError):
            return False
    return bool(first == second)
