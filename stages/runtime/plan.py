"""The feature plan: fitted operations as plain data, evaluated on one row in Python and on a table in DuckDB.

A plan is a list of features, each `{"name", "op", "column", ...}`. Both evaluators give the same float64 for the same
typed values, bit for bit; missing is NaN in Python and NULL in DuckDB. A property test holds them equal. The operations
stand in the modules imported here, each with its row form and its SQL form side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import grams, levels, moments, numbers
from .contract_sql import identifier
from .operation import Feature, Joins

__all__ = ["Feature", "compile_row", "table_sql"]

ROW = numbers.ROW | levels.ROW | moments.ROW | grams.ROW
SQL = numbers.SQL | levels.SQL | moments.SQL | grams.SQL


def compile_row(features: list[Feature]) -> Callable[[Mapping[str, Any]], list[float]]:
    """Return the function from {column: typed value} to the feature values, shape (n_features,)."""
    steps = [ROW[feature["op"]](feature) for feature in features]
    return lambda values: [step(values) for step in steps]


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
