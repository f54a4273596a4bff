"""Content hashes as `dvc.lock` writes them, so that an artefact leads to the commit it was made by.

git log -S HASH -- dvc.lock
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def dvc_hash(path: Path) -> str:
    """Return a file's MD5, or a folder's: the MD5 of its sorted list of files, with `.dir` behind it."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = sorted(member for member in path.rglob("*") if member.is_file())
    entries = [{"md5": dvc_hash(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return folder_hash(entries)


def folder_hash(entries: list[dict[str, str]]) -> str:
    """Return the hash of a folder whose files are [{"md5", "relpath"}, ...]."""
    listing = json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
