"""The why section of tools.diff as Markdown."""

from __future__ import annotations

from typing import Any

from tools.diff.markdown import code, details, number, plain, table

ABOUT = """Each part is the mean step over all orders in which the factors could have changed (Shapley 1953), so that
the parts add up to the whole. Mixtures ran in temporary folders that share DVC's cache.""".replace("\n", " ")


def lines(found: dict[str, Any]) -> list[str]:
    """Return the lines of what `why.compare` found."""
    before, after = found["before"], found["after"]
    change = number(after - before, signed=True)
    rows = [[" and ".join(row["factors"]) + _mark(row), number(row["part"], signed=True)] for row in found["parts"]]
    rows += [[f"{factor} (unchanged)", "0"] for factor in found["unchanged"]]
    rows.append(["**together**", f"**{change}**"])
    said = f"{code(found['metric'])} {number(before)} -> {number(after)}:"
    failed = [
        f"With only {' and '.join(mixture['after'])} changed, the pipeline fails: {plain(mixture['failed'])}"
        for mixture in found["mixtures"]
        if "failed" in mixture
    ]
    mixtures = [
        [" and ".join(mixture["after"]) or "nothing", number(mixture.get("value")) if "value" in mixture else "failed"]
        for mixture in found["mixtures"]
    ]
    shown = [said, "", *table(["what changed", "part of the change"], rows), ""]
    shown += [f"{note}\n" for note in (*failed, *found["notes"])]
    return [*shown, *details("Mixtures", [ABOUT, "", *table(["after the change", found["metric"]], mixtures)])]


def _mark(row: dict[str, Any]) -> str:
    return "" if row["is_separable"] else " (not separable)"
