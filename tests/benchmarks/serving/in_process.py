"""One row in process: our predict of a record, and the fitted Pipeline's of a one-row DataFrame, by turns.

    python in_process.py SITE NAME RECORDS SECONDS

SITE holds the unpacked wheel of package NAME, RECORDS is a JSON list. Prints p50 and p99 of both in milliseconds, and
their largest difference. The DataFrames are made beforehand, which a server cannot.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

BLOCK = 20  # rows in a turn of the Pipeline
MORE = 10  # times as many in a turn of ours, which would be over too soon


def main() -> None:
    """Measure and print."""
    site, name, records, seconds = sys.argv[1:]
    sys.path.insert(0, site)
    sys.path.insert(0, str(Path(__file__).with_name("servers")))
    ours, pipeline = import_module(name), import_module("pipeline")
    model = Path(site, name, "model")
    rows = json.loads(Path(records).read_text())
    dtypes, fitted = pipeline.input_dtypes(model), pipeline.build(model)
    frames = [pipeline.frame([row], dtypes) for row in rows]
    differ = max(
        abs(list(ours.predict(row)["probabilities"].values())[1] - float(fitted.predict_proba(frame)[0, 1]))
        for row, frame in zip(rows, frames, strict=True)
    )
    taken: dict[str, list[float]] = {"plumbline": [], "pipeline": []}
    until, place = time.perf_counter() + float(seconds), 0
    while time.perf_counter() < until:
        turn = [(place + number) % len(rows) for number in range(BLOCK)]
        place += BLOCK
        taken["pipeline"] += times(fitted.predict_proba, [frames[each] for each in turn])
        taken["plumbline"] += times(ours.predict, [rows[each] for each in turn * MORE])
    told = {who: {"p50_ms": quantile(found, 0.5), "p99_ms": quantile(found, 0.99)} for who, found in taken.items()}
    print(json.dumps({**told, "differ": differ}))


def times(predict: Callable[[Any], Any], rows: Sequence[Any]) -> list[float]:
    """Return the milliseconds of each call."""
    found = []
    for row in rows:
        since = time.perf_counter()
        predict(row)
        found.append((time.perf_counter() - since) * 1000)
    return found


def quantile(values: list[float], share: float) -> float:
    """Return the value that `share` of them do not exceed."""
    return sorted(values)[int(share * (len(values) - 1))]


if __name__ == "__main__":
    main()
