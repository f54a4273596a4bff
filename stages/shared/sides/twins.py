"""Rows of the validation and test sides that equal a training row, and how many of them coincidence explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.runtime.contract_sql import identifier

if TYPE_CHECKING:
    import duckdb

JUDGED = "('validation', 'test')"
SAMPLE = 20_000  # judged rows, and
TRAINING_SAMPLE = 1_000_000  # training rows, from which coincidence is estimated


def find_twins(connection: duckdb.DuckDBPyConnection, kept: str, columns: list[str]) -> dict[str, int]:
    """Create `twins` (_row, _split), the judged rows that equal a training row in `columns`; return rows per side.

    Missing equals missing. Hashes only pick the rows that are then compared value by value.
    """
    row_hash = f"hash({', '.join(map(identifier, columns))})"
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE hashes AS SELECT _split = 'train' AS trains, {row_hash} AS h FROM {kept}
            WHERE _split IN ('train', 'validation', 'test');
        CREATE OR REPLACE TEMP TABLE shared AS SELECT DISTINCT h FROM hashes
            SEMI JOIN (SELECT h FROM hashes WHERE NOT trains) AS judged USING (h) WHERE trains;
        DROP TABLE hashes; CREATE OR REPLACE TEMP TABLE twins (_row BIGINT, _split VARCHAR)"""
    )
    [(n_shared,)] = connection.execute("SELECT count(*) FROM shared").fetchall()
    if n_shared:
        values = ", ".join(f"{identifier(name)} AS c{place}" for place, name in enumerate(columns))
        alike = f"""SELECT whole.* FROM (SELECT _row, _split, {row_hash} AS hashed, {values} FROM {kept}) AS whole
            SEMI JOIN shared ON hashed = h"""
        same = " AND ".join(f"judged.c{n} IS NOT DISTINCT FROM training.c{n}" for n in range(len(columns)))
        connection.execute(
            f"""INSERT INTO twins SELECT _row, _split FROM ({alike} WHERE _split IN {JUDGED}) AS judged
                SEMI JOIN ({alike} WHERE _split = 'train') AS training ON judged.hashed = training.hashed AND {same}"""
        )
    connection.execute("DROP TABLE shared")
    return dict(connection.execute("SELECT _split, count(*) FROM twins GROUP BY 1 ORDER BY 1").fetchall())


def coincidence(connection: duckdb.DuckDBPyConnection, kept: str, columns: list[str]) -> float:
    """Return the share of the judged rows that would equal a training row by coincidence.

    Copies and coincidences look alike; what tells them apart are near misses. Where rows coincide because a table is
    coarse, many more agree in every column but one; copies of fine rows have no such neighbours. If a judged row has N
    training rows that differ from it in column j alone, and its value there is held by a share p of the other training
    rows, N * p equal ones are expected. Every column gives such an estimate, too low where it hangs on the others, so
    the largest mean is returned. From samples by MD5 of the row's number; sums are of whole numbers (millionths).
    """
    query = f"SELECT count(*) FILTER (_split = 'train'), count(*) FILTER (_split IN {JUDGED}) FROM {kept}"
    [(n_training, n_judged)] = connection.execute(query).fetchall()
    _hash_sample(connection, kept, "training", "_split = 'train'", columns, TRAINING_SAMPLE / max(n_training, 1))
    _hash_sample(connection, kept, "judged", f"_split IN {JUDGED}", columns, SAMPLE / max(n_judged, 1))
    [(n_sampled,)] = connection.execute("SELECT count(*) FROM hashed_training").fetchall()
    places = ", ".join(map(str, range(len(columns))))
    values = ", ".join(f"h{place}" for place in range(len(columns)))
    rests = ", ".join(f"xor(whole, h{place})" for place in range(len(columns)))
    long = f"SELECT whole, unnest([{places}]) AS place, unnest([{values}]) AS value, unnest([{rests}]) AS rest"
    means = connection.execute(
        f"""WITH judged AS ({long} FROM hashed_judged), training AS ({long} FROM hashed_training),
            equal AS (SELECT whole, count(*) AS n FROM hashed_training SEMI JOIN hashed_judged USING (whole)
                      GROUP BY 1),
            near AS (SELECT rest, count(*) AS n FROM training SEMI JOIN judged USING (rest) GROUP BY 1),
            like_it AS (SELECT value, count(*) AS n FROM training SEMI JOIN judged USING (value) GROUP BY 1)
            SELECT sum(round(1e6 * least(1, (near.n - coalesce(equal.n, 0)) * {max(n_training, 1)} / {max(n_sampled, 1)}
                * (like_it.n - coalesce(equal.n, 0)) / {max(n_sampled, 1)}))::BIGINT)
            FROM judged JOIN near USING (rest) JOIN like_it USING (value) LEFT JOIN equal USING (whole)
            GROUP BY place"""
    ).fetchall()
    [(n,)] = connection.execute("SELECT count(*) FROM hashed_judged").fetchall()
    connection.execute("DROP TABLE hashed_training; DROP TABLE hashed_judged")
    largest = max((int(total) for (total,) in means), default=0)
    return float(largest / 1e6 / max(n, 1))


def _hash_sample(
    connection: duckdb.DuckDBPyConnection, kept: str, name: str, which: str, columns: list[str], share: float
) -> None:
    """Create `hashed_NAME` (whole, h0, h1, ...): the hash of each value with its column's place, and their xor."""
    # Hashed twice: the first is linear in the place, and the xor would not see values change places.
    hashes = ", ".join(f"hash(hash({place}, {identifier(column)})) AS h{place}" for place, column in enumerate(columns))
    whole = "h0"
    for place in range(1, len(columns)):
        whole = f"xor({whole}, h{place})"
    sampled = f"AND md5_number(_row::VARCHAR) >> 64 < {int(share * 2**64)}::UHUGEINT" if share < 1 else ""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE hashed_{name} AS
            SELECT *, {whole} AS whole FROM (SELECT {hashes} FROM {kept} WHERE {which} {sampled})"""
    )
