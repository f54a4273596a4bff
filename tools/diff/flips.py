"""The flips section of tools.diff: rows now right, rows now wrong; of a number, the rows whose error changed most."""

from __future__ import annotations

from typing import Any

from tools.diff.flips_report import lines as markdown
from tools.diff.inference import holm, judged
from tools.diff.pairing import Pairing
from tools.diff.revision import Revision

EXAMPLES = 5  # of each kind
__all__ = ["compare", "markdown"]


def compare(head: Revision, pairing: Pairing) -> dict[str, Any]:
    """Return counts with intervals, overall and by slice, and examples with their keys; `why_not` where rows lack."""
    if pairing.paired is None:
        return {"why_not": "predictions of both revisions for the same rows are not to be had"}
    from tools.diff.change import Change, Classes, Errors
    from tools.diff.slices import keys_of, slices

    paired = pairing.paired
    is_number = paired.contract.task == "regression"
    change: Change = Errors.of(paired) if is_number else Classes.of(paired)
    members, notes = slices(head, pairing.connection, paired)
    parts = [{"slice": name, **change.measure(member)} for name, member in members.items()]
    for part, p in zip(parts, holm([part.pop("p") for part in parts]), strict=True):
        part |= {"p_corrected": p, "verdict": judged(part["difference"], p, change.is_higher_better)}
    whole = change.measure(None)
    whole["verdict"] = judged(whole["difference"], whole["p"], change.is_higher_better)
    found = {"kind": "numbers" if is_number else "classes", "all": whole, "slices": parts, "notes": notes}
    places = change.examples(EXAMPLES)
    names = keys_of(pairing.connection, paired, [place for chosen in places.values() for place in chosen])
    rows = {
        kind: [{"row": names.get(place), **dict(zip(("actual", "before", "after"), change.sides(place), strict=True))}
               for place in chosen]
        for kind, chosen in places.items()
    }  # fmt: skip
    return {**found, "examples": rows, "is_grouped": paired.rows.group is not None}
