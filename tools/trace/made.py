"""What a commit says of a model made by it: data, parameters, environment, gates, metrics. From Git alone."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

from stages.shared.cards.files import GATES, INTERVALS, WHEEL
from tools.diff.cache import outputs
from tools.diff.revision import Revision
from tools.trace.asked import tracked
from tools.trace.history import objects

REQUIREMENTS = "requirements.txt"
REPORTS = [WHEEL, GATES, INTERVALS]


class Committed(Revision):
    """A commit that exists, some files of which are read together: a process of Git for each would take longest."""

    def __init__(self, commit: str, paths: list[str]) -> None:
        self.name = self.commit = commit
        self.texts = {path: text for (_, path), text in objects((commit, path) for path in paths).items()}

    def text(self, path: str) -> str | None:
        """Return a file that Git keeps, None where the commit has none."""
        if path not in self.texts:
            self.texts |= {path: objects([(str(self.commit), path)])[(str(self.commit), path)]}
        found = self.texts[path]
        return None if found is None else found.decode()


def made_by(commit: str) -> dict[str, Any]:
    """Return what went into the pipeline of a commit, and what came out of it."""
    revision = Committed(commit, ["dvc.lock", "params.yaml", "pyproject.toml", REQUIREMENTS, *map(str, REPORTS)])
    lock = revision.lock
    return {
        "wheel": revision.json(WHEEL.as_posix()),
        "data": data(revision),
        "parameters": parameters(revision),
        "environment": environment(revision),
        "gates": (revision.json(GATES.as_posix()) or {}).get("gates", []),
        "metrics": (revision.json(INTERVALS.as_posix()) or {}).get("metrics", {}),
        "not_of_this_run": [path.as_posix() for path in (GATES, INTERVALS) if not is_locked(revision, path, lock)],
    }


def is_locked(revision: Revision, path: Path, lock: Any) -> bool:
    """Return whether a report of a commit is the one that its dvc.lock names."""
    text = revision.text(path.as_posix())
    found = None if text is None else hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return found == outputs(lock).get(path.as_posix())


def data(revision: Revision) -> dict[str, Any]:
    """Return {path: MD5} of sources and of what stages made of them, and the pin of the source, if any."""
    name = (revision.yaml("params.yaml") or {}).get("data")
    conf = revision.yaml(f"conf/data/{name}.yaml") or {}
    hashes = {path: md5 for path, md5 in tracked(revision.lock).items() if path.startswith("data/")}
    order = sorted(hashes, key=lambda path: (not path.startswith("data/raw"), path))
    return {"hashes": {path: hashes[path] for path in order}, "pin": (conf.get("source") or {}).get("sha256")}


def parameters(revision: Revision) -> dict[str, Any]:
    """Return the choices of params.yaml, and the values in force by file, as dvc.lock recorded them."""
    stages = ((revision.lock or {}).get("stages") or {}).values()
    files = {file: content for stage in stages for file, content in (stage.get("params") or {}).items()}
    files.pop("params.yaml", None)
    return {"choices": revision.yaml("params.yaml") or {}, "files": files}


def environment(revision: Revision) -> dict[str, Any]:
    """Return the hash of the lock that the stages ran with, and the versions of the packages that we name in it."""
    text = revision.text(REQUIREMENTS) or ""
    pinned = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, re.MULTILINE))
    project = tomllib.loads(revision.text("pyproject.toml") or "").get("project", {})
    named = [re.split(r"[=<>\[ ;]", each)[0] for each in project.get("dependencies", [])]
    return {
        "requirements": tracked(revision.lock).get(REQUIREMENTS),
        "packages": {name: pinned[name] for name in named if name in pinned},
    }
