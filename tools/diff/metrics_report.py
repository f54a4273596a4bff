"""The metrics section of tools.diff as Markdown."""

from __future__ import annotations

from typing import Any

from tools.diff.inference import POWER
from tools.diff.markdown import code, details, number, plain, table

WIDTH, REACH = 21, 5.0  # of the picture: characters, and standard errors from its middle to its edge
ABOUT = """Difference: after less before, with its 95% interval over {resamples:,} resamples of these rows, the same
for both models. The verdict holds for all {n} metrics together (Holm, level {level:.0%}): one false "better" or "worse"
in 20 such tables. Smallest seen: the true difference that {power:.0%} of test sets like this one would show at that
correction's strictest step. Picture: the interval against no difference (`│`), in standard errors, better to the
right.""".replace("\n", " ")
UNPAIRED = """Difference: head less base, with a 95% interval that takes the two test sets as independent (Zou & Donner
2008). The verdict holds for all {n} metrics together (Holm, level {level:.0%}).""".replace("\n", " ")


def verdict(found: dict[str, Any]) -> str:
    """Return what the headline metric says, and how many of the others went which way."""
    name = found["headline"]
    if not name:
        return "no metrics to compare"
    rows = found["metrics"]
    words = [row["verdict"] for row in rows.values()]
    if all(word == "equal" for word in words):
        return f"equal in all {len(rows)} metrics"
    counts = ", ".join(f"{words.count(word)} {word}" for word in ("better", "worse", "cannot tell") if word in words)
    return f"{_said(name, rows[name])}; of {len(rows)} metrics {counts}"


def _said(name: str, row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return f"{code(name)} has no value"
    ends = f"{number(row['difference'], signed=True)} [{_ends(row)}]"
    return f"{code(name)} {number(row['base'])} -> {number(row['head'])}, {ends}: **{row['verdict']}**"


def _ends(row: dict[str, Any]) -> str:
    return f"{number(row['low'], signed=True)}, {number(row['high'], signed=True)}"


def lines(found: dict[str, Any]) -> list[str]:
    """Return the lines of what `metrics.compare` found."""
    shown = [plain(note) for note in found["notes"]]
    if not found["metrics"]:
        return "\n\n".join(shown or ["No metrics to compare."]).split("\n")
    if found["paired"]:
        shown.append(_rows(found))
    header = ["metric", "before", "after", "difference, 95% interval", "", "verdict", "smallest seen"]
    names = sorted(found["metrics"], key=lambda name: name != found["headline"])
    cells = [_cells(name, found["metrics"][name], name == found["headline"]) for name in names]
    about = {"n": len(cells), "level": found["level"], "power": POWER, "resamples": found.get("resamples", 0)}
    explained = (ABOUT if found["paired"] else UNPAIRED).format(**about)
    return ["\n\n".join(shown), "", *table(header, cells), "", *details("How to read it", [explained])]


def _rows(found: dict[str, Any]) -> str:
    rows, relabelled = found["rows"], found["relabelled"]
    said = f"Both models on the same {rows['both']:,} test rows, matched by {plain(found['matched_by'])}."
    alone = [f"{rows[side] - rows['both']:,} only {where}" for side, where in (("base", "before"), ("head", "after"))]
    if rows["base"] != rows["both"] or rows["head"] != rows["both"]:
        said += f" Left out: {', '.join(alone)}."
    if relabelled:
        said += f" **The target of {relabelled:,} of them changed; both are held against what it is now.**"
    return said


def _cells(name: str, row: dict[str, Any], is_headline: bool) -> list[str]:
    title = f"**{code(name)}**" if is_headline else code(name)
    ends = [number(row["base"]), number(row["head"])]
    if row["difference"] is None:
        return [title, *ends, "–", "", row["verdict"], "–"]
    difference = f"{number(row['difference'], signed=True)} [{_ends(row)}]"
    return [title, *ends, difference, f"`{picture(name, row)}`", _word(row), number(row["smallest_seen"])]


def _word(row: dict[str, Any]) -> str:
    return f"**{row['verdict']}**" if row["verdict"] in ("better", "worse") else str(row["verdict"])


def picture(name: str, row: dict[str, Any]) -> str:
    """Return an interval as characters around 0: `·····│··━━●━━·`, better to the right."""
    from stages.shared.metrics import HIGHER_IS_BETTER

    sign = 1 if HIGHER_IS_BETTER.get(name, True) else -1
    cells = ["·"] * WIDTH
    cells[WIDTH // 2] = "│"
    error = (row["high"] - row["low"]) / (2 * 1.959964)
    if error:
        place, low, high = (_place(sign * row[end] / error) for end in ("difference", "low", "high"))
        for cell in range(min(low, high), max(low, high) + 1):
            cells[cell] = "┿" if cell == WIDTH // 2 else "━"
        cells[place] = "●"
    else:
        cells[WIDTH // 2] = "●"
    return "".join(cells)


def _place(deviations: float) -> int:
    """Return the cell, the outermost one for all that is further."""
    half = WIDTH // 2
    return half + max(-half, min(half, round(deviations / REACH * half)))
