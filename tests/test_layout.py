"""The scanner of records finds what a slow walk over the characters finds, wherever its chunks end."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.runtime.contract import Column
from stages.shared.errors import InputError
from stages.shared.table import layout
from stages.shared.table.layout import count_strictly, scan
from stages.shared.table.plain import with_line_feeds
from stages.shared.table.reader import find_rejects, open_table
from stages.shared.table.source import Source
from stages.shared.tables import connect

SOURCE = Source("data.csv")


def walk(text: bytes, keeps_blank: bool) -> dict[str, Any]:
    """Return the layout, a character at a time: lines within quotes (an odd number of them before) begin no record."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    n_records, starts, blanks, kinds = 0, [], [], set()
    is_quoted, begun, place = False, 0, 0
    while place < len(text):
        char = text[place : place + 1]
        if char == b'"':
            is_quoted = not is_quoted
        if char not in b"\r\n":
            place += 1
            continue
        end = b"\r\n" if text[place : place + 2] == b"\r\n" else char
        if not is_quoted:
            kinds.add(end)
            if place > begun or keeps_blank:
                starts.append(1 + count_lines(text[:begun]))
                n_records += 1
            else:
                blanks.append(n_records - 1)
            begun = place + len(end)
        place += len(end)
    if len(text) > begun:
        starts.append(1 + count_lines(text[:begun]))
        n_records += 1
    return {
        "n_records": n_records,
        "starts": starts,
        "blanks": blanks,
        "is_mixed": len(kinds) > 1,
        "is_open": is_quoted,
    }


def count_lines(text: bytes) -> int:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")


def found_by(found: layout.Layout) -> dict[str, Any]:
    import numpy as np

    return {
        "n_records": found.n_records,
        "starts": found.line(np.arange(found.n_records)).tolist(),
        "blanks": found.blanks.tolist(),
        "is_mixed": found.is_mixed,
        "is_open": found.is_open,
    }


TEXTS = st.lists(
    st.sampled_from(["a", '"', '""', "\n", "\r", "\r\n", ",", '"\n', '\n"', ' "', "é", '","', "\n\n", "\r\r\n"]),
    max_size=30,
).map(lambda pieces: "".join(pieces).encode())
FAST = settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@FAST
@given(text=TEXTS, keeps_blank=st.booleans())
def test_chunks_of_any_size_give_what_a_walk_over_the_characters_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, text: bytes, keeps_blank: bool
) -> None:
    monkeypatch.setattr(layout, "CHUNK", size)
    path = tmp_path / "text.csv"
    path.write_bytes(text)
    assert found_by(scan(path, '"', keeps_blank)) == walk(text, keeps_blank)


@FAST
@given(text=TEXTS, keeps_blank=st.booleans(), size=st.sampled_from([1, 2, 3, 7]))
def test_a_text_without_strays_is_counted_alike_by_chunks_and_by_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, keeps_blank: bool, size: int
) -> None:
    path = tmp_path / "text.csv"
    path.write_bytes(text)
    whole = scan(path, '"', keeps_blank)
    monkeypatch.setattr(layout, "CHUNK", size)
    assert scan(path, '"', keeps_blank).has_strays == whole.has_strays
    if whole.has_strays:
        return
    try:
        by_lines = count_strictly(path, SOURCE, keeps_blank)
    except InputError:
        assert whole.is_open
        return
    assert found_by(dataclasses.replace(by_lines, is_mixed=whole.is_mixed)) == found_by(whole)


@pytest.mark.parametrize(
    ("text", "escape", "has_strays"),
    [
        ('a,"b"\n"c",d\n', "", False),
        ('a,"b ""c"" d"\n', "", False),
        ('a,""\n"""c""",d', "", False),
        ('5" pipe,b\n', "", True),
        ('"Joe" Smith,b\n', "", True),
        ('"Joe", "b"\n', "", True),
        ('"a\\"b",c\n', "\\", True),
        ('"a\\",",c\n', "\\", True),
        ('"a",b\\\n', "\\", False),
        ('\ufeff"a",b\n', "", False),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_quote_that_neither_opens_nor_closes_a_field_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, escape: str, has_strays: bool, size: int
) -> None:
    path = tmp_path / "text.csv"
    path.write_text(text, newline="")
    monkeypatch.setattr(layout, "CHUNK", size)
    assert scan(path, '"', False, ",", escape).has_strays == has_strays


def test_only_line_ends_outside_quotes_become_line_feeds(tmp_path: Path) -> None:
    path = tmp_path / "text.csv"
    path.write_bytes(b'a,5" b\r\n"c\r\nd",e\r"f""\r",g\nh\xff,"i\r\n"')
    assert with_line_feeds(path, SOURCE, tmp_path).read_bytes() == (b'a,5" b\n"c\r\nd",e\n"f""\r",g\nh\xff,"i\r\n"\n')


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_lines_of_rejects_are_right_in_a_file_of_many_buffers(tmp_path: Path, threads: int) -> None:
    """60 MB, of which DuckDB reads 32 MB at a time and 8 MB a thread."""
    rng = random.Random(5)
    path, line, n_records, wanted = tmp_path / "large.csv", 2, 0, set()
    with path.open("w") as out:
        out.write("a,b,c\n")
        while out.tell() < 60_000_000 if n_records % 1000 == 0 else True:
            n_records += 1
            kind = rng.random()
            if kind < 0.01:
                wanted.add((n_records, line))
                out.write("only,two\n" if kind < 0.005 else "1,2,3,four\n")
            elif kind < 0.02:
                out.write(f'{n_records},"two\nlines ""quoted""",{"x" * 30}\n\n')
                line += 2
            else:
                out.write(f"{n_records},a word or two,{'x' * 30}\n")
            line += 1
    connection = connect()
    connection.execute(f"SET threads = {threads}")
    table = open_table(connection, Source(str(path)), {name: Column("text") for name in "abc"}, tmp_path)
    connection.execute(f"CREATE TABLE t AS SELECT * FROM {table.relation}")
    [(n_read,)] = connection.execute("SELECT count(*) FROM t").fetchall()
    find_rejects(connection, table, n_read)
    rows = table.rejects["row"]
    assert table.n_records == n_records == n_read + len(rows)
    assert set(zip(rows.tolist(), table.place(rows)[1].tolist(), strict=True)) == wanted


def test_duckdb_still_loses_lines_where_a_whole_share_of_a_thread_is_unreadable(tmp_path: Path) -> None:
    """What DuckDB silently leaves out, our own count notices. When this fails, the message below can go."""
    path = tmp_path / "wide.csv"
    path.write_text("a,b,c\n" + "1,2,3\n" * 200 + "123456,abcdefgh,2024-01-01,45\n" * 300_000)
    connection = connect()
    table = open_table(connection, Source(str(path)), {}, tmp_path)
    connection.execute(f"CREATE TABLE t AS SELECT * FROM {table.relation}")
    [(n_read,)] = connection.execute("SELECT count(*) FROM t").fetchall()
    with pytest.raises(InputError, match="300200 records by count"):
        find_rejects(connection, table, n_read)
