"""Writes `source.sha256` into the text of a YAML file and leaves every other character as it is: for tools.fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stages.shared.errors import InputError


def read_yaml(path: Path, content: bytes) -> Any:
    """Return what a YAML file holds. Raises InputError naming the line."""
    try:
        return yaml.safe_load(content.decode())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{path}{where}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not UTF-8 text: {str(error).splitlines()[0]}") from None


def with_pin(path: Path, content: bytes, pin: str) -> bytes:
    """Return the file with `source.sha256` set: its value replaced, or one line put below `source.path`.

    Raises InputError where the layout does not allow that; the file is then for its author to edit.
    """
    text = content.decode()
    wanted = yaml.safe_load(text)
    wanted["source"]["sha256"] = pin
    edited = _edited(text, _entries(text), pin)
    try:
        is_right = yaml.safe_load(edited) == wanted
    except yaml.YAMLError:
        is_right = False
    if not is_right:
        raise InputError(f'{path}: its layout leaves no place for the pin; write it yourself: sha256: "{pin}"')
    return edited.encode()


def _entries(text: str) -> dict[str, tuple[Any, Any, bool]]:
    """Return each entry of `source` by its key: the key's node, the value's node, whether it stands in braces."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    [source] = [value for key, value in root.value if key.value == "source"]
    return {key.value: (key, value, bool(source.flow_style)) for key, value in source.value}


def _edited(text: str, entries: dict[str, tuple[Any, Any, bool]], pin: str) -> str:
    if "sha256" in entries:
        key, value, _ = entries["sha256"]
        start, end = value.start_mark.index, value.end_mark.index
        gap = "" if text[start - 1 : start] in (" ", "\t") else " "  # `sha256:` with nothing behind it
        return f'{text[:start]}{gap}"{pin}"{text[end:]}'
    if "path" not in entries:  # it comes from an anchor
        return text
    key, value, is_flow = entries["path"]
    end = value.end_mark.index
    if is_flow:
        return f'{text[:end]}, sha256: "{pin}"{text[end:]}'
    end = text.find("\n", end)
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f'{" " * key.start_mark.column}sha256: "{pin}"'
    return f"{text}{newline}{line}" if end < 0 else f"{text[: end + 1]}{line}{newline}{text[end + 1 :]}"
