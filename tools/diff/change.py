"""What became of each row's answer: right and wrong for classes, the size of the error for a number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stages.shared.metrics import call
from tools.diff.inference import NORMAL, mcnemar, paired_shares, two_sided
from tools.diff.predicted import Paired

Array = np.ndarray[Any, Any]


class Change(Protocol):
    """Two kinds have one form: counts with an interval of any subset of rows, and which rows to show."""

    @property
    def is_higher_better(self) -> bool:
        """Whether a difference above 0 is better."""

    def measure(self, member: Array | None) -> dict[str, Any]:
        """Return counts, difference, its 95% interval and p-value of the rows where `member` holds, or of all."""

    def examples(self, n_rows: int) -> dict[str, list[int]]:
        """Return the places of the rows that changed most, by kind."""

    def sides(self, place: int) -> tuple[str, str, str]:
        """Return what a row was, what was said of it before, and what is now."""


@dataclass(frozen=True)
class Classes:
    """Called classes before and after; `moved` is how much more the actual class's probability is than before."""

    paired: Paired
    called: tuple[Array, Array]
    moved: Array
    is_higher_better: bool = True

    @classmethod
    def of(cls, paired: Paired) -> Classes:
        """Return it for paired rows."""
        task, y = paired.contract.task, paired.rows.y
        called = tuple(
            call(task, scores, cut) for scores, cut in zip((paired.base, paired.head), paired.cuts, strict=True)
        )
        gain = paired.head - paired.base
        moved = np.where(y == 1, gain[:, 0], -gain[:, 0]) if task == "binary" else gain[np.arange(len(y)), y]
        return cls(paired, (called[0], called[1]), moved)

    def measure(self, member: Array | None) -> dict[str, Any]:
        """Return rows, how many of them are now right, now wrong and called otherwise, and the change of accuracy."""
        chosen = slice(None) if member is None else member
        y, (before, after) = self.paired.rows.y[chosen], (called[chosen] for called in self.called)
        now_right = int(((before != y) & (after == y)).sum())
        now_wrong = int(((before == y) & (after != y)).sum())
        low, high = paired_shares(now_right, now_wrong, len(y))
        counts = {
            "rows": len(y),
            "now_right": now_right,
            "now_wrong": now_wrong,
            "recalled": int((before != after).sum()),
        }
        difference = (now_right - now_wrong) / len(y)
        return {**counts, "difference": difference, "low": low, "high": high, "p": mcnemar(now_right, now_wrong)}

    def examples(self, n_rows: int) -> dict[str, list[int]]:
        """Return the rows now right and now wrong whose actual class gained or lost most."""
        y, (before, after) = self.paired.rows.y, self.called
        order = np.argsort(-np.abs(self.moved), kind="stable")
        kinds = {"now wrong": (before == y) & (after != y), "now right": (before != y) & (after == y)}
        return {kind: order[chosen[order]][:n_rows].tolist() for kind, chosen in kinds.items()}

    def sides(self, place: int) -> tuple[str, str, str]:
        """Return the actual class, and what was called with which probability, before and after."""
        labels = self.paired.contract.classes
        said = []
        for called, scores in zip(self.called, (self.paired.base, self.paired.head), strict=True):
            row, number = scores[place], int(called[place])
            share = row[number] if len(row) > 1 else row[0] if number == 1 else 1 - row[0]
            said.append(f"{labels[number]} ({share:.3f})")
        return labels[int(self.paired.rows.y[place])], said[0], said[1]


@dataclass(frozen=True)
class Errors:
    """Absolute errors before and after."""

    paired: Paired
    before: Array
    after: Array
    is_higher_better: bool = False

    @classmethod
    def of(cls, paired: Paired) -> Errors:
        """Return it for paired rows."""
        y = paired.rows.y
        return cls(paired, np.abs(paired.base[:, 0] - y), np.abs(paired.head[:, 0] - y))

    def measure(self, member: Array | None) -> dict[str, Any]:
        """Return rows, how many of them are now closer and farther off, and the change of the mean absolute error."""
        moved = (self.after - self.before)[slice(None) if member is None else member]
        n, mean = len(moved), float(moved.mean())
        error = float(moved.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
        half = NORMAL.inv_cdf(0.975) * error
        counts = {"rows": n, "closer": int((moved < 0).sum()), "farther": int((moved > 0).sum())}
        p = two_sided(mean / error) if error else float(mean == 0)
        return {**counts, "difference": mean, "low": mean - half, "high": mean + half, "p": p}

    def examples(self, n_rows: int) -> dict[str, list[int]]:
        """Return the rows whose error grew and shrank most."""
        moved = self.after - self.before
        farther, closer = np.argsort(-moved, kind="stable")[:n_rows], np.argsort(moved, kind="stable")[:n_rows]
        return {"farther": farther[moved[farther] > 0].tolist(), "closer": closer[moved[closer] < 0].tolist()}

    def sides(self, place: int) -> tuple[str, str, str]:
        """Return the actual number and both predictions."""
        numbers = self.paired.rows.y[place], self.paired.base[place, 0], self.paired.head[place, 0]
        return tuple(f"{number:,.6g}" for number in numbers)  # type: ignore[return-value]
