"""What is in which stage, and which tags nobody else has seen yet."""

from __future__ import annotations

from stages.shared.errors import InputError
from tools.promote import evidence
from tools.promote.registry import STAGES, Event, Registry, has_origin, listed_at_origin


def status(registry: Registry) -> list[str]:
    """Return a line for each stage and version, and the command that pushes what origin lacks."""
    if not registry.events:
        return [f"promote: {registry.artifact} has no version yet: python -m tools.promote staging"]
    rows = [_stage_row(registry, stage) for stage in STAGES]
    rows += [["version", version, *_of_version(event)] for version, event in reversed(registry.versions.items())]
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [registry.artifact, *(f"  {line}" for line in lines), *_to_push(registry)]


def _stage_row(registry: Registry, stage: str) -> list[str]:
    version = registry.in_stage(stage)
    if version is None:
        return [stage, "-", "", "", ""]
    found = [event for event in registry.events if event["event"] == "assignment" and event["stage"] == stage]
    return [stage, version, *_when(found[-1]), ""]


def _of_version(event: Event) -> list[str]:
    try:
        told = evidence.read(event["ref"])
    except InputError as error:  # made by `gto register`
        return [*_when(event), error.what]
    return [*_when(event), f"{told['wheel']['version']}  {evidence.headline(told)}"]


def _when(event: Event) -> list[str]:
    return [f"{event['timestamp']:%Y-%m-%d %H:%M}", f"{event['author']} at {event['commit'][:10]}"]


def _to_push(registry: Registry) -> list[str]:
    if not has_origin():
        return []
    known, why = listed_at_origin()
    if why:
        return [f"whether origin has these tags is not known: {why}"]
    missing = [str(event["ref"]) for event in registry.events if event["ref"] not in known]
    return [f"next: git push origin {' '.join(missing)}"] if missing else []
