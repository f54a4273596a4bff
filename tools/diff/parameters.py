"""The parameters section of tools.diff: params.yaml and the files of conf/ that it picks, leaf by leaf."""

from __future__ import annotations

from typing import Any

from tools.diff.data import changes
from tools.diff.markdown import code, details, table, value
from tools.diff.revision import Revision

ELSEWHERE = "data"  # the contract has a section of its own
SHOWN = 15  # before the rest is folded


def compare(base: Revision, head: Revision) -> dict[str, Any]:
    """Return {"params": changed choices, "files": {group: changed leaves}}, each change as [before, after]."""
    before, after = (revision.yaml("params.yaml") or {} for revision in (base, head))
    groups = [key for key in {**before, **after} if key != ELSEWHERE]
    files = {group: changes(_chosen(base, before, group), _chosen(head, after, group)) for group in groups}
    return {
        "params": changes(before, after),
        "files": {group: leaves for group, leaves in files.items() if leaves},
        "chosen": {group: [before.get(group), after.get(group)] for group, leaves in files.items() if leaves},
    }


def _chosen(revision: Revision, params: dict[str, Any], group: str) -> Any:
    """Return the file of conf/ that a group's choice names, empty where the key is no group."""
    return revision.yaml(f"conf/{group}/{params.get(group)}.yaml") or {}


def verdict(found: dict[str, Any]) -> str | None:
    """Return how many values changed; None where none did."""
    n = len(found["params"]) + sum(len(leaves) for leaves in found["files"].values())
    return f"{n} parameter{'s' * (n > 1)} changed" if n else None


def markdown(found: dict[str, Any]) -> list[str]:
    """Return the lines of what `compare` found."""
    rows = [[code(f"params.yaml: {key}"), *map(value, change)] for key, change in found["params"].items()]
    for group, leaves in found["files"].items():
        names = list(dict.fromkeys(str(choice) for choice in found["chosen"][group]))
        where = f"conf/{group}/{'|'.join(names)}.yaml"
        rows += [[code(f"{where}: {key}"), *map(value, change)] for key, change in leaves.items()]
    if not rows:
        return ["Unchanged."]
    header = ["value", "before", "after"]
    lines = table(header, rows[:SHOWN])
    rest = rows[SHOWN:]
    return [*lines, "", *details(f"{len(rest)} more", table(header, rest))] if rest else lines
