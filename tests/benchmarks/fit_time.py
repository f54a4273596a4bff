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
from stages.shared.models.fit import Task, fit_declared
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


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


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
        fit_declared(of, "conf/model/boosting.yaml", 1, Task("binary", ["0", "1"]), features, train, validation)

    def fit_bare() -> None:
        model = lightgbm.LGBMClassifier(**bare)
        model.fit(train.X, train.y, categorical_feature=list(range(N_CATEGORIES)))

    print(f"{n_rows} x {N_COLUMNS} rows, {TREES} trees\n")
    print("| round | bare LightGBM, s | ours with early stopping, s | ours without, s | ratio | ratio without |")
    print("|---|---|---|---|---|---|")
    ratios: list[tuple[float, float]] = []
    for number in range(1, rounds + 1):
        b, o, u = seconds(fit_bare), seconds(lambda: fit_ours(ours)), seconds(lambda: fit_ours(unwatched))
        ratios.append((o / b, u / b))
        print(f"| {number} | {b:.1f} | {o:.1f} | {u:.1f} | {o / b:.2f} | {u / b:.2f} |", flush=True)
    with_stop, without = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"\nmedian ratio: {with_stop:.2f}; without early stopping: {without:.2f}")


if __name__ == "__main__":
    main()
