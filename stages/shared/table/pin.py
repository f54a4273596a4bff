"""The pin of a source: one SHA-256 for the file, or the files, that a table was read from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def pin_of(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of one file as `sha256sum` prints it; of several, that of their sorted lines `NAME SHA256`.

    NAME is the file's own name without its folder, so that the pin says the same wherever the folder lies.
    """
    files = list(paths)
    if len(files) == 1:
        return _sha256(files[0])
    lines = sorted(f"{file.name} {_sha256(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
