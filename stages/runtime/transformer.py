"""A scikit-learn transformer, the escape hatch of the feature plan: its outputs are columns that rows gain.

What it reads are plan features, NaN for missing. A row is asked alone, on one thread: linear algebra on many rows, or
on several threads, adds in another order. Beside plan.json lie transformers.json and an archive each, never a pickle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .archive import load_archive
from .operation import Evaluate, Feature, Joins, column_sql

if TYPE_CHECKING:
    import numpy as np

FILE = "transformers.json"


class RefusedValues(ValueError):
    """Values that a transformer takes no answer from; `columns` names the columns that it reads."""

    def __init__(self, columns: list[str], reason: str) -> None:
        self.columns = columns
        super().__init__(reason)


class Transformer:
    """A fitted transformer; `meta` says its name, the columns and plan features that it reads, and its outputs."""

    def __init__(self, meta: dict[str, Any], archive: bytes) -> None:
        self.name, self.columns = meta["name"], meta["columns"]
        self.inputs: list[Feature] = meta["inputs"]
        self.outputs: list[str] = meta["outputs"]
        self.takes_missing: bool = meta["takes_missing"]
        self.estimator = load_archive(archive)

    def of_row(self, row: list[float]) -> dict[str, float]:
        """Return {output: number} of one row's inputs; one that is not finite is missing, NaN.

        So are all, where an input is missing that no training row missed and the transformer takes none.
        Raises RefusedValues.
        """
        import numpy as np

        if not self.takes_missing and any(map(math.isnan, row)):
            return dict.fromkeys(self.outputs, math.nan)
        try:
            found = transformed(self.estimator, np.array([row]))[0].tolist()
        except ValueError as error:
            raise RefusedValues(self.columns, f"{self.name}: {first_line(error)}") from error
        return {
            name: value if math.isfinite(value) else math.nan for name, value in zip(self.outputs, found, strict=True)
        }


def transformed(estimator: Any, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what a transformer makes of rows, as float64. Raises ValueError where that is no number."""
    import numpy as np

    with one_thread(), np.errstate(all="ignore"):  # what is not finite is looked for after it
        found = estimator.transform(X)
    dense = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    if dense.dtype.kind not in "fiub":
        raise ValueError(f"gives no numbers but {dense.dtype}")
    return dense.astype(float)


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def one_thread() -> Any:
    """Return the context in which no sum depends on the number of cores."""
    return _threads().limit(limits=1)


@cache
def _threads() -> Any:
    """Return what limits threads; looking for the libraries costs milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def load_transformers(folder: Path) -> list[Transformer]:
    """Return the transformers whose outputs a plan's features are, mostly none."""
    path = folder / FILE
    if not path.is_file():
        return []
    metas = json.loads(path.read_text(encoding="utf-8"))
    return [Transformer(meta, (folder / meta["file"]).read_bytes()) for meta in metas]


def _output(feature: Feature) -> Evaluate:
    name = feature["output"]
    return lambda values: values[name]


def _output_sql(feature: Feature, joins: Joins) -> str:
    return column_sql(feature["output"])


ROW: dict[str, Callable[[Feature], Evaluate]] = {"transformed": _output}
SQL: dict[str, Callable[[Feature, Joins], str]] = {"transformed": _output_sql}
