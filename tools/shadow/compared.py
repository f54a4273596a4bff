"""What two models say of the same records: refusals, changed predictions, how far the numbers are apart."""

from __future__ import annotations

import heapq
import json
import math
from collections import Counter
from pathlib import Path
from statistics import NormalDist, fmean, median, quantiles, stdev
from typing import Any

from stages.shared.progress import Progress
from tools.shadow.asked import Asked

CONFIDENCE = 0.95
Answer = dict[str, Any]


def compare(models: tuple[Asked, Asked], records: Path, n_records: int, n_examples: int) -> dict[str, Any]:
    """Return all that is reported, with numbers that are not rounded; records are asked of both in turn."""
    (a, b), found = models, _Found(n_examples)
    progress = Progress("shadow", "records answered twice", n_records)
    with records.open(encoding="utf-8") as lines:
        for number, (line, of_a, of_b) in enumerate(zip(lines, a.answers(records), b.answers(records), strict=True), 1):
            found.add(json.loads(line), of_a, of_b, (a.version, b.version))
            progress.update(number)
    progress.close()
    sides = [{"revision": side.revision, "version": side.version, "other_libraries": side.other_libraries()}
             for side in (a, b)]  # fmt: skip
    return {"a": sides[0], "b": sides[1], "records": n_records} | found.told()


class _Found:
    """Counts while the records go by."""

    def __init__(self, n_examples: int) -> None:
        self.n_examples = n_examples
        self.refused: Counter[str] = Counter()
        self.reasons: dict[str, Counter[str]] = {"a": Counter(), "b": Counter()}
        self.changed: Counter[tuple[str, str]] = Counter()
        self.differences: list[float] = []
        self.largest: list[tuple[float, int, dict[str, Any]]] = []
        self.seconds: dict[str, list[float]] = {"a": [], "b": []}
        self.logged: dict[str, Counter[bool]] = {"a": Counter(), "b": Counter()}
        self.redacted: Counter[str] = Counter()
        self.n_answered = self.n_equal = 0

    def add(self, line: dict[str, Any], of_a: dict[str, Any], of_b: dict[str, Any], versions: tuple[str, str]) -> None:
        self.redacted.update(line.get("redacted") or [])
        for side, told, version in zip("ab", (of_a, of_b), versions, strict=True):
            self.seconds[side].append(told["seconds"])
            self.reasons[side].update(f"{column}: {rule}" for column, rule in told.get("refused", []))
            if line["version"] == version and not line.get("redacted"):
                self.logged[side][told.get("answer") == line["output"]] += 1
        if "refused" in of_a or "refused" in of_b:
            self.refused["both" if "refused" in of_a and "refused" in of_b else "a" if "refused" in of_a else "b"] += 1
            return
        self._pair(line, of_a["answer"], of_b["answer"])

    def _pair(self, line: dict[str, Any], a: Answer, b: Answer) -> None:
        self.n_answered += 1
        self.n_equal += a == b
        is_changed = "probabilities" in a and a["prediction"] != b["prediction"]
        if is_changed:
            self.changed[str(a["prediction"]), str(b["prediction"])] += 1
        off = difference(a, b)
        self.differences.append(off)
        if off or is_changed:
            example = {"request_id": line["request_id"], "row": line["row"], "a": a, "b": b, "difference": off}
            heapq.heappush(self.largest, (abs(off), -self.n_answered, example))
            if len(self.largest) > self.n_examples:
                heapq.heappop(self.largest)

    def told(self) -> dict[str, Any]:
        return {
            "answered_by_both": self.n_answered,
            "equal": self.n_equal,
            "refused_by": {side: self.refused[side] for side in ("a", "b", "both")},
            "refusals": {side: dict(sorted(found.items())) for side, found in self.reasons.items()},
            "changed_predictions": _share(self.changed.total(), self.n_answered),
            "changes": [{"a": a, "b": b, "records": n} for (a, b), n in self.changed.most_common()],
            "difference": _spread(self.differences),
            "microseconds": {side: median(found) * 1e6 for side, found in self.seconds.items()},
            "as_logged": {
                side: {"records": found.total(), "equal": found[True]} for side, found in self.logged.items()
            },
            "redacted": dict(sorted(self.redacted.items())),
            "examples": [example for *_, example in sorted(self.largest, key=lambda entry: (-entry[0], -entry[1]))],
        }


def difference(a: Answer, b: Answer) -> float:
    """Return what b says more than a: of the number; of two classes the second's probability; of more classes, or of
    others, the largest difference of a probability."""
    if "probabilities" not in a:
        return float(b["prediction"] - a["prediction"])
    p, q = a["probabilities"], b["probabilities"]
    if list(p) == list(q) and len(p) == 2:
        second = list(p)[1]
        return float(q[second] - p[second])
    return max(abs(float(q.get(label, 0.0)) - float(p.get(label, 0.0))) for label in {*p, *q})


def _share(n_found: int, n_all: int) -> dict[str, Any]:
    """Return a share with its interval. Source: Wilson 1927, doi:10.1080/01621459.1927.10502953."""
    if not n_all:
        return {"records": 0, "share": None, "low": None, "high": None}
    z, share = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), n_found / n_all
    middle, scale = share + z * z / (2 * n_all), 1 + z * z / n_all
    half = z * math.sqrt(share * (1 - share) / n_all + z * z / (4 * n_all * n_all))
    low, high = max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
    return {"records": n_found, "share": share, "low": low, "high": high}


def _spread(found: list[float]) -> dict[str, Any]:
    """Return the mean with its interval (normal), and how large the differences are without their sign."""
    if len(found) < 2:
        return {}
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * stdev(found) / math.sqrt(len(found))
    cuts = quantiles(map(abs, found), n=100, method="inclusive")
    return {
        "mean": fmean(found), "low": fmean(found) - half, "high": fmean(found) + half,
        "median": cuts[49], "p95": cuts[94], "p99": cuts[98], "largest": max(map(abs, found)),
    }  # fmt: skip
