"""One state of the repository: a commit, or the workspace as it lies here. Reads Git's files and DVC's data of it."""

from __future__ import annotations

import json
import subprocess
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError, did_you_mean
from tools.diff.cache import find, members, outputs, settings


class Revision:
    """A commit by any name that Git knows, or the workspace (None). Raises InputError where there is no such commit."""

    def __init__(self, name: str | None, folder: Path) -> None:
        """Data that has to be fetched from a remote is put into `folder`."""
        self.name, self.folder = name, folder
        self.commit = None if name is None else commit_of(name)
        self.why_no_data: dict[str, str] = {}
        self._is_out_of_reach = False
        self._read = cache(lambda path: git("show", f"{self.commit}:./{path}"))
        if self.text("dvc.yaml") is None or self.text("params.yaml") is None:
            raise InputError(f"{self}: no pipeline there: it has no dvc.yaml or no params.yaml")

    def __str__(self) -> str:
        if self.commit is None:
            return "the workspace"
        short = self.commit[:10]
        return short if short.startswith(str(self.name)[:7]) else f"{self.name} ({short})"

    def text(self, path: str) -> str | None:
        """Return a file that Git keeps, None where the revision has none."""
        if self.commit is None:
            return Path(path).read_text(encoding="utf-8") if Path(path).is_file() else None
        return self._read(path)

    def json(self, path: str) -> Any:
        """Return a JSON file that Git keeps, None where the revision has none. Raises InputError for a damaged one."""
        text = self.text(path)
        try:
            return None if text is None else json.loads(text)
        except ValueError as error:
            raise InputError(f"{self}: {path}: damaged: {error}") from None

    def yaml(self, path: str) -> Any:
        """Return a YAML file that Git keeps, None where there is none. Raises InputError for a damaged one."""
        import yaml

        text, loader = self.text(path), getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C: ten times faster
        try:
            return None if text is None else yaml.load(text, loader)
        except yaml.YAMLError as error:
            raise InputError(f"{self}: {path}: not valid YAML: {' '.join(str(error).split())}") from None

    def data(self, path: str) -> Path | None:
        """Return a local path of a file that DVC keeps, None where it is not to be had; `why_no_data` then says why.

        It is in the workspace, in the cache, or fetched from the remote.
        """
        if self.commit is None and Path(path).is_file():
            return Path(path)
        return find(self.lock, path, self._settings[0]) or self._fetched(path)

    def data_folder(self, path: str) -> Path | None:
        """Return a local folder with what DVC keeps under `path`, likewise."""
        if self.commit is None and Path(path).is_dir():
            return Path(path)
        found = members(self.lock, path, self._settings[0])
        if not found:
            return self._fetched(path)
        linked = self._target(path)
        if linked.is_dir():  # of the same commit by another name
            return linked
        for name, file in found.items():
            (linked / name).parent.mkdir(parents=True, exist_ok=True)
            (linked / name).symlink_to(file.resolve())
        return linked

    @cached_property
    def lock(self) -> Any:
        """Return dvc.lock, None where the revision has none."""
        return self.yaml("dvc.lock")

    @cached_property
    def _settings(self) -> tuple[Path, bool]:
        return settings()

    def _target(self, path: str) -> Path:
        return self.folder / f"{self.commit or 'workspace'}-{path.replace('/', '-')}"

    def _fetched(self, path: str) -> Path | None:
        """Return the file or folder as fetched from the remote; DVC is asked only where it can have an answer."""
        if not any(f"{path}/".startswith(f"{out}/") for out in outputs(self.lock)):
            self.why_no_data[path] = "its dvc.lock does not name it"
        elif not self._settings[1]:
            self.why_no_data[path] = "no remote is set"
        elif not self._is_out_of_reach:
            return self._from_remote(path)
        return None

    def _from_remote(self, path: str) -> Path | None:
        if self._target(path).exists():
            return self._target(path)
        try:
            self._files.get(path, str(self._target(path)), recursive=self._files.isdir(path))
        except Exception as error:  # each kind of remote has errors of its own; the report says what it was
            self._is_out_of_reach = True  # so are the others, and asking may take long
            self.why_no_data[path] = " ".join(str(error).split()) or type(error).__name__
            return None
        return self._target(path)

    @cached_property
    def _files(self) -> Any:
        from dvc.api import DVCFileSystem  # type: ignore[import-untyped]
        from dvc.repo import Repo  # type: ignore[import-untyped]

        # Remotes and cache as they are set up now: those of an old commit may be gone.
        return DVCFileSystem(repo=Repo(".", rev=self.commit, config=dict(Repo(".").config)))


def git(*arguments: str) -> str | None:
    """Return what a Git command prints, None where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 else None


def commit_of(name: str) -> str:
    """Return the full hash of a commit. Raises InputError outside a Git repository and for an unknown name."""
    if git("rev-parse", "--git-dir") is None:
        raise InputError("this folder is not in a Git repository")
    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found is None:
        known = (git("for-each-ref", "--format=%(refname:short)") or "").split()
        raise InputError(f"{name!r}: no such commit, branch or tag{did_you_mean(name, known)}")
    return found.strip()


def base_of_main() -> str:
    """Return the last commit that HEAD shares with main. Raises InputError where there is no main."""
    for main in ("main", "origin/main"):
        if git("rev-parse", "--verify", "--quiet", f"{main}^{{commit}}"):
            return shared_commit(main)
    raise InputError("no branch main to compare with; name a base: python -m tools.diff BASE")


def shared_commit(name: str) -> str:
    """Return the last commit that HEAD shares with another. Raises InputError where there is none."""
    found = git("merge-base", commit_of(name), commit_of("HEAD"))
    if found is None:
        raise InputError(f"HEAD and {name} have no commit in common; name a base: python -m tools.diff BASE")
    return found.strip()
