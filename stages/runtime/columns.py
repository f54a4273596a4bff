"""The features of many records at once, column by column: what stands in many rows is read once.

The same bits as record by record, in a third of the time; and no word on what is wrong: where any value is not read the
short way of check.py, or any record is broken, there is no answer, and record by record finds out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .check import LONG, compiled_rules, short_way
from .clocks import clock, moments_reader
from .contract import Column, Contract
from .operation import Feature, columns_of
from .plan import Step, compile_steps

if TYPE_CHECKING:
    import numpy as np

APART = frozenset((str, int, type(None)))  # types of which no two values are equal that differ in kind: 1 is True
Clock = Callable[..., "np.ndarray[Any, Any]"]
Alone = tuple[list[int], list[Step], list[Clock | None]]
Matrix = Callable[[Sequence[Mapping[str, Any]]], "np.ndarray[Any, Any] | None"]


class Given(NamedTuple):
    """A column: its different values as typed, and the place among them of each row; None where each row has its own.

    A text that stands in many rows is one value; numbers are not looked for.
    """

    values: list[Any]
    places: list[int] | None
    moments: Any = None  # those of the rows, as clocks.py reads them; `values` are then left empty

    def each(self) -> list[Any]:
        """Return the typed value of each row."""
        if self.moments is not None:
            return self.moments.tolist()  # type: ignore[no-any-return]
        return self.values if self.places is None else list(map(self.values.__getitem__, self.places))


def compile_matrix(contract: Contract, names: list[str], features: list[Feature]) -> Matrix:
    """Return the function from records to their features, shape (n_rows, n_features), or None where it is not sure.

    `names` are the columns that are read, `features` a plan without transformers.
    """
    shared, known = frozenset(contract.missing), frozenset(contract.columns)
    readers = [(name, _reader(contract.columns[name], shared)) for name in names]
    rules = compiled_rules(contract, names)
    alone, plain, pairs = _sorted_out(features)

    def matrix(records: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, Any] | None:
        import numpy as np

        if set(map(type, records)) != {dict} or not all(map(known.issuperset, records)):
            return None
        given: dict[str, Given] = {}
        for name, read in readers:
            column = read([record.get(name) for record in records])
            if column is None:
                return None
            given[name] = column
        if rules and _is_any_broken(rules, records, {name: column.each() for name, column in given.items()}):
            return None
        X = np.empty((len(records), len(features)))
        for name, (features_of, steps, clocks) in alone.items():
            values, places, moments = given[name]
            if moments is not None and None not in clocks:
                X[:, features_of] = np.column_stack([of(moments) for of in clocks if of])
                continue
            values = values if moments is None else given[name].each()
            block = np.array([[step({name: value}) for step in steps] for value in values])
            X[:, features_of] = block if places is None else block[places]
        for at, name in plain:
            X[:, at] = np.array(given[name].each(), float)  # NumPy, too, makes a float of each number, and NaN of None
        for at, first, second, step, of in pairs:
            if of and given[first].moments is not None and given[second].moments is not None:
                X[:, at] = of(given[first].moments, given[second].moments)
                continue
            both = zip(given[first].each(), given[second].each(), strict=True)
            X[:, at] = [step({first: one, second: other}) for one, other in both]
        return X

    return matrix


def _sorted_out(
    features: list[Feature],
) -> tuple[dict[str, Alone], list[tuple[int, str]], list[tuple[int, str, str, Step, Clock | None]]]:
    """Return the places and evaluations of features by their only column; of numbers as they are; of two columns."""
    alone: dict[str, Alone] = {}
    plain, pairs = [], []
    for at, (feature, step) in enumerate(zip(features, compile_steps(features), strict=True)):
        involved = [*columns_of(feature), *([feature["origin"]] if "origin" in feature else [])]
        if feature["op"] == "number" and not feature.get("log") and "clip" not in feature:
            plain.append((at, involved[0]))
        elif len(involved) > 1:
            pairs.append((at, involved[0], involved[1], step, clock(feature)))
        else:
            places, steps, clocks = alone.setdefault(involved[0], ([], [], []))
            places.append(at)
            steps.append(step)
            clocks.append(clock(feature))
    return alone, plain, pairs


def _reader(column: Column, shared: frozenset[str]) -> Callable[[list[Any]], Given | None]:
    """Return the function from the values sent to the column, None where one of them is not read the short way."""
    missing = shared.union(column.missing)
    short, read_moments = short_way(column, missing), moments_reader(column, missing)

    def read(raw: list[Any]) -> Given | None:
        moments = read_moments(raw) if read_moments else None
        return _read(raw, short) if moments is None else Given([], None, moments)

    return read


def _read(raw: list[Any], short: Callable[[Any], Any]) -> Given | None:
    """Return the column of the values sent, None where one of them is not read the short way."""
    if APART.issuperset(map(type, raw)):
        places: dict[Any, int] = {}
        at = [places.setdefault(value, len(places)) for value in raw]
        values = list(map(short, places))
    else:
        at, values = None, list(map(short, raw))
    return None if LONG in values else Given(values, at)


def _is_any_broken(rules: Any, records: Sequence[Mapping[str, Any]], columns: Mapping[str, list[Any]]) -> bool:
    rows = zip(*columns.values(), strict=True)
    return any(rules(record, dict(zip(columns, row, strict=True))) for record, row in zip(records, rows, strict=True))
