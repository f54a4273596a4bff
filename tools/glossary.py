"""Writes conf/evaluation/REFERENCE.md, which says what every reported number is: `python -m tools.glossary`."""

from __future__ import annotations

from pathlib import Path

from stages.shared.errors import run
from stages.shared.evaluation.glossary import GLOSSARY, Entry
from stages.shared.metrics import HEADLINE

PAGE = Path("conf/evaluation/REFERENCE.md")
INTRO = """# What the reports' numbers are

Written by `python -m tools.glossary` from `stages/shared/evaluation/glossary.py`; a test refuses a reported number that
is not here. All are means over test rows weighted by the contract's weight, if it has one. Where a function of
scikit-learn is named, tests hold the number equal to it, to 12 digits, with weights. Intervals: the docstring of
`stages/shared/bootstrap.py`; README says how often they hold.

| number | what it is | formula | tasks | better | range | source | scikit-learn |
|---|---|---|---|---|---|---|---|
"""
BETTER = {True: "higher", False: "lower", None: "neither"}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    print(f"glossary: {PAGE}  {len(GLOSSARY)} numbers")


def page() -> str:
    """Return the whole page."""
    lines = [_line(name, entry) for name, entry in GLOSSARY.items()]
    headlines = ", ".join(f"`{name}` ({task})" for task, name in HEADLINE.items())
    return INTRO + "\n".join(lines) + f"\n\nThe headline, which the verdict is about: {headlines}.\n"


def _line(name: str, entry: Entry) -> str:
    cells = [f"`{name}`", entry.title, entry.formula, entry.tasks, BETTER[entry.higher_is_better], entry.span]
    cells += [entry.source, f"`{entry.scikit_learn}`" if entry.scikit_learn else "none"]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    run("glossary", main)
