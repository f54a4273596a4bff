"""How much of the target each column explains by itself, out of sample: what gives the answer away stands out."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from stages.runtime.contract_sql import identifier
from stages.runtime.forms import MOMENTS

if TYPE_CHECKING:
    import duckdb

SAMPLE = 100_000  # rows at most; the shares are then off by 0.001 or so, and any table costs the same
BINS = 50  # of numbers; a copy of a numeric target then explains 1 - 1/50^2 of its ranks
ROWS_PER_BIN = 20  # at least, so that small tables get fewer bins
FEW = 200  # a number with up to so many distinct values is taken value by value
RARE_CLASS = 20  # classes with fewer rows are not looked at by themselves: a chance would look like a leak
RARE = 10  # values with fewer rows are one value: from five rows in a half nothing is learnt
NUMBERS = ("integer", "number", "money", "percent")


def explained_alone(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    target: str,
    is_regression: bool,
    kinds: Mapping[str, str],
    row: str = "_row",
) -> dict[str, float]:
    """Return {column: share of the target's variance that its values explain}, from 0 to 1.

    The rows (of a FROM clause, target present) are halved by the MD5 of the expression `row`, which should tell them
    apart; each half is predicted from the other's mean per value (of numbers with many values: per quantile bin; of
    moments: per day; missing is a value like any), so that chance explains nothing, whatever the number of values.
    For classes it is the share of that class's indicator that is explained best (with two classes Goodman and
    Kruskal's tau, JASA 49, 1954, section 9): a lab value can give away the positive ones and leave the others in doubt.
    For regression it is the share of the target's ranks: a copy in another unit or scale explains them all, and a few
    huge targets cannot hide it. `kinds` are the columns' types in the contract.
    """
    if not kinds:
        return {}
    places = _sample(connection, source, target, is_regression, kinds, row)
    # Counted before rare values are joined: a window over counts is ten times faster than one over rows.
    query = f"""WITH counted AS (
            SELECT name, bin, is_exact, label, count(*) FILTER (half = 0) AS n0, count(*) FILTER (half = 1) AS n1,
                coalesce(sum(amount) FILTER (half = 0), 0) AS a0, coalesce(sum(amount) FILTER (half = 1), 0) AS a1
            FROM ({_binned(connection, places)}) GROUP BY ALL),
        sized AS (SELECT *, sum(n0 + n1) OVER (PARTITION BY name, bin) AS n_rows FROM counted)
        SELECT name, if(is_exact AND n_rows < {RARE}, 0, bin) AS bin, label, sum(n0), sum(n1), sum(a0), sum(a1)
        FROM sized GROUP BY ALL ORDER BY ALL"""
    found = connection.execute(query).fetchall()
    per_label = """SELECT label, sum(amount * amount) FILTER (half = 0), sum(amount * amount) FILTER (half = 1)
        FROM sampled GROUP BY 1 HAVING count(*) >= ? ORDER BY 1"""
    squares = {label: both for label, *both in connection.execute(per_label, [RARE_CLASS]).fetchall()}
    connection.execute("DROP TABLE sampled")
    names = list(kinds)
    shares = dict.fromkeys(names, 0.0)
    for place, rows in groupby(found, key=lambda item: item[0]):
        shares[names[place]] = _share(list(rows), squares)
    return shares


def _sample(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    target: str,
    is_regression: bool,
    kinds: Mapping[str, str],
    row: str,
) -> dict[int, bool]:
    """Create `sampled` (half, label, amount, c0, c1, ...); return {place of a column: whether it is taken exactly}."""
    [(n_rows,)] = connection.execute(f"SELECT count(*) FROM {source}").fetchall()
    bound = 2**64 * SAMPLE // max(n_rows, SAMPLE)
    columns = ", ".join(f"{_value(name, kind)} AS c{place}" for place, (name, kind) in enumerate(kinds.items()))
    y, digest = identifier(target), f"md5_number({row}::VARCHAR)"
    answer = f"'' AS label, rank() OVER (ORDER BY {y})" if is_regression else f"{y}::VARCHAR AS label, 1"
    connection.execute(
        f"""CREATE TEMP TABLE sampled AS SELECT ({digest} & 1)::TINYINT AS half, {answer}::BIGINT AS amount, {columns}
            FROM {source} WHERE ({digest} >> 64) < {bound}::UHUGEINT"""
    )
    numeric = [place for place, kind in enumerate(kinds.values()) if kind in NUMBERS]
    counts = ", ".join(f"approx_count_distinct(c{place})" for place in numeric) or "count(*)"
    [distinct] = connection.execute(f"SELECT {counts} FROM sampled").fetchall()
    most = min(FEW, min(n_rows, SAMPLE) // (2 * RARE))  # beyond, many values are rare, and rare ones count as one
    many = {place for place, n in zip(numeric, distinct, strict=False) if n > most}
    return {place: place not in many for place in range(len(kinds))}


def _value(name: str, kind: str) -> str:
    """Return the expression of a number, or the hash that stands for a value of any other type."""
    if kind in NUMBERS:
        return f"{identifier(name)}::DOUBLE"
    return f"hash({identifier(name)}{'::DATE' if kind in MOMENTS else ''})"


def _binned(connection: duckdb.DuckDBPyConnection, places: dict[int, bool]) -> str:
    """Return the query of (name, bin, is_exact, half, label, amount), a row for each cell of `sampled`."""
    [(n_rows,)] = connection.execute("SELECT count(*) FROM sampled").fetchall()
    n_bins = max(2, min(BINS, n_rows // ROWS_PER_BIN))
    parts = []
    for is_exact in (True, False):
        chosen = [place for place, exact in places.items() if exact == is_exact]
        if not chosen:
            continue
        values = ", ".join(f"hash(c{place})" if is_exact else f"c{place}" for place in chosen)
        long = f"SELECT half, label, amount, unnest({chosen}) AS name, unnest([{values}]) AS value FROM sampled"
        # The bins of a value's first and last place: one that fills a bin by itself has a pair of its own.
        over = "OVER (PARTITION BY name ORDER BY value)"
        first = f"(rank() {over} - 1) * {n_bins} // {n_rows}"
        last = f"(round(cume_dist() {over} * {n_rows})::BIGINT - 1) * {n_bins} // {n_rows}"
        quantiles = f"if(value IS NULL, {n_bins}, {first}) * {2 * BINS} + {last}"
        bin_ = "value" if is_exact else f"({quantiles})::UBIGINT"
        parts.append(f"SELECT name, {bin_} AS bin, {is_exact} AS is_exact, half, label, amount FROM ({long})")
    return " UNION ALL ".join(parts)


def _share(rows: list[tuple[Any, ...]], squares: dict[str, list[Any]]) -> float:
    """Return the share that one column's bins explain, each half predicted from the other; of classes the best.

    `rows` are (name, bin, label, rows in half 0, in half 1, amount in half 0, in half 1), ordered by bin; for classes
    the amount is the number of rows of the class, for regression the sum of the targets.
    """
    whole, bins = _Sums(), []
    for _, items in groupby(rows, key=lambda row: row[1]):
        bins.append(_Sums())
        for _, _, label, *counts in items:
            bins[-1].add(label, counts)
            whole.add(label, counts)
    shares = [0.0]
    for label, both in squares.items():
        if not all(whole.n) or not all(both):
            continue
        error = sum(int(both[half]) + sum(part.loss(label, half, whole) for part in bins) for half in (0, 1))
        total = sum(int(both[half]) + whole.loss(label, half, whole) for half in (0, 1))
        shares.append(round(1 - error / total, 4) if total > 0 else 0.0)
    return max(shares)


class _Sums:
    """Rows and amounts by half and label."""

    def __init__(self) -> None:
        self.n = [0, 0]
        self.amounts: dict[str, list[int]] = {}

    def add(self, label: str, counts: list[int]) -> None:
        """Add (rows in half 0, in half 1, amount in half 0, in half 1) of a label."""
        amounts = self.amounts.setdefault(label, [0, 0])
        for half in (0, 1):
            self.n[half] += int(counts[half])
            amounts[half] += int(counts[2 + half])

    def loss(self, label: str, half: int, whole: _Sums) -> float:
        """Return the squared error of a half under the other half's mean, but for the half's own sum of squares."""
        other = 1 - half
        guide = self if self.n[other] else whole  # a value that the other half has not seen
        mean = guide.amounts.get(label, (0, 0))[other] / guide.n[other]
        return self.n[half] * mean**2 - 2 * mean * self.amounts.get(label, (0, 0))[half]
