"""Features of two columns, by name: numbers divided, subtracted, multiplied, and crossed categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.runtime.contract import Contract
from stages.runtime.operation import Feature
from stages.shared.errors import did_you_mean
from stages.shared.features.categories import category_features
from stages.shared.features.crossfit import Answer
from stages.shared.features.schema import FeaturesConf, Interaction, group_of

if TYPE_CHECKING:
    import duckdb


def pair_features(
    connection: duckdb.DuckDBPyConnection, pair: Interaction, conf: FeaturesConf, answer: Answer | None
) -> list[Feature]:
    """Return the features of one interaction; crossed categories become what categories with many levels do."""
    first, second = pair.of
    if pair.op != "cross":
        name = f"{first}.{pair.op}.{second}"
        return [{"name": name, "op": pair.op, "column": first, "with": second}]
    stem = {"name": f"{first}.{second}", "column": first, "with": second}
    return category_features(connection, stem, conf.categories, None, answer)


def pair_faults(contract: Contract, place: int, pair: Interaction, conf: FeaturesConf) -> list[str]:
    """Return what is wrong with one interaction: not two columns, none of that name, of another type, or no order."""
    where = f"interactions[{place}].of"
    if len(pair.of) != 2:
        return [f"{where}: should name two columns, got {len(pair.of)}"]
    wanted = "categories" if pair.op == "cross" else "numbers"
    faults = []
    for name in pair.of:
        if name not in contract.inputs:
            faults.append(f"{where}: no input column {name!r}{did_you_mean(name, contract.inputs)}")
        elif group_of(contract.columns[name]) != wanted:
            faults.append(f"{where}: {pair.op} is of {wanted}, {name} is of type {contract.columns[name].type}")
    if pair.op == "cross" and "ordered" in {*conf.categories.encode, *conf.categories.encode_thin}:
        faults.append(f"interactions[{place}]: crossed categories have no order; say ordered under columns instead")
    return faults
