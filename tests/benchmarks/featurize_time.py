"""featurize beside a scikit-learn ColumnTransformer on pandas that makes the same features of the same Parquet file.

    python -m tests.benchmarks.featurize_time [ROWS] [ROUNDS]

Both read data/prepare/kept.parquet (1,000,000 rows x 20 columns unless said: 10 numbers, 6 categories of which two have
5,000 levels, 2 booleans, 2 timestamps), fit on the training rows, transform all and write Parquet (pandas by DuckDB,
faster than its own reader). They take turns; each run is a process of its own. Prints a table in Markdown: the medians,
and the median of the ratios round by round.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).parent.parent.parent
NUMBERS = [f"n{i}" for i in range(10)]
FEW, MANY = [f"c{i}" for i in range(4)], ["m0", "m1"]
BOOLEANS, MOMENTS = ["b0", "b1"], ["at", "due"]
CONF = {
    "numbers": {"clip": 0.01, "missing": True},
    "categories": {"encode": ["code"], "encode_thin": ["target"], "thin_rows": 10_000},
    "dates": {"parts": ["hour", "weekday", "day", "month"], "since": ["time"]},
    "drop_duplicate": True,
}


def write_table(folder: Path, n_rows: int) -> None:
    """Write kept.parquet, contract.json and split.json as prepare does."""
    prepared = folder / "data/prepare"
    prepared.mkdir(parents=True)
    numbers = [f"CASE WHEN hash(i, {k}) % 20 > 0 THEN exp((hash(i, {k + 50}) % 1000) / 200) END AS n{k}"
               for k in range(10)]  # fmt: skip
    levels = [f"'level ' || (hash(i, {100 + k}) % {20 if k < 4 else 5000}) AS {name}"
              for k, name in enumerate(FEW + MANY)]  # fmt: skip
    moments = [f"TIMESTAMP '2020-01-01' + to_seconds((hash(i, {k}) % 90000000)::BIGINT) AS {name}"
               for k, name in zip((200, 201), MOMENTS, strict=True)]  # fmt: skip
    columns = [*numbers, *levels, *(f"hash(i, {k}) % 2 = 0 AS b{k - 300}" for k in (300, 301)), *moments]
    side = "CASE WHEN hash(i, 7) % 10 < 6 THEN 'train' WHEN hash(i, 7) % 10 < 8 THEN 'validation' ELSE 'test' END"
    target = "if((hash(i, 999) + hash(i, 104) % 5000) % 7 < 2, 'yes', 'no')"
    query = (
        f"SELECT i AS _row, {side} AS _split, i AS id, {', '.join(columns)}, {target} AS y FROM range({n_rows}) t(i)"
    )
    duckdb.execute(f"COPY ({query}) TO '{prepared}/kept.parquet' (FORMAT parquet, COMPRESSION zstd)")
    types = dict.fromkeys(NUMBERS, "number") | dict.fromkeys(FEW + MANY, "category")
    types |= dict.fromkeys(BOOLEANS, "boolean") | dict.fromkeys(MOMENTS, "timestamp")
    stored = [["id", {"type": "integer", "role": "key"}], *([name, {"type": kind}] for name, kind in types.items())]
    stored[-2][1]["role"] = "time"
    stored.append(["y", {"type": "category", "role": "target", "values": ["no", "yes"]}])
    contract = {"name": "made", "task": "binary", "positive": "yes", "columns": stored, "missing": []}
    (prepared / "contract.json").write_text(json.dumps(contract))
    (prepared / "split.json").write_text(json.dumps({"by": "key", "gap_days": 0}))
    (folder / "conf/features").mkdir(parents=True)
    (folder / "conf/features/mine.yaml").write_text(json.dumps(CONF))


def by_hand() -> None:
    """Do the same with pandas and scikit-learn."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, TargetEncoder

    table = duckdb.sql("SELECT * FROM 'data/prepare/kept.parquet'").df()
    is_train = (table["_split"] == "train").to_numpy()
    train = table[is_train]
    low, high = train[NUMBERS].quantile(0.01), train[NUMBERS].quantile(0.99)
    clip = FunctionTransformer(lambda X: X.clip(low, high, axis=1), feature_names_out="one-to-one")
    flags = FunctionTransformer(lambda X: X.isna().astype(float), feature_names_out="one-to-one")
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=254, min_frequency=10)
    means = TargetEncoder(target_type="binary", smooth=20, cv=8)

    def parts(X: pd.DataFrame) -> pd.DataFrame:
        made = {}
        for name in X:
            at = X[name].dt
            made |= {f"{name}.hour": at.hour, f"{name}.weekday": at.day_of_week, f"{name}.day": at.day,
                     f"{name}.month": at.month}  # fmt: skip
        made["due.since"] = (X["due"] - X["at"]).dt.total_seconds() / 3600
        return pd.DataFrame(made).astype(float)

    steps = [("n", clip, NUMBERS), ("f", flags, NUMBERS), ("c", codes, FEW), ("m", means, MANY),
             ("b", FunctionTransformer(lambda X: X.astype(float)), BOOLEANS),
             ("d", make_pipeline(FunctionTransformer(parts)), MOMENTS)]  # fmt: skip
    transformer = ColumnTransformer(steps, sparse_threshold=0)
    fitted = transformer.fit_transform(train, train["y"] == "yes")  # training rows: cross-fitted
    values = np.empty((len(table), fitted.shape[1]))
    values[is_train], values[~is_train] = fitted, transformer.transform(table[~is_train])
    features = pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])
    features = features.loc[:, features[is_train].nunique(dropna=False) > 1]
    made = pd.concat([table[["_row", "_split", "y"]], features], axis=1)
    duckdb.register("made", made)
    duckdb.execute("COPY made TO 'data/by_hand.parquet' (FORMAT parquet, COMPRESSION zstd)")


def measure(folder: Path, *arguments: str) -> tuple[float, float]:
    """Return the seconds and the peak memory in MB of one process."""
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=folder, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - started, used.ru_maxrss / 1024


def main() -> None:
    """Measure both in turn and print the table."""
    n_rows, n_rounds = (int(word) for word in [*sys.argv[1:], *["1000000", "5"][len(sys.argv) - 1 :]])
    runs: dict[str, list[tuple[float, float]]] = {"featurize": [], "ColumnTransformer": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_table(folder, n_rows)
        for _ in range(n_rounds):
            runs["featurize"].append(measure(folder, "stages.featurize", "features=mine"))
            runs["ColumnTransformer"].append(measure(folder, "tests.benchmarks.featurize_time", "--by-hand"))
    print(f"\n{n_rows:,} rows x 20 columns, medians of {n_rounds} rounds\n\n| | seconds | peak MB |\n|---|---|---|")
    for name, found in runs.items():
        seconds, memory = (statistics.median(run[place] for run in found) for place in (0, 1))
        print(f"| {name} | {seconds:.2f} | {memory:.0f} |")
    pairs = list(zip(*runs.values(), strict=True))
    ratios = [statistics.median(other[place] / own[place] for own, other in pairs) for place in (0, 1)]
    print(f"| ratio | {ratios[0]:.1f} | {ratios[1]:.1f} |")


if __name__ == "__main__":
    by_hand() if sys.argv[1:] == ["--by-hand"] else main()
