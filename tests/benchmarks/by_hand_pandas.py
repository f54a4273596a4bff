"""bookings.yaml's rules for one table, hand-written in pandas: what `stages.prepare` is measured against.

    python -m tests.benchmarks.by_hand_pandas TABLE.csv OUT_FOLDER

Writes what by_hand_duckdb.py writes (see there, also for what prepare does besides), by the same simplifications. The
whole table is in memory, its texts turned into values column by column, so that each text is freed as soon as it is not
needed. Where pyarrow is installed, pandas keeps texts in it and writes Parquet by itself; otherwise DuckDB writes.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.by_hand_duckdb import RANGES, REQUIRED, TEXTS

MISSING = ["", "NA", "NULL", "?", "n/a"]
MONEY = r"^(?:[$£€]|[A-Z]{3})? *([+-]?[0-9]+[.]?[0-9]*) *(?:[$£€]|[A-Z]{3})?$"


def typed(name: str, text: pd.Series) -> pd.Series:
    """Return the values of stripped texts, missing where they are none."""
    if name in TEXTS:
        return text
    if name == "booked_at":
        return pd.to_datetime(text, format="%Y-%m-%d %H:%M:%S", errors="coerce")
    if name == "arrival_date":
        return first_of(text, [lambda t, form=form: pd.to_datetime(t, format=form, errors="coerce")
                               for form in ("%Y-%m-%d", "%d/%m/%Y", "%b %d %Y")])  # fmt: skip
    number = pd.to_numeric(text, errors="coerce")
    if name == "adr":
        return first_of(text, [lambda t: number[t.index], lambda t: pd.to_numeric(t.str.extract(MONEY)[0])])
    return number.where(number % 1 == 0).astype("Int64")


def first_of(text: pd.Series, parsers: list[Any]) -> pd.Series:
    """Return the values of the first parser that reads each text; each is asked for what those before left."""
    value = parsers[0](text)
    for parser in parsers[1:]:
        left = text[value.isna() & text.notna()]
        if len(left):
            value.loc[left.index] = parser(left)
    return value


def rules(name: str, text: pd.Series, value: pd.Series) -> dict[str, pd.Series]:
    """Return {rule: which rows break it}, in the order in which they are said."""
    broken = {"required": text.isna()} if name in REQUIRED else {}
    if name not in TEXTS:
        broken["type"] = value.isna() & text.notna()
    low, high = RANGES.get(name, (None, None))
    if low is not None:
        broken["min"] = value < (pd.Timestamp("2000-01-01") if name == "arrival_date" else low)
    if high is not None:
        broken["max"] = value > high
    if name == "booking_id":
        broken["pattern"] = text.notna() & ~text.str.fullmatch("BK-[0-9]{10}").fillna(True).astype(bool)
    if name == "is_canceled":
        broken["values"] = text.notna() & ~text.isin(["0", "1"])
    return {rule: rows.fillna(False).astype(bool) for rule, rows in broken.items()}


def check(texts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the typed values and (row, column, rule, value) of what is broken."""
    values, faults = {}, []
    for name in texts:
        text = texts[name].str.strip(" \t\n\r\f\v")
        text = text.mask(text.isin(MISSING))
        values[name] = typed(name, text)
        is_told = pd.Series(False, index=texts.index)
        for rule, rows in rules(name, text, values[name]).items():
            found = np.flatnonzero(rows & ~is_told)
            is_told |= rows
            given = texts[name].iloc[found].to_numpy(object)
            faults.append(pd.DataFrame({"row": found, "column": name, "rule": rule, "value": given}))
    return pd.DataFrame(values), pd.concat(faults)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a Parquet file."""
    if importlib.util.find_spec("pyarrow"):
        table.to_parquet(path, compression="zstd", index=False)
        return
    import duckdb

    duckdb.from_df(table).write_parquet(str(path), compression="zstd")


def main() -> None:
    """Read, check, merge, write, count."""
    path, out = Path(sys.argv[1]), Path(sys.argv[2])
    texts = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
    values, faults = check(texts)
    is_broken = np.zeros(len(texts), bool)
    is_broken[faults["row"]] = True
    sound = values[~is_broken]
    twice = sound[sound.duplicated("booking_id", keep=False)]
    merged = twice.index[twice.duplicated()]
    twice = twice.drop(merged)
    repeated = twice[twice.duplicated("booking_id")]
    unique = {"row": repeated.index, "column": "booking_id", "rule": "unique", "value": repeated["booking_id"]}
    faults = pd.concat([faults, pd.DataFrame(unique)]).sort_values(["row", "column"])
    is_kept = ~is_broken
    is_kept[merged] = is_kept[repeated.index] = False
    records = texts.iloc[faults["row"]].to_dict("records")
    faults["record"] = [json.dumps(record, ensure_ascii=False, default=str) for record in records]
    del texts, sound
    kept = values[is_kept]
    at = kept["booked_at"]
    side = np.select([at >= "2021-06-01", at >= "2020-06-01"], ["test", "validation"], "train")
    kept.insert(0, "side", side)
    kept.insert(0, "row", np.flatnonzero(is_kept) + 1)
    del values
    write(kept, out / "kept.parquet")
    faults["line"] = faults["row"] + 2
    write(faults[["line", "column", "rule", "value", "record"]], out / "quarantine.parquet")
    fates = {"kept": len(kept), "quarantined": faults["row"].nunique(), "merged": len(merged)}
    broken = {f"{column} {rule}": int(n) for (column, rule), n in faults.groupby(["column", "rule"]).size().items()}
    sides = {name: int(n) for name, n in kept["side"].value_counts().items()}
    (out / "counts.json").write_text(json.dumps({"rows": fates, "sides": sides, "broken": broken}, indent=1))


if __name__ == "__main__":
    main()
