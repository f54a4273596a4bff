"""Prints the gates that `dvc repro` judged, decides those against another revision, and exits 1 where one fails.

    python -m tools.gates [--against REV]

REV is where HEAD left main unless said. Of it only reports/ in Git are read, so no DVC cache or remote is needed; the
price is an interval that is not paired (`python -m tools.diff` pairs). A gate that nothing can be held against stays
pending and fails nothing, unless REV was given.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.evaluation.checks import gates_line
from stages.shared.evaluation.declared import EvaluationConf
from stages.shared.evaluation.gates import KEY_OF_BOUND, better_by, verdict
from stages.shared.files import read_json
from tools.diff.revision import Revision, base_of_main

REPORTS = Path("reports/evaluate")
Row = dict[str, Any]


def main() -> None:
    """Read, decide, print."""
    parser = argparse.ArgumentParser(prog="python -m tools.gates", description=__doc__.split("\n")[0])
    parser.add_argument("--against", metavar="REV", help="a commit, branch or tag; where HEAD left main unless said")
    against = parser.parse_args().against
    gates = read_json(REPORTS / "gates.json")["gates"]
    with tempfile.TemporaryDirectory() as folder:
        workspace = Revision(None, Path(folder))
        check_current(gates, workspace)
        if against or any(gate["kind"] == "revision" for gate in gates):
            gates = decide(gates, workspace, against, Path(folder))
    print("\n".join(table(gates)))
    print(f"\n{gates_line(gates)}")
    if any(gate["passed"] is False for gate in gates):
        sys.exit(1)


def check_current(gates: list[Row], workspace: Revision) -> None:
    """Raise InputError where the gates declared now are not those that evaluate judged."""
    params = workspace.yaml("params.yaml")
    choice = params["evaluation"]
    conf, _, _ = compose("evaluation", EvaluationConf, [f"evaluation={choice}"])
    declared = {
        name: (gate.kind, gate.bound, gate.limit or 0.0) for name, gate in conf.gates_of(params["data"]).items()
    }
    judged = {gate["name"]: (gate["kind"], gate["bound"], gate["limit"]) for gate in gates}
    differing = [name for name in {**declared, **judged} if declared.get(name) != judged.get(name)]
    if differing:
        what = f"{REPORTS}/gates.json is not of conf/evaluation/{choice}.yaml as it stands; `dvc repro` judges again"
        raise InputError(
            what, [f"{name}: declared {declared.get(name)}, judged {judged.get(name)}" for name in differing]
        )


def decide(gates: list[Row], workspace: Revision, against: str | None, folder: Path) -> list[Row]:
    """Return the gates with those against a revision decided, or with the reason why they cannot be."""
    try:
        base = Revision(against or base_of_main(), folder)
    except InputError as error:
        if against:
            raise
        return [gate | {"why": f"pending: {error.what}"} if gate["kind"] == "revision" else gate for gate in gates]
    return [_decided(gate, workspace, base, bool(against)) if gate["kind"] == "revision" else gate for gate in gates]


def _decided(gate: Row, workspace: Revision, base: Revision, must: bool) -> Row:
    tables = [(revision.yaml("params.yaml") or {}).get("data") for revision in (workspace, base)]
    if tables[0] != tables[1]:
        return gate | {"passed": None, "why": f"pending: {base} is about another table, {tables[1]}"}
    own, other = ((side.json(f"{REPORTS}/intervals.json") or {}).get("metrics") for side in (workspace, base))
    metric = gate["metric"]
    if own is None or metric not in own:
        raise InputError(f"{REPORTS}/intervals.json has no {metric}; `dvc repro` makes it")
    if other is None or metric not in other:
        what = f"{base} has no {metric} in {REPORTS}/intervals.json"
        return gate | ({"passed": False, "why": what} if must else {"passed": None, "why": f"pending: {what}"})
    return gate | verdict(
        better_than(metric, own[metric], other[metric]), f"over {base}", gate["bound"], gate["limit"], True
    )


def better_than(metric: str, own: Row, other: Row) -> Row:
    """Return by how much one is better than the other, as if measured on separate rows.

    The interval is made from both their own intervals (MOVER; Zou & Donner 2008, Statistics in Medicine 27).
    """
    if own["value"] is None or other["value"] is None:
        return {"value": None, "low": None, "high": None}
    value = own["value"] - other["value"]
    below = math.hypot(own["value"] - own["low"], other["high"] - other["value"])
    above = math.hypot(own["high"] - own["value"], other["value"] - other["low"])
    row = {"value": round(value, 6), "low": round(value - below, 6), "high": round(value + above, 6)}
    return better_by(metric, row)


def table(gates: list[Row]) -> list[str]:
    """Return the gates as a Markdown table, aligned for a terminal."""
    words = {True: "pass", False: "FAIL", None: "pending"}
    rows = [["", "gate", "kind", "metric", "wanted", "decided by", "interval", "why"]]
    for gate in gates:
        sign = ">=" if gate["kind"] in ("floor", "baseline", "revision") or gate["metric"].endswith("_ratio") else "<="
        sign = ">" if (gate["kind"], gate["bound"]) == ("baseline", "low") else sign
        interval = "" if gate["low"] is None else f"[{_number(gate['low'])}, {_number(gate['high'])}]"
        cells = [words[gate["passed"]], gate["name"], gate["kind"], gate["metric"], f"{sign} {gate['limit']:g}"]
        number = _number(gate[KEY_OF_BOUND[gate["bound"]]])
        rows.append([*cells, f"{gate['bound']} {number}", interval, gate["why"] or ""])
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    return [lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    run("gates", main)
