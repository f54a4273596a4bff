"""Features of the rows of a table as a matrix: by the plan's query, or row by row where a transformer has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..contract_sql import identifier
from ..operation import Feature
from ..plan import compile_row, table_sql
from ..transformer import RefusedValues, Transformer

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    Array = np.ndarray[Any, Any]

BLOCK = 2048  # rows of a matrix that stay in a processor's cache while columns are laid into them


def matrix_of(connection: duckdb.DuckDBPyConnection, features: list[Feature], table: str) -> Array:
    """Return the features of a table or view, shape (n_rows, n_features), NaN for missing, in the order of `_row`."""
    import numpy as np

    found = connection.execute(table_sql(features, table)).fetchnumpy()
    rows = found["_row"]
    columns = [found[feature["name"]] for feature in features]
    if len(rows) > 1 and (np.diff(rows) < 0).any():  # joins give rows in another order
        order = np.argsort(rows, kind="stable")
        columns = [column[order] for column in columns]
    return stacked([_filled(column) for column in columns], len(rows))


def _filled(column: Any) -> Array:
    import numpy as np

    if not isinstance(column, np.ma.MaskedArray):
        return np.asarray(column)
    values = column.data
    values[np.ma.getmaskarray(column)] = np.nan
    return np.asarray(values)


def stacked(columns: list[Array], n_rows: int) -> Array:
    """Return columns side by side, shape (n_rows, n_columns), row after row in memory."""
    import numpy as np

    X = np.empty((n_rows, len(columns)))
    for start in range(0, n_rows, BLOCK):
        block = X[start : start + BLOCK]
        for place, column in enumerate(columns):
            block[:, place] = column[start : start + BLOCK]
    return X


def matrix_by_rows(
    connection: duckdb.DuckDBPyConnection,
    features: list[Feature],
    transformers: list[Transformer],
    inputs: list[str],
    table: str,
) -> tuple[Array, list[tuple[int, str, str]]]:
    """Return `matrix_of` the rows that the transformers take, and (row, columns, why) of those they refuse."""
    import numpy as np

    evaluate = compile_row(features, transformers)
    query = f"SELECT _row, {', '.join(map(identifier, inputs))} FROM {table} ORDER BY _row"
    rows, refused = [], []
    for number, *values in connection.execute(query).fetchall():
        try:
            rows.append(evaluate(dict(zip(inputs, values, strict=True))))
        except RefusedValues as error:
            refused.append((number, " x ".join(error.columns), str(error)))
    return np.array(rows, float).reshape(len(rows), len(features)), refused
