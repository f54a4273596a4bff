"""The pin of a source: one SHA-256 for the file, or the files, that a table was read from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def pin_of(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of one file as `sha256sum` prints it; of several, that of their sorted lines `NAME SHA256`.

    NAME begins below the folder that holds them all, so that the pin says the same wherever that folder lies.
    """
    files = list(paths)
    if len(files) == 1:
        return _sha256(files[0])
    top = os.path.commonpath([file.absolute().parent for file in files])
    lines = sorted(f"{file.absolute().relative_to(top).as_posix()} {_sha256(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
