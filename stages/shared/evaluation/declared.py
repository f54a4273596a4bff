"""The schema of conf/evaluation/NAME.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stages.shared.evaluation.demands import Gate, SlicesConf, TableConf

Unit = Literal["auto", "year", "quarter", "month", "week", "day", "hour"]


@dataclass(frozen=True)
class EvaluationConf:
    """What is measured on the test rows, and how finely."""

    resamples: int = field(metadata={"min": 20})
    confidence: float = field(metadata={"min": 0.5, "max": 0.999})
    plot_points: int = field(metadata={"min": 2})
    periods: Unit = "auto"  # where the split is by time
    slices: SlicesConf = field(default_factory=SlicesConf)
    gates: dict[str, Gate] = field(default_factory=dict)
    tables: dict[str, TableConf] = field(default_factory=dict)

    def of_table(self, name: str) -> TableConf:
        """Return what is asked of one table; nothing where it has no block."""
        return self.tables.get(name, TableConf())

    def gates_of(self, name: str) -> dict[str, Gate]:
        """Return the gates of one table: the generic ones, in place of which its own of the same name stand."""
        return self.gates | self.of_table(name).gates
