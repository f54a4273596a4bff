"""prepare of a table that is larger than what it may hold in memory."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from conftest import run_measured

ROWS = 2_000_000
MOST_MB = 1600  # of the process; DuckDB itself may take 1200
COPY = f"""COPY (
    SELECT i AS id, DATE '2024-01-01' + (i * 365 // {ROWS})::INTEGER AS day, i * 37 % 101 AS size,
        ['red', 'green', 'blue'][i % 3 + 1] AS colour,
        CASE i % 5 WHEN 0 THEN '' ELSE repeat(md5(i::VARCHAR), 4) END AS note,
        if(i % 1000 = 999, 'perhaps', if(hash(i) % 3 = 0, 'yes', 'no')) AS bought
    FROM range({ROWS}) AS every(i)
    UNION ALL SELECT 0, '2024-01-01', 0, 'red', '', if(hash(0) % 3 = 0, 'yes', 'no'))
    TO '{{path}}' (HEADER, QUOTE '"')"""


@pytest.mark.slow
def test_two_million_rows_take_bounded_memory_and_add_up(workspace: Path) -> None:
    table = workspace / "data/raw/toy/toy.csv"
    duckdb.sql(COPY.format(path=table))
    assert table.stat().st_size > 200_000_000  # the work lies on disk
    out, megabytes = run_measured(workspace, "stages.prepare", "data=toy")
    assert f"{ROWS + 1} rows = {ROWS - ROWS // 1000} kept + {ROWS // 1000} quarantined + 1 merged" in out
    assert megabytes < MOST_MB
