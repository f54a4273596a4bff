"""The gates section of tools.diff: which gates of reports/evaluate/gates.json pass now and did not, or no longer do."""

from __future__ import annotations

from typing import Any

from tools.diff.markdown import code, details, number, plain, table
from tools.diff.revision import Revision

GATES = "reports/evaluate/gates.json"
SHOWN = ("metric", "limit", "value", "passed")  # a gate that differs in one of these is named


def compare(base: Revision, head: Revision) -> dict[str, Any]:
    """Return every gate that differs, as {name: {"before", "after"}}, and the names of those that fail now."""
    reports = [revision.json(GATES) for revision in (base, head)]
    before, after = (_by_name(report) for report in reports)
    changed = {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in {**before, **after}
        if any((before.get(name) or {}).get(key) != (after.get(name) or {}).get(key) for key in SHOWN)
        or (name in before) != (name in after)
    }
    failing = [name for name, gate in after.items() if gate["passed"] is False]
    pending = [name for name, gate in after.items() if gate["passed"] is None]
    absent = [str(revision) for revision, report in zip((base, head), reports, strict=True) if report is None]
    return {"absent": absent, "n_gates": len(after), "changed": changed, "failing": failing, "pending": pending,
            "newly_failing": [name for name in failing if before.get(name, {}).get("passed") is not False]}  # fmt: skip


def _by_name(report: Any) -> dict[str, dict[str, Any]]:
    gates = report.get("gates", []) if isinstance(report, dict) else report or []
    return {str(gate["name"]): gate for gate in gates}


def verdict(found: dict[str, Any]) -> str | None:
    """Return how many gates fail; None where there are none."""
    if not found["n_gates"]:
        return None
    if not found["failing"]:
        n_pending = len(found["pending"])
        decided = found["n_gates"] - n_pending
        return f"all {decided} gates pass" + (f", {n_pending} pending (`make gates`)" if n_pending else "")
    newly = f", {len(found['newly_failing'])} of them newly" if found["newly_failing"] else ""
    return f"**{len(found['failing'])} of {found['n_gates']} gates fail**{newly}"


def markdown(found: dict[str, Any]) -> list[str]:
    """Return the lines of what `compare` found."""
    shown = [f"No {GATES} in {' and in '.join(map(plain, found['absent']))}."] if found["absent"] else []
    if len(found["absent"]) == 2:
        return shown
    rows = [
        [code(name), *(_state(gate) for gate in (pair["before"], pair["after"])), _why(pair["after"])]
        for name, pair in found["changed"].items()
    ]
    loud = [row for row, name in zip(rows, found["changed"], strict=True) if _is_turned(found["changed"][name])]
    said = verdict(found)
    lines = [" ".join([*shown, f"{said[0].upper()}{said[1:]}." if said else "No gates now."])]
    header = ["gate", "before", "after", "why"]
    if loud:
        lines += ["", *table(header, loud)]
    if len(rows) > len(loud):
        rest = [row for row in rows if row not in loud]
        lines += ["", *details(f"Gates with other values, and no other outcome ({len(rest)})", table(header, rest))]
    return lines


def _is_turned(pair: dict[str, Any]) -> bool:
    """Return whether the outcome is another one; a gate that came and passes is not news."""
    before, after = pair["before"], pair["after"]
    return ((before or {}).get("passed") is False) != ((after or {}).get("passed") is False)


def _state(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return "not there"
    word = {True: "passed", False: "**failed**", None: "pending"}[gate["passed"]]
    value, limit = (_shown(gate.get(key)) for key in ("value", "limit"))
    return f"{word}: {value}, limit {limit}"


def _shown(found: Any) -> str:
    return number(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else plain(str(found))


def _why(gate: dict[str, Any] | None) -> str:
    return plain(str((gate or {}).get("why") or ""))
