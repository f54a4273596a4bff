"""Whether the packaged model is the one that was packaged: asked before any of its files is read for what it says.

model/manifest.json has the SHA-256 of every file but two. version.py is what follows from it: the version ends in the
manifest's own SHA-256. So the version of a wheel names every byte that loading and running depend on, save what a
Python keeps in `__pycache__`. This module, those that import it and empty ones run before they are compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path

from .errors import DamagedModel

PACKAGE = Path(__file__).parent.parent
MANIFEST, VERSION = "model/manifest.json", "version.py"
DIGITS = 12  # of the manifest's SHA-256 in the version


def version_source(declared: str, manifest: bytes) -> bytes:
    """Return the content of version.py: the declared version, `+`, and what binds it to the manifest."""
    digest = hashlib.sha256(manifest).hexdigest()[:DIGITS]
    told = "The version: as declared, and a hash of all that decides the answers."
    return f'"""{told}"""\n\n__version__ = "{declared}+{digest}"\n'.encode()


def manifest_source(declared: str, members: dict[str, bytes]) -> bytes:
    """Return the content of manifest.json for files by their path in the package."""
    files = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(members.items())}
    return (json.dumps({"version": declared, "files": files}, indent=1, sort_keys=True) + "\n").encode()


def content_version(package: Path = PACKAGE) -> str:
    """Return the version, whose end names every byte of the package."""
    return (package / VERSION).read_text(encoding="utf-8").split('"')[-2]


@cache
def ensure_whole(package: Path = PACKAGE) -> int:
    """Return how many files are as packaged, looking once. Raises DamagedModel as `count_files` does."""
    return count_files(package)


def count_files(package: Path = PACKAGE) -> int:
    """Return how many files are as packaged. Raises DamagedModel, naming the first changed, missing or added one."""
    manifest = _read(package, MANIFEST)
    digest = hashlib.sha256(manifest).hexdigest()
    version = re.search(rb"\+([0-9a-f]*)", _read(package, VERSION))
    if version is None or version[1].decode() != digest[:DIGITS]:
        raise DamagedModel(f"{_shown(package, MANIFEST)}: its SHA-256 should begin as {VERSION} says, got {digest}")
    stated = json.loads(manifest)
    files: dict[str, str] = stated["files"]
    files[VERSION] = hashlib.sha256(version_source(stated["version"], manifest)).hexdigest()
    faults = [fault for path, expected in files.items() if (fault := _fault(package, path, expected))]
    strangers = sorted(_present(package) - {*files, MANIFEST})
    faults += [f"{_shown(package, path)}: not in the manifest" for path in strangers]
    if faults:
        others = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise DamagedModel(faults[0] + others)
    return len(files) + 1


def _fault(package: Path, path: str, expected: str) -> str | None:
    if not (package / path).is_file():
        return f"{_shown(package, path)}: missing"
    with (package / path).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return None if found == expected else f"{_shown(package, path)}: SHA-256 should be {expected}, got {found}"


def _present(package: Path) -> set[str]:
    """Return the paths of the files that are there, without what Python keeps of its own."""
    found = set()
    for folder, folders, names in os.walk(package):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found |= {Path(folder, name).relative_to(package).as_posix() for name in names}
    return found


def _read(package: Path, path: str) -> bytes:
    if not (package / path).is_file():
        raise DamagedModel(f"{_shown(package, path)}: missing")
    return (package / path).read_bytes()


def _shown(package: Path, path: str) -> str:
    return f"{package.name}/{path}"
