"""The schema of conf/evaluation/NAME.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EvaluationConf:
    """What is measured on the test rows, and how finely."""

    resamples: int = field(metadata={"min": 20})
    confidence: float = field(metadata={"min": 0.5, "max": 0.999})
    plot_points: int = field(metadata={"min": 2})
