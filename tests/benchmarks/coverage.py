"""How often 95% intervals hold, and how often two equally good models are called different, in simulation.

    python -m tests.benchmarks.coverage [REPEATS] [RESAMPLES] [SIZES, such as 300,1000]

Tables of known truth are drawn again and again, with a model and a twin of it that errs by itself: as good on average,
never on the same rows. Every draw is measured as `evaluate` does, with plain rows and with groups of five rows that
share half of what moves them. Prints Markdown: the share of draws whose interval holds the truth of the headline metric
(and where it lay otherwise), the share in which the model was called better or worse than its twin, and the same for
the metric whose intervals hold least often, `ece` apart. The truth is the mean over five tables of two million rows.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np

from stages.shared.bootstrap import compare, measure, units_of
from stages.shared.losses import Cut
from stages.shared.metrics import HEADLINE, compute
from stages.shared.progress import muted
from stages.shared.rows import Rows

TASKS, SIZES, GROUP = tuple(HEADLINE), (300, 1000, 5000), 5
TRUTH_ROWS, TRUTH_TABLES = 2_000_000, 5
CUTS: dict[str, Cut] = {"binary": 0.3, "multiclass": [1.0] * 4, "regression": 0.0}
Array = np.ndarray[Any, Any]


def draw(task: str, n_rows: int, is_grouped: bool, random: np.random.Generator) -> tuple[Rows, list[Array]]:
    """Return rows, and the scores of a model and its twin."""
    group = np.arange(n_rows) // GROUP

    def moved(*more: int) -> Array:
        """Standard normal numbers; of grouped rows, half of the variance is the group's."""
        own = random.normal(size=(n_rows, *more))
        if not is_grouped:
            return own
        return np.sqrt(0.5) * (own + random.normal(size=(group[-1] + 1, *more))[group])

    if task == "binary":
        signal = moved()
        y: Array = (random.random(n_rows) < sigmoid(1.4 * signal - 1.6)).astype(int)
        scores = [sigmoid(signal + 0.7 * moved() - 1.6)[:, None] for _ in range(2)]
    elif task == "multiclass":
        signal = 1.5 * moved(4) + np.log([0.4, 0.3, 0.2, 0.1])
        y = (signal + random.gumbel(size=signal.shape)).argmax(axis=1)
        scores = [softmax(signal + 0.8 * moved(4)) for _ in range(2)]
    else:
        signal = moved()
        y = signal + 0.6 * moved()
        scores = [(signal + 0.4 * moved())[:, None] for _ in range(2)]
    return Rows(np.zeros((n_rows, 1)), y, np.arange(n_rows), None, group if is_grouped else None), scores


def sigmoid(x: Array) -> Array:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    """Return shares that add up to 1 in each row."""
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def simulate(task: str, n_rows: int, is_grouped: bool, repeats: int, n_resamples: int, seed: int) -> dict[str, Array]:
    """Return, by metric, the shares of draws with (truth inside, below, above, model called better, worse)."""
    truth = true_metrics(task, is_grouped, np.random.default_rng(seed + 1))
    random, found = np.random.default_rng(seed), {name: np.zeros(5) for name in truth}
    for repeat in range(repeats):
        rows, (model, twin) = draw(task, n_rows, is_grouped, random)
        predictions = {"model": (model, CUTS[task]), "twin": (twin, CUTS[task])}
        with muted():
            measured = measure(task, rows, predictions, n_resamples, seed + repeat)
        compared = compare(measured, 0.95, units_of(rows))
        for name, true in truth.items():
            row, verdict = compared["metrics"][name], compared["minus_twin"][name]["verdict"]
            is_below, is_above = true < row["low"], true > row["high"]
            found[name] += [not (is_below or is_above), is_below, is_above, verdict == "better", verdict == "worse"]
    return {name: counts / repeats for name, counts in found.items()}


def true_metrics(task: str, is_grouped: bool, random: np.random.Generator) -> dict[str, float]:
    """Return the metrics of so many rows that chance hardly counts."""
    once, each = np.ones((1, TRUTH_ROWS), dtype=np.int32), []
    for _ in range(TRUTH_TABLES):
        rows, scores = draw(task, TRUTH_ROWS, is_grouped, random)
        each.append(compute(task, rows.y, scores[0], CUTS[task], once))
    return {name: float(np.mean([found[name][0] for found in each])) for name in each[0]}


def line(task: str, n_rows: int, is_grouped: bool, found: dict[str, Array]) -> str:
    """Return the table's line."""
    worst = min((name for name in found if name != "ece"), key=lambda name: found[name][0])
    head = found[HEADLINE[task]]
    cells = [HEADLINE[task], f"{n_rows:,}", "groups of 5" if is_grouped else "plain", f"**{head[0]:.1%}**"]
    cells += [f"{share:.1%}" for share in head[1:]]
    cells += [f"{worst} {found[worst][0]:.1%}", f"{found['ece'][0]:.1%}" if "ece" in found else ""]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, a line as soon as it is known."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    n_resamples = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    sizes = tuple(map(int, sys.argv[3].split(","))) if len(sys.argv) > 3 else SIZES
    error = (0.95 * 0.05 / repeats) ** 0.5
    print(f"{repeats} draws, {n_resamples} resamples of each; standard error of 95%: {error:.1%}\n")
    columns = ["metric", "rows", "", "holds", "truth below", "above", "false better", "worse", "least of all", "ece"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for n_rows, task, is_grouped in itertools.product(sizes, TASKS, (False, True)):
        seed = 1000 * n_rows + 100 * TASKS.index(task) + 10 * is_grouped  # no line shares its luck with another
        found = simulate(task, n_rows, is_grouped, repeats, n_resamples, seed)
        print(line(task, n_rows, is_grouped, found), flush=True)


if __name__ == "__main__":
    main()
