"""Fits the feature plan on the training rows and applies it to all of them.

data/prepare -> data/featurize/plan.json, features.parquet; reports/featurize/summary.json.
By hand: python -m stages.featurize features=standard

Nothing but training rows is looked at while fitting; the plan is plain data that a packaged model evaluates by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stages.runtime.contract import Column, Contract
from stages.runtime.contract_sql import identifier
from stages.runtime.forms import NUMBERS
from stages.runtime.plan import Feature, select_sql
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.files import read_json, replacing, write_json
from stages.shared.progress import Progress
from stages.shared.tables import connect, copy_to_parquet, parquet

if TYPE_CHECKING:
    import duckdb

SOURCE, DATA, REPORTS = Path("data/prepare"), Path("data/featurize"), Path("reports/featurize")


@dataclass(frozen=True)
class Categories:
    """Which levels of a category get a code of their own."""

    min_rows: int = field(metadata={"min": 1})
    max_levels: int = field(metadata={"min": 1})


@dataclass(frozen=True)
class Dates:
    """What a date or timestamp becomes."""

    parts: list[Literal["hour", "weekday", "day", "month"]]
    since_time: bool


@dataclass(frozen=True)
class Text:
    """What a text becomes."""

    measures: list[Literal["length", "words"]]


@dataclass(frozen=True)
class FeaturesConf:
    """The schema of conf/features/NAME.yaml."""

    categories: Categories
    dates: Dates
    text: Text
    drop_constant: bool


def main() -> None:
    """Fit on the training rows, transform all, write."""
    conf, _, _ = compose("features", FeaturesConf)
    contract = Contract.from_json(read_json(SOURCE / "contract.json"))
    connection = connect()
    connection.execute(f"CREATE VIEW kept AS SELECT * FROM {parquet(SOURCE / 'kept.parquet')}")
    connection.execute("CREATE VIEW train AS SELECT * FROM kept WHERE _split = 'train'")
    progress = Progress("featurize", "steps", 2)
    candidates = fit(connection, contract, conf)
    dropped = constant(connection, candidates) if conf.drop_constant else []
    features = [feature for feature in candidates if feature["name"] not in dropped]
    if not features:
        raise InputError(
            "no feature is left: none declared, or all have one value in the training rows "
            f"(levels with fewer than {conf.categories.min_rows} rows share one, categories.min_rows)",
            dropped,
        )
    with replacing(DATA, REPORTS) as (data, reports):
        query = f"SELECT {carried(contract)}, {select_sql(features)} FROM kept ORDER BY _row"
        progress.update(1, f": {len(features)} features fitted")
        n_rows = copy_to_parquet(connection, query, data / "features.parquet")
        progress.close()
        write_json(data / "plan.json", features)
        summary = {"features": len(features), "dropped_constant": dropped}
        write_json(reports / "summary.json", summary)
    print(
        f"featurize: {DATA}/features.parquet  {n_rows} rows x {len(features)} features, {len(dropped)} constant dropped"
    )


def carried(contract: Contract) -> str:
    """Return the SELECT list of what travels beside the features: row, side, target, and group and weight if any."""
    names = [("_target", contract.target)]
    names += [(f"_{role}", name) for role in ("group", "weight") for name in contract.with_role(role)]
    return ", ".join(["_row", "_split", *(f"{identifier(name)} AS {alias}" for alias, name in names)])


def fit(connection: duckdb.DuckDBPyConnection, contract: Contract, conf: FeaturesConf) -> list[Feature]:
    """Return the features of all input columns, in the contract's order, with names that are safe and unique."""
    origin = next(iter(contract.with_role("time")), None) if conf.dates.since_time else None
    features: list[Feature] = []
    for name in contract.inputs:
        features += column_features(connection, name, contract.columns[name], origin, conf)
    taken: set[str] = set()
    for feature in features:
        feature["name"] = _safe_name(feature["name"], taken)
    return features


def column_features(
    connection: duckdb.DuckDBPyConnection, name: str, column: Column, origin: str | None, conf: FeaturesConf
) -> list[Feature]:
    """Return the features of one column."""
    if column.type in NUMBERS or column.type == "boolean":
        return [{"name": name, "op": "number", "column": name}]
    if column.type == "category":
        return [{"name": name, "op": "category", "column": name, "levels": levels(connection, name, conf.categories)}]
    if column.type == "text":
        return [{"name": f"{name}.{measure}", "op": measure, "column": name} for measure in conf.text.measures]
    parts = [part for part in conf.dates.parts if part != "hour" or column.type == "timestamp"]
    features: list[dict[str, Any]] = [
        {"name": f"{name}.{part}", "op": "part", "column": name, "part": part} for part in parts
    ]
    if origin and origin != name:
        features.append({"name": f"{name}.hours_since", "op": "hours_since", "column": name, "origin": origin})
    return features


def levels(connection: duckdb.DuckDBPyConnection, name: str, conf: Categories) -> list[str]:
    """Return the levels with a code of their own, most frequent first, ties by text."""
    query = f"""SELECT {identifier(name)} FROM train WHERE {identifier(name)} IS NOT NULL GROUP BY 1
        HAVING count(*) >= {conf.min_rows} ORDER BY count(*) DESC, 1 LIMIT {conf.max_levels}"""
    return [row[0] for row in connection.execute(query).fetchall()]


def constant(connection: duckdb.DuckDBPyConnection, features: list[Feature]) -> list[str]:
    """Return the names of features that have one value, or none at all, in the training rows."""
    if not features:
        return []
    names = [feature["name"] for feature in features]
    tests = ", ".join(f"count(DISTINCT {identifier(n)}) + (count(*) > count({identifier(n)}))::INT <= 1" for n in names)
    [found] = connection.execute(f"SELECT {tests} FROM (SELECT {select_sql(features)} FROM train)").fetchall()
    return [name for name, is_constant in zip(names, found, strict=True) if is_constant]


def _safe_name(name: str, taken: set[str]) -> str:
    """Return `name` with what boosters refuse in a feature name replaced, made unique without regard to case."""
    safe = base = re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII).lstrip("_") or "feature"
    number = 1
    while safe.lower() in taken:
        number += 1
        safe = f"{base}_{number}"
    taken.add(safe.lower())
    return safe


if __name__ == "__main__":
    run("featurize", main)
