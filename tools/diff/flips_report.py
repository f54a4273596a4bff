"""The flips section of tools.diff as Markdown."""

from __future__ import annotations

from typing import Any

from tools.diff.markdown import code, details, number, plain, table

SLICES_SHOWN = 12
ABOUT = {
    "classes": """Difference: of the share of rows called rightly, with its 95% interval (Bonett & Price 2012); of the
slices, verdicts hold for all {n} together (McNemar's exact test, Holm).""".replace("\n", " "),
    "numbers": """Difference: of the mean absolute error, with its 95% interval (normal); of the slices, verdicts hold
for all {n} together (Holm).""".replace("\n", " "),
}
COUNTS = {"classes": ("now_right", "now_wrong"), "numbers": ("closer", "farther")}


def verdict(found: dict[str, Any]) -> str | None:
    """Return how many rows turned right and wrong; None where that is not known."""
    if "why_not" in found:
        return None
    first, second = COUNTS[found["kind"]]
    whole = found["all"]
    names = first.replace("_", " "), second.replace("_", " ")
    return f"{whole[first]:,} of {whole['rows']:,} rows {names[0]}, {whole[second]:,} {names[1]}"


def lines(found: dict[str, Any]) -> list[str]:
    """Return the lines of what `flips.compare` found."""
    if "why_not" in found:
        return [f"Not known: {found['why_not']}."]
    said = f"{verdict(found)}: {_difference(found, found['all'])}, {found['all']['verdict']}."
    if found["kind"] == "classes" and found["all"]["recalled"]:
        said += f" {found['all']['recalled']:,} rows are called otherwise than before."
    if found["is_grouped"]:
        said += " (Rows are taken as independent, although the contract has groups: intervals here are too narrow.)"
    shown = [said, "", *(f"{plain(note)}\n" for note in found["notes"])]
    if found["slices"] and any(found["all"].get(key) for key in ("recalled", *COUNTS[found["kind"]])):
        shown += [*details(f"By slice ({len(found['slices'])})", _slices(found)), ""]
    if any(found["examples"].values()):
        shown += details("Rows that changed most", _examples(found["examples"]))
    return shown if shown[-1] else shown[:-1]


def _difference(found: dict[str, Any], row: dict[str, Any]) -> str:
    values = row["difference"], row["low"], row["high"]
    if found["kind"] == "classes":
        value, low, high = (f"{100 * share:+.2f}" for share in values)
        return f"{value} points [{low}, {high}]"
    value, low, high = (number(part, signed=True) for part in values)
    return f"{value} [{low}, {high}]"


def _slices(found: dict[str, Any]) -> list[str]:
    first, second = COUNTS[found["kind"]]
    rows = sorted(found["slices"], key=lambda part: (part["verdict"] == "cannot tell", part["p_corrected"]))
    cells = [
        [code(row["slice"]), f"{row['rows']:,}", f"{row[first]:,}", f"{row[second]:,}", _difference(found, row),
         row["verdict"]]
        for row in rows[:SLICES_SHOWN]
    ]  # fmt: skip
    header = ["slice", "rows", first.replace("_", " "), second.replace("_", " "), "difference, 95% interval", "verdict"]
    hidden = len(rows) - len(cells)
    about = ABOUT[found["kind"]].format(n=len(rows)) + (f" {hidden} more are not shown." if hidden > 0 else "")
    return [*table(header, cells), "", about]


def _examples(examples: dict[str, list[dict[str, Any]]]) -> list[str]:
    is_hidden = any(row["row"] is None for rows in examples.values() for row in rows)
    cells = [
        [kind, *([] if is_hidden else [code(row["row"])]), *(code(row[end]) for end in ("actual", "before", "after"))]
        for kind, rows in examples.items()
        for row in rows
    ]
    header = ["", *([] if is_hidden else ["row"]), "actual", "before", "after"]
    hidden = ["", "Keys are not shown: the contract calls them sensitive."] if is_hidden else []
    return [*table(header, cells), *hidden]
