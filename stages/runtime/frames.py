"""DataFrames of pandas, polars and pyarrow, in and out, without importing any: who has one has its library loaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

LIBRARIES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table"}
NARROW = ("float32", "float", "halffloat", "float16", "float[pyarrow]", "halffloat[pyarrow]")  # by whose names they go


def library_of(data: Any) -> str | None:
    """Return the library whose table this is, None for anything else."""
    return next((library for library, name in _kinds(data) if LIBRARIES.get(library) == name), None)


def is_series(data: Any) -> bool:
    """Return whether this is a pandas Series, such as one row of a DataFrame."""
    return ("pandas", "Series") in _kinds(data)


def _kinds(data: Any) -> list[tuple[str, str]]:
    """Return library and name of each class that the data is of."""
    return [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(data).__mro__]


def records_of(frame: Any, library: str) -> list[dict[str, Any]]:
    """Return the rows as records, every value as the library's own conversion to Python gives it.

    A float32 becomes the number that its own digits say, not the nearest double's. Raises ValueError where a column's
    name stands twice.
    """
    names = list(frame.column_names if library == "pyarrow" else frame.columns)
    ensure_once(names)
    columns = [_values(_column(frame, name, library)) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def ensure_once(names: list[Any]) -> None:
    """Raise ValueError for column names that stand twice."""
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"columns that stand twice: {', '.join(map(repr, twice))}")


def frame_like(frame: Any, library: str, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Return a table of the same library with these columns, in pandas with the same index."""
    module = sys.modules[library]
    if library == "pandas":
        return module.DataFrame(dict(columns), index=frame.index)
    return module.table(dict(columns)) if library == "pyarrow" else module.DataFrame(dict(columns))


def _column(frame: Any, name: Any, library: str) -> Any:
    return frame.column(name) if library == "pyarrow" else frame[name]


def _values(column: Any) -> list[Any]:
    kind = str(column.type if hasattr(column, "to_pylist") else column.dtype).lower()
    values: list[Any] = column.to_pylist() if hasattr(column, "to_pylist") else list(column.to_list())
    if kind not in NARROW:
        return values
    import numpy as np

    narrow = np.float16 if "16" in kind or "half" in kind else np.float32
    return [float(str(narrow(value))) if isinstance(value, float) else value for value in values]
