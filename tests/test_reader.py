"""Parquet and JSON lines become the same table of texts as CSV; what cannot be read is set aside with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stages.runtime.contract import Column, Contract, check_row
from stages.shared.errors import InputError
from stages.shared.sides.split import Split
from stages.shared.table.account import Account
from stages.shared.table.reader import open_table
from stages.shared.table.source import Source
from stages.shared.tables import connect

TEXT = Column("text")


def read(folder: Path, source: Source, columns: dict[str, Column] | None = None) -> tuple[list[Any], list[Any]]:
    """Return the kept rows (dicts, in order) and the quarantine (line, column, rule, value or the record, source)."""
    connection = connect()
    work = folder / "work"
    work.mkdir(exist_ok=True)
    for old in work.iterdir():
        old.unlink()
    table = open_table(connection, source, columns or {}, work)
    columns = columns or dict.fromkeys(table.columns, TEXT)
    assert sorted(table.columns) == sorted(columns)
    account = Account(
        connection, table, Contract("t", "regression", None, columns, source.missing), Split("hash", 0.2, 0.2)
    )
    account.check()
    account.set_aside(merges_duplicates=False)
    n_kept = account.write_kept(folder / "kept.parquet")
    account.write_quarantine(folder / "quarantine.parquet")
    account.count_fates(n_kept)
    kept = duckdb.sql(f"SELECT * EXCLUDE (_row, _split) FROM '{folder}/kept.parquet'")
    rows = [dict(zip(kept.columns, row, strict=True)) for row in kept.fetchall()]
    aside = duckdb.sql(
        f"SELECT line, \"column\", rule, coalesce(value, record), source FROM '{folder}/quarantine.parquet'"
    ).fetchall()
    return rows, aside


def parquet(path: Path, query: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


# Parquet


@pytest.mark.parametrize(
    ("value", "column", "wanted"),
    [
        ("1.0::DOUBLE", TEXT, "1"),
        ("0.1::DOUBLE", TEXT, "0.1"),
        ("'nan'::DOUBLE", TEXT, None),
        ("'inf'::DOUBLE", TEXT, "inf"),
        ("1e300::DOUBLE", Column("number"), 1e300),
        ("0.1::FLOAT", Column("number"), 0.1),
        ("12.50::DECIMAL(9,2)", Column("number"), 12.5),
        ("12.50::DECIMAL(9,2)", Column("number", decimal=","), 12.5),
        ("3.00::DECIMAL(9,2)", Column("number"), 3.0),
        ("5::TINYINT", Column("integer"), 5),
        ("5.0::DOUBLE", Column("integer"), 5),
        ("true", Column("boolean"), True),
        ("DATE '2024-02-29'", TEXT, "2024-02-29"),
        ("TIMESTAMP '2024-02-29 12:30:00.25'", TEXT, "2024-02-29 12:30:00.25"),
        ("TIMESTAMPTZ '2024-02-29 12:30:00+02:00'", TEXT, "2024-02-29 10:30:00"),
        ("[1, 2]", TEXT, "[1,2]"),
        ("{'a': 1, 'b': 'x'}", TEXT, '{"a":1,"b":"x"}'),
        ("MAP {'k': 1}", TEXT, '{"k":1}'),
        ("'a'::ENUM('a', 'b')", TEXT, "a"),
        ("uuid '00000000-0000-0000-0000-000000000001'", TEXT, "00000000-0000-0000-0000-000000000001"),
        ("'  spaced '", TEXT, "spaced"),
        ("NULL::VARCHAR", TEXT, None),
        ("''", TEXT, None),
    ],
)
def test_each_physical_type_has_its_text(value: str, column: Column, wanted: Any, tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", f"SELECT {value} AS x, 1 AS one")
    rows, aside = read(tmp_path, Source(str(path), "parquet"), {"x": column, "one": Column("integer")})
    assert (rows, aside) == ([{"x": wanted, "one": 1}], [])


def test_a_time_with_a_zone_is_the_same_wherever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(tmp_path / "t.parquet", "SELECT TIMESTAMPTZ '2024-07-01 12:00:00+02:00' AS x, 1 AS one")
    columns = {"x": Column("timestamp", timezone="Europe/Rome"), "one": Column("integer")}
    for zone in ("UTC", "Asia/Kolkata"):
        monkeypatch.setenv("TZ", zone)
        [row], _ = read(tmp_path, Source(str(path), "parquet"), columns)
        assert str(row["x"]) == "2024-07-01 10:00:00"


@pytest.mark.parametrize("path", ["parts", "parts/*.parquet"])
def test_parquet_files_are_one_table_in_the_order_of_their_names(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, first in (("b", 3), ("a", 1), ("c", 5)):
        parquet(tmp_path / f"parts/{name}.parquet", f"SELECT range AS x, 'ok' AS y FROM range({first}, {first + 2})")
    monkeypatch.chdir(tmp_path)
    rows, aside = read(tmp_path, Source(path, "parquet"), {"x": Column("integer", max=5), "y": TEXT})
    assert [row["x"] for row in rows] == [1, 2, 3, 4, 5]
    assert aside == [(2, "x", "max", "6", "parts/c.parquet")]


def test_folders_named_key_value_are_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for year, land in ((2023, "it"), (2024, "de"), (2024, "fr")):
        parquet(tmp_path / f"t/year={year}/land={land}/part.parquet", f"SELECT '{land}{year}' AS x")
    monkeypatch.chdir(tmp_path)
    rows, _ = read(tmp_path, Source("t", "parquet"), {"x": TEXT, "year": Column("integer"), "land": TEXT})
    assert [(row["x"], row["year"], row["land"]) for row in rows] == [
        ("it2023", 2023, "it"),
        ("de2024", 2024, "de"),
        ("fr2024", 2024, "fr"),
    ]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT 1 AS x", "y"),
        ("SELECT 1 AS x, 'a' AS y, 3 AS z", "z"),
        ("SELECT 1 AS x, 'a' AS Z", "y, z"),
    ],
)
def test_a_parquet_file_of_other_columns_is_named(
    query: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet(tmp_path / "parts/a.parquet", "SELECT 1 AS x, 'a' AS y")
    parquet(tmp_path / "parts/b.parquet", query)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=f"^parts/b.parquet: its columns are not those of parts/a.parquet: {told}$"
    ) as caught:
        read(tmp_path, Source("parts", "parquet"))
    assert len(str(caught.value).splitlines()) == 1


def test_files_may_order_their_columns_differently_and_have_other_widths(tmp_path: Path, monkeypatch) -> None:
    parquet(tmp_path / "parts/a.parquet", "SELECT 1::INTEGER AS x, 'a' AS y")
    parquet(tmp_path / "parts/b.parquet", "SELECT 'b' AS y, 3000000000::BIGINT AS x")
    monkeypatch.chdir(tmp_path)
    rows, _ = read(tmp_path, Source("parts", "parquet"), {"x": Column("integer"), "y": TEXT})
    assert rows == [{"x": 1, "y": "a"}, {"x": 3000000000, "y": "b"}]


@pytest.mark.parametrize("types", [("2.5::DOUBLE", "1"), ("1", "2.5::DOUBLE")])
def test_files_of_other_number_types_lose_no_digits(types: tuple[str, str], tmp_path: Path, monkeypatch) -> None:
    """DuckDB would cast to the first file's type, and make 2 of 2.5."""
    for name, value in zip("ab", types, strict=True):
        parquet(tmp_path / f"parts/{name}.parquet", f"SELECT {value} AS x, 'a' AS y")
    monkeypatch.chdir(tmp_path)
    rows, _ = read(tmp_path, Source("parts", "parquet"), {"x": Column("number"), "y": TEXT})
    assert sorted(row["x"] for row in rows) == [1, 2.5]


@pytest.mark.parametrize("content", [b"PAR1", b"no parquet at all", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_a_damaged_parquet_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.parquet: not readable as parquet: "):
        read(tmp_path, Source(str(path), "parquet"))


def test_a_parquet_file_damaged_within_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", "SELECT range AS x, md5(range::VARCHAR) AS y FROM range(10000)")
    content = bytearray(path.read_bytes())
    content[1000:9000] = bytes(8000)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.parquet: not readable as parquet: "):
        read(tmp_path, Source(str(path), "parquet"))


# JSON lines


def lines(path: Path, *texts: str, end: str = "\n") -> Source:
    path.write_text("".join(text + end for text in texts), newline="")
    return Source(str(path), "jsonl")


def test_json_lines_give_each_value_its_text(tmp_path: Path) -> None:
    values = {
        "text": "a",
        "whole": 12,
        "float": 0.1,
        "big": 123456789012345678901234567890,
        "yes": True,
        "none": None,
        "list": [1, "x"],
        "object": {"k": [None]},
        "escaped": 'é "\n🚕',
        "empty": "",
    }
    wanted = {
        **values,
        "whole": "12",
        "float": "0.1",
        "big": "123456789012345678901234567890",
        "yes": "true",
        "empty": None,
    }
    wanted |= {"list": '[1,"x"]', "object": '{"k":[null]}'}
    for ascii_only in (True, False):
        source = lines(tmp_path / "t.jsonl", json.dumps(values, ensure_ascii=ascii_only))
        assert read(tmp_path, source) == ([wanted], [])


@pytest.mark.parametrize("number", ["1e5", "1.50", "-0", "1E400", "0.1000000000000000055", "9007199254740993"])
def test_a_json_number_keeps_its_digits(number: str, tmp_path: Path) -> None:
    """Its value is the one that a CSV with the same digits has."""
    source = lines(tmp_path / "t.jsonl", f'{{"x": {number}, "y": "a"}}')
    (tmp_path / "t.csv").write_text(f"x,y\n{number},a\n")
    columns = {"x": Column("number"), "y": TEXT}
    from_json, from_csv = read(tmp_path, source, columns), read(tmp_path, Source(str(tmp_path / "t.csv")), columns)
    assert from_json[0] == from_csv[0]
    assert [row[2] for row in from_json[1]] == [row[2] for row in from_csv[1]]


def test_missing_keys_are_missing_and_the_order_of_keys_means_nothing(tmp_path: Path) -> None:
    source = lines(tmp_path / "t.jsonl", '{"a": 1}', '{"b": 2, "a": 3}', "{}", '{"b": 4}')
    rows, aside = read(tmp_path, source)
    assert rows == [{"a": "1", "b": None}, {"a": "3", "b": "2"}, {"a": None, "b": None}, {"a": None, "b": "4"}]
    assert aside == []


def test_what_is_no_json_object_is_set_aside_with_its_line(tmp_path: Path) -> None:
    bad = ["no json", "[1, 2]", '{"a": 1', "3", "null", '"text"', '{"a": 1} {"a": 2}', "{'a': 1}"]
    path = tmp_path / "t.jsonl"
    source = lines(path, '{"a": 1}', "", *bad, "", '{"a": "last"}')
    rows, aside = read(tmp_path, source)
    assert rows == [{"a": "1"}, {"a": "last"}]
    assert aside == [(3 + i, None, "unreadable: not a json object", text, str(path)) for i, text in enumerate(bad)]


def test_an_object_whose_key_stands_twice_is_set_aside(tmp_path: Path) -> None:
    """Readers differ on which of the two values holds."""
    path = tmp_path / "t.jsonl"
    rows, aside = read(tmp_path, lines(path, '{"a": 1}', '{"a": 2, "a": 3}', '{"a": {"b": 1, "b": 2}}'))
    assert rows == [{"a": "1"}, {"a": '{"b":1,"b":2}'}]
    assert aside == [(2, None, "unreadable: a key stands twice", '{"a": 2, "a": 3}', str(path))]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_json_lines_may_end_in_any_way_and_begin_with_a_mark(end: str, mark: str, tmp_path: Path) -> None:
    source = lines(
        tmp_path / "t.jsonl", f'{mark}{{"a": "x,\\"y"}}', "", "bad", '{"a": "\\r\\n"}', '{"a": "z"}', end=end
    )
    rows, aside = read(tmp_path, source)
    assert rows == [{"a": 'x,"y'}, {"a": None}, {"a": "z"}]
    assert [(row[0], row[3]) for row in aside] == [(3, "bad")]


def test_json_lines_may_end_in_several_ways(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"a": 1}\r\n{"a": 2}\n{"a": 3}\r{"a": 4}\n\nbad\r\n{"a": 5}')
    rows, aside = read(tmp_path, Source(str(path), "jsonl"))
    assert [row["a"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [(row[0], row[3]) for row in aside] == [(6, "bad")]


@pytest.mark.parametrize("suffix", ["jsonl.gz", "ndjson"])
def test_json_lines_in_several_files_and_packed(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parts").mkdir()
    for name, number in (("b", 2), ("a", 1)):
        text = f'{{"x": {number}}}\nbad {name}\n'.encode()
        (tmp_path / f"parts/{name}.{suffix}").write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    monkeypatch.chdir(tmp_path)
    rows, aside = read(tmp_path, Source("parts", "jsonl"))
    assert [row["x"] for row in rows] == ["1", "2"]
    assert [(row[0], row[3], row[4]) for row in aside] == [
        (2, "bad a", f"parts/a.{suffix}"),
        (2, "bad b", f"parts/b.{suffix}"),
    ]


def test_json_lines_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes('{"a": "café"}\n'.encode("utf-16"))
    assert read(tmp_path, Source(str(path), "jsonl", encoding="utf-16")) == ([{"a": "café"}], [])


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": "caf\xe9"}',
        b'{"a": "\x00"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud83d"}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "A": 2}',
        b'{"a": NaN}',
        b'{"": 1, "a": 1}',
        b'{"a": "' + b"x" * 3_000_000 + b'"}',
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"\x01",
        b'{"a": "x\x01y"}',
    ],
    ids=lambda line: repr(line[:24]),
)
def test_no_line_is_lost(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"a": "first"}\n' + line + b'\n{"a": "last"}\n')
    try:
        rows, aside = read(tmp_path, Source(str(path), "jsonl"))
    except InputError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return
    assert (rows[0]["a"], rows[-1]["a"]) == ("first", "last")
    assert len(rows) + len(aside) == 3
    assert [row[0] for row in aside] in ([], [2])


@pytest.mark.parametrize("text", ["", "\n\n", "[]\n", "bad\n"])
def test_without_one_object_there_is_no_table(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=r"t\.jsonl: (the file is empty|no line holds a JSON object)$"):
        read(tmp_path, Source(str(path), "jsonl"))


@pytest.mark.parametrize(
    ("first", "second", "column"),
    [
        ("0.1::FLOAT", "0.5::DOUBLE", Column("number")),
        ("12.50::DECIMAL(9,2)", "1.500::DECIMAL(9,3)", TEXT),
        ("true", "1::INT", TEXT),
        ("DATE '2024-02-29'", "TIMESTAMP '2024-02-29 12:00:00'", TEXT),
        ("9007199254740993::BIGINT", "0.5::DOUBLE", TEXT),
    ],
)
def test_another_file_does_not_change_the_text_of_a_value(
    first: str, second: str, column: Column, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a side, which hangs on texts, would change for old rows when a file is added."""
    monkeypatch.chdir(tmp_path)
    parquet(tmp_path / "in/a.parquet", f"SELECT {first} AS x, i AS n FROM range(3) AS every(i)")
    alone, _ = read(tmp_path, Source("in/*.parquet", format="parquet"), {"x": column, "n": Column("integer")})
    parquet(tmp_path / "in/b.parquet", f"SELECT 7 AS n, {second} AS x")
    parquet(tmp_path / "in/c.parquet", f"SELECT {first} AS x, 8 AS n")
    both, aside = read(tmp_path, Source("in/*.parquet", format="parquet"), {"x": column, "n": Column("integer")})
    assert aside == []
    assert both[:3] == alone
    assert [row["n"] for row in both] == [0, 1, 2, 7, 8]


@pytest.mark.parametrize("value", ["[0.5::DOUBLE, 2]", "{'a': 0.5::DOUBLE}", "[1.50::DECIMAL(9,2)]"])
def test_a_parquet_column_may_hold_numbers_in_lists(value: str, tmp_path: Path) -> None:
    parquet(tmp_path / "t.parquet", f"SELECT {value} AS x, 1 AS n")
    rows, _ = read(tmp_path, Source(str(tmp_path / "t.parquet"), format="parquet"))
    assert json.loads(rows[0]["x"]) in ([0.5, 2], {"a": 0.5}, [1.5])


@pytest.mark.parametrize(
    "column",
    [TEXT, Column("number"), Column("number", decimal=",", thousands="."), Column("category"), Column("boolean")],
    ids=lambda column: f"{column.type}{column.decimal or ''}",
)
@pytest.mark.parametrize(
    "value",
    ["1.125", "1.0", "1.5", "-0.0", "1e16", "1E5", "12345678901234567890", "123456789012345678901234", "7", "true",
     "NaN", "null", '"1,5"', '"NaN"', '{"a": [1, "ü"]}', "[]", '"line\\nend"'],
)  # fmt: skip
def test_a_table_of_json_lines_reads_what_one_record_reads(value: str, column: Column, tmp_path: Path) -> None:
    text = f'{{"x": {value}, "n": 1}}'
    rows, aside = read(tmp_path, lines(tmp_path / "t.jsonl", text), {"x": column, "n": Column("integer")})
    declared = Contract("t", "regression", None, {"x": column}, [])
    values, violations = check_row(declared, {"x": json.loads(text)["x"]}, ["x"])
    assert [row["x"] for row in rows] == ([] if violations else [values["x"]])
    assert [entry[2] for entry in aside] == [violation.rule for violation in violations]


@pytest.mark.parametrize("bad", [b"a\xffb", b"a\x01b"])
def test_a_json_line_that_is_no_text_is_set_aside_with_its_line(bad: bytes, tmp_path: Path) -> None:
    good = [f'{{"n": {i}}}'.encode() for i in range(6)]
    content = [*good[:2], b"", b'{"n": "' + bad + b'"}', *good[2:4], b"[]", *good[4:]]
    (tmp_path / "t.jsonl").write_bytes(b"\n".join(content) + b"\n")
    rows, aside = read(tmp_path, Source(str(tmp_path / "t.jsonl"), format="jsonl"), {"n": Column("integer")})
    assert [row["n"] for row in rows] == list(range(6))
    assert [entry[0] for entry in aside] == [4, 7]
