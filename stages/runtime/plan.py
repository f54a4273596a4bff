"""The feature plan: fitted operations as plain data, evaluated on one row in Python and on a table in DuckDB.

A plan is a list of features, each `{"name", "op", "column", ...}`. Both evaluators give the same float64 for the same
typed values, bit for bit; missing is NaN in Python and NULL in DuckDB. A property test holds them equal. The operations
stand in the modules imported here, each with its row form and its SQL form side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import grams, levels, moments, numbers, transformer
from .contract_sql import identifier
from .operation import Feature, Joins
from .transformer import Transformer

__all__ = ["Feature", "Step", "compile_row", "compile_steps", "stored", "table_sql"]

Step = Callable[[Mapping[str, Any]], float]  # from a row's typed values to a feature

SHARED = ("tokens", "squares")  # long lists that many features have alike

ROW = numbers.ROW | levels.ROW | moments.ROW | grams.ROW | transformer.ROW
SQL = numbers.SQL | levels.SQL | moments.SQL | grams.SQL | transformer.SQL


def compile_row(
    features: list[Feature], transformers: Sequence[Transformer] = ()
) -> Callable[[Mapping[str, Any]], list[float]]:
    """Return the function from {column: typed value} to the feature values, shape (n_features,).

    A row has the outputs of `transformers` as columns of its own, as a table that the plan is asked of must have.
    """
    steps = compile_steps(features)
    if not transformers:
        return lambda values: [step(values) for step in steps]
    inputs = [(each, compile_row(each.inputs)) for each in transformers]

    def evaluate(values: Mapping[str, Any]) -> list[float]:
        whole = dict(values)
        for each, read in inputs:
            whole |= each.of_row(read(values))
        return [step(whole) for step in steps]

    return evaluate


def compile_steps(features: list[Feature]) -> list[Step]:
    """Return each feature's evaluation, which reads the values of its own columns only."""
    return [ROW[feature["op"]](feature) for feature in _restored(features)]


def stored(features: list[Feature]) -> list[Feature]:
    """Return the features as plan.json has them: without folds, and with a list of `SHARED` once.

    Where an earlier feature has the same list under the same key, its name stands for it.
    """
    owners: dict[tuple[str, tuple[Any, ...]], str] = {}
    found = []
    for feature in features:
        own = {key: item for key, item in feature.items() if key != "folds"}
        for key in [key for key in SHARED if key in feature]:
            owner = owners.setdefault((key, tuple(feature[key])), feature["name"])
            own[key] = feature[key] if owner == feature["name"] else owner
        found.append(own)
    return found


def _restored(features: list[Feature]) -> list[Feature]:
    """Return the features with every list of their own: what `stored` is undone by."""
    named = {feature["name"]: feature for feature in features}
    return [
        {key: named[item][key] if key in SHARED and isinstance(item, str) else item for key, item in feature.items()}
        for feature in features
    ]


def table_sql(features: list[Feature], source: str, carried: str = "_row") -> str:
    """Return the query that gives the same features of `source`, a table or view with a column `_row`.

    First come the columns `carried`, then a DOUBLE column a feature; rows are in no order. While a plan is
    fitted, a feature may have `folds`, the values that it would have had one fold of the training rows not been seen:
    they are taken where the column `_fold` is 1, 2, ..., and the feature's own where it is 0.
    """
    joins = Joins(source)
    values = [
        f"({SQL[feature['op']](feature, joins)})::DOUBLE AS {identifier(feature['name'])}" for feature in features
    ]
    return f"SELECT {', '.join([carried, *values])} FROM {source} AS t {joins.clauses()}"
