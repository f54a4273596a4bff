"""One part of a table, from rows to answers: checked, featurised, asked and written, as a file of answers and one of
rejected rows. What a part gives depends on its rows only, so that it does not matter who works on it, or when."""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contract_sql import identifier, literal
from ..dialect import Dialect
from ..predictor import Predictor
from ..transformer import Transformer
from .answers import answer_arrays, output_columns
from .checked import Check
from .matrix import matrix_by_rows, matrix_of
from .text import read_text, set_rejects_aside

if TYPE_CHECKING:
    import duckdb

MEMORY = "800MB"  # of DuckDB, beyond which it goes to disk; no answer depends on it


@dataclass(frozen=True)
class Job:
    """What all parts of one table share; JSON carries it to other processes."""

    source: str  # the table's path
    kinds: dict[str, str]  # type of each of its columns, in their order
    kept: list[str]  # columns that are written beside the answers
    form: str  # of the answers: parquet, csv, csv.gz
    folder: str  # of the parts
    version: str  # of the model
    dialect: Dialect | None  # of a CSV; None for Parquet

    def file(self, number: int, what: str) -> Path:
        """Return the path of a part's `answers` or `rejected` rows, of its `counts`, or of a CSV's `text`."""
        suffix = {"counts": "json", "text": "csv"}.get(what, self.form)
        return Path(self.folder, f"{what}-{number:06d}.{suffix}")


@dataclass(frozen=True)
class Part:
    """Some records of the table; of a CSV their text lies in a file of its own."""

    number: int
    start: int  # records before the first one
    n_rows: int
    text: str | None = None


class Scorer:
    """Works on one part after the other with one connection, one thread."""

    def __init__(self, job: Job, predictor: Predictor, transformers: list[Transformer]) -> None:
        self.job, self.predictor, self.transformers = job, predictor, transformers
        self.check = Check(predictor.contract, job.kinds)
        self.connection = connect(Path(job.folder, "spill"))

    def score(self, part: Part) -> dict[str, Any]:
        """Write the part's files and return its counts: rows, answered, rejected {column: {rule: n}}, nulled."""
        unreadable = self._check(part)
        rejected = self.check.violations("checked")
        if unreadable:
            rejected += ' UNION ALL SELECT "row", NULL, rule, value, 0 FROM unreadable'
        scores, refused = self._scores()
        if refused:
            self._register("refused", ["row", "column", "value"], refused)
            rejected += ' UNION ALL SELECT "row", "column", \'transformer\', value FROM refused'
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE rejected AS {rejected}")
        self._copy('SELECT * EXCLUDE (_number) FROM rejected ORDER BY "row", _number', part.number, "rejected")
        self._write_answers(scores, part.number)
        counts = self._counts(part)
        _replace(self.job.file(part.number, "counts"), json.dumps(counts).encode())
        return counts

    def _check(self, part: Part) -> bool:
        """Create `checked`, and `unreadable` (row, rule, value) where there are such records; return whether."""
        kept = [f"k{place}" for place in range(len(self.job.kept))]
        wanted = [identifier(name) for name in self.predictor.contract.inputs]
        wanted += [f"{identifier(name)} AS {alias}" for name, alias in zip(self.job.kept, kept, strict=True)]
        if part.text is not None:
            assert self.job.dialect is not None
            relation = read_text(Path(part.text), self.job.dialect, list(self.job.kinds))
            number, condition = f"{part.start} + row_number() OVER ()", "true"
        else:
            relation = f"read_parquet({literal(glob.escape(self.job.source))}, file_row_number = true)"
            number = "file_row_number + 1"
            condition = f"file_row_number >= {part.start} AND file_row_number < {part.start + part.n_rows}"
        source = f"(SELECT {', '.join([f'{number} AS _row', *wanted])} FROM {relation} WHERE {condition})"
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE checked AS {self.check.query(source, kept)}")
        return part.text is not None and set_rejects_aside(self.connection, part.start, part.n_rows)

    def _scores(self) -> tuple[Any, list[tuple[int, str, str]]]:
        """Create the view `sound`, the rows that are answered; return their scores, and what transformers refuse."""
        self.connection.execute("CREATE OR REPLACE TEMP VIEW sound AS SELECT * FROM checked WHERE _broken IS NULL")
        refused: list[tuple[int, str, str]] = []
        if self.transformers:
            X, refused = matrix_by_rows(
                self.connection,
                self.predictor.features,
                self.transformers,
                self.predictor.contract.inputs,
                "sound",
            )
            numbers = ", ".join(str(row) for row, _, _ in refused) or "0"  # no row has this number
            query = f"SELECT * FROM checked WHERE _broken IS NULL AND _row NOT IN ({numbers})"
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW sound AS {query}")
        else:
            X = matrix_of(self.connection, self.predictor.features, "sound")
        return self.predictor.model.score_matrix(X), refused

    def _write_answers(self, scores: Any, number: int) -> None:
        meta = self.predictor.model.meta
        self.connection.register("scores", answer_arrays(meta, scores))
        kept = [f"k{place} AS {identifier(name)}" for place, name in enumerate(self.job.kept)]
        own = [f"{value} AS {identifier(name)}" for name, value in output_columns(meta).items()]
        columns = ['_row AS "row"', *kept, *own, f"{literal(self.job.version)} AS version"]
        query = f"SELECT {', '.join(columns)} FROM sound POSITIONAL JOIN scores"
        self._copy(query, number, "answers")
        self.connection.unregister("scores")

    def _copy(self, query: str, number: int, what: str) -> None:
        path = self.job.file(number, what)
        draft = path.with_name(f"{path.name}.draft")
        options = copy_options(self.job.form, header=number == 0)
        self.connection.execute(f"COPY ({query}) TO {literal(str(draft))} ({options})")
        draft.replace(path)

    def _register(self, name: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        import numpy as np

        arrays = {column: np.array(values) for column, values in zip(columns, zip(*rows, strict=True), strict=True)}
        self.connection.register(name, arrays)

    def _counts(self, part: Part) -> dict[str, Any]:
        one = self.connection.execute
        rejected: dict[str, dict[str, int]] = {}
        query = """SELECT coalesce("column", 'record'), rule, count(*) FROM rejected GROUP BY ALL ORDER BY ALL"""
        for column, rule, n in one(query).fetchall():
            rejected.setdefault(column, {})[rule] = n
        nulled: dict[str, dict[str, int]] = {}
        for column, rule, n in one(self.check.nulled("sound")).fetchall():
            nulled.setdefault(column, {})[rule] = n
        [(n_rejected,)] = one('SELECT count(DISTINCT "row") FROM rejected').fetchall()
        return {"rows": part.n_rows, "n_rejected": n_rejected, "rejected": rejected, "nulled": nulled}


def connect(spill: Path, threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Return an empty database in memory that keeps the order of rows."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = true; SET enable_progress_bar = false")
    # IN with five constants and more would become a join, which gives rows in another order and takes more time.
    connection.execute(f"SET disabled_optimizers = 'in_clause'; SET memory_limit = '{MEMORY}'")
    connection.execute(f"SET threads = {threads}; SET temp_directory = {literal(str(spill))}")
    return connection


def copy_options(form: str, header: bool) -> str:
    """Return the options of COPY for a form of answers; of a CSV's parts the first has the header."""
    if form == "parquet":
        return "FORMAT parquet, COMPRESSION zstd"
    compression = "gzip" if form.endswith(".gz") else "none"
    return f"FORMAT csv, HEADER {str(header).lower()}, COMPRESSION {compression}"


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(path)
