"""A prediction log after a soak, held against what the clients asked and got: `faults` says what should not be so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

UNFLUSHED = 1.0  # seconds before the end of a killed worker whose lines may be missing
LATE = 1.0  # a client may read so long after the kill what was answered before it
FIRST = 5  # faults told of a kind
OWN = "soak-"  # what the ids of our requests begin with


@dataclass
class Answered:
    """One answered request: when the client had read it, and the numbers of the examples that it asked for."""

    time: float
    asked: Sequence[int]


@dataclass
class Checked:
    """What was found: lines by kind, requests that miss lines, with the seconds from their answer to the next kill."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    missing: dict[str, float | None] = field(default_factory=dict)


def check(
    folder: Path, answered: Mapping[str, Answered], unanswered: set[str], killed: Sequence[float], examples: list[Any]
) -> Checked:
    """Return how the log compares: each row of an answered request once, in order, with its inputs and its output.

    `unanswered` are the ids of requests whose client never read an answer: their lines may be there or not.
    """
    found, seen = Checked(), Counter[str]()
    for line in _lines(folder, found):
        if "note" in line:
            found.counts[f"noted {line['note']}"] += line["lost"]
            continue
        found.counts["lines"] += 1
        name, row = line["request_id"], line["row"]
        if name not in answered:
            found.counts["lines of answers that nobody read"] += 1
            if name.startswith(OWN) and name not in unanswered:
                found.faults.append(f"log: a refused or unknown request: {name}")
            continue
        if row != seen[name]:
            found.faults.append(f"log: row {row} of {name} stands where row {seen[name]} should")
        seen[name] = row + 1
        _compare(line, answered[name], examples, found)
    for name, each in answered.items():
        if seen[name] != len(each.asked):
            found.missing[name] = _before_kill(each.time, killed)
            if found.missing[name] is None:
                kills = ", ".join(f"{kill - each.time:+.3f} s" for kill in killed)
                found.faults.append(f"log: {name} has {seen[name]} of {len(each.asked)} lines; kills at {kills}")
    return found


def told(found: Checked) -> list[str]:
    """Return the lines that say what was found."""
    counts = ", ".join(f"{number} {what}" for what, number in sorted(found.counts.items()))
    ages = [before for before in found.missing.values() if before is not None]
    oldest = f", the oldest answered {max(ages):.3f} s before the kill" if ages else ""
    return [f"log: {counts}", f"log: {len(ages)} answered requests lost with a killed worker{oldest}"]


def _lines(folder: Path, found: Checked) -> Iterator[dict[str, Any]]:
    read = msgspec.json.Decoder(dict[str, Any]).decode
    for path in sorted(folder.iterdir()):
        found.counts["files"] += 1
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield read(line if line.endswith(b"\n") else b"no end")
                except msgspec.DecodeError as error:
                    found.faults.append(f"log: {path.name} line {number}: {error}")


def _compare(line: dict[str, Any], answered: Answered, examples: list[Any], found: Checked) -> None:
    asked = answered.asked[line["row"]] if line["row"] < len(answered.asked) else None
    if asked is None:
        found.faults.append(f"log: {line['request_id']} has more rows than were asked")
        return
    example = examples[asked]
    if line["inputs"] != example["record"] or line["output"] != example["answer"]:
        found.faults.append(f"log: row {line['row']} of {line['request_id']} is not what was asked and answered")


def _before_kill(moment: float, killed: Sequence[float]) -> float | None:
    """Return how long before a kill an answer was read that may have been lost with it, None where none may."""
    near = [kill - moment for kill in killed if -LATE <= kill - moment <= UNFLUSHED]
    return min(near, key=abs) if near else None
