"""Compares two profiles: the label rate, what is missing, and how differently each column is distributed."""

from __future__ import annotations

import math
from typing import Any

from stages.shared.profile.measure import SIDES
from stages.shared.profile.shift import noise, shares, total_variation

Profile = dict[str, Any]
Z = 1.959964  # of a 95% interval
ALPHA = 0.05  # of one false alarm among all columns


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95% score interval of a share (Wilson 1927, JASA 22:209)."""
    share, spread = hits / n, Z * math.sqrt(hits / n * (1 - hits / n) / n + Z**2 / (4 * n**2))
    return tuple((share + Z**2 / (2 * n) + sign * spread) / (1 + Z**2 / n) for sign in (-1, 1))  # type: ignore[return-value]


def newcombe(hits: tuple[int, int], n: tuple[int, int]) -> tuple[float, float]:
    """Return the 95% interval of the second share less the first (Newcombe 1998, Stat. Med. 17:873, method 10)."""
    (low, high), (low2, high2) = wilson(hits[0], n[0]), wilson(hits[1], n[1])
    first, second = hits[0] / n[0], hits[1] / n[1]
    down = math.hypot(second - low2, high - first)
    up = math.hypot(high2 - second, first - low)
    return second - first - down, second - first + up


def compare_labels(base: Profile, head: Profile) -> list[dict[str, Any]]:
    """Return, for all rows and each side, the rate of the positive class, of each class, or the mean, with intervals.

    The interval takes the two revisions as independent samples; the more rows they share, the wider it is than needed.
    """
    found = []
    for side in ("all", *SIDES):
        first, second = (_side(profile, side) for profile in (base, head))
        if not first or not second:
            continue
        if base["task"] == "regression":
            found.append({"side": side, "label": "mean", **_means(first, second)})
            continue
        labels = [base["positive"]] if base["positive"] else sorted({*first, *second})
        found += [{"side": side, "label": label, **_rates(first, second, label)} for label in labels]
    return found


def _side(profile: Profile, side: str) -> dict[str, Any]:
    """Return the target of one side or of all; empty where it has no rows."""
    sides = profile["target"]["sides"]
    if side != "all":
        found: dict[str, Any] = sides.get(side, {})
        return found if _size(profile, found) else {}
    every = [found for found in sides.values() if _size(profile, found)]
    if not every:
        return {}
    if profile["task"] != "regression":
        return {
            label: sum(found.get(label, 0) for found in every) for label in sorted({key for f in every for key in f})
        }
    n = sum(found["rows"] for found in every)
    mean = math.fsum(found["rows"] * found["mean"] for found in every) / n
    squares = (
        (found["rows"] - 1) * found["deviation"] ** 2 + found["rows"] * (found["mean"] - mean) ** 2 for found in every
    )
    return {"rows": n, "mean": mean, "deviation": math.sqrt(math.fsum(squares) / max(1, n - 1))}


def _size(profile: Profile, found: dict[str, Any]) -> int:
    return int(found.get("rows", 0) if profile["task"] == "regression" else sum(found.values()))


def _rates(first: dict[str, int], second: dict[str, int], label: str) -> dict[str, Any]:
    hits, n = (first.get(label, 0), second.get(label, 0)), (sum(first.values()), sum(second.values()))
    interval = newcombe(hits, n)
    return {"base": hits[0] / n[0], "head": hits[1] / n[1], **_judged(hits[1] / n[1] - hits[0] / n[0], interval)}


def _means(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """By the normal approximation of two independent means of unequal variance."""
    difference = second["mean"] - first["mean"]
    half = Z * math.sqrt(sum(found["deviation"] ** 2 / found["rows"] for found in (first, second)))
    interval = (difference - half, difference + half)
    return {"base": first["mean"], "head": second["mean"], **_judged(difference, interval)}


def _judged(difference: float, interval: tuple[float, float]) -> dict[str, Any]:
    return {"difference": difference, "interval": list(interval), "changed": not interval[0] <= 0 <= interval[1]}


def compare_columns(base: Profile, head: Profile) -> list[dict[str, Any]]:
    """Return of each column that both have with one type: total variation, missing, and what chance stays under.

    Bounds are for 95% of comparisons of two samples of one population, over all columns at once (Bonferroni). Those
    furthest above their bound come first.
    """
    before = {column["name"]: column for column in base["columns"]}
    after = {column["name"]: column for column in head["columns"]}
    common = [name for name in before if name in after and before[name]["type"] == after[name]["type"]]
    n_tests = max(1, sum(1 + ("counts" in before[name] and "counts" in after[name]) for name in common))
    found = [_column(base, head, before[name], after[name], ALPHA / n_tests) for name in common]
    return sorted(found, key=lambda column: -column["excess"])


def _column(base: Profile, head: Profile, first: Profile, second: Profile, alpha: float) -> dict[str, Any]:
    found: dict[str, Any] = {"column": first["name"]}
    missing = [
        (sum(column["missing"].values()) / max(1, sum(profile["rows"].values())), sum(profile["rows"].values()))
        for column, profile in ((first, base), (second, head))
    ]
    pairs = [([share, 1 - share], n) for share, n in missing]
    found["missing"] = [share for share, _ in missing]
    found["missing_noise"] = noise(pairs[0], pairs[1], alpha)
    found["excess"] = abs(missing[0][0] - missing[1][0]) - found["missing_noise"]
    aligned = align(first, second)
    if aligned:
        cells = [
            shares(column, profile["rows"], profile["sample"]["rows"], list(SIDES))
            for column, profile in zip(aligned, (base, head), strict=True)
        ]
        found["distance"] = total_variation(cells[0][0], cells[1][0])
        found["noise"] = noise(cells[0], cells[1], alpha)
        found["cells"] = len(cells[0][0])
        found["excess"] = max(found["excess"], found["distance"] - found["noise"])
    found["changed"] = found["excess"] > 0
    return found


def align(first: Profile, second: Profile) -> tuple[Profile, Profile] | None:
    """Return two columns with the bins or values that both have, the rest merged; None where none are common."""
    if "counts" not in first or "counts" not in second:
        return None
    if "values" in first and "values" in second:
        common = [value for value in first["values"] if value in second["values"]]
        return _choose(first, common), _choose(second, common)
    if not first.get("edges") or not second.get("edges"):
        return None
    edges = [edge for edge in first["edges"] if edge in second["edges"]]
    return (_merge(first, edges), _merge(second, edges)) if edges else None


def _choose(column: Profile, values: list[str]) -> Profile:
    counts = {}
    for side, cells in column["counts"].items():
        named = dict(zip(column["values"], (n or 0 for n in cells), strict=False))
        shown = [named[value] for value in values]
        counts[side] = [*shown, sum(n or 0 for n in cells) - sum(shown)]
    return {**column, "values": values, "counts": counts}


def _merge(column: Profile, edges: list[Any]) -> Profile:
    ends = [column["edges"].index(edge) + 1 for edge in edges]
    starts, stops = [0, *ends], [*ends, len(column["edges"]) + 1]
    counts = {
        side: [sum(n or 0 for n in cells[start:stop]) for start, stop in zip(starts, stops, strict=True)]
        for side, cells in column["counts"].items()
    }
    return {**column, "edges": edges, "counts": counts}
