"""The files of a packaged model, by their path in its package: model, runtime, manifest, version."""

from __future__ import annotations

from pathlib import Path

import stages.runtime
from stages.runtime import api
from stages.runtime.manifest import MANIFEST, VERSION, manifest_source, version_source
from stages.runtime.transformer import FILE as TRANSFORMERS
from stages.shared.files import read_json

RUNTIME = Path(stages.runtime.__file__ or "").parent
MODEL_FILES = {"lightgbm": "model.txt", "skops": "model.skops", "xgboost": "model.xgboost.json"}


def kinds_of(model: Path, features: Path) -> set[str]:
    """Return the kinds of the model in a folder, of its parts, and of the transformers that its features ask."""
    kinds = {read_json(folder / "model.json")["kind"] for folder in _model_folders(model)}
    return kinds | ({"skops"} if transformer_files(features) else set())


def model_files(model: Path) -> dict[str, bytes]:
    """Return the files of the model by their path in its folder."""
    files = {}
    for folder in _model_folders(model):
        kind = read_json(folder / "model.json")["kind"]
        for name in ["model.json", *([MODEL_FILES[kind]] if kind in MODEL_FILES else [])]:
            files[(folder / name).relative_to(model).as_posix()] = (folder / name).read_bytes()
    return files


def transformer_files(features: Path) -> dict[str, bytes]:
    """Return the archives of the transformers that the feature plan asks, and what is said of them; mostly nothing."""
    if not (features / TRANSFORMERS).is_file():
        return {}
    names = [TRANSFORMERS, *(each["file"] for each in read_json(features / TRANSFORMERS))]
    return {name: (features / name).read_bytes() for name in names}


def package_members(name: str, declared: str, model: dict[str, bytes]) -> tuple[str, dict[str, bytes]]:
    """Return the version and all files by path in the wheel; `model` are those of its folder `model`."""
    members = {f"model/{path}": content for path, content in model.items()}
    for source in sorted(RUNTIME.rglob("*.py")):
        members[f"runtime/{source.relative_to(RUNTIME).as_posix()}"] = source.read_bytes()
    members |= {"__init__.py": _init(), "py.typed": b""}
    members[MANIFEST] = manifest_source(declared, members)
    members[VERSION] = version_source(declared, members[MANIFEST])
    version = members[VERSION].decode().split('"')[-2]
    return version, {f"{name}/{path}": content for path, content in members.items()}


def _init() -> bytes:
    """Return the package's own module: what runtime/api.py offers, and the version."""
    names = ", ".join(api.__all__)
    return (
        f'"""A model packaged by Plumbline: predict(record), {names}."""\n\n'
        f"from .runtime.api import {names}\n"
        "from .version import __version__\n\n"
        f"__all__ = {sorted([*api.__all__, '__version__'])}\n"
    ).encode()


def _model_folders(model: Path) -> list[Path]:
    """Return the folder of the model and, for an ensemble, those of its parts."""
    return [model, *(model / part["folder"] for part in read_json(model / "model.json").get("parts", []))]
