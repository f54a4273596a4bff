"""What the model card says of test rows: metrics, classes, deciles, periods, gates, groups, weak slices."""

from __future__ import annotations

from stages.shared.cards.facts import Fact
from stages.shared.cards.parts import interval, joined, section, table, titled

MOST_WEAK = 5  # slices that are told


def measured(evaluated: Fact) -> list[str]:
    """Return the metrics of the model and both baselines, and what parts of the rows say."""
    rows = []
    for name, row in evaluated["metrics"].items():
        against = evaluated["minus_linear"][name.value]
        parts = (row, evaluated["linear"][name.value], evaluated["constant"][name.value], against)
        rows.append([f"{name}", *map(interval, parts), f"{against['verdict']}"])
    return [
        f"## Measured on {evaluated['rows']} test rows",
        "",
        f"Intervals of {evaluated['confidence']:.0%}; the difference is paired over the same resamples.",
        "",
        *table(["metric", "model", "linear baseline", "constant", "model - linear", "verdict"], rows),
        *_classes(evaluated),
        *_deciles(evaluated),
        *_periods(evaluated),
    ]


def _classes(evaluated: Fact) -> list[str]:
    """Return precision, recall and F1 of each of several classes."""
    if "classes" not in evaluated:
        return []
    classes = evaluated["classes"].items()
    names = [name for name, _ in classes[0][1].items() if name.value != "rows"]
    rows = [[f"{label}", f"{part['rows']}", *(interval(part[name.value]) for name in names)] for label, part in classes]
    return titled("By class:", ["class", "rows", *(f"{name:words}" for name in names)], rows)


def _deciles(evaluated: Fact) -> list[str]:
    """Return the errors by how large the target is."""
    if "deciles" not in evaluated:
        return []
    rows = [
        [f"{part['from']:.6g} to {part['to']:.6g}", f"{part['rows']}",
         *(interval(part[name]) for name in ("mae", "mean_error"))]
        for part in evaluated["deciles"]
    ]  # fmt: skip
    return titled(
        "By decile of the target:", ["target", "rows", "mean absolute error", "mean of actual - predicted"], rows
    )


def _periods(evaluated: Fact) -> list[str]:
    """Return the headline metric by period, where the split is by time."""
    if "periods" not in evaluated:
        return []
    found = evaluated["periods"]
    name = found["headline"]
    rows = [
        [f"{part['period']}", f"{part['rows']}", interval(part["metrics"][name.value]),
         interval(part["linear"][name.value]), f"{part['minus_linear'][name.value]['verdict']}"]
        for part in found["list"]
    ]  # fmt: skip
    return titled(f"{name} by {found['unit']}:", ["period", "rows", "model", "linear baseline", "verdict"], rows)


def gates(listed: Fact) -> list[str]:
    """Return how many gates passed, and each that did not, or that has a reason."""
    if not listed:
        return []
    word = {False: "failed", None: "pending"}
    others = [gate for gate in listed if not gate["passed"]]
    lines = [f"- {gate['name']:code} {word[gate['passed'].value]}: {gate['metric']}{_against(gate)}" for gate in others]
    excused = [f"- {gate['name']:code}: {gate['reason']}" for gate in listed if gate["reason"]]
    told = f"{listed:count passed=true} of {listed:count} gates passed; `reports/evaluate/gates.json` has the numbers."
    return section("Gates", [told, *([""] if lines or excused else []), *lines, *excused, ""])


def _against(gate: Fact) -> str:
    number = gate[{"point": "value", "low": "low", "high": "high"}[gate["bound"].value]]
    found = "" if number.value is None else f" {number:.6g}, limit {gate['limit']:.6g}"
    return found + (f" ({gate['why']})" if gate["why"] else "")


def groups(slices: Fact) -> list[str]:
    """Return each sensitive column's differences and ratios between its groups, and where the model is weak."""
    parts = []
    fairness = slices.get("fairness")
    if fairness:
        parts += ["Between the groups of sensitive columns:", "", *_fairness(fairness)]
    else:
        parts += ["The contract marks no column as sensitive, so nothing was compared between groups.", ""]
    if slices.get("slices"):
        declared = [name for name, part in slices["slices"].items() if part["kind"].value == "declared"]
        parts += [f"Declared slices: {joined(declared)}.", ""] if declared else []
    return section("Factors", parts + _weak(slices))


def _fairness(fairness: Fact) -> list[str]:
    columns = fairness.items()
    names = {name.value: name for _, found in columns for name, _ in found["metrics"].items()}
    rows = []
    for column, found in columns:
        metrics = [found["metrics"].get(name) for name in names]
        cells = [interval(row) if row and row["value"].value is not None else "" for row in metrics]
        rows.append([f"{column:code}", f"{found['groups']:count}", *cells, joined(list(found["left_out"]), "")])
    return table(["column", "groups", *(f"{name:words}" for name in names.values()), "too few rows"], rows)


def _weak(slices: Fact) -> list[str]:
    """Return the weakest slices that nobody declared."""
    weak = slices.get("weak")
    if weak is None:
        return []
    if not weak["slices"]:
        return [f"Of {weak['candidates']} slices tried, none is surely worse than the other rows.", ""]
    rows = [
        [f"{each['name']:code}", f"{each['rows']}", f"{each['loss']:.6g}", f"{each['rest']:.6g}"]
        for each in list(weak["slices"])[:MOST_WEAK]
    ]
    told = f"Of {weak['candidates']} slices tried, {weak['slices']:count} are surely worse than the other rows"
    return titled(f"{told}; the surest:", ["weak slice", "rows", "mean loss", "of the others"], rows)
