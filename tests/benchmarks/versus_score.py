"""Who is better on which table: paired differences, ranks that ties share, and the Markdown that says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.shared.bootstrap import difference, measure
from stages.shared.metrics import HEADLINE, HIGHER_IS_BETTER
from stages.shared.rows import Rows

RESAMPLES, SEED, CONFIDENCE = 1000, 1, 0.95
ABSENT = "not installed"
WORSE_BY = 0.005  # of LightGBM's score: what issue 4 allows nowhere
MARKS = {"better": "+", "worse": "-", "cannot tell": "="}
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Answer:
    """What one system said of the test rows, and how long it took; without scores, why there are none."""

    scores: Array | None = None  # (n_rows, n_outputs)
    fit: float = 0.0  # seconds
    predict: float | None = None  # seconds; None where it is not measured alone
    note: str = ""
    factors: list[float] | None = None  # of several classes: what each probability is multiplied by before the call


@dataclass(frozen=True)
class Outcome:
    """One table: each system's answer, and of those with scores the headline metric, its sample's value first."""

    name: str
    task: str
    n_rows: dict[str, int]  # by side
    budget: float  # seconds that FLAML and AutoGluon had
    answers: dict[str, Answer]
    values: dict[str, Array] = field(default_factory=dict)  # {system: (1 + n_resamples,)}
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)  # all metrics of the sample

    @property
    def failed(self) -> list[str]:
        """The systems that ran and gave no scores."""
        return [system for system, answer in self.answers.items() if answer.scores is None and answer.note != ABSENT]

    @property
    def metric(self) -> str:
        """The headline metric of the task."""
        return HEADLINE[self.task]

    def verdict(self, one: str, other: str) -> dict[str, Any]:
        """Return value, low and high of the paired difference of two systems, and whether `one` is the better one."""
        return difference(self.metric, self.values[one] - self.values[other], CONFIDENCE)


def score(task: str, rows: Rows, answers: dict[str, Answer]) -> tuple[dict[str, Array], dict[str, dict[str, float]]]:
    """Return (`values`, `metrics`) of an Outcome: every system on the same resamples of the test rows, or of groups."""
    said = {
        system: (answer.scores, (answer.factors or [1.0] * answer.scores.shape[1]) if task == "multiclass" else 0.5)
        for system, answer in answers.items()
        if answer.scores is not None
    }
    found = measure(task, rows, said, RESAMPLES, SEED)
    values = {system: metrics[HEADLINE[task]] for system, metrics in found.items()}
    return values, {
        system: {name: round(float(column[0]), 6) for name, column in metrics.items() if np.isfinite(column[0])}
        for system, metrics in found.items()
    }


def ranks(outcome: Outcome) -> dict[str, int]:
    """Return each system's rank: one more than those whose paired interval says that they are better.

    Who gave no scores is behind all who did.
    """
    systems = list(outcome.values)
    return {
        one: 1 + sum(outcome.verdict(one, other)["verdict"] == "worse" for other in systems if other != one)
        for one in systems
    } | dict.fromkeys(outcome.failed, 1 + len(systems))


def places(outcome: Outcome) -> dict[str, float]:
    """Return each system's place by the score alone; equal scores, and no scores, share the mean of their places."""
    sign = -1 if HIGHER_IS_BETTER[outcome.metric] else 1
    scores = {system: sign * float(values[0]) for system, values in outcome.values.items()}
    scores |= dict.fromkeys(outcome.failed, float("inf"))
    return {
        one: 0.5 + sum((other < own) + (other <= own) for other in scores.values()) / 2 for one, own in scores.items()
    }


def line(outcome: Outcome, systems: list[str]) -> str:
    """Return the table's line: each score, the best bold, with how ours (the first system) stands against it."""
    ours, found = systems[0], places(outcome)
    best = min(found.values(), default=0)
    cells = []
    for system in systems:
        if system not in outcome.values:
            cells.append(outcome.answers[system].note)
            continue
        shown = f"{outcome.values[system][0]:.4f}"
        shown = f"**{shown}**" if found[system] == best else shown
        mark = "" if system == ours else f" {MARKS[outcome.verdict(ours, system)['verdict']]}"
        cells.append(shown + mark)
    about = [outcome.name, outcome.metric, f"{outcome.n_rows['test']:,}", f"{outcome.budget:.0f}"]
    return f"| {' | '.join([*about, *cells])} |"


def header(systems: list[str]) -> str:
    """Return the first two lines of the table."""
    columns = ["table", "metric", "test rows", "budget s", *systems]
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def summary(outcomes: list[Outcome], systems: list[str]) -> list[dict[str, Any]]:
    """Return a row a system: its mean ranks, how often ours (the first) is better or worse, its seconds.

    A system that is not installed has no row.
    """
    shared, alone = ([function(outcome) for outcome in outcomes] for function in (ranks, places))
    rows = []
    for system in systems:
        done = [outcome for outcome in outcomes if system in outcome.values]
        if not any(system in found for found in shared):
            continue
        verdicts = [outcome.verdict(systems[0], system)["verdict"] for outcome in done]
        answers = [outcome.answers[system] for outcome in done]
        timed = [answer.predict for answer in answers if answer.predict is not None]
        rows.append(
            {
                "system": system,
                "mean_rank": mean(found[system] for found in shared),
                "mean_place": mean(found[system] for found in alone),
                **{verdict: verdicts.count(verdict) for verdict in MARKS},
                "failed": len(outcomes) - len(done),
                "fit": sum(answer.fit for answer in answers),
                "predict": sum(timed) if timed else None,
            }
        )
    return rows


def mean(numbers: Iterable[float]) -> float:
    """Return the mean, NaN of none."""
    found = list(numbers)
    return sum(found) / len(found) if found else float("nan")


def losses(outcomes: list[Outcome], ours: str, rival: str) -> list[str]:
    """Return a line for each table where ours is worse than the rival by more than WORSE_BY of the rival's score."""
    found = []
    for outcome in outcomes:
        if not {ours, rival} <= set(outcome.values):
            continue
        own, other = (float(outcome.values[system][0]) for system in (ours, rival))
        share = (own - other) / abs(other) * (1 if HIGHER_IS_BETTER[outcome.metric] else -1)
        if share < -WORSE_BY:
            row = outcome.verdict(ours, rival)
            apart = f"{row['value']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
            found.append(f"{outcome.name}: {outcome.metric} {own:.4f} against {other:.4f}, {share:+.1%}; {apart}")
    return found


def closing(outcomes: list[Outcome], systems: list[str], rival: str) -> str:
    """Return what stands below the table, as Markdown."""
    rows, ours = summary(outcomes, systems), systems[0]
    counted = {f"{ours} better": "better", "tied": "cannot tell", f"{ours} worse": "worse", "failed": "failed"}
    columns = ["system", "mean rank", "mean place", *counted, "fit s", "predict s"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        counts = [""] * len(counted) if row["system"] == ours else [str(row[key]) for key in counted.values()]
        cells = [row["system"], f"{row['mean_rank']:.2f}", f"{row['mean_place']:.2f}", *counts]
        cells += [f"{row['fit']:.0f}", "" if row["predict"] is None else f"{row['predict']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    absent = [system for system in systems if system not in {row["system"] for row in rows}]
    return "\n".join(
        [
            *lines,
            "",
            f"Over {len(outcomes)} tables. Rank: 1 more than the systems that are better by their paired 95% interval; "
            "place: by the score alone; who failed stands last. Seconds are sums over the tables each finished.",
            *[f"{system}: {ABSENT}." for system in absent],
            *(lost(outcomes, ours, rival) if rival in systems else []),
        ]
    )


def lost(outcomes: list[Outcome], ours: str, rival: str) -> list[str]:
    """Return the lines on the tables that are lost to a rival."""
    found = losses(outcomes, ours, rival)
    tables = f"{ours} is worse than {rival} by more than {WORSE_BY:.1%} of the score on {len(found)} tables"
    return ["", tables + (":" if found else "."), *[f"- {told}" for told in found]]
