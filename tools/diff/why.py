"""The why section of tools.diff: how much of a metric's change came from data, code, parameters and environment."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError, did_you_mean
from stages.shared.metrics import HEADLINE
from tools.diff.attribution import separable, shapley, subsets
from tools.diff.hybrid import FACTORS, changed_factors, mix, unpack
from tools.diff.rerun import METRICS, evaluate, metrics_of
from tools.diff.revision import Revision

JOINT = "code and environment"
JOINED = """requirements.txt changed, and mixtures run in the environment that is here: what the libraries changed is
not told from what the code did.""".replace("\n", " ")
Values = dict[frozenset[str], dict[str, float] | str]  # of a mixture: its metrics, or why it failed


def compare(base: Revision, head: Revision, folder: Path, metric: str | None) -> dict[str, Any]:
    """Return each factor's part of a metric's change, and what every mixture gave.

    Raises InputError where a revision has no such metric or cannot be run here.
    """
    reported = [revision.json(str(METRICS)) for revision in (base, head)]
    if all(reported):  # then a wrong name is known before anything runs
        _common(metric, *reported)
    sides = {"base": unpack(base, folder / "base"), "head": unpack(head, folder / "head")}
    changed = changed_factors(*sides.values())
    is_joined = "environment" in changed
    factors = [factor for factor in changed if factor not in ("environment", *(["code"] if is_joined else []))]
    factors += [JOINT] if is_joined else []
    values: Values = {}
    for of_head in subsets(factors):
        said = " and ".join(sorted(of_head)) or "nothing"
        print(f"diff: mixture {len(values) + 1} of {2 ** len(factors)}: {said} changed", file=sys.stderr, flush=True)
        values[of_head] = _measured(sides, of_head, folder / "mixture")
    name = _metric(metric, values, factors, (base, head))
    unchanged = [factor for factor in FACTORS if factor not in changed and not (is_joined and factor == "code")]
    return {"metric": name, "notes": [JOINED] * is_joined, "unchanged": unchanged, **_attributed(factors, values, name)}


def _measured(sides: dict[str, Path], of_head: frozenset[str], place: Path) -> dict[str, float] | str:
    mixed = of_head - {JOINT} | (frozenset({"code", "environment"}) if JOINT in of_head else frozenset())
    try:
        return metrics_of(place) if mix(sides, mixed, place) else evaluate(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _metric(asked: str | None, values: Values, factors: list[str], revisions: tuple[Revision, Revision]) -> str:
    ends: list[dict[str, float]] = []
    for revision, end in zip(revisions, (values[frozenset()], values[frozenset(factors)]), strict=True):
        if isinstance(end, str):
            raise InputError(f"{revision} cannot be run here, so that nothing can be attributed: {end}")
        ends.append(end)
    return _common(asked, *ends)


def _common(asked: str | None, base: dict[str, float], head: dict[str, float]) -> str:
    """Return the metric that is asked for, the headline unless one is."""
    names = [name for name in base if name in head]
    name = asked or next((name for name in HEADLINE.values() if name in names), None)
    if name is None or name not in names:
        near = did_you_mean(str(name), names)
        raise InputError(f"--metric: {name!r} is no metric of both{near} (there are {', '.join(names)})")
    return name


def _attributed(factors: list[str], values: Values, name: str) -> dict[str, Any]:
    numbers = {mixed: found[name] for mixed, found in values.items() if not isinstance(found, str)}
    groups = separable(factors, set(values) - set(numbers))
    parts = [
        {"factors": sorted(group), "part": part, "is_separable": len(group) == 1}
        for group, part in zip(groups, shapley(groups, numbers.__getitem__), strict=True)
    ]
    mixtures: list[dict[str, Any]] = []
    for mixed, found in values.items():
        outcome = {"failed": found} if isinstance(found, str) else {"value": found[name]}
        mixtures.append({"after": sorted(mixed), **outcome})
    before, after = numbers[frozenset()], numbers[frozenset(factors)]
    return {"before": before, "after": after, "parts": parts, "mixtures": mixtures}
