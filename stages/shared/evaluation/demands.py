"""What conf/evaluation may ask beyond metrics: slices, behaviour tests, gates. Part of the schema in declared.py."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from stages.shared.errors import did_you_mean

Bound = Literal["point", "low", "high"]
# Keys of a gate by kind: those it must have, those it may have, besides `reason` and `bound`.
GATE_KEYS = {
    "floor": (["metric", "limit"], ["slice"]),
    "ceiling": (["metric", "limit"], ["slice"]),
    "baseline": (["against"], ["metric", "limit"]),
    "revision": (["limit"], ["metric"]),
    "slices": (["limit"], ["metric", "slice"]),
    "fairness": (["metric", "limit"], ["column"]),
    "behaviour": ([], ["test"]),
    "calibration": (["limit"], ["slice"]),
}
TEST_KEYS = {
    "invariance": (["column"], ["to", "permute", "add", "where", "of", "tolerance", "allowed", "rows"]),
    "direction": (["column", "expect"], ["to", "add", "where", "of", "tolerance", "allowed", "rows"]),
    "minimum": (["cases"], []),
}


@dataclass(frozen=True)
class SlicesConf:
    """How small a slice may be, and how weak ones are searched."""

    min_rows: int = field(default=30, metadata={"min": 10})
    search: bool = True
    false_discovery: float = field(default=0.05, metadata={"min": 0.001, "max": 0.5})
    min_effect: float = field(default=0.1, metadata={"min": 0.0})


@dataclass(frozen=True)
class Case:
    """A row of input columns and what its answer should be: a label, or a score within bounds."""

    row: dict[str, Any]
    label: str | None = None
    low: float | None = None
    high: float | None = None
    of: str | None = None

    def faults(self, given: Iterable[str]) -> list[str]:
        """Return what is wrong: nothing to hold the answer against."""
        is_empty = (self.label, self.low, self.high) == (None, None, None)
        return ["label: missing; give label, or low and high of the score"] if is_empty else []


@dataclass(frozen=True)
class BehaviourTest:
    """How the model should answer when a column is changed, or given rows."""

    kind: Literal["invariance", "direction", "minimum"]
    column: str | None = None
    to: list[Any] | None = None
    permute: bool = False
    add: float | None = None
    where: str | None = None
    of: str | None = None
    expect: Literal["not_lower", "not_higher"] | None = None
    tolerance: float = field(default=0.0, metadata={"min": 0.0})
    allowed: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    rows: int = field(default=200, metadata={"min": 1})
    cases: list[Case] = field(default_factory=list)

    def faults(self, given: Iterable[str]) -> list[str]:
        """Return keys that the kind does not know or lacks, and a change that is none or more than one."""
        found = wrong_keys(self.kind, TEST_KEYS, given)
        changes = [key for key in ("to", "permute", "add") if getattr(self, key) not in (None, False, [])]
        if self.kind in ("invariance", "direction") and len(changes) != 1:
            found.append(f"to: {self.kind} needs one of to, add{', permute' * (self.kind == 'invariance')}")
        return found


@dataclass(frozen=True)
class Gate:
    """A rule that can stop a release."""

    kind: Literal["floor", "ceiling", "baseline", "revision", "slices", "fairness", "behaviour", "calibration"]
    metric: str | None = None
    limit: float | None = None
    bound: Bound = "point"  # not `on`, which YAML reads as true
    slice: str | None = None
    against: Literal["linear", "constant"] | None = None
    column: str | None = None
    test: str | None = None
    reason: str | None = None

    def faults(self, given: Iterable[str]) -> list[str]:
        """Return keys that the kind does not know, and those that it lacks."""
        return wrong_keys(self.kind, GATE_KEYS, given, ["reason"] if self.kind == "behaviour" else ["reason", "bound"])


@dataclass(frozen=True)
class TableConf:
    """What is asked of one table, by its name in conf/data/."""

    slices: dict[str, str] = field(default_factory=dict)
    edges: dict[str, list[float]] = field(default_factory=dict)
    behaviour: dict[str, BehaviourTest] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)


def wrong_keys(
    kind: str | None, known: dict[str, tuple[list[str], list[str]]], given: Iterable[str], common: Iterable[str] = ()
) -> list[str]:
    """Return a fault for each key that a kind does not take, and for each that it lacks."""
    if kind not in known:
        return []  # the kind itself is the fault
    needed, optional = known[kind]
    keys = ["kind", *needed, *optional, *common]
    foreign = [f"{key}: {kind} takes no such key{did_you_mean(str(key), keys)}" for key in given if key not in keys]
    return foreign + [f"{key}: missing, {kind} needs it" for key in needed if key not in given]
