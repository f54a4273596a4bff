"""Writes the archives that stages/runtime/archive.py reads, with fixed bytes."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from stages.runtime.archive import TRUSTED
from stages.shared.errors import InputError

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can hold


def skops_bytes(estimator: Any) -> bytes:
    """Return a skops archive of fixed bytes: members and ids, which skops takes from memory addresses, are renumbered.

    Stored, not deflated: zlib and its replacements give different bytes for the same input.

    Raises InputError where the estimator holds a type that the packaged model would refuse to load.
    """
    from skops.io import dumps, get_untrusted_types
    from skops.io.exceptions import UnsupportedTypeException

    try:
        archive = dumps(estimator)
    except UnsupportedTypeException as error:
        raise InputError(f"{type(estimator).__name__} cannot be stored: {error}") from None
    refused = sorted(set(get_untrusted_types(data=archive)) - set(TRUSTED))
    if refused:
        known = "a packaged model loads only the types in stages/runtime/archive.py (TRUSTED)"
        raise InputError(f"{type(estimator).__name__} cannot be stored: {known}", refused)
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        schema = json.loads(packed.read("schema.json"))
        members: dict[str, str] = {}
        _renumber(schema, {}, members)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as repacked:
            repacked.writestr(zipfile.ZipInfo("schema.json", ZIP_TIME), json.dumps(schema))
            for old, new in members.items():
                repacked.writestr(zipfile.ZipInfo(new, ZIP_TIME), packed.read(old))
    return out.getvalue()


def _renumber(node: Any, ids: dict[int, int], members: dict[str, str]) -> None:
    """Replace `__id__` and `file` values in a skops schema by their order of appearance."""
    if isinstance(node, list):
        for item in node:
            _renumber(item, ids, members)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if isinstance(node.get("file"), str):
            suffix = Path(node["file"]).suffix
            node["file"] = members.setdefault(node["file"], f"{len(members) + 1}{suffix}")
        for item in node.values():
            _renumber(item, ids, members)
