"""Features of categories, and of pairs of them: codes, columns of 0 and 1, places in an order, means of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Column
from stages.runtime.levels import text_sql
from stages.runtime.operation import Feature
from stages.shared.features.crossfit import Answer, Counts, count, without_folds
from stages.shared.features.schema import Categories

if TYPE_CHECKING:
    import duckdb
    import numpy as np

MOST = 10_000  # levels with a value of their own: beyond, a plan would weigh megabytes


def category_features(
    connection: duckdb.DuckDBPyConnection,
    stem: Feature,
    conf: Categories,
    values: list[str] | None,
    answer: Answer | None,
) -> list[Feature]:
    """Return the features of one category; `stem` says its name, column and, of a pair, the other column (`with`).

    `values` are the contract's, for `ordered`; `answer` is there where the target is asked for.
    """
    if answer is not None and "target" in {*conf.encode, *conf.encode_thin}:
        source = f"SELECT {text_sql(stem)} AS _name, _fold, _label, _amount FROM learnt AS t"
        counts = count(connection, answer, source, conf.min_rows, MOST)
        names, rows = counts.names, [int(n) for n in counts.rows.sum(axis=(1, 2))]
    else:
        counts, (names, rows) = None, _levels(connection, stem, conf.min_rows)
    encodings = conf.encode_thin if _is_thin(conf, rows[: len(names)]) else conf.encode
    features: list[Feature] = []
    for encoding in encodings:
        if encoding == "target" and counts is not None and answer is not None:
            features += _target(stem, conf.smoothing, counts, answer)
        else:
            features += _encoded(stem, encoding, conf, names, rows, values or [])
    return features


def _is_thin(conf: Categories, rows: list[int]) -> bool:
    """Return whether there are many levels, of few training rows each, or more of them than may have codes."""
    n_levels = len(rows)
    return n_levels > conf.max_levels or (n_levels > conf.many_levels and sum(rows) < conf.thin_rows * n_levels)


def _levels(connection: duckdb.DuckDBPyConnection, stem: Feature, min_rows: int) -> tuple[list[str], list[int]]:
    """Return the levels with enough training rows, most frequent first, ties by text, and their rows."""
    found = connection.execute(
        f"""SELECT {text_sql(stem)} AS level, count(*) FROM train AS t WHERE level IS NOT NULL GROUP BY 1
            HAVING count(*) >= {min_rows} ORDER BY count(*) DESC, 1 LIMIT {MOST}"""
    ).fetchall()
    return [level for level, _ in found], [rows for _, rows in found]


def _encoded(
    stem: Feature, encoding: str, conf: Categories, names: list[str], rows: list[int], values: list[str]
) -> list[Feature]:
    """Return the features of an encoding that does not look at the target."""
    name, few = stem["name"], names[: conf.max_levels]
    if encoding == "code":
        return [{**stem, "op": "category", "levels": few}]
    if encoding == "one_hot":
        return [{**stem, "name": f"{name}={level}", "op": "one_hot", "level": level} for level in few]
    if encoding == "ordered":
        places = [float(place) for place in range(len(values))]
        return [{**stem, "name": f"{name}.order", "op": "ordered", "levels": values, "values": places, "other": None}]
    total = max(1, sum(rows))
    shares = [n / total for n in rows[: len(names)]]
    return [{**stem, "name": f"{name}.share", "op": "frequency", "levels": names, "values": shares, "other": 0.0}]


def _target(stem: Feature, smoothing: float, counts: Counts, answer: Answer) -> list[Feature]:
    """Return a feature for each output: the target's mean by level, drawn to the whole's as by `smoothing` rows more.

    (D. Micci-Barreca, SIGKDD Explorations 3(1), 2001.) Rare levels are taken together, and unseen ones with them.
    """
    features = []
    for output in answer.outputs:
        means = _means(counts, answer, output, smoothing)
        versions = [{"values": found[:-1].tolist(), "other": float(found[-1])} for found in means]
        name = f"{stem['name']}.mean" + (f"_{output}" if answer.n_labels > 2 else "")
        op = {**stem, "name": name, "op": "target", "levels": counts.names}
        features.append({**op, **versions[0], "folds": versions[1:]})
    return features


def _means(counts: Counts, answer: Answer, output: int, smoothing: float) -> list[np.ndarray[Any, Any]]:
    """Return the smoothed means by level, the rest last, of all folds, then of all but each one."""
    import numpy as np

    found: list[np.ndarray[Any, Any]] = []
    for rows, totals in zip(without_folds(counts.rows), without_folds(counts.totals), strict=True):
        n, hits = rows.sum(axis=1), totals[:, output]
        if not n.sum():  # all rows are in one fold: nothing is known without it
            found.append(np.full(len(n), found[0].mean() if found else 0.0))
            continue
        prior = hits.sum() / n.sum()
        weight = np.maximum(n + smoothing, 1e-9)
        means = np.where(n + smoothing > 0, (hits + smoothing * prior) / weight, prior)
        found.append(answer.low + answer.step * means if answer.is_number else means)
    return found


def ordered_faults(name: str, column: Column, conf: Categories) -> list[str]:
    """Return what is wrong with asking for `ordered`: a contract that gives no order."""
    if "ordered" in {*conf.encode, *conf.encode_thin} and column.values is None:
        return [f"columns.{name}: ordered needs `values` in conf/data, from least to greatest"]
    return []
