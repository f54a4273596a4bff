"""One small table, written in every dialect, gives the same rows."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import TOY, run_stage
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.runtime.contract import Column, Contract
from stages.runtime.dialect import column_names
from stages.shared.errors import InputError
from stages.shared.sides.split import Split
from stages.shared.table.account import Account
from stages.shared.table.reader import open_table
from stages.shared.table.source import Source, dialect_faults, source_files
from stages.shared.tables import connect

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COLUMNS = {
    "id": Column("integer"),
    "note": Column("text"),
    "size": Column("number"),
    "day": Column("date"),
}
WANTED = [
    (1, "plain", "1234.5", "2024-01-31"),
    (2, "a, b; c\td | e", "-0.25", None),
    (3, 'he said "no"', None, "1999-12-01"),
    (4, "two\nlines", "1000000", "2024-02-29"),
    (5, None, "7", "2024-01-01"),
    (6, "café", "12", "2024-01-02"),
]
TEXTS = [["id", "note", "size", "day"], *([*("" if cell is None else str(cell) for cell in row)] for row in WANTED)]


def written(rows: list[list[str]], end: str = "\n", **dialect: Any) -> str:
    """Return the CSV that Python's csv module writes."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, **dialect).writerows(rows)
    return out.getvalue()


def prepared(folder: Path, source: Source, columns: dict[str, Column] = COLUMNS) -> tuple[list[Any], list[Any]]:
    """Return the kept rows (id, note, size, day, as texts) and the quarantine (line, column, rule, value, source)."""
    connection = connect()
    work = folder / "work"
    work.mkdir()
    table = open_table(connection, source, columns, work)
    assert table.columns == list(columns)
    account = Account(
        connection, table, Contract("t", "regression", None, columns, source.missing), Split("hash", 0.2, 0.2)
    )
    account.check()
    account.set_aside(merges_duplicates=False)
    n_kept = account.write_kept(folder / "kept.parquet")
    account.write_quarantine(folder / "quarantine.parquet")
    account.count_fates(n_kept)
    kept = duckdb.sql(f"SELECT * EXCLUDE (_row, _split) FROM '{folder}/kept.parquet'")
    names = ", ".join('"' + name + '"' for name in kept.columns)
    rows = duckdb.sql(f"SELECT {names} FROM '{folder}/kept.parquet' ORDER BY _row").fetchall()
    aside = duckdb.sql(f"SELECT line, \"column\", rule, value, source FROM '{folder}/quarantine.parquet'").fetchall()
    return [tuple(shown(cell) for cell in row) for row in rows], aside


def shown(cell: Any) -> Any:
    """Return a cell as WANTED has it."""
    if cell is None or isinstance(cell, int):
        return cell
    return f"{cell:.15g}" if isinstance(cell, float) else str(cell)


DIALECTS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain": (written(TEXTS).encode(), {}),
    "semicolon": (written(TEXTS, delimiter=";").encode(), {"delimiter": ";"}),
    "tab": (written(TEXTS, delimiter="\t").encode(), {"delimiter": "\t"}),
    "bar": (written(TEXTS, delimiter="|").encode(), {"delimiter": "|"}),
    "delimiter of two bytes": (written(TEXTS, delimiter="§").encode(), {"delimiter": "§"}),
    "delimiter of four bytes": (written(TEXTS, delimiter="🚕").encode(), {"delimiter": "🚕"}),
    "space as delimiter": (written(TEXTS, delimiter=" ").encode(), {"delimiter": " "}),
    "single quotes": (written(TEXTS, quotechar="'").encode(), {"quote": "'"}),
    "everything quoted": (written(TEXTS, quoting=csv.QUOTE_ALL).encode(), {}),
    "a space behind each delimiter": (written(TEXTS, quoting=csv.QUOTE_ALL).replace('","', '", "').encode(), {}),
    "backslash": (written(TEXTS, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\").encode(), {"escape": "\\"}),
    "no header": (written(TEXTS[1:]).encode(), {"header": False}),
    "byte order mark": (written(TEXTS).encode("utf-8-sig"), {}),
    "byte order mark, header quoted": (written(TEXTS, quoting=csv.QUOTE_ALL).encode("utf-8-sig"), {}),
    "byte order mark, no header": (written(TEXTS[1:]).encode("utf-8-sig"), {"header": False}),
    "utf-8-sig": (written(TEXTS).encode("utf-8-sig"), {"encoding": "utf-8-sig"}),
    "utf-16": (written(TEXTS).encode("utf-16"), {"encoding": "utf-16"}),
    "utf-16 little-endian with a mark": (b"\xff\xfe" + written(TEXTS).encode("utf-16-le"), {"encoding": "utf-16-le"}),
    "utf-32": (written(TEXTS).encode("utf-32"), {"encoding": "utf-32"}),
    "cp1252": (written(TEXTS).encode("cp1252"), {"encoding": "cp1252"}),
    "latin-1": (written(TEXTS).encode("latin-1"), {"encoding": "latin-1"}),
    "CRLF": (written(TEXTS, "\r\n").encode(), {}),
    "CR": (written(TEXTS, "\r", quoting=csv.QUOTE_ALL).encode(), {}),
    "CRLF in cp1252": (written(TEXTS, "\r\n").encode("cp1252"), {"encoding": "cp1252"}),
    "mixed line ends": (
        (written(TEXTS[:3], "\r\n") + written(TEXTS[3:5], "\n") + written(TEXTS[5:], "\r")).encode(),
        {},
    ),
    "mixed line ends, backslash": (
        written(TEXTS, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\").replace('"\n"', '"\r\n"', 2).encode(),
        {"escape": "\\"},
    ),
    "no line end at the end": (written(TEXTS).rstrip("\n").encode(), {}),
    "blank lines": (b"\n\n" + written(TEXTS).replace("\n3,", "\n\n3,").encode() + b"\n\n", {}),
    "spaces around the names": (written(TEXTS).replace("id,note", " id , note").encode(), {}),
}


@pytest.mark.parametrize("case", DIALECTS)
def test_a_table_in_any_dialect_gives_the_same_rows(case: str, tmp_path: Path) -> None:
    content, dialect = DIALECTS[case]
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert prepared(tmp_path, Source(str(path), **dialect)) == (WANTED, [])


@pytest.mark.parametrize("inner", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_first_line_end_may_stand_within_quotes(inner: str, end: str, tmp_path: Path) -> None:
    """DuckDB would take it for the end of lines, and give no row at all."""
    path = tmp_path / "table.csv"
    path.write_text(f'"i{inner}d",note{end}1,"a{inner}b"{end}2,c{end}3{end}', newline="")
    columns = {f"i{inner}d": Column("integer"), "note": Column("text")}
    kept, aside = prepared(tmp_path, Source(str(path)), columns)
    assert kept == [(1, f"a{inner}b"), (2, "c")]
    assert [row[0] for row in aside] == [6]


def test_without_quoting_a_quote_is_a_character(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('id\tnote\tsize\tday\n1\t5" pipe\t1\t\n2\t"x\t2\t\n3\tit\'s\t3\t\n')
    kept, aside = prepared(tmp_path, Source(str(path), delimiter="\t", quote=""))
    assert [row[:3] for row in kept] == [(1, '5" pipe', "1"), (2, '"x', "2"), (3, "it's", "3")]
    assert aside == []


@pytest.mark.parametrize("suffix", [".gz", ".GZ", ".zst", ".bz2", ".xz", ".XZ"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_packed_files_are_unpacked(suffix: str, encoding: str, tmp_path: Path) -> None:
    pack = {".gz": gzip.compress, ".zst": zstd.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix.lower()]
    path = tmp_path / f"table.csv{suffix}"
    path.write_bytes(pack(written(TEXTS, "\r\n").encode(encoding)))
    assert prepared(tmp_path, Source(str(path), encoding=encoding)) == (WANTED, [])


@pytest.mark.parametrize(
    ("decimal", "thousands", "numbers"),
    [
        (",", ".", ["1.234,5", "-0,25", "", "1.000.000", "7", "12,0"]),
        (",", " ", ["1 234,5", "-,25", "", "1\u00a0000\u00a0000", "7", "12"]),
        (".", ",", ["1,234.5", "-0.25", "", "1,000,000", "7", "12"]),
        (".", "'", ["1'234.5", "-0.25", "", "1’000’000", "7", "12"]),
        (".", "", ["1234.5", "-25e-2", "", "1e6", "7.", "012"]),
    ],
)
def test_numbers_are_read_with_their_marks(decimal: Any, thousands: Any, numbers: list[str], tmp_path: Path) -> None:
    rows = [TEXTS[0], *([*row[:2], number, row[3]] for row, number in zip(TEXTS[1:], numbers, strict=True))]
    path = tmp_path / "table.csv"
    path.write_text(written(rows, delimiter=";"))
    columns = {**COLUMNS, "size": Column("number", decimal=decimal, thousands=thousands or None)}
    assert prepared(tmp_path, Source(str(path), delimiter=";"), columns) == (WANTED, [])


def test_missing_has_its_texts_per_source_and_per_column(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,note,size,day\n1,NA,-999,NA\n2,-999, NA ,\n3,unknown,5,unknown\n")
    columns = {**COLUMNS, "size": Column("number", missing=["-999"]), "day": Column("date", missing=["unknown"])}
    kept, aside = prepared(tmp_path, Source(str(path), missing=["NA"]), columns)
    assert kept == [(1, None, None, None), (2, "-999", None, None), (3, "unknown", "5", None)]
    assert aside == []


def test_a_dialect_goes_all_the_way_through_prepare(workspace: Path) -> None:
    """The toy table in Latin-1, with semicolons, decimal commas and gzip gives the same bytes as the plain one."""
    run_stage(workspace, "prepare", "data=toy")
    kept = (workspace / "data/prepare/kept.parquet").read_bytes()
    rows = list(csv.reader((workspace / "data/raw/toy/toy.csv").read_text().splitlines()))
    for row in rows[1:]:
        row[2] += ",0"
    text = "\r\n".join(";".join(row) for row in rows)
    (workspace / "data/raw/toy/toy.csv.gz").write_bytes(gzip.compress(text.encode("latin-1")))
    dialect = "toy.csv.gz\n  delimiter: ;\n  encoding: latin-1\n  decimal: ','"
    (workspace / "conf/data/toy.yaml").write_text(TOY.replace("toy.csv", dialect))
    run_stage(workspace, "prepare", "data=toy")
    assert (workspace / "data/prepare/kept.parquet").read_bytes() == kept


# Several files


def split_up(folder: Path) -> dict[str, bytes]:
    """The table in three files that differ in line ends, packing and a byte order mark; names out of order."""
    folder.mkdir()
    head = TEXTS[:1]
    parts = {
        "b.csv.gz": gzip.compress(written(head + TEXTS[3:5], "\r\n").encode()),
        "a.csv": written(head + TEXTS[1:3]).encode("utf-8-sig"),
        "c.csv": written(head + TEXTS[5:], "\r").encode(),
    }
    for name, content in parts.items():
        (folder / name).write_bytes(content)
    return parts


@pytest.mark.parametrize("path", ["parts", "parts/*.csv*", "**/*.csv*"])
def test_several_files_are_one_table_in_the_order_of_their_names(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_up(tmp_path / "parts")
    (tmp_path / "parts/.hidden.csv").write_text("not,ours\n")
    (tmp_path / "parts/readme.md").write_text("not ours\n")
    monkeypatch.chdir(tmp_path)
    if "*" not in path or path.startswith("parts"):
        assert prepared(tmp_path, Source(path)) == (WANTED, [])
    assert [file.name for file in source_files(Source(path))] == ["a.csv", "b.csv.gz", "c.csv"]


def test_a_broken_row_is_placed_in_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split_up(tmp_path / "parts")
    with (tmp_path / "parts/a.csv").open("a") as out:
        out.write("too,few\n\n9,x,huge,\n")
    with (tmp_path / "parts/c.csv").open("a", newline="") as out:
        out.write("10,x,1\r11,x,1,no day\r")
    monkeypatch.chdir(tmp_path)
    kept, aside = prepared(tmp_path, Source("parts"))
    assert kept == WANTED
    assert aside == [
        (4, None, "unreadable: missing columns", None, "parts/a.csv"),
        (6, "size", "type", "huge", "parts/a.csv"),
        (4, None, "unreadable: missing columns", None, "parts/c.csv"),
        (5, "day", "type", "no day", "parts/c.csv"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "d.csv",
            b"id,note,day,size\n1,2,3,4\n",
            "parts/d.csv: its columns are not those of parts/a.csv: id, note, day, size",
        ),
        ("d.csv", b"", "parts/d.csv: the file is empty"),
        ("d.csv", b"\n\n", "parts/d.csv: the file is empty"),
        ("d.csv.gz", b"no gzip", "parts/d.csv.gz, after line 0: the file is damaged: Not a gzipped file"),
        ("d.csv.zst", b"no zstd", "parts/d.csv.zst, after line 0: the file is damaged"),
        ("d.csv.bz2", b"no bzip2", "parts/d.csv.bz2, after line 0: the file is damaged"),
        ("d.csv.xz", b"no xz", "parts/d.csv.xz, after line 0: the file is damaged"),
        (
            "d.csv",
            b'id,note,size,day\n1,"open,3,\n',
            "parts/d.csv, record after line 1: a quote is opened and never closed",
        ),
        ("d.csv", b'id,"note,size,day\n', "parts/d.csv, record after line 0: a quote is opened and never closed"),
    ],
)
def test_a_file_that_differs_is_named(
    name: str, content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_up(tmp_path / "parts")
    (tmp_path / "parts" / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        prepared(tmp_path, Source("parts"))
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_blank_lines_begin_all_files_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split_up(tmp_path / "parts")
    (tmp_path / "parts/a.csv").write_text("\n\n" + written(TEXTS[:3]))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^parts: some of its files begin with blank lines and some do not"):
        prepared(tmp_path, Source("parts"))


@pytest.mark.parametrize(
    "name", ["it's, a file.csv", "[brackets].csv", "größe 🚕.csv", "a*b?.csv", "{x}.csv", "%41.csv"]
)
@pytest.mark.parametrize("ends", ["\n", "mixed"])
def test_a_file_may_have_any_name(name: str, ends: str, tmp_path: Path) -> None:
    text = written(TEXTS)
    (tmp_path / name).write_text(text if ends == "\n" else text.replace("\n2,", "\r\n2,"), newline="")
    for other in ("b.csv", "axbc.csv", "x.csv"):
        (tmp_path / other).write_text(text.replace("plain", "of another file"))
    assert prepared(tmp_path, Source(str(tmp_path / name))) == (WANTED, [])


# Names


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (["a", "", " "], ["a", "column_2", "column_3"]),
        (["a", "A", "a"], ["a", "A_2", "a_3"]),
        (["a", "a_2", "a"], ["a", "a_2", "a_3"]),
        (["_row", "_SPLIT", "_row"], ["_row_2", "_SPLIT_2", "_row_3"]),
        (["column_2", ""], ["column_2", "column_2_2"]),
        ([" a ", "b\t"], ["a", "b"]),
    ],
)
def test_names_without_text_or_twice_become_their_own(fields: list[str], names: list[str]) -> None:
    assert column_names(fields) == names


@settings(max_examples=200, derandomize=True, database=None)
@given(
    st.lists(
        st.sampled_from(["a", "A", "a_2", "", " ", "_row", "_split", "column_1", "column_2", "ä", "Ä"]), max_size=8
    )
)
def test_names_differ_in_every_case(fields: list[str]) -> None:
    names = column_names(fields)
    assert len({name.lower() for name in names} | {"_row", "_split"}) == len(fields) + 2


NAMES = [
    *(
        "select",
        "from",
        "order",
        "group",
        "rowid",
        "c0",
        "t1",
        "v2",
        "r3",
        "record",
        "content",
        "side",
        "line",
        "value",
    ),
    *(
        'a"b',
        "a'b",
        "a.b",
        "a b",
        "größe",
        "🚕",
        "a,b",
        "two\nlines",
        "{x}",
        "%s",
        "$1",
        "?",
        "a;--",
        "\\",
        "file_row_number",
    ),
]


@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_columns_may_have_any_name_in_any_format(format: Any, tmp_path: Path) -> None:
    values = [f"value {place}" for place in range(len(NAMES))]
    path = tmp_path / f"table.{format}"
    if format == "csv":
        path.write_text(written([NAMES, values]), newline="")
    elif format == "jsonl":
        path.write_text(json.dumps(dict(zip(NAMES, values, strict=True))) + "\n")
    else:
        quoted = ", ".join(
            f"'{value}' AS \"{name.replace(chr(34), chr(34) * 2)}\"" for name, value in zip(NAMES, values, strict=True)
        )
        duckdb.execute(f"COPY (SELECT {quoted}) TO '{path}'")
    connection = connect()
    table = open_table(connection, Source(str(path), format), {}, tmp_path)
    assert sorted(table.columns) == sorted(NAMES)
    columns = {name: Column("text") for name in table.columns}
    work = tmp_path / "again"
    work.mkdir()
    path = path.rename(work / path.name)
    connection = connect()
    table = open_table(connection, Source(str(path), format), columns, work)
    account = Account(connection, table, Contract("t", "regression", None, columns, []), Split("hash", 0.2, 0.2))
    account.check()
    account.write_kept(tmp_path / "kept.parquet")
    found = duckdb.sql(f"SELECT * EXCLUDE (_row, _split) FROM '{tmp_path}/kept.parquet'")
    assert dict(zip(found.columns, found.fetchall()[0], strict=True)) == dict(zip(NAMES, values, strict=True))


def test_a_table_may_have_one_column_whose_blank_lines_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("id\n1\n\n3\n\n")
    kept, aside = prepared(tmp_path, Source(str(path)), {"id": Column("integer")})
    assert (kept, aside) == ([(1,), (None,), (3,), (None,)], [])


@pytest.mark.slow
def test_a_table_may_have_300_columns(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(300)]
    path = tmp_path / "wide.csv"
    path.write_text(written([names, *([str(i * j) for j in range(300)] for i in range(5)), names[:299]]))
    kept, aside = prepared(tmp_path, Source(str(path)), {name: Column("integer") for name in names})
    assert kept == [tuple(i * j for j in range(300)) for i in range(5)]
    assert [row[:3] for row in aside] == [(7, None, "unreadable: missing columns")]


# What cannot be


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"delimiter": ""}, "source.delimiter: should be one character"),
        ({"delimiter": "\n"}, "source.delimiter: should not be a line end"),
        ({"quote": "''"}, "source.quote: should be one character"),
        ({"quote": "«"}, "source.quote: should be an ASCII character"),
        ({"escape": "§"}, "source.escape: should be an ASCII character"),
        ({"quote": ","}, "source.quote: should differ from delimiter and escape"),
        ({"quote": '"', "escape": '"'}, "source.quote: should differ from delimiter and escape"),
        (
            {"delimiter": "\\", "escape": "\\"},
            "source.escape: should differ from delimiter, and there should be a quote",
        ),
        ({"quote": "", "escape": "\\"}, "source.escape: should differ from delimiter, and there should be a quote"),
        ({"encoding": "utf8mb4"}, "source.encoding: should be one that Python knows"),
        ({"encoding": "rot13"}, "source.encoding: should be one that Python knows"),
        ({"encoding": "base64"}, "source.encoding: should be one that Python knows"),
        ({"thousands": "."}, "source.thousands: should differ from decimal"),
        ({"sha256": "abc"}, "source.sha256: should be 64 hexadecimal digits"),
    ],
)
def test_a_dialect_that_cannot_be_is_refused(keys: dict[str, Any], fault: str) -> None:
    assert [found for found in dialect_faults(Source("x", **keys)) if found.startswith(fault)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", "§", "🚕", "^", "a", "\x01", "~", ":"])
@pytest.mark.parametrize(("quote", "escape"), [('"', ""), ("'", ""), ("`", ""), ('"', "\\"), ("", ""), ('"', "^")])
def test_a_dialect_that_is_accepted_can_be_read(delimiter: str, quote: str, escape: str, tmp_path: Path) -> None:
    """Whatever dialect_faults lets through, both readers must take."""
    source = Source(str(tmp_path / "t.csv"), delimiter=delimiter, quote=quote, escape=escape)
    if dialect_faults(source):
        pytest.skip("refused")
    last = f"{quote}q{delimiter}{quote}" if quote else "q"
    (tmp_path / "t.csv").write_text(f"x{delimiter}y\n1{delimiter}{last}\n")
    kept, aside = prepared(tmp_path, source, {"x": Column("integer"), "y": Column("text")})
    assert (kept, aside) == ([(1, (f"q{delimiter}" if quote else "q").strip())], [])
