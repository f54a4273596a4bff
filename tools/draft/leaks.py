"""Finds what could give the answer away: columns that explain it alone, sums of columns, dates that lie later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.runtime.contract_sql import identifier, value_sql
from stages.runtime.forms import NUMBERS
from stages.shared.sides.explained import explained_alone
from stages.shared.sides.leakage import EXPLAINED
from tools.draft.columns import Drafted
from tools.draft.roles import drop
from tools.draft.splits import column_of, label_of, present_text, typed_of
from tools.draft.target import Target
from tools.draft.vocabulary import known_later, words

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    Array = np.ndarray[Any, Any]

WHOLE = 0.6  # share of all classes together below which a column gives away one class only
RULE = "decides one class alone and leaves the others open"
SUM_SHARE = 0.999  # of the target's variance, that a sum of a few columns explains: an identity, not a relation
SUM_ROWS, SUM_COLUMNS, SUM_MISSING = 20_000, 6, 0.3


def explained(
    connection: duckdb.DuckDBPyConnection, columns: list[Drafted], target: Target, target_name: str
) -> dict[str, float]:
    """Return the share of the target that each feature explains alone, out of sample."""
    features = [drafted for drafted in columns if "role" not in drafted.keys]
    label = next(drafted for drafted in columns if drafted.name == target_name)
    if not features:
        return {}
    texts = ", ".join(f"{present_text(drafted)} AS t{place}" for place, drafted in enumerate(features))
    typed = ", ".join(
        f"{value_sql(column_of(drafted), f't{place}')} AS {identifier(drafted.name)}"
        for place, drafted in enumerate(features)
    )
    # A text has a level of its own: within its value it would be planned many times, for minutes in wide tables.
    connection.execute(
        f"""CREATE TEMP TABLE typed AS SELECT _row, _label AS {identifier(target_name)}, {typed}
            FROM (SELECT _row, {label_of(label)} AS _label, {texts} FROM sample) WHERE _label IS NOT NULL"""
    )
    kinds = {drafted.name: drafted.type for drafted in features}
    shares = explained_alone(connection, "typed", target_name, target.task == "regression", kinds)
    connection.execute("DROP TABLE typed")
    return shares


def spare_rules(
    connection: duckdb.DuckDBPyConnection,
    columns: list[Drafted],
    shares: dict[str, float],
    target: Target,
    target_name: str,
) -> list[str]:
    """Note columns that give away one of several classes and not the rest, and take them out of `shares`.

    Values alone cannot tell a rule from a leak; a name that sounds like the outcome makes it a leak.
    """
    said = []
    label = next(drafted for drafted in columns if drafted.name == target_name)
    for drafted in columns:
        if target.task != "multiclass" or shares.get(drafted.name, 0.0) < EXPLAINED:
            continue
        overall = explained_overall(connection, drafted, label)
        is_suspect = known_later(drafted.name) or bool(set(words(drafted.name)) & set(words(target_name)))
        if overall < WHOLE and not is_suspect:
            del shares[drafted.name]
            drafted.notes.append(f"{RULE} ({overall:.2f} of all)")
            said.append(f"{drafted.name}: {RULE}; kept, and the check waived: is it a rule, or known only later?")
    return said


def explained_overall(connection: duckdb.DuckDBPyConnection, drafted: Drafted, label: Drafted) -> float:
    """Return the share of all classes' variance that a column's values explain: Goodman and Kruskal's tau.

    Numbers are taken in fifty bins.
    """
    value = typed_of(drafted)
    binned = f"ntile(50) OVER (ORDER BY {value}, _row)" if drafted.type in NUMBERS else f"{value}::VARCHAR"
    query = f"""WITH c AS (SELECT b, y, count(*)::DOUBLE AS n FROM
            (SELECT {binned} AS b, {label_of(label)} AS y FROM sample) WHERE y IS NOT NULL GROUP BY ALL),
        b AS (SELECT sum(n) AS n, sum(n * n) AS nn FROM c GROUP BY b), y AS (SELECT sum(n) AS n FROM c GROUP BY y)
        SELECT (SELECT sum(nn / n) FROM b), (SELECT sum(n * n) / sum(n) FROM y), (SELECT sum(n) FROM y)"""
    [(within, chance, n_rows)] = connection.execute(query).fetchall()
    return float((within - chance) / (n_rows - chance)) if n_rows > chance else 0.0


def drop_companions(columns: list[Drafted]) -> list[str]:
    """Drop columns that are named after a leak, as `status_date` is after `status`; return the sentences on them."""
    said = []
    leaks = [drafted for drafted in columns if str(drafted.keys.get("reason", "")).startswith("a leak")]
    for drafted in columns:
        for leak in leaks:
            if "role" not in drafted.keys and set(words(drafted.name)) > set(words(leak.name)) != set():
                drop(drafted, f"a leak? named after {leak.name}, which gives the answer")
                said.append(f"{drafted.name}: dropped with {leak.name}, after which it is named")
    return said


def drop_sums(
    connection: duckdb.DuckDBPyConnection, columns: list[Drafted], target: Target, target_name: str
) -> list[str]:
    """Drop numbers whose weighted sum is the target itself, such as parts of a total; return the sentence on them."""
    numeric = [
        drafted
        for drafted in columns
        if "role" not in drafted.keys
        and drafted.type in NUMBERS
        and drafted.n_missing <= SUM_MISSING * drafted.texts.n_rows
    ]
    if target.task != "regression" or not numeric:
        return []
    label = next(drafted for drafted in columns if drafted.name == target_name)
    texts = ", ".join(f"({typed_of(drafted)})::DOUBLE" for drafted in [label, *numeric])
    query = f"SELECT {texts} FROM sample WHERE {typed_of(label)} IS NOT NULL ORDER BY _row LIMIT {SUM_ROWS}"
    chosen, share = find_sum(connection.execute(query).fetchall())
    if share < SUM_SHARE:
        return []
    names = [numeric[place].name for place in chosen]
    for place in chosen:
        others = ", ".join(name for name in names if name != numeric[place].name)
        beside = f"with {others} " if others else ""
        drop(numeric[place], f"a leak? {beside}sums up to {share:.4f} of {target_name}")
    return [
        f"{', '.join(names)}: dropped, {target_name} is a weighted sum of them ({share:.4f}); known when predicting?"
    ]


def find_sum(rows: list[tuple[Any, ...]]) -> tuple[list[int], float]:
    """Return (columns, share of the first column's variance that their best weighted sum explains).

    Orthogonal matching pursuit: the column nearest to what is left joins, until there are SUM_COLUMNS.
    """
    import numpy as np

    table = np.array([[np.nan if value is None else value for value in row] for row in rows], float)
    y, X = table[:, 0], table[:, 1:]
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    scaled = filled - filled.mean(axis=0)
    scaled /= np.where(scaled.std(axis=0) > 0, scaled.std(axis=0), 1)
    chosen: list[int] = []
    rest, best = y - y.mean(), 0.0
    while len(chosen) < min(SUM_COLUMNS, X.shape[1]) and best < SUM_SHARE:
        nearness = np.abs(scaled.T @ rest)
        nearness[chosen] = -1
        chosen.append(int(nearness.argmax()))
        whole = ~np.isnan(X[:, chosen]).any(axis=1)
        if whole.sum() < 10 * SUM_COLUMNS:
            return [], 0.0
        with_mean = np.column_stack([np.ones(len(y)), filled[:, chosen]])
        weights = np.linalg.lstsq(with_mean[whole], y[whole], rcond=None)[0]
        rest = np.where(whole, y - with_mean @ weights, 0.0)
        best = 1 - float((rest[whole] ** 2).sum() / ((y[whole] - y[whole].mean()) ** 2).sum())
    return chosen, best


def later_than(connection: duckdb.DuckDBPyConnection, columns: list[Drafted], time: Drafted | None) -> list[str]:
    """Return sentences on dates that mostly lie after the time column: who knew them then?"""
    said = []
    for drafted in columns:
        if time is None or drafted.type not in ("date", "timestamp") or "role" in drafted.keys:
            continue
        later, both = f"{typed_of(drafted)}::TIMESTAMP", f"{typed_of(time)}::TIMESTAMP"
        query = f"SELECT avg(({later} > {both})::INT) FROM sample WHERE {later} IS NOT NULL AND {both} IS NOT NULL"
        [(share,)] = connection.execute(query).fetchall()
        if share and share > 0.5:
            drafted.notes.append(f"after {time.name} in {share:.0%} of the rows: planned then, or known only later?")
            said.append(f"{drafted.name}: after {time.name} in {share:.0%} of the rows; drop it if known only later")
    return said
