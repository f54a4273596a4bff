"""The report's sections on who the model works for: slices, weak ones that were found, fairness, behaviour tests."""

from __future__ import annotations

from typing import Any

from stages.runtime.contract import Contract
from stages.shared.metrics import HEADLINE
from stages.shared.report.parts import Html, badge, details, interval, paragraph, section, table
from stages.shared.report.sections import PASSED, Reports


def slices(contract: Contract, reports: Reports) -> Html:
    """Return each slice beside the other rows, and the weak ones that nobody declared."""
    found = reports.get("evaluate/slices.json")
    if not found:
        return Html("")
    name = HEADLINE[contract.task]
    rows, every = [], []
    for label, part in found["slices"].items():
        against = part["minus_rest"].get(name) or {}
        word = against.get("verdict")
        judged = Html(f"<td>{badge(PASSED[word], word)}</td>") if word else None
        rows.append([label, part["rows"], interval(part["metrics"].get(name)), interval(against, signed=True), judged])
        every += [[f"{label}: {metric}", interval(row)] for metric, row in part["metrics"].items()]
    header = ["slice", "rows", name, "minus the other rows", "verdict"]
    shown = [table("Slices of the test rows", header, rows)] if rows else [paragraph("No slices are declared.")]
    if every:
        shown.append(details("All metrics of all slices", table("Metrics by slice", ["slice", "value"], every)))
    small = found.get("too_small") or {}
    if small:
        listed = ", ".join(f"{label} ({n})" for label, n in small.items())
        shown.append(paragraph(f"Not measured, with fewer than {found['min_rows']} rows: {listed}."))
    return section("slices", "Slices", [*shown, weak(found.get("weak"))])


def weak(found: dict[str, Any] | None) -> Html:
    """Return the slices that the search found, and among how many."""
    if found is None:
        return Html("")
    told = f"Searched {found['candidates']:,} slices of one and two columns for a higher loss than the other rows have"
    if not found["slices"]:
        return paragraph(f"{told}: none, at a false discovery rate of {found['false_discovery']:.0%}.")
    rows = [[each["name"], each["rows"], each["loss"], each["rest"], each["p"], each["alike"]]
            for each in found["slices"]]  # fmt: skip
    header = ["weak slice", "rows", "mean loss", "of the others", "p", "like it"]
    return Html(
        paragraph(f"{told}; of those below, {found['false_discovery']:.0%} are expected to be false.")
        + table("Weak slices, the simplest of those that overlap", header, rows)
    )


def fairness(reports: Reports) -> Html:
    """Return the measures of each sensitive column."""
    found = (reports.get("evaluate/slices.json") or {}).get("fairness") or {}
    rows = [
        [column, metric.replace("_", " "), interval(row)]
        for column, part in found.items()
        for metric, row in part["metrics"].items()
    ]
    if not rows:
        return Html("")
    about = "Between the groups of a sensitive column: differences are 0 and ratios 1 where all are treated alike."
    return section("fairness", "Fairness", [paragraph(about), table("Fairness", ["column", "measure", "value"], rows)])


def behaviour(reports: Reports) -> Html:
    """Return each behaviour test, with rows that failed it."""
    found = reports.get("evaluate/behaviour.json") or {}
    rows, failing = [], []
    for name, test in found.items():
        words = {True: "passed", False: "failed", None: "not run"}
        passed = Html(f"<td>{badge(test['passed'], words[test['passed']])}</td>")
        rows.append([name, test["kind"], passed, test["rows"], test["broken"], test["allowed"], test["why"]])
        if test["failing"]:
            listed = [[f"row {row['_row']}" if "_row" in row else str(place), _told(row)]
                      for place, row in enumerate(test["failing"], start=1)]  # fmt: skip
            failing.append(details(f"Rows that broke {name}", table(f"Broke {name}", ["row", "how"], listed)))
    header = ["test", "kind", "", "rows", "broken", "share allowed", "why"]
    return section("behaviour", "Behaviour", [table("Behaviour tests", header, rows), *failing] if rows else [])


def _told(row: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.items() if name != "_row")
