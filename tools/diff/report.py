"""All sections as one Markdown report: the verdict on top, and never longer than a comment on GitHub may be."""

from __future__ import annotations

from typing import Any

from tools.diff import data, flips, flips_report, gates, metrics, metrics_report, model, parameters, why_report
from tools.diff.markdown import details

LIMIT = 65_000  # characters; a comment on GitHub holds 65,536
CUT = "The rest of this section is left out: the report is longer than a comment may be. `--json` has all of it."
FOLDED = {"data": "What changed in the data"}  # sections that are long by nature
VERDICTS = {
    "metrics": metrics_report.verdict,
    "flips": flips_report.verdict,
    "gates": gates.verdict,
    "parameters": parameters.verdict,
}
MARKDOWN = {
    "metrics": metrics.markdown,
    "why": why_report.lines,
    "flips": flips.markdown,
    "gates": gates.markdown,
    "parameters": parameters.markdown,
    "data": data.markdown,
    "model": model.markdown,
}


def verdict(sections: dict[str, Any]) -> str:
    """Return the line that a reviewer reads first."""
    said = [judge(sections[name]) for name, judge in VERDICTS.items()]
    return "; ".join([*filter(None, said), _of_data(sections["data"])]) + "."


def _of_data(found: dict[str, Any]) -> str:
    contract, rows = found["contract"], found.get("rows", {})
    counts = {fate: rows.get(fate, 0) for fate in ("added", "removed", "changed")}
    said = [f"{n:,} {fate}" for fate, n in counts.items() if n]
    shifted = sum(column["changed"] for column in found.get("columns", []))
    parts = [*(["contract changed"] if any(contract.values()) else []), *([f"rows {', '.join(said)}"] if said else [])]
    parts += [f"{shifted} columns shifted"] if shifted else []
    if parts:
        return f"data: {', '.join(parts)}"
    return "no change seen in the data" if not found["notes"] else "data not compared in full"


def markdown(title: str, sections: dict[str, Any]) -> str:
    """Return the report. What is too long is cut, and says so."""
    said = verdict(sections)
    head = [f"# {title}", "", f"{said[0].upper()}{said[1:]}"]
    bodies = {name: _body(name, sections[name]) for name in MARKDOWN if name in sections}
    room = LIMIT - len("\n".join(head))
    parts = ["\n".join(head)]
    for place, (name, lines) in enumerate(bodies.items()):
        waiting = len(bodies) - place - 1
        fair = room - min(waiting * LIMIT // 20, sum(_size(rest) for rest in list(bodies.values())[place + 1 :]))
        text = "\n".join(["", f"## {name.capitalize()}", "", *cut(lines, fair - len(name) - 10)])
        parts.append(text)
        room -= len(text) + 1
    return "\n".join(parts)


def _body(name: str, found: dict[str, Any]) -> list[str]:
    lines = MARKDOWN[name](found)
    return details(FOLDED[name], lines) if name in FOLDED else lines


def _size(lines: list[str]) -> int:
    return sum(len(line) + 1 for line in lines) + 20


def cut(lines: list[str], room: int) -> list[str]:
    """Return the lines that fit into `room` characters, what was folded closed again, and a note where some do not."""
    if _size(lines) <= room:
        return lines
    kept: list[str] = []
    room -= len(CUT) + 100
    for line in lines:
        if room < len(line) + 1:
            break
        kept.append(line)
        room -= len(line) + 1
    n_open = sum(line.startswith("<details>") for line in kept) - kept.count("</details>")
    return [*kept, "", *["</details>"] * n_open, "", CUT]
