"""bookings.yaml's rules for one table, hand-written as one DuckDB script: what `stages.prepare` is measured against.

    python -m tests.benchmarks.by_hand_duckdb TABLE.csv OUT_FOLDER

Writes kept.parquet (the typed columns, side and row number, in the source's order), quarantine.parquet (a row for each
broken rule: line, column, rule, value and the record as it came) and counts.json. The same memory limit and threads as
prepare. It knows this one table: that the file is well formed, that nobody asks for the second broken rule of a value,
and which values need the slow path.

prepare does besides, for any table: a second count of the records, independent of the reader; lines where blank lines
or line ends in quotes shift them, and rows that cannot be read at all; repeated keys whose rows differ, after merging;
the sides' balance and membership digests; four leakage checks; the profile by side and its page; the table of reasons.
`python -m tests.benchmarks.prepare_steps` says what that costs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

MEMORY = "1200MB"
TEXTS = ["booking_id", "hotel", "country", "market_segment", "distribution_channel", "meal", "deposit_type",
         "customer_type", "reserved_room_type", "guest_note", "is_canceled"]  # fmt: skip
WHOLE = ["customer_id", "lead_time", "agent", "stays_in_weekend_nights", "stays_in_week_nights", "adults",
         "previous_cancellations", "total_of_special_requests", "children"]  # fmt: skip
COLUMNS = ["booking_id", "customer_id", "booked_at", "arrival_date", "lead_time", "hotel", "country", "market_segment",
           "distribution_channel", "meal", "deposit_type", "customer_type", "reserved_room_type", "agent",
           "stays_in_weekend_nights", "stays_in_week_nights", "adults", "previous_cancellations",
           "total_of_special_requests", "children", "adr", "guest_note", "is_canceled"]  # fmt: skip
REQUIRED = ["booking_id", "customer_id", "booked_at", "is_canceled"]
RANGES = {"lead_time": (0, 2000), "stays_in_weekend_nights": (0, None), "stays_in_week_nights": (0, None),
          "adults": (0, 90), "previous_cancellations": (0, None), "total_of_special_requests": (0, None),
          "children": (0, None), "adr": (-10, None), "arrival_date": ("DATE '2000-01-01'", None)}  # fmt: skip

MACROS = r"""
CREATE MACRO stripped(x) AS CASE WHEN x < '!' OR x[-1] < '!' THEN trim(x, e' \t\n\r\f\v') ELSE x END;
CREATE MACRO present(x) AS
    CASE x WHEN '' THEN NULL WHEN 'NA' THEN NULL WHEN 'NULL' THEN NULL WHEN '?' THEN NULL WHEN 'n/a' THEN NULL
    ELSE x END;
CREATE MACRO whole(x) AS CASE WHEN regexp_full_match(x, '[+-]?[0-9]+([.]0*)?') THEN TRY_CAST(x AS BIGINT) END;
CREATE MACRO money(x) AS coalesce(
    CASE WHEN regexp_full_match(x, '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)') THEN TRY_CAST(x AS DOUBLE) END,
    TRY_CAST(regexp_extract(x, '^(?:[$£€]|[A-Z]{3})? *([+-]?[0-9]+[.]?[0-9]*) *(?:[$£€]|[A-Z]{3})?$', 1) AS DOUBLE));
CREATE MACRO day(x) AS coalesce(TRY_CAST(x AS DATE), try_strptime(x, ['%d/%m/%Y', '%b %d %Y'])::DATE);
"""


def value(name: str) -> str:
    """Return the typed value of a stripped text."""
    if name in TEXTS:
        return f"t_{name}"
    kind = {"adr": "money", "arrival_date": "day"}.get(name, "whole")
    return f"TRY_CAST(t_{name} AS TIMESTAMP)" if name == "booked_at" else f"{kind}(t_{name})"


def rule(name: str) -> str:
    """Return the first rule that a value breaks, or NULL."""
    arms = [f"WHEN t_{name} IS NULL THEN {repr('required') if name in REQUIRED else 'NULL'}"]
    if name not in TEXTS:
        arms.append(f"WHEN v_{name} IS NULL THEN 'type'")
    low, high = RANGES.get(name, (None, None))
    arms += [f"WHEN v_{name} < {low} THEN 'min'"] if low is not None else []
    arms += [f"WHEN v_{name} > {high} THEN 'max'"] if high is not None else []
    if name == "booking_id":
        arms.append("WHEN NOT regexp_full_match(t_booking_id, 'BK-[0-9]{10}') THEN 'pattern'")
    if name == "is_canceled":
        arms.append("WHEN t_is_canceled NOT IN ('0', '1') THEN 'values'")
    return f"CASE {' '.join(arms)} END" if len(arms) > 1 or name in REQUIRED else "NULL"


def every(form: str) -> str:
    """Return a list of expressions, one of each column."""
    return ", ".join(form.format(name) for name in COLUMNS)


def checked_sql(table: Path) -> str:
    """Return the query of the typed table: values, side, and of broken rows the faults and the record."""
    values = ", ".join(f"{value(name)} AS v_{name}" for name in COLUMNS)
    rules = ", ".join(f"{rule(name)} AS r_{name}" for name in COLUMNS)
    named = ", ".join(f"{{'column': '{n}', 'rule': r_{n}, 'value': {n}}}" for n in COLUMNS if rule(n) != "NULL")
    types = every("'{}': 'VARCHAR'")
    return f"""SELECT {every("v_{}")},
            CASE WHEN v_booked_at >= '2021-06-01' THEN 'test' WHEN v_booked_at >= '2020-06-01' THEN 'validation'
                ELSE 'train' END AS side,
            coalesce({every("r_{}")}) IS NOT NULL AS is_broken,
            CASE WHEN is_broken THEN list_filter([{named}], lambda fault: fault.rule IS NOT NULL) END AS faults,
            CASE WHEN is_broken THEN to_json(struct_pack({every("{0} := {0}")})) END AS record
        FROM (SELECT *, {rules} FROM (SELECT *, {values} FROM (SELECT *, {every("present(s_{0}) AS t_{0}")}
        FROM (SELECT *, {every("stripped({0}) AS s_{0}")}
        FROM read_csv('{table}', header = true, auto_detect = false, columns = {{{types}}}, delim = ',', quote = '"',
            escape = '"')))))"""


def main() -> None:
    """Read, check, merge, write, count."""
    table, out = Path(sys.argv[1]), Path(sys.argv[2])
    connection = duckdb.connect(str(out / "work.duckdb"))
    connection.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = '{out}/spill'; {MACROS}")
    connection.execute(f"CREATE TABLE checked AS {checked_sql(table)}")
    connection.execute(
        f"""CREATE TABLE twice AS SELECT v_booking_id FROM checked WHERE NOT is_broken
            GROUP BY 1 HAVING count(*) > 1;
        CREATE TABLE merged AS SELECT n FROM (SELECT rowid AS n, row_number() OVER (PARTITION BY {every("v_{}")}
            ORDER BY rowid) AS nth FROM checked WHERE NOT is_broken AND v_booking_id IN (FROM twice)) WHERE nth > 1;
        CREATE TABLE repeated AS SELECT n, v_booking_id FROM (SELECT rowid AS n, v_booking_id,
            row_number() OVER (PARTITION BY v_booking_id ORDER BY rowid) AS nth FROM checked
            WHERE NOT is_broken AND v_booking_id IN (FROM twice) AND rowid NOT IN (FROM merged)) WHERE nth > 1"""
    )
    connection.execute(
        f"""COPY (SELECT rowid + 1 AS row, side, {every("v_{0} AS {0}")} FROM checked WHERE NOT is_broken
            AND rowid NOT IN (FROM merged) AND rowid NOT IN (SELECT n FROM repeated) ORDER BY rowid)
            TO '{out}/kept.parquet' (FORMAT parquet, COMPRESSION zstd)"""
    )
    connection.execute(
        f"""CREATE TABLE quarantine AS
            SELECT rowid + 2 AS line, fault.column, fault.rule, fault.value, record
            FROM (SELECT rowid, record, unnest(faults) AS fault FROM checked WHERE is_broken)
            UNION ALL SELECT n + 2, 'booking_id', 'unique', v_booking_id, NULL FROM repeated;
        COPY (FROM quarantine ORDER BY line, "column")
            TO '{out}/quarantine.parquet' (FORMAT parquet, COMPRESSION zstd)"""
    )
    write_counts(connection, out)


def write_counts(connection: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Write the rows by fate, by side and by rule."""
    [(kept,)] = connection.execute(f"SELECT count(*) FROM '{out}/kept.parquet'").fetchall()
    [(merged,)] = connection.execute("SELECT count(*) FROM merged").fetchall()
    [(quarantined,)] = connection.execute("SELECT count(DISTINCT line) FROM quarantine").fetchall()
    sides = dict(connection.execute(f"SELECT side, count(*) FROM '{out}/kept.parquet' GROUP BY 1").fetchall())
    rules = connection.execute('SELECT "column", rule, count(*) FROM quarantine GROUP BY ALL ORDER BY ALL').fetchall()
    fates = {"kept": kept, "quarantined": quarantined, "merged": merged}
    broken = {f"{column} {rule}": n for column, rule, n in rules}
    (out / "counts.json").write_text(json.dumps({"rows": fates, "sides": sides, "broken": broken}, indent=1))


if __name__ == "__main__":
    main()
