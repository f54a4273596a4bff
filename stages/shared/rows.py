"""The rows of one side as arrays, for the stages that fit and measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.shared.files import read_json
from stages.shared.tables import parquet, read_arrays

if TYPE_CHECKING:
    import numpy as np

FEATURES = Path("data/featurize")


@dataclass(frozen=True)
class Rows:
    """Rows in the source's order."""

    X: np.ndarray[Any, Any]  # (n_rows, n_features), NaN for missing
    y: np.ndarray[Any, Any]  # (n_rows,), class numbers in the contract's order, or values
    number: np.ndarray[Any, Any]  # (n_rows,), the record's number in the source
    weight: np.ndarray[Any, Any] | None  # (n_rows,)
    group: np.ndarray[Any, Any] | None  # (n_rows,)


def read_rows(side: str, contract: Contract) -> Rows:
    """Return the rows of `train`, `validation` or `test`."""
    import numpy as np

    arrays = read_arrays(f"{parquet(FEATURES / 'features.parquet')} WHERE _split = '{side}'")
    X = np.column_stack([arrays[feature["name"]].astype(float) for feature in read_json(FEATURES / "plan.json")])
    if contract.task == "regression":
        y = arrays["_target"].astype(float)
    else:
        numbers = {label: number for number, label in enumerate(contract.classes)}
        y = np.array([numbers[label] for label in arrays["_target"]])
    weight = arrays["_weight"].astype(float) if "_weight" in arrays else None
    return Rows(X, y, arrays["_row"], weight, arrays.get("_group"))
