"""The wheel of a commit: in the workspace, in DVC's cache or in the remote, and the bytes that dvc.lock names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError
from stages.shared.lineage import dvc_hash
from tools.diff.cache import outputs, settings
from tools.diff.revision import Revision

PACKAGE = "data/package"


@dataclass(frozen=True)
class Wheel:
    """A wheel file, and what its name and bytes say."""

    path: Path
    sha256: str

    @property
    def content_version(self) -> str:
        """Return the version that its name carries: the declared one, and a hash of the content behind `+`."""
        return self.path.name.split("-")[1]

    @property
    def told(self) -> dict[str, Any]:
        """Return what a tag says of it."""
        return {
            "file": self.path.name,
            "version": self.content_version,
            "bytes": self.path.stat().st_size,
            "sha256": self.sha256,
        }


def wheel_in(folder: Path) -> Wheel:
    """Return the one wheel that lies in a folder. Raises InputError where there is none, or more than one."""
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise InputError(f"{folder}: should hold one wheel, there {'is none' if not found else f'are {len(found)}'}")
    with found[0].open("rb") as file:
        return Wheel(found[0], hashlib.file_digest(file, "sha256").hexdigest())


def wheel_of(revision: Revision) -> Wheel:
    """Return the wheel of a commit. Raises InputError where it is not to be had or is not what dvc.lock names."""
    named = outputs(revision.lock).get(PACKAGE)
    if named is None:
        raise InputError(f"dvc.lock of {revision} names no {PACKAGE}: `dvc repro`, then commit")
    folder = revision.data_folder(PACKAGE)
    if folder is None:
        why = revision.why_no_data.get(PACKAGE, "")
        raise InputError(f"{PACKAGE} of {revision} is neither in the cache nor in a remote: {why}")
    if dvc_hash(folder) != named:
        raise InputError(f"{PACKAGE} of {revision} has other bytes than its dvc.lock names ({named})")
    return wheel_in(folder)


def remote_faults(revision: Revision) -> list[str]:
    """Return why others could not fetch the wheel of a commit: none where no remote is set, or all is in it."""
    if not settings()[1]:
        return []
    from dvc.repo import Repo  # type: ignore[import-untyped]

    folder = revision.data_folder(PACKAGE) or Path()
    wanted = [outputs(revision.lock).get(PACKAGE), *(dvc_hash(path) for path in folder.glob("*.whl"))]
    try:
        remote = Repo(".").cloud.get_remote_odb()
        is_there = all(remote.exists(digest) for digest in wanted)
    except Exception as error:  # each kind of remote has errors of its own
        return [f"the remote did not answer: {' '.join(str(error).split()) or type(error).__name__}"]
    return [] if is_there else [f"{PACKAGE} is not in the remote, so that nobody else could fetch it: dvc push"]
