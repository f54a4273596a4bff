"""What was measured as one Markdown table: medians of the rounds, how many times ours is better, what was asked for."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median

from tests.benchmarks.serving.peers import EMPTY, MLFLOW, OURS, PEERS

PIPELINE = "pipeline"  # the fitted Pipeline in process
OTHERS = tuple(name for name in PEERS if name not in (OURS, EMPTY, MLFLOW))
Found = Mapping[str, Mapping[str, list[float]]]  # by system and measure, a number a round


@dataclass(frozen=True)
class Measure:
    """One line of the table; `asked` is {times better: systems}."""

    key: str
    title: str
    better: str = "less"  # or "more", or "" where no ratio makes sense
    asked: dict[float, tuple[str, ...]] = field(default_factory=dict)

    def times(self, ours: float, theirs: float) -> float:
        """Return how many times ours is better."""
        better, worse = (ours, theirs) if self.better == "more" else (theirs, ours)
        return better / worse if worse else float("inf")


MEASURES = (
    Measure(
        "per_second", "requests a second, 8 connections, a row each", "more",
        {80: (MLFLOW,), 50: OTHERS, 0.4: (EMPTY,)},
    ),
    Measure("p50_ms", "their p50, ms"),
    Measure("p99_ms", "their p99, ms", asked={30: (MLFLOW,)}),
    Measure("start_s", "start to first answer, s", asked={12: (MLFLOW,)}),
    Measure("memory_mb", "memory of all processes (PSS), MB", asked={5: (MLFLOW,)}),
    Measure("thousand_ms", "a request of 1000 rows, ms", asked={3: (MLFLOW,)}),
    Measure("differ_alone", "answers that are not ours, of 200 rows alone", ""),
    Measure("differ_together", "likewise, of 1000 in one request", ""),
    Measure("row_p50_ms", "a row in process, p50, ms", asked={200: (PIPELINE,)}),
    Measure("row_p99_ms", "a row in process, p99, ms", asked={200: (PIPELINE,)}),
)  # fmt: skip


def table(found: Found, systems: list[str], versions: Mapping[str, str]) -> str:
    """Return the table, a column a system."""
    heads = ["", *(f"{name} {versions.get(name, '')}".strip() for name in systems), "asked", "met"]
    lines = [heads, ["---"] * len(heads)]
    for measure in MEASURES:
        cells = [cell(measure, found, name) for name in systems]
        if any(cells):
            lines.append([measure.title, *cells, *verdict(measure, found, systems)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(measure: Measure, found: Found, name: str) -> str:
    """Return the median, and how many times ours is better; empty where nothing was measured."""
    values = found.get(name, {}).get(measure.key)
    if not values:
        return ""
    text = number(median(values))
    ours = found.get(OURS, {}).get(measure.key)
    return (
        text
        if name == OURS or not ours or not measure.better
        else f"{text} ({ratio(measure.times(median(ours), median(values)))})"
    )


def number(value: float) -> str:
    """Return three digits at least, and never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(times: float) -> str:
    """Return a number of times, so that it cannot be taken for another unit."""
    return f"{times:.0f}x" if times >= 10 else f"{times:.2g}x"


def verdict(measure: Measure, found: Found, systems: list[str]) -> list[str]:
    """Return what was asked for, and whether it is met by the systems that were measured."""
    asked = {
        name: times
        for times, names in measure.asked.items()
        for name in names
        if name in systems and found.get(name, {}).get(measure.key) and found.get(OURS, {}).get(measure.key)
    }
    ours = found.get(OURS, {}).get(measure.key, [])
    got = {name: measure.times(median(ours), median(found[name][measure.key])) for name in asked}
    short = [name for name in asked if got[name] < asked[name]]
    told = "; ".join(
        f"{times:g}x {', '.join(name for name in names if name in asked)}"
        for times, names in measure.asked.items()
        if any(name in asked for name in names)
    )
    return [told, "" if not asked else f"no: {', '.join(short)}" if short else "yes"]


def machine(rounds: int, seconds: float) -> str:
    """Return when and where it was measured."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    busy = os.getloadavg()[0]
    return (
        f"{date.today()}, {len(os.sched_getaffinity(0))} cores, {total:.0f} GB, Python {platform.python_version()}; "
        f"medians of {rounds} rounds of {seconds:g} s, one worker each; load average before: {busy:.1f}"
    )
