"""The features of all input columns, in the contract's order, fitted on the training rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stages.runtime.contract import Contract
from stages.runtime.operation import Feature
from stages.shared.errors import InputError
from stages.shared.features.categories import category_features, ordered_faults
from stages.shared.features.crossfit import Answer, learn
from stages.shared.features.dates import date_features, since_faults
from stages.shared.features.numbers import number_features
from stages.shared.features.pairs import pair_faults, pair_features
from stages.shared.features.public_holidays import holiday_faults, holiday_features
from stages.shared.features.schema import Categories, Dates, FeaturesConf, Numbers, Settings, Text, settings
from stages.shared.features.texts import text_faults, text_features

if TYPE_CHECKING:
    import duckdb


def check(conf: FeaturesConf, contract: Contract, where: str) -> dict[str, Settings]:
    """Return what each input column becomes. Raises InputError with all that does not fit the contract."""
    faults: list[str] = []
    wanted = settings(conf, contract, faults)
    for name, own in wanted.items():
        if isinstance(own, Categories):
            faults += ordered_faults(name, contract.columns[name], own)
        if isinstance(own, Dates):
            faults += since_faults(name, contract, own)
        if isinstance(own, Text):
            faults += text_faults(name, own)
    faults += holiday_faults(wanted)
    for place, pair in enumerate(conf.interactions):
        faults += pair_faults(contract, place, pair, conf)
    if faults:
        raise InputError(f"{where} does not fit the columns of {contract.name}", faults)
    return wanted


def fit(
    connection: duckdb.DuckDBPyConnection, contract: Contract, conf: FeaturesConf, wanted: dict[str, Settings]
) -> list[Feature]:
    """Return the features, with names that are safe and unique. The connection has a view `train` of the rows."""
    crossed = [name for name, own in wanted.items() if _asks_target(own)]
    pairs = [name for pair in conf.interactions if pair.op == "cross" for name in pair.of]
    crossed += pairs if _asks_target(conf.categories) else []
    answer = learn(connection, contract, crossed) if crossed else None
    features = []
    for found in _fit_columns(connection, contract, wanted, answer):
        features += found
    for pair in conf.interactions:
        features += pair_features(connection, pair, conf, answer)
    taken: set[str] = set()
    for feature in features:
        feature["name"] = _safe_name(feature["name"], taken)
    return features


def _fit_columns(
    connection: duckdb.DuckDBPyConnection, contract: Contract, wanted: dict[str, Settings], answer: Answer | None
) -> Iterator[list[Feature]]:
    """Yield the features of each column, in the contract's order."""
    numbers = {name: own for name, own in wanted.items() if isinstance(own, Numbers)}
    booleans = {name for name in numbers if contract.columns[name].type == "boolean"}
    of_numbers = number_features(connection, numbers, booleans)
    for name, own in wanted.items():
        if isinstance(own, Categories):
            stem = {"name": name, "column": name}
            yield category_features(connection, stem, own, contract.columns[name].values, answer)
        elif isinstance(own, Dates):
            yield date_features(name, contract, own) + holiday_features(connection, name, own)
        elif isinstance(own, Text):
            yield text_features(connection, name, own, answer)
        else:
            yield of_numbers[name]
        if own.missing:
            yield [{"name": f"{name}.missing", "op": "missing", "column": name}]


def _asks_target(own: Settings) -> bool:
    """Return whether the features of a column are fitted with a look at the target."""
    if isinstance(own, Categories):
        return "target" in {*own.encode, *own.encode_thin}
    return isinstance(own, Text) and bool(own.grams)


def _safe_name(name: str, taken: set[str]) -> str:
    """Return `name` with what boosters refuse in a feature name replaced, made unique without regard to case."""
    safe = base = re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII).lstrip("_") or "feature"
    number = 1
    while safe.lower() in taken:
        number += 1
        safe = f"{base}_{number}"
    taken.add(safe.lower())
    return safe
