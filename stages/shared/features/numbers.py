"""Features of numbers: the training quantiles that clip, bin and tell a lopsided column from an even one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.runtime.contract_sql import identifier
from stages.runtime.operation import Feature
from stages.shared.features.schema import Numbers

if TYPE_CHECKING:
    import duckdb

SKEWED = 3.0  # times as far from the median to the 99th percentile as to the 1st, or the other way round


def number_features(
    connection: duckdb.DuckDBPyConnection, wanted: dict[str, Numbers], booleans: set[str]
) -> dict[str, list[Feature]]:
    """Return the features of each number. One query asks for the quantiles of all columns that need any."""
    shares = {name: [] if name in booleans else _shares(conf) for name, conf in wanted.items()}
    quantiles = _quantiles(connection, {name: sorted(set(asked)) for name, asked in shares.items() if asked})
    return {name: _features(name, conf, quantiles.get(name, {}), name in booleans) for name, conf in wanted.items()}


def _shares(conf: Numbers) -> list[float]:
    """Return the quantiles that one column's settings ask for."""
    shares = [conf.clip, 1 - conf.clip] if conf.clip else []
    shares += [0.01, 0.5, 0.99] if conf.log == "skewed" else []
    return shares + [place / conf.bins for place in range(1, conf.bins)]


def _quantiles(connection: duckdb.DuckDBPyConnection, shares: dict[str, list[float]]) -> dict[str, dict[float, float]]:
    """Return {column: {share: the training rows' value}}; a column without values has none."""
    if not shares:
        return {}
    asked = ", ".join(f"quantile_disc({identifier(name)}::DOUBLE, {places})" for name, places in shares.items())
    [found] = connection.execute(f"SELECT {asked} FROM train").fetchall()
    return {
        name: dict(zip(places, values, strict=True))
        for (name, places), values in zip(shares.items(), found, strict=True)
        if values is not None
    }


def _features(name: str, conf: Numbers, quantiles: dict[float, float], is_boolean: bool) -> list[Feature]:
    feature: Feature = {"name": name, "op": "number", "column": name}
    features = [feature]
    if not is_boolean and conf.clip and quantiles:
        feature["clip"] = [quantiles[conf.clip], quantiles[1 - conf.clip]]
    if not is_boolean and (conf.log == "always" or (conf.log == "skewed" and quantiles and _is_skewed(quantiles))):
        feature["log"] = True
    if not is_boolean and conf.bins > 1 and quantiles:
        edges = sorted({quantiles[place / conf.bins] for place in range(1, conf.bins)})
        features = [{"name": f"{name}.bin", "op": "bins", "column": name, "edges": edges}]
    return features


def _is_skewed(quantiles: dict[float, float]) -> bool:
    """Return whether one tail is much the longer one: the logarithm then brings far values nearer."""
    below, above = quantiles[0.5] - quantiles[0.01], quantiles[0.99] - quantiles[0.5]
    return max(below, above) > SKEWED * min(below, above)
