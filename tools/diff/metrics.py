"""The metrics section of tools.diff: both models on the test rows that both revisions have, or from Git's reports."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from stages.shared.metrics import HEADLINE, HIGHER_IS_BETTER
from tools.diff.inference import LEVEL, holm, judged, smallest_seen, two_sided
from tools.diff.metrics_report import lines as markdown
from tools.diff.pairing import Pairing
from tools.diff.revision import Revision

if TYPE_CHECKING:
    import numpy as np

INTERVALS = "reports/evaluate/intervals.json"
FEWEST_RESAMPLES = 1000  # or the smallest p-value they can give is above what the correction asks
__all__ = ["compare", "markdown"]


def compare(base: Revision, head: Revision, pairing: Pairing) -> dict[str, Any]:
    """Return each metric of both with difference, interval and verdict; `notes` says what could not be compared."""
    found: dict[str, Any] = {"level": LEVEL, "notes": list(pairing.notes)}
    stored = [revision.json(INTERVALS) for revision in (base, head)]
    if pairing.paired:
        found |= {"paired": True, **pairing.paired.found, **_paired(head, pairing)}
    elif not all(stored):
        absent = [str(revision) for revision, report in zip((base, head), stored, strict=True) if not report]
        found["notes"].append(f"{' and '.join(absent)} has no {INTERVALS}: nothing to compare.")
        found["metrics"] = {}
    elif pairing.why_not_comparable:
        found["metrics"] = {}
    else:
        found |= {"paired": False, "metrics": unpaired(*stored)}
        found["rows"] = {"base": stored[0].get("rows"), "head": stored[1].get("rows")}
        sources = f"Intervals are unpaired, from {INTERVALS} of both, and wider than paired ones would be."
        found["notes"].append(sources)
    found["headline"] = next((name for name in HEADLINE.values() if name in found["metrics"]), None)
    return found


def _paired(head: Revision, pairing: Pairing) -> dict[str, Any]:
    from stages.shared.bootstrap import measure

    paired = pairing.paired
    assert paired is not None
    params = head.yaml("params.yaml") or {}
    conf = head.yaml(f"conf/evaluation/{params.get('evaluation')}.yaml") or {}
    n_resamples = max(FEWEST_RESAMPLES, int(conf.get("resamples", 0)))
    predictions = {"base": (paired.base, paired.cuts[0]), "head": (paired.head, paired.cuts[1])}
    measured = measure(paired.contract.task, paired.rows, predictions, n_resamples, int(params.get("seed", 0)))
    names = [name for name in measured["base"] if name in measured["head"]]
    rows = {name: difference(measured["base"][name], measured["head"][name]) for name in names}
    return {"resamples": n_resamples, "metrics": corrected(rows)}


def difference(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return one metric's difference over the same resamples; the first value is the sample's own.

    The p-value is twice the smaller share of resamples on either side of 0, the sample counted among them (Davison &
    Hinkley 1997, section 4.2). Resamples without a value are left out.
    """
    import numpy as np

    drawn = (after - before)[1:]
    drawn = drawn[~np.isnan(drawn)]
    row = {"base": _known(before[0]), "head": _known(after[0])}
    if row["base"] is None or row["head"] is None or len(drawn) < 2:
        return {**row, "difference": None, "p": 1.0}
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    share = min((drawn <= 0).sum(), (drawn >= 0).sum()) + 1
    p = min(1.0, 2 * float(share) / (len(drawn) + 1))
    return {**row, "difference": float(after[0] - before[0]), "low": low, "high": high, "p": p, "error": drawn.std()}


def _known(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def unpaired(base: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
    """Return differences of reported metrics as of independent samples (Zou & Donner 2008, Stat. Med. 27:1693)."""
    rows = {}
    for name, before in base["metrics"].items():
        after = head["metrics"].get(name)
        if after:
            down = math.hypot(after["value"] - after["low"], before["high"] - before["value"])
            up = math.hypot(after["high"] - after["value"], before["value"] - before["low"])
            moved, error = after["value"] - before["value"], (down + up) / (2 * 1.959964)
            p = two_sided(moved / error) if error else float(moved == 0)
            ends = {"difference": moved, "low": moved - down, "high": moved + up}
            rows[name] = {"base": before["value"], "head": after["value"], **ends, "p": p, "error": error}
    return corrected(rows)


def corrected(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Add what holds for all metrics together: corrected p-value, verdict, smallest difference that could be seen."""
    for row, p in zip(rows.values(), holm([row["p"] for row in rows.values()]), strict=True):
        row["p_corrected"] = p
    for name, row in rows.items():
        error = row.pop("error", None)
        row["smallest_seen"] = smallest_seen(float(error), len(rows)) if error else None
        if row["difference"] is None:
            row["verdict"] = "no value"
        elif row["low"] == row["high"] == 0:
            row["verdict"] = "equal"
        else:
            row["verdict"] = judged(row["difference"], row["p_corrected"], HIGHER_IS_BETTER.get(name))
    return rows
