"""What was asked for, as hashes to look for in Git: a wheel, an installed model, a version, an artefact, a hash."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.shared.cards.files import DECLARED, WHEEL
from stages.shared.errors import InputError
from stages.shared.lineage import dvc_hash, folder_hash
from tools.diff.cache import MEMBERS, settings

LOCK = "dvc.lock"
VERSION = re.compile(r"(?:[A-Za-z_]\w*(?:==|\s+|-))?(?P<version>\d[\w.]*\+[0-9a-f]{12})(?:-py3-none-any\.whl)?")
DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?|[0-9a-f]{64}")


@dataclass
class Asked:
    """What it is, and where Git is asked for it: (file, texts that must all be in it, what to say of a find there)."""

    what: str
    searches: list[tuple[str, list[str], str]]
    notes: list[str] = field(default_factory=list)


def asked_for(given: str, lock: Any) -> Asked:
    """Return what was asked for; `lock` is dvc.lock as it stands, or None.

    Raises InputError for what is nothing here.
    """
    path = Path(given)
    if given.endswith(".whl") and path.is_file():
        return of_wheel(path)
    version = VERSION.fullmatch(path.name)
    if version:
        return of_version(version["version"], f"the wheel of version {version['version']}")
    known = tracked(lock)
    name = path.as_posix().rstrip("/")
    holder = max((out for out in known if f"{name}/".startswith(f"{out}/")), key=len, default=None)
    if holder:
        return of_tracked(name, holder, known[holder])
    if path.exists():
        digest = dvc_hash(path)
        return of_digest(digest, f"{given}, MD5 {digest}")
    if DIGEST.fullmatch(given):
        return of_digest(given, f"the hash {given}")
    return of_installed(given)


def tracked(lock: Any) -> dict[str, str]:
    """Return {path: MD5} of what stages read and write, as a dvc.lock has it; outputs take precedence."""
    stages = ((lock or {}).get("stages") or {}).values()
    both = [entry for kind in ("deps", "outs") for stage in stages for entry in stage.get(kind, [])]
    return {entry["path"]: entry["md5"] for entry in both if "md5" in entry}


def of_tracked(name: str, holder: str, locked: str) -> Asked:
    """Return the search for a file or folder that DVC tracks, as it lies here, else as dvc.lock has it."""
    inside = "" if name == holder else f", which is tracked as {holder}"
    if name != holder and Path(holder).exists() and not Path(name).exists():
        raise InputError(f"{name}: no such file in {holder}")
    found = dvc_hash(Path(holder)) if Path(holder).exists() else locked
    notes = []
    if not Path(holder).exists():
        notes.append(f"{holder} is not here: taken as dvc.lock has it")
    elif found != locked:
        notes.append(f"{holder} as it lies here is not that of dvc.lock ({locked})")
    return Asked(f"{name}{inside}, MD5 {found}", [(LOCK, [found], "")], notes)


def of_digest(digest: str, what: str) -> Asked:
    """Return the search for an MD5 (of a file, a folder, a file in a folder) or a SHA-256 (of a wheel, a pin)."""
    if len(digest) == 64:
        places = [WHEEL.as_posix(), DECLARED.as_posix()]
        return Asked(what, [(place, [f'"{digest}"'], "") for place in places])
    folders = [found for found in folders_with(digest) if not digest.endswith(MEMBERS)]
    notes = [f"it is in the folder {found}" for found in folders]
    return Asked(what, [(LOCK, [each], "") for each in (digest, *folders)], notes)


def folders_with(digest: str) -> list[str]:
    """Return the hashes of folders that hold a file, as far as their listings are in the cache."""
    listings = sorted((settings()[0] / "files/md5").glob(f"*/*{MEMBERS}"))
    return [path.parent.name + path.name for path in listings if digest in path.read_text(encoding="utf-8")]


def of_wheel(path: Path) -> Asked:
    """Return the search for a wheel: by its bytes, by its version, by the data that it was made from."""
    try:
        with zipfile.ZipFile(path) as archive:
            [member] = [name for name in archive.namelist() if name.endswith("/model/lineage.json")]
            lineage = json.loads(archive.read(member))
    except (zipfile.BadZipFile, ValueError):
        raise InputError(f"{path}: no wheel of a packaged model, or damaged") from None
    named = VERSION.fullmatch(path.name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    alone = folder_hash([{"md5": dvc_hash(path), "relpath": path.name}])  # data/package, which holds nothing else
    searches = [(WHEEL.as_posix(), [f'"{digest}"'], ""), (LOCK, [alone], "")]
    what = f"{path}, SHA-256 {digest}"
    if named:
        other = "a commit has this version, but with other bytes: this file was changed"
        searches += [(WHEEL.as_posix(), [f'"{named["version"]}"'], other)]
    return Asked(what, [*searches, by_data(lineage)])


def by_data(lineage: dict[str, Any]) -> tuple[str, list[str], str]:
    """Return the search for all hashes of a lineage together."""
    why = "found by the data it was made from; no commit names this wheel itself"
    return LOCK, sorted(lineage["made_from"].values()), why


def of_version(version: str, what: str) -> Asked:
    """Return the search for the version of a wheel."""
    return Asked(what, [(WHEEL.as_posix(), [f'"{version}"'], "")])


def of_installed(given: str) -> Asked:
    """Return the search for a packaged model that is installed here. Raises InputError where none is so called."""
    import importlib.metadata

    try:
        found = importlib.metadata.distribution(given) if re.fullmatch(r"[\w.-]+", given) else None
    except importlib.metadata.PackageNotFoundError:
        found = None
    files = [file for file in (found.files or []) if file.as_posix().endswith("/model/lineage.json")] if found else []
    if found is None or not files:
        raise InputError(
            f"{given!r}: no wheel, file or folder here, nothing that dvc.lock names, no hash, no installed model; "
            "a request id wants --log FOLDER"
        )
    lineage = json.loads(files[0].read_text(encoding="utf-8"))
    by_version = of_version(found.version, f"{given} {found.version}, as installed")
    return Asked(by_version.what, [*by_version.searches, by_data(lineage)])
