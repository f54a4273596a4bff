"""A prediction log as its lines again, from JSON lines and Parquet alike, also while it is written to."""

from __future__ import annotations

import glob
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..contract_sql import literal
from .files import JSONL, PARQUET, STEM, read_lines, told

BATCH = 1000  # rows of Parquet at once


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield every line once, file by file in the order of their names; of a file that is both, the Parquet one."""
    packed = {path.stem for path in folder.glob(f"{STEM}*{PARQUET}")}
    for path in sorted(folder.glob(f"{STEM}*")):
        if path.suffix == PARQUET:
            yield from _read_parquet(path)
        elif path.suffix == JSONL and path.stem not in packed:
            yield from read_lines(path)


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    from .compact import connect

    with connect() as connection:
        query = f"SELECT * REPLACE (epoch_us(time) AS time) FROM read_parquet({literal(glob.escape(str(path)))})"
        found = connection.execute(query)
        names = [column[0] for column in found.description]
        while rows := found.fetchmany(BATCH):
            for row in rows:
                line = {name: value for name, value in zip(names, row, strict=True) if value is not None}
                line["time"] = told(line["time"] / 1e6)
                yield line | {name: json.loads(line[name]) for name in ("inputs", "output") if name in line}


def summary(folder: Path) -> dict[str, Any]:
    """Return the number of records, by version, and of those that the log says it lost; first and last time."""
    versions: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    times: list[str] = []
    for line in read_log(folder):
        if "note" in line:
            lost[line["note"]] += line["lost"]
            continue
        versions[line["version"]] += 1
        times = [min([line["time"], *times[:1]]), max([line["time"], *times[1:]])]
    return {
        "records": versions.total(), "versions": dict(sorted(versions.items())), "lost": lost["lost"],
        "torn": lost["torn"], "first": times[0] if times else None, "last": times[1] if times else None,
    }  # fmt: skip
