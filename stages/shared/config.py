"""Reads a stage's own group of conf/ with Hydra and checks it against a dataclass, all faults at once."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from stages.shared.errors import InputError, did_you_mean

CONF = Path("conf")
T = TypeVar("T")


def compose(group: str, schema: type[T], argv: list[str] | None = None) -> tuple[T, str, int]:
    """Return (the checked configuration, the name of the choice, the seed; -1 when the stage was given none).

    `argv` holds Hydra overrides: `GROUP=CHOICE`, `seed=7`, and by hand any `GROUP.key=value`.
    Raises InputError naming the file and every fault in it.
    """
    overrides = sys.argv[1:] if argv is None else argv
    choice = next((word.split("=", 1)[1] for word in overrides if word.startswith(f"{group}=")), None)
    if choice is None:
        raise InputError(f"say which file of conf/{group}/ to use: {group}=NAME (dvc repro passes it from params.yaml)")
    path = CONF / group / f"{choice}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (CONF / group).glob("*.yaml"))
        raise InputError(
            f"params.yaml: {group} should be one of {', '.join(known)}, got {choice!r}{did_you_mean(choice, known)}"
        )
    composed = _read(path, overrides)
    faults: list[str] = []
    checked = build(schema, composed.get(group), "", faults)
    if faults:
        raise InputError(f"{path} is not valid", faults)
    seed = composed.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32):
        raise InputError(f"params.yaml: seed should be a whole number from 0 to 2^32 - 1, got {seed!r}")
    return typing.cast(T, checked), choice, -1 if seed is None else seed


def _read(path: Path, overrides: list[str]) -> dict[str, Any]:
    """Return the configuration as plain dicts; a broken file or override is an InputError.

    What dvc.yaml passes picks a file and sets the seed: the file is the configuration, as a test holds, and Hydra's
    0.1 s stay unspent. Any other override is Hydra's to compose.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    group = path.parent.name
    is_plain = all(re.fullmatch(rf"{group}={re.escape(path.stem)}|seed=[0-9]+", word) for word in overrides)
    try:
        if not is_plain:
            return _compose_with_hydra(path, overrides)
        seeds = [int(word.removeprefix("seed=")) for word in overrides if word.startswith("seed=")]
        return {group: OmegaConf.to_container(OmegaConf.load(path), resolve=True), "seed": seeds[-1] if seeds else None}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        file = os.path.relpath(mark.name) if mark and Path(mark.name).is_file() else path
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{file}{where}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not UTF-8 text: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise InputError(f"{path}: should hold a mapping: {error}") from None
    except OmegaConfBaseException as error:
        raise InputError(f"{path} with {' '.join(overrides)}: {str(error).splitlines()[0]}") from None


def _compose_with_hydra(path: Path, overrides: list[str]) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    try:
        with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
            composed = hydra_compose("config", overrides=overrides)
    except HydraException as error:
        raise InputError(f"{path} with {' '.join(overrides)}: {str(error).splitlines()[0]}") from None
    return typing.cast(dict[str, Any], OmegaConf.to_container(composed, resolve=True))


def build(kind: Any, value: Any, where: str, faults: list[str]) -> Any:
    """Return `value` as `kind` (dataclass, dict, list, Literal, union or plain type); add what is wrong to `faults`.

    Strict: no text becomes a number, no number becomes a boolean; a whole number may stand where a number is asked.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where, faults)
    if origin is typing.Literal:
        return _expect(value in arguments, value, where, f"one of {', '.join(map(str, arguments))}", faults, arguments)
    if origin in (typing.Union, types.UnionType):
        return _build_union(arguments, value, where, faults)
    if origin is list:
        if _expect(isinstance(value, list), value, where, "a list", faults) is None:
            return []
        return [build(arguments[0], item, f"{where}[{i}]", faults) for i, item in enumerate(value)]
    if origin is dict:
        if _expect(isinstance(value, dict), value, where, "a mapping", faults) is None:
            return {}
        return {str(key): build(arguments[1], item, _join(where, str(key)), faults) for key, item in value.items()}
    names = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
    accepted = {float: (int, float)}.get(kind, kind)
    is_right = isinstance(value, accepted) and (kind is bool or not isinstance(value, bool))
    return _expect(is_right, value, where, names[kind], faults)


def _build_union(kinds: tuple[Any, ...], value: Any, where: str, faults: list[str]) -> Any:
    """Return `value` as the first of `kinds` that takes it; the first one's faults when none does."""
    if value is None and type(None) in kinds:
        return None
    meant = [kind for kind in kinds if dataclasses.is_dataclass(kind)] if isinstance(value, dict) else []
    if len(meant) == 1:  # a mapping can only be that one, and its own faults say most
        return build(meant[0], value, where, faults)
    attempts = []
    for kind in (kind for kind in kinds if kind is not type(None)):
        own: list[str] = []
        built = build(kind, value, where, own)
        if not own:
            return built
        attempts.append(own)
    same_place = [own[0] for own in attempts if len(own) == 1 and own[0].startswith(f"{where}: should be ")]
    if len(same_place) == len(attempts):
        wanted = [fault.removeprefix(f"{where}: should be ").split(", got ")[0] for fault in same_place]
        faults.append(f"{where}: should be {', or '.join(wanted)}, got {same_place[0].split(', got ', 1)[1]}")
    else:
        faults.extend(attempts[0])
    return None


def _build_dataclass(kind: Any, value: Any, where: str, faults: list[str]) -> Any:
    if _expect(isinstance(value, dict), value, where or "the file", "a mapping", faults) is None:
        return None
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    built = {}
    for key, item in value.items():
        if key not in fields:
            faults.append(f"{_join(where, str(key))}: unknown key{did_you_mean(str(key), fields)}")
        else:
            built[key] = build(hints[key], item, _join(where, key), faults)
            _check_range(fields[key], built[key], _join(where, key), faults)
    missing = [name for name, field in fields.items() if name not in value and _is_required(field)]
    faults.extend(f"{_join(where, name)}: missing" for name in missing)
    if missing:
        return None
    found = kind(**built)
    if hasattr(found, "faults"):  # what its keys must be to each other
        faults.extend(_join(where, fault) for fault in found.faults(value.keys()))
    return found


def _check_range(field: dataclasses.Field[Any], value: Any, where: str, faults: list[str]) -> None:
    """Add a fault where a number is outside the `min` and `max` of its field's metadata."""
    low, high = field.metadata.get("min", -math.inf), field.metadata.get("max", math.inf)
    if isinstance(value, int | float) and not low <= value <= high:
        faults.append(f"{where}: should be in [{low}, {high}], got {value!r}")


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _expect(is_right: bool, value: Any, where: str, what: str, faults: list[str], known: tuple[Any, ...] = ()) -> Any:
    if is_right:
        return value
    hint = did_you_mean(value, map(str, known)) if isinstance(value, str) else ""
    if what == "a text" and isinstance(value, bool | int | float):
        hint = "; quote it"
    faults.append(f"{where}: should be {what}, got {value!r}{hint}")
    return None


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
