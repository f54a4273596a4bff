"""What stands against a release, each fault in one line: everything is read from the commit, not from the workspace."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError
from tools.diff.cache import settings
from tools.diff.hybrid import unpack
from tools.diff.revision import Revision, git
from tools.gates import decide
from tools.promote.evidence import GATES
from tools.promote.wheel import PACKAGE

Gate = dict[str, Any]
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def tree_faults() -> list[str]:
    """Return that the workspace is not the commit it stands on, and by which files."""
    changed = [line[3:] for line in (git("status", "--porcelain") or "").splitlines()]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return [f"not committed: {', '.join(changed[:3])}{more}"] if changed else []


def declared_version(revision: Revision) -> str:
    """Return the version that conf/packaging declares, as GTO writes it: v0.1.0. Raises InputError for another form."""
    file = f"conf/packaging/{(revision.yaml('params.yaml') or {}).get('packaging')}.yaml"
    version = (revision.yaml(file) or {}).get("version")
    if not SEMANTIC.fullmatch(str(version)):
        raise InputError(f"{file} of {revision}: version should be MAJOR.MINOR.PATCH, got {version!r}")
    return f"v{version}"


def artifact_faults(revision: Revision, artifact: str) -> list[str]:
    """Return that `dvc artifacts get` would not find the wheel of a commit."""
    declared = (revision.yaml("dvc.yaml") or {}).get("artifacts") or {}
    table = (revision.yaml("params.yaml") or {}).get("data")
    known = {name.replace("${data}", str(table)): (block or {}).get("path") for name, block in declared.items()}
    if known.get(artifact) == PACKAGE:
        return []
    return [f"dvc.yaml of {revision} declares no artifact {artifact!r} with path {PACKAGE}; it is about {table}"]


def lock_faults(revision: Revision, folder: Path) -> list[str]:
    """Return the first stage that DVC would run again: then dvc.lock and reports/ are not of this commit's files.

    DVC itself is asked, in a copy of the commit under `folder` that shares the cache. Data need not be there.
    """
    place = unpack(revision, folder / "commit")
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read_dict({"core": {"no_scm": "true"}, "cache": {"dir": str(settings()[0].resolve())}})
    with (place / ".dvc/config.local").open("w", encoding="utf-8") as file:
        config.write(file)
    command = [sys.executable, "-m", "dvc", "repro", "--dry", "--allow-missing"]
    own = {**os.environ, "DVC_SITE_CACHE_DIR": str(place / ".dvc/site"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=place, env=own, capture_output=True, text=True, encoding="utf-8")
    stale = re.search(r"(?:Running stage|failed to reproduce) '([\w-]+)'", done.stdout + done.stderr)
    if stale:
        return [f"stage {stale[1]} was not run on the files of {revision}: `dvc repro`, then commit"]
    if done.returncode:
        raise InputError(f"dvc repro --dry of {revision}: {' '.join(done.stderr.split())}")
    return []


def judged(revision: Revision, against: str | None, why: str, folder: Path) -> list[Gate]:
    """Return the gates of a commit, those that compare with another revision decided against `against`.

    Where there is none they stay pending, and `why` is said of them.

    Raises InputError where the commit has no gates.
    """
    gates: list[Gate] = (revision.json(GATES) or {}).get("gates") or []
    if not gates:
        raise InputError(f"{GATES} of {revision} holds no gate: nothing vouches for this model")
    if against is None:
        return [gate | {"why": f"pending: {why}"} if _compares(gate) else gate for gate in gates]
    return decide(gates, revision, against, folder)


def gate_faults(gates: list[Gate], may_wait: bool) -> list[str]:
    """Return the gates that do not pass; `may_wait` says that those about another revision may stay pending."""
    failed = [f"gate {gate['name']} fails: {_told(gate)}" for gate in gates if gate["passed"] is False]
    waiting = [gate for gate in gates if gate["passed"] is None and not (may_wait and _compares(gate))]
    return failed + [f"gate {gate['name']} is not decided: {gate['why']}" for gate in waiting]


def _compares(gate: Gate) -> bool:
    return bool(gate["kind"] == "revision")


def _told(gate: Gate) -> str:
    interval = "" if gate["low"] is None else f" [{gate['low']:g}, {gate['high']:g}]"
    value = "no value" if gate["value"] is None else f"{gate['value']:g}"
    why = f" ({gate['why']})" if gate["why"] else ""
    return f"{gate['metric']} {value}{interval}, by its {gate['bound']} against {gate['limit']:g}{why}"
