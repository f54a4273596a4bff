"""The rows of one side as arrays, for the stages that fit and measure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.shared.errors import InputError
from stages.shared.files import read_json
from stages.shared.tables import parquet, read_arrays

if TYPE_CHECKING:
    import numpy as np

FEATURES = Path("data/featurize")
SIZES = 1e-18, 1e18  # of the largest number: float32, which boosting libraries hold, has room for its square


@dataclass(frozen=True)
class Rows:
    """Rows in the source's order."""

    X: np.ndarray[Any, Any]  # (n_rows, n_features), NaN for missing
    y: np.ndarray[Any, Any]  # (n_rows,), class numbers in the contract's order, or values
    number: np.ndarray[Any, Any]  # (n_rows,), the record's number in the source
    weight: np.ndarray[Any, Any] | None  # (n_rows,)
    group: np.ndarray[Any, Any] | None  # (n_rows,)
    bucket: np.ndarray[Any, Any] | None = None  # (n_rows,), 0 to 7, equal within a group
    time: np.ndarray[Any, Any] | None = None  # (n_rows,), seconds since 1970, where the split is by time

    def take(self, places: np.ndarray[Any, Any]) -> Rows:
        """Return the rows at some places, or where a mask holds."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        parts: dict[str, Any] = {name: None if part is None else part[places] for name, part in found.items()}
        return Rows(**parts)


def read_rows(side: str, contract: Contract) -> Rows:
    """Return the rows of `train`, `validation` or `test`. Raises InputError as `check_size`."""
    import numpy as np

    arrays = read_arrays(f"{parquet(FEATURES / 'features.parquet')} WHERE _split = '{side}'")
    X = np.column_stack([arrays[feature["name"]].astype(float) for feature in read_json(FEATURES / "plan.json")])
    if contract.task == "regression":
        y = arrays["_target"].astype(float)
        check_size(contract.target, y, side)
    else:
        numbers = {label: number for number, label in enumerate(contract.classes)}
        y = np.array([numbers[label] for label in arrays["_target"]])
    weight = arrays["_weight"].astype(float) if "_weight" in arrays else None
    if weight is not None:
        check_size(contract.with_role("weight")[0], weight, side)
    return Rows(X, y, arrays["_row"], weight, arrays.get("_group"), arrays.get("_bucket"), arrays.get("_time"))


def check_size(name: str, values: np.ndarray[Any, Any], side: str) -> None:
    """Raise InputError for targets or weights so large that their squares overflow, or so small that they vanish."""
    import numpy as np

    largest = float(np.abs(values).max(initial=0.0))
    if largest > 0 and not SIZES[0] <= largest <= SIZES[1]:
        rule = f"it should lie between {SIZES[0]:g} and {SIZES[1]:g}; use another unit"
        raise InputError(f"{name}: the largest of its {side} numbers is {largest:.6g}: {rule}")


def together(first: Rows, second: Rows) -> Rows:
    """Return the rows of both, the first ones first."""
    import numpy as np

    names = [field.name for field in dataclasses.fields(Rows)]
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in names}
    parts: dict[str, Any] = {name: None if a is None else np.concatenate([a, b]) for name, (a, b) in pairs.items()}
    return Rows(**parts)
