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
    """Return the choices that changed, and how many values did besides; None where none did."""
    said = [f"{key} {value(before)} -> {value(after)}" for key, (before, after) in found["params"].items()]
    n = sum(len(leaves) for group, leaves in found["files"].items() if group not in found["params"])
    return ", ".join([*said, *([f"{n} parameter{'s' * (n > 1)} changed"] if n else [])]) or None


def _rows(leaves: dict[str, Any], where: str = "") -> list[list[str]]:
    return [[code(f"{where}{key}"), *map(value, change)] for key, change in leaves.items()]


def markdown(found: dict[str, Any]) -> list[str]:
    """Return the lines of what `compare` found."""
    rows = _rows(found["params"], "params.yaml: ")
    others: dict[str, list[list[str]]] = {}  # another file was chosen, which differs in many values
    for group, leaves in found["files"].items():
        names = list(dict.fromkeys(str(choice) for choice in found["chosen"][group]))
        if len(names) > 1:
            others[f"conf/{group}/{names[1]}.yaml instead of {names[0]}.yaml"] = _rows(leaves)
        else:
            rows += _rows(leaves, f"conf/{group}/{names[0]}.yaml: ")
    if not rows:
        return ["Unchanged."]
    header = ["value", "before", "after"]
    lines = table(header, rows[:SHOWN])
    folded = {f"{len(rows) - SHOWN} more": rows[SHOWN:]} if rows[SHOWN:] else {}
    folded |= {f"{title}: {len(listed)} values": listed for title, listed in others.items()}
    return lines + [line for title, listed in folded.items() for line in ["", *details(title, table(header, listed))]]
