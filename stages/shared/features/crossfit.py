"""Counts of the answer by level and fold, from which training rows get values that their own answer had no part in.

A training row's fold is the last hexadecimal digit, modulo 8, of the MD5 of its group's text (else its key's, else its
number's): `printf %s "$GROUP" | md5sum`. Everything counted is a whole number, so that no sum depends on its order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier, literal

if TYPE_CHECKING:
    import duckdb
    import numpy as np

FOLDS = 8
STEPS = 2**32  # from the least to the greatest training target: how finely its sums are taken


def bucket_sql(contract: Contract) -> str:
    """Return the expression of a row's bucket, 0 to 7: a function of its group, else its key, else its number."""
    names = contract.with_role("group") or contract.with_role("key") or ["_row"]
    text = f"concat_ws(chr(31), {', '.join(f'{identifier(name)}::VARCHAR' for name in names)})"
    return f"((md5_number({text}) >> 120) & {FOLDS - 1}::UHUGEINT)::INT"


def fold_sql(contract: Contract) -> str:
    """Return the expression of a row's fold, its bucket and one, 1 to 8; 0 for rows that nothing is fitted on."""
    return f"CASE WHEN _split = 'train' THEN 1 + {bucket_sql(contract)} ELSE 0 END"


@dataclass(frozen=True)
class Answer:
    """The target as whole numbers: a class is its number and counts 1, a number is a number of steps from `low`."""

    n_labels: int  # 1 for regression
    low: float
    step: float
    scale: float  # regression: from the first to the last tenth of the training targets, in steps

    @property
    def is_number(self) -> bool:
        """Whether the task is regression."""
        return self.n_labels == 1

    @property
    def outputs(self) -> list[int]:
        """The labels that get a feature each: the positive class, every class, or the number."""
        return [1] if self.n_labels == 2 else list(range(self.n_labels))


def learn(connection: duckdb.DuckDBPyConnection, contract: Contract, names: list[str]) -> Answer:
    """Create `learnt`, the columns `names` of the training rows with fold, label and amount; return the answer."""
    target = identifier(contract.target)
    label, amount, answer = "0", "1", Answer(len(contract.classes), 0.0, 1.0, 1.0)
    if contract.task == "regression":
        answer = _number_answer(connection, target)
        amount = f"round(({target} - {answer.low!r}::DOUBLE) / {answer.step!r}::DOUBLE)::BIGINT"
    else:
        label = f"list_position([{', '.join(map(literal, contract.classes))}]::VARCHAR[], {target}) - 1"
    columns = ", ".join(identifier(name) for name in dict.fromkeys(names))
    connection.execute(
        f"CREATE TEMP TABLE learnt AS SELECT _row, {fold_sql(contract)} - 1 AS _fold, ({label})::INT AS _label, "
        f"{amount} AS _amount, {columns} FROM train"
    )
    return answer


def _number_answer(connection: duckdb.DuckDBPyConnection, target: str) -> Answer:
    query = f"SELECT quantile_disc({target}::DOUBLE, [0.0, 0.1, 0.9, 1.0]) FROM train"
    [(found,)] = connection.execute(query).fetchall()
    low, first, last, high = found
    step = (high - low) / STEPS or 1.0
    return Answer(1, low, step, (last - first or high - low) / step or 1.0)


@dataclass(frozen=True)
class Counts:
    """Training rows and sums of amounts, shape (n_names + 1, FOLDS, n_labels); the last place is of all other names."""

    names: list[str]  # most frequent first, ties by text
    rows: np.ndarray[Any, Any]
    totals: np.ndarray[Any, Any]


def count(connection: duckdb.DuckDBPyConnection, answer: Answer, source: str, min_rows: int, max_names: int) -> Counts:
    """Return the counts of a query of (_name, _fold, _label, _amount): of the most frequent names, and of the rest."""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE counted AS SELECT _name, _fold, _label, count(*) AS n, sum(_amount) AS total
            FROM ({source}) WHERE _name IS NOT NULL GROUP BY ALL"""
    )
    most = f"""SELECT _name, sum(n) AS n FROM counted GROUP BY 1 HAVING sum(n) >= {min_rows}
        ORDER BY n DESC, _name LIMIT {max_names}"""
    places = f"SELECT _name, row_number() OVER (ORDER BY n DESC, _name) - 1 AS place FROM ({most})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE frequent AS {places}")
    names = [name for (name,) in connection.execute("SELECT _name FROM frequent ORDER BY place").fetchall()]
    return Counts(names, *_arrays(connection, answer, len(names)))


def _arrays(
    connection: duckdb.DuckDBPyConnection, answer: Answer, n_names: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    import numpy as np

    found = connection.execute(
        f"""SELECT coalesce(place, {n_names})::BIGINT AS place, _fold::BIGINT AS fold, _label::BIGINT AS label,
            sum(n)::DOUBLE AS n, sum(total)::DOUBLE AS total FROM counted LEFT JOIN frequent USING (_name)
            GROUP BY 1, 2, 3"""
    ).fetchnumpy()
    rows, totals = (np.zeros((n_names + 1, FOLDS, answer.n_labels)) for _ in range(2))
    places = found["place"], found["fold"], found["label"]
    rows[places], totals[places] = found["n"], found["total"]
    return rows, totals


def without_folds(counted: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Return the counts, shape (n_names + 1, n_labels), of all folds, then of all but the first, the second, ..."""
    whole = counted.sum(axis=1)
    return [whole, *(whole - counted[:, fold] for fold in range(FOLDS))]
