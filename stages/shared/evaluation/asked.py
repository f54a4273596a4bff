"""What the model's own configuration asks of its answers, and is measured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Asked:
    """Costs of the four outcomes of two classes, by name; the share of numbers that should lie below the answer."""

    costs: dict[str, float] | None = None
    quantile: float | None = None


def asked_of(meta: dict[str, Any]) -> Asked:
    """Return what model.json says that conf/model declared."""
    return Asked(meta.get("costs"), meta.get("quantile"))
