"""The parts of batch scoring by themselves: how a CSV is cut, answers as columns, the contract on typed columns."""

from __future__ import annotations

import csv
import io
import math
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.runtime.calibration import calibrated, make_calibrate
from stages.runtime.contract import Column, Contract, check_row
from stages.runtime.contract_sql import identifier
from stages.runtime.dialect import Dialect
from stages.runtime.predictor import answer
from stages.runtime.scoring import text
from stages.runtime.scoring.answers import answer_arrays, output_columns
from stages.runtime.scoring.checked import Check
from stages.runtime.scoring.faults import BadTable
from stages.runtime.scoring.text import TextTable
from stages.shared.errors import InputError
from stages.shared.table.layout import count_strictly
from stages.shared.table.plain import with_line_feeds
from stages.shared.table.source import Source

FAST = settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXTS = st.lists(
    st.sampled_from(["a", '"', '""', "\n", "\r", "\r\n", ",", '"\n', '\n"', ' "', "é", '","', "\n\n", "\r\r\n", "b,c"]),
    max_size=30,
).map(lambda pieces: "".join(pieces).encode())


@pytest.mark.parametrize(("size", "n_rows"), [(1, 1), (3, 2), (7, 3), (1 << 20, 1), (1 << 20, 1000)])
@FAST
@given(content=TEXTS)
def test_pieces_are_the_records_that_prepare_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, n_rows: int, content: bytes
) -> None:
    monkeypatch.setattr(text, "SIZE", size)
    path = tmp_path / "text.csv"
    path.write_bytes(content or b"a")
    source = Source(str(path))
    try:
        n_records = count_strictly(path, source, False).n_records
    except InputError:
        n_records = None
    table = TextTable(path, Dialect(header=False), ["a", "b"], n_rows)
    if n_records is None:
        with pytest.raises(BadTable, match="a quote is opened and never closed"):
            list(table.pieces())
        return
    pieces = list(table.pieces())
    assert sum(piece.n_rows for piece in pieces) == n_records
    assert [piece.start for piece in pieces] == [sum(p.n_rows for p in pieces[:n]) for n in range(len(pieces))]
    whole = with_line_feeds(path, source, tmp_path).read_bytes()
    assert unblank(b"".join(piece.text for piece in pieces)) == unblank(whole)


def unblank(content: bytes) -> list[list[str]]:
    """Return the records, whatever their line ends and the blank lines between them."""
    reader = csv.reader(io.StringIO(content.decode(), newline=""), skipinitialspace=True)
    return [record for record in reader if record]


def test_a_table_of_one_column_keeps_its_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("a\n\n1\n\n")
    [piece] = TextTable(tmp_path / "one.csv", Dialect(), [], 10).pieces()
    assert (piece.n_rows, piece.text) == (3, b"\n1\n\n")


META: list[dict[str, Any]] = [
    {"task": "binary", "classes": ["no", "it's"], "threshold": 0.3},
    {"task": "multiclass", "classes": ["a", "b", "c"], "factors": [1.0, 2.0, 0.7]},
    {"task": "regression"},
    {"task": "regression", "interval": {"quantile": 1.3, "x": [], "y": []}},
    {"task": "regression", "interval": {"quantile": 1.3, "x": [0.1, 0.4, 0.9], "y": [1.0, 0.3, 2.7]}},
]


@pytest.mark.parametrize("meta", META)
def test_columns_of_answers_are_the_answers_of_each_row(meta: dict[str, Any]) -> None:
    random = np.random.default_rng(3)
    scores = random.random((500, 3 if meta["task"] == "multiclass" else 1)) * 1.2
    scores[:4] = np.array([[0.3], [0.1], [0.9], [0.4]])
    connection = duckdb.connect()
    connection.register("scores", answer_arrays(meta, scores))
    names = output_columns(meta)
    listed = ", ".join(f"{value} AS {identifier(name)}" for name, value in names.items())
    rows = connection.execute(f"SELECT {listed} FROM scores").fetchall()
    for row, score in zip(rows, scores.tolist(), strict=True):
        found = dict(zip(names, row, strict=True))
        expected = answer(meta, score)
        flat = {"prediction": expected["prediction"]}
        flat |= {f"probability_{label}": p for label, p in expected.get("probabilities", {}).items()}
        flat |= dict(zip(("low", "high"), expected.get("interval", []), strict=False))
        assert found == flat


CALIBRATIONS = [
    {"method": "platt", "slope": 1.15, "intercept": 0.87},
    {"method": "platt", "slope": -3.0, "intercept": 0.0},
    {"method": "isotonic", "x": [0.0, 0.2, 0.7, 1.0], "y": [0.01, 0.3, 0.31, 0.99]},
    {"method": "temperature", "inverse": 0.7},
]


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_a_matrix_is_calibrated_as_each_row(calibration: dict[str, Any]) -> None:
    random = np.random.default_rng(4)
    scores = random.random((3000, 3 if calibration["method"] == "temperature" else 1))
    scores[:6] = np.array([[0.0], [1.0], [0.2], [0.7], [1e-300], [1 - 1e-16]])
    one = make_calibrate(calibration)
    assert calibrated(calibration, scores).tolist() == [one(row) for row in scores.tolist()]


VALUES: list[tuple[str, str, list[Any]]] = [
    ("DOUBLE", "number", [None, math.nan, math.inf, -0.0, 0.1, 1e300, 5e-324, 1e22, 123456789.125, -1.0]),
    ("FLOAT", "number", [None, math.nan, 0.1, 16777216.0, 3.5, -1.0]),
    ("BIGINT", "number", [None, 0, -1, 2**53 + 1, 9_223_372_036_854_775_807]),
    ("HUGEINT", "number", [None, 2**70]),
    ("DECIMAL(18,3)", "number", [None, Decimal("1.500"), Decimal("-1.000"), Decimal("1000.000")]),
    ("BIGINT", "integer", [None, 0, -1, 10**18 - 1, 10**18, -(10**18)]),
    ("UINTEGER", "integer", [0, 4_294_967_295]),
    ("DOUBLE", "integer", [None, math.nan, math.inf, 3.0, 3.5, -0.0, -1.0, 1e15, 1e16, 1e17, 123456789012345678.0]),
    ("DOUBLE", "category", [None, math.nan, 3.0, 3.5, 1e16, 1e-7]),
    ("BIGINT", "category", [None, 3, -1]),
    ("BOOLEAN", "category", [None, True, False]),
    ("BOOLEAN", "boolean", [None, True, False]),
    ("INTEGER", "boolean", [None, 0, 1, 2]),
    ("TIMESTAMP", "timestamp", [None, datetime(2024, 5, 6), datetime(2024, 5, 6, 7, 8, 9, 10), datetime(1, 1, 1)]),
    ("DATE", "timestamp", [None, date(2024, 5, 6), date(9999, 12, 31)]),
    (
        "TIMESTAMP",
        "date",
        [None, datetime(2024, 5, 6), datetime(2024, 5, 6, 7, 8, 9), datetime(2024, 5, 6, 7, 8, 9, 1)],
    ),
    ("DATE", "date", [None, date(2024, 5, 6)]),
    ("DOUBLE", "money", [None, 3.0, -2.5, 1e-7]),
    ("DOUBLE", "percent", [None, 3.0, 99.9]),
    ("VARCHAR", "text", [None, "", " a ", "NA", "x"]),
]
FORMS: list[dict[str, Any]] = [
    {},
    {"nullable": False},
    {"missing": ["-1", "true", "2024-05-06", "inf"]},
    {"min": 0, "max": 1000},
    {"formats": ["%d.%m.%Y"]},
    {"formats": ["%Y-%d-%m %H:%M:%S"]},
    {"timezone": "Europe/Rome"},
    {"on_violation": "null"},
    {"decimal": ",", "thousands": "."},
]


def fits(column: str, form: dict[str, Any]) -> bool:
    is_moment, is_number = column in ("date", "timestamp"), column in ("number", "integer", "money", "percent")
    return (
        (is_moment or "formats" not in form)
        and (column == "timestamp" or "timezone" not in form)
        and (is_number or not {"min", "decimal"} & set(form))
    )


@pytest.mark.parametrize(
    ("kind", "column", "values", "form"),
    [(*value, form) for value in VALUES for form in FORMS if fits(value[1], form)],
    ids=str,
)
def test_a_typed_column_is_read_as_each_value_alone(
    kind: str, column: str, values: list[Any], form: dict[str, Any]
) -> None:
    target = Column("category", role="target", values=["a", "b"])
    declared = Contract("made", "binary", "b", {"x": Column(column, **form), "y": target}, ["NA"])  # type: ignore[arg-type]
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE given (x {kind})")
    connection.executemany("INSERT INTO given VALUES (?)", [[value] for value in values])
    source = "(SELECT rowid + 1 AS _row, x FROM given)"
    check = Check(declared, {"x": kind})
    connection.execute(f"CREATE TABLE checked AS {check.query(source, [])}")
    typed = connection.execute("SELECT x, _broken IS NULL FROM checked ORDER BY _row").fetchall()
    found = connection.execute(f"SELECT * FROM ({check.violations('checked')}) ORDER BY ALL").fetchall()
    expected = []
    for number, value in enumerate(values, start=1):
        if kind == "FLOAT" and value is not None:
            value = np.float32(value)
        own, violations = check_row(declared, {"x": value}, ["x"])
        refusing = [violation for violation in violations if violation.action != "null"]
        expected += [(number, v.column, v.rule, v.value, 1) for v in refusing]
        assert typed[number - 1][1] == (not refusing)
        if not refusing:
            assert repr(typed[number - 1][0]) == repr(own["x"]), value
    assert found == expected
