"""Finds a file that DVC keeps in the local cache, from dvc.lock alone: importing DVC takes half a second."""

from __future__ import annotations

import configparser
import json
import os
from pathlib import Path
from typing import Any

MEMBERS = ".dir"  # ends the hash of a folder, whose file in the cache lists its members


def settings() -> tuple[Path, bool]:
    """Return the folder of the cache, as DVC's configuration files say, and whether they name a remote."""
    folder, has_remote = Path(".dvc/cache"), False
    for file, start in _config_files():
        config = configparser.ConfigParser(interpolation=None, strict=False)
        config.read(file, encoding="utf-8")
        if config.has_option("cache", "dir"):
            folder = start / Path(config.get("cache", "dir").strip("'\"")).expanduser()
        has_remote |= any("remote" in section for section in config.sections())
    return folder, has_remote


def _config_files() -> list[tuple[Path, Path]]:
    """Return DVC's configuration files and what their paths start from, the strongest last."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    systems = [Path(folder) for folder in (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    everywhere = [folder / "dvc/config" for folder in (*reversed(systems), home)]
    return [(file, Path(".dvc")) for file in (*everywhere, Path(".dvc/config"), Path(".dvc/config.local"))]


def outputs(lock: Any) -> dict[str, str]:
    """Return {path: MD5} of the cached and other outputs that a dvc.lock names; the MD5 of a folder ends in `.dir`."""
    stages = ((lock or {}).get("stages") or {}).values()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", []) if "md5" in out}


def members(lock: Any, folder: str, cache: Path) -> dict[str, Path]:
    """Return {path within: file in the cache} of a folder, only those files that are there; empty where it is not."""
    digest = outputs(lock).get(folder, "")
    listing = _place(cache, digest)
    if not digest.endswith(MEMBERS) or not listing.is_file():
        return {}
    found = {entry["relpath"]: _place(cache, entry["md5"]) for entry in json.loads(listing.read_text("utf-8"))}
    return {path: file for path, file in found.items() if file.is_file()}


def find(lock: Any, path: str, cache: Path) -> Path | None:
    """Return the file in the cache that holds `path`, an output or a member of one; None where there is none."""
    for out, digest in outputs(lock).items():
        if path == out and not digest.endswith(MEMBERS):
            place = _place(cache, digest)
            return place if place.is_file() else None
        if path.startswith(f"{out}/"):
            return members(lock, out, cache).get(path.removeprefix(f"{out}/"))
    return None


def _place(cache: Path, digest: str) -> Path:
    return cache / "files/md5" / digest[:2] / digest[2:]
