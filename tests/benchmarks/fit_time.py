"""How long the default boosting takes to fit a million rows against bare LightGBM with the same trees.

    python -m tests.benchmarks.fit_time [ROUNDS] [ROWS]

Both fit the same generated rows (20 columns, 4 of them categories, some values missing) with conf/model/boosting.yaml's
parameters and the same number of trees, alternately. Ours also measures the loss of 200,000 validation rows after every
tree, in Python, as early stopping does; the patience is longer than the fit, so that no tree is saved. Prints Markdown.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable

import lightgbm
import numpy as np

from stages.shared.config import compose
from stages.shared.models.declared import ModelConf
from stages.shared.models.fit import Recipe, Task, fit_declared
from stages.shared.rows import Rows

N_COLUMNS, N_CATEGORIES, N_LEVELS, TREES = 20, 4, 30, 100


def generate(n_rows: int, seed: int) -> Rows:
    """Return rows whose class depends on some columns, bent and together."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_rows, N_COLUMNS))
    X[:, :N_CATEGORIES] = random.integers(0, N_LEVELS, (n_rows, N_CATEGORIES))
    signal = np.sin(X[:, 5]) + X[:, 6] * X[:, 7] + (X[:, 0] % 3 == 1) - 0.5 * np.abs(X[:, 8]) - 1
    y = (random.random(n_rows) < 1 / (1 + np.exp(-signal))).astype(int)
    X[random.random(X.shape) < 0.02] = np.nan
    return Rows(X, y, np.arange(n_rows), None, None)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long some work takes, and the processors' time in it, which other work disturbs less."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - cpu


def main() -> None:
    """Print each round and the median ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    n_rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    conf, _, _ = compose("model", ModelConf, ["model=boosting"])
    arguments = {**conf.estimator, "n_estimators": TREES}
    ours = dataclasses.replace(conf, estimator=arguments, early_stopping=TREES)
    unwatched = dataclasses.replace(ours, early_stopping=None)
    train, validation = generate(n_rows, 1), generate(n_rows // 5, 2)
    features = [
        {"name": f"f{i}", "column": f"f{i}", "op": "category", "levels": [str(level) for level in range(N_LEVELS)]}
        if i < N_CATEGORIES
        else {"name": f"f{i}", "column": f"f{i}", "op": "number"}
        for i in range(N_COLUMNS)
    ]
    bare = {name: value for name, value in arguments.items() if name != "_target_"} | {"random_state": 1}

    def fit_ours(of: ModelConf) -> None:
        fit_declared(Recipe(of, "conf/model/boosting.yaml", 1, Task("binary", ["0", "1"]), features), train, validation)

    def fit_bare() -> None:
        model = lightgbm.LGBMClassifier(**bare)
        model.fit(train.X, train.y, categorical_feature=list(range(N_CATEGORIES)))

    print(f"{n_rows} x {N_COLUMNS} rows, {TREES} trees\n")
    print("| round | bare, s (CPU) | early stopping, s (CPU) | without, s (CPU) | ratio (CPU) | ratio without (CPU) |")
    print("|---|---|---|---|---|---|")
    ratios: list[list[float]] = []
    for number in range(1, rounds + 1):
        times = [seconds(fit_bare), seconds(lambda: fit_ours(ours)), seconds(lambda: fit_ours(unwatched))]
        ratios.append([mine / bare for own in times[1:] for mine, bare in zip(own, times[0], strict=True)])
        shown = [f"{wall:.1f} ({cpu:.1f})" for wall, cpu in times]
        shown += [f"{ratios[-1][i]:.2f} ({ratios[-1][i + 1]:.2f})" for i in (0, 2)]
        print(f"| {number} | {' | '.join(shown)} |", flush=True)
    medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
    told = [f"{medians[i]:.2f} (CPU {medians[i + 1]:.2f})" for i in (0, 2)]
    print(f"\nmedian ratio: {told[0]}; without early stopping: {told[1]}")


if __name__ == "__main__":
    main()
