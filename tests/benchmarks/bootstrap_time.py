"""How long all metrics over 1,000 resamples take, against scikit-learn's functions called once per resample.

    python -m tests.benchmarks.bootstrap_time [ROUNDS] [ROWS] [RESAMPLES OF SCIKIT-LEARN]

Both measure the same generated rows, in turns: ours all 1,000 resamples as `evaluate` does, drawing included;
scikit-learn's functions, given the rows that each resample drew, only the first few resamples, and their time is
multiplied (it is the same work each time). `ece`, which scikit-learn does not have, is measured on our side only. What
both give on those resamples must agree to 1e-12. Prints Markdown, and the peak memory.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics as sk

from stages.shared.bootstrap import measure, resample
from stages.shared.losses import Cut
from stages.shared.rows import Rows

RESAMPLES, THRESHOLD, N_CLASSES = 1000, 0.3, 4
Array = np.ndarray[Any, Any]
Functions = dict[str, Callable[[Array, Array], float]]


def of_classes(function: Callable[..., Any], **more: Any) -> Callable[[Array, Array], float]:
    """Return a function of (y, scores) that asks scikit-learn about the likeliest class."""
    return lambda y, s: float(function(y, s.argmax(axis=1), **more))


def of_calls(function: Callable[..., Any]) -> Callable[[Array, Array], float]:
    """Return a function of (y, scores) that asks scikit-learn about the calls at the threshold."""
    return lambda y, s: float(function(y, s[:, 0] >= THRESHOLD))


def of_scores(function: Callable[..., Any]) -> Callable[[Array, Array], float]:
    """Return a function of (y, scores) that asks scikit-learn about the scores themselves."""
    return lambda y, s: float(function(y, s[:, 0]))


SKLEARN: dict[str, Functions] = {
    "binary": {
        "roc_auc": of_scores(sk.roc_auc_score),
        "average_precision": of_scores(sk.average_precision_score),
        "log_loss": of_scores(sk.log_loss),
        "brier": of_scores(sk.brier_score_loss),
        "precision": of_calls(sk.precision_score),
        "recall": of_calls(sk.recall_score),
        "f1": of_calls(sk.f1_score),
        "mcc": of_calls(sk.matthews_corrcoef),
    },
    "multiclass": {
        "accuracy": of_classes(sk.accuracy_score),
        "macro_f1": of_classes(sk.f1_score, average="macro"),
        "micro_f1": of_classes(sk.f1_score, average="micro"),
        "weighted_f1": of_classes(sk.f1_score, average="weighted"),
        "mcc": of_classes(sk.matthews_corrcoef),
        "macro_roc_auc": lambda y, s: float(sk.roc_auc_score(y, s, multi_class="ovr")),
        "log_loss": lambda y, s: float(sk.log_loss(y, s)),
    },
    "regression": {
        "mae": of_scores(sk.mean_absolute_error),
        "rmse": of_scores(sk.root_mean_squared_error),
        "median_ae": of_scores(sk.median_absolute_error),
        "r2": of_scores(sk.r2_score),
    },
}
CUTS: dict[str, Cut] = {"binary": THRESHOLD, "multiclass": [1.0] * N_CLASSES, "regression": 0.0}


def generate(task: str, n_rows: int) -> tuple[Rows, Array]:
    """Return rows and the scores of a fair model of them."""
    random = np.random.default_rng(1)
    signal = random.normal(size=(n_rows, N_CLASSES if task == "multiclass" else 1))
    if task == "binary":
        y: Array = (random.random(n_rows) < 1 / (1 + np.exp(1.6 - 1.4 * signal[:, 0]))).astype(int)
        scores = 1 / (1 + np.exp(1.6 - signal - 0.7 * random.normal(size=signal.shape)))
    elif task == "multiclass":
        y = (signal + random.gumbel(size=signal.shape)).argmax(axis=1)
        powers = np.exp(signal)
        scores = powers / powers.sum(axis=1, keepdims=True)
    else:
        y, scores = signal[:, 0] + 0.6 * random.normal(size=n_rows), signal
    return Rows(np.zeros((n_rows, 1)), y, np.arange(n_rows), None, None), scores


def drawn_rows(rows: Rows, n_resamples: int, seed: int) -> list[Array]:
    """Return the places of the rows in the sample itself and in the first resamples, each as often as drawn."""
    found: list[Array] = []
    for W in resample(rows, RESAMPLES, seed):
        found += [np.repeat(np.arange(len(rows.y)), counts) for counts in W.rows]
        if len(found) > n_resamples:
            break
    return found[: 1 + n_resamples]


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return seconds, the processors' seconds, and what the work gave."""
    started, cpu = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - started, time.process_time() - cpu, found


def peak() -> float:
    """Return the peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare_once(task: str, rows: Rows, scores: Array, places: list[Array]) -> tuple[str, float, float, float]:
    """Return a line of the table, both ratios (wall, processors) and our side's growth of the peak memory, in MB."""
    functions, n_asked, before = SKLEARN[task], len(places) - 1, peak()
    predictions = {"model": (scores, CUTS[task])}
    wall, cpu, found = timed(lambda: measure(task, rows, predictions, RESAMPLES, 1)["model"])
    memory = peak() - before
    *times, theirs = timed(lambda: {m: [f(rows.y[at], scores[at]) for at in places[1:]] for m, f in functions.items()})
    their_wall, their_cpu = (seconds * RESAMPLES / n_asked for seconds in times)
    gap = max(float(np.abs(found[m][1 : 1 + n_asked] / np.array(values) - 1).max()) for m, values in theirs.items())
    if gap > 1e-12:
        raise SystemExit(f"{task}: our metrics differ from scikit-learn's by {gap:g}")
    ratios = their_wall / wall, their_cpu / cpu
    shown = f"{wall:.1f} ({cpu:.1f}) | {their_wall:.0f} ({their_cpu:.0f}) | {ratios[0]:.0f} ({ratios[1]:.0f})"
    return f"| {task} | {len(found)} | {shown} | {gap:.0e} |", *ratios, memory


def main() -> None:
    """Print each round and the median ratios of each task."""
    arguments = [int(word) for word in sys.argv[1:]]
    rounds, n_rows, n_asked = (arguments + [3, 100_000, 10][len(arguments) :])[:3]
    print(f"{n_rows:,} rows, {RESAMPLES:,} resamples; scikit-learn: {n_asked}, times {RESAMPLES // n_asked}\n")
    columns = ["task", "metrics", "ours, s (CPU)", "scikit-learn, s (CPU)", "ratio (CPU)", "largest difference"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    memory = 0.0
    for task in SKLEARN:
        rows, scores = generate(task, n_rows)
        places, ratios = drawn_rows(rows, n_asked, seed=1), []
        for _ in range(rounds):
            line, by_wall, by_cpu, grown = compare_once(task, rows, scores, places)
            ratios.append((by_wall, by_cpu))
            memory = max(memory, grown)
            print(line, flush=True)
        median, median_cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"| **{task}, median ratio** | | | | **{median:.0f}** ({median_cpu:.0f}) | |", flush=True)
    print(f"\npeak memory: {peak():.0f} MB in all, to which our resamples added {memory:.0f} MB")


if __name__ == "__main__":
    main()
