"""Every record of a corrupted file is kept, quarantined or merged, or one error says what is wrong with the file.

The oracle is Python's csv module, lenient and on the whole text at once; nothing of ours. The two may differ in this:
what stands behind a closing quote is kept by Python and makes the reader set the row aside; empty fields beyond the
last column are left out by the reader; of `"a" "b"`, which is no CSV, the reader makes `a b`.
"""

from __future__ import annotations

import csv
import io
import random
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.runtime.contract import Column, Contract
from stages.runtime.forms import SPACE
from stages.shared.errors import InputError
from stages.shared.sides.split import Split
from stages.shared.table.account import Account
from stages.shared.table.reader import open_table
from stages.shared.table.reasons import Reasons
from stages.shared.table.source import Source
from stages.shared.tables import connect


@dataclass
class Outcome:
    """What became of the rows of a file."""

    columns: list[str]
    counts: dict[str, int]
    kept: dict[int, list[str | None]]
    merged: set[int]
    quarantined: list[tuple[int, str]]  # line, rule


def account_for(path: Path, source: Source, folder: Path) -> Outcome:
    connection = connect()
    names = {name: Column("text") for name in "abc"}
    table = open_table(connection, source, names, folder)
    contract = Contract("t", "regression", None, {name: Column("text") for name in table.columns}, [])
    account = Account(connection, table, contract, Split("hash", 0.2, 0.2))
    account.check()
    account.set_aside(merges_duplicates=True)
    n_kept = account.write_kept(folder / "kept.parquet")
    account.write_quarantine(folder / "quarantine.parquet")
    counts = account.count_fates(n_kept)
    kept = {row[0]: list(row[2:]) for row in duckdb.sql(f"FROM '{folder}/kept.parquet'").fetchall()}
    merged = {row[0] for row in connection.execute("SELECT _row FROM aside").fetchall()}
    quarantined = duckdb.sql(f"SELECT DISTINCT line, rule FROM '{folder}/quarantine.parquet' ORDER BY ALL").fetchall()
    connection.close()
    return Outcome(table.columns, counts, kept, merged, quarantined)


def expected(content: bytes, source: Source, keeps_blank: bool) -> list[tuple[int, list[str]]]:
    """Return (line, fields) of each record."""
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=source.delimiter,
        quotechar=source.quote or None,
        quoting=csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
        escapechar=source.escape or None,
        doublequote=not source.escape,
        skipinitialspace=source.delimiter != " ",
    )
    found, line = [], 1
    for fields in reader:
        if fields or keeps_blank:
            found.append((line, fields))
        line = reader.line_num + 1
    return found


def clean(text: str) -> str | None:
    return text.strip(SPACE) or None


SOURCE = Source("data.csv")


def check(content: bytes, folder: Path, source: Source = SOURCE) -> str:
    """Hold the outcome of a file equal to the oracle; return what it was: `error` or the broken rules."""
    path, work = folder / "data.csv", folder / "work"
    path.write_bytes(content)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        outcome = account_for(path, replace(source, path=str(path)), work)
    except InputError as error:
        return f"error: {one_line(error, path)}"
    n_columns = len(outcome.columns)
    _, *found = expected(content, source, keeps_blank=n_columns == 1)
    records = dict(enumerate(found, start=1))
    assert outcome.counts["in"] == len(records)
    assert outcome.counts["kept"] == len(outcome.kept)
    for number, values in outcome.kept.items():
        wanted = [clean(field) for field in records[number][1]] or [None]
        assert len(values) == len(wanted[:n_columns])
        assert all(map(is_same, values, wanted[:n_columns]))
        assert not any(wanted[n_columns:]), "empty fields beyond the last column are no loss, others would be"
    aside = sorted(records[number][0] for number in records if number not in outcome.kept.keys() | outcome.merged)
    assert [line for line, _ in outcome.quarantined] == aside
    for line, rule in outcome.quarantined:
        check_reason(content, line, rule, n_columns, source)
    return ", ".join(sorted({rule for _, rule in outcome.quarantined}))


def is_same(read: str | None, wanted: str | None) -> bool:
    """Return whether two values are one, `"a" "b"` aside."""
    return read == wanted or bool(wanted and re.search(' "', wanted) and read == wanted.replace('"', ""))


def one_line(error: InputError, path: Path) -> str:
    assert str(error).startswith(str(path))
    assert len(str(error).splitlines()) == 1
    return str(error)


def check_reason(content: bytes, line: int, rule: str, n_columns: int, source: Source) -> None:
    """A record is set aside only for a reason that Python sees too."""
    fields = next(fields for first, fields in expected(content, source, keeps_blank=False) if first == line)
    if rule == "unreadable: missing columns":
        assert len(fields) < n_columns
    elif rule == "unreadable: too many columns":
        assert len(fields) > n_columns
    elif rule == "unreadable: invalid encoding":
        assert "\ufffd" in "".join(fields)
    else:
        assert rule == "unreadable: unquoted value"  # something stands behind the quote that closes a field
        assert b'"' in b"\n".join(content.splitlines()[line - 1 :])


def made_table(rng: random.Random) -> bytes:
    notes = ["w", "two words", "", '"q,u"', '"d""d"', '"l\nm"', '"l\r\nm"', '""', "é", "🚕"]
    rows = [["a", "b", "c"], *([str(i), rng.choice(notes), rng.choice("xyz")] for i in range(rng.randint(1, 12)))]
    end = rng.choice(["\n", "\r\n", "\r"])
    return (end.join(",".join(row) for row in rows) + rng.choice([end, ""])).encode()


PIECES = [
    b'"',
    b'""',
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b",",
    b",,",
    b"\x00",
    b"\xff",
    b"\xe9",
    b" ",
    b'"\n',
    b'\n"',
    b',"',
]
PIECES += [b'",', b"a", b";", b"\xef\xbb\xbf", b"\\", b"\x80", b"x" * 3000, b",a", b"\ta,b,c\n"]


def corrupt(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        place, n = rng.randint(0, len(content)), rng.randint(1, 9)
        before, after = content[:place], content[place:]
        content = rng.choice(
            [before, before + after[n:], before + after[:n] + after] + 4 * [before + rng.choice(PIECES) + after]
        )
    return content


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_record_of_a_corrupted_file_is_accounted_for(tmp_path_factory, rng: random.Random) -> None:
    folder = tmp_path_factory.getbasetemp() / "corrupted"
    folder.mkdir(exist_ok=True)
    check(corrupt(made_table(rng), rng), folder)


@pytest.mark.slow
@settings(max_examples=250, derandomize=True, database=None, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_record_of_many_more_corrupted_files_is_accounted_for(tmp_path_factory, rng: random.Random) -> None:
    folder = tmp_path_factory.getbasetemp() / "corrupted more"
    folder.mkdir(exist_ok=True)
    check(corrupt(made_table(rng), rng), folder)


ROWS = [["a", "b", "c"], *([str(i), f"word {i}", "xyz"[i % 3]] for i in range(20))]
GOOD = "".join(",".join(row) + "\n" for row in ROWS).encode()
CORRUPTED = {
    "good": (GOOD, ""),
    "truncated within a line": (GOOD[:-9], "unreadable: missing columns"),
    "truncated within quotes": (
        GOOD + b'20,"never',
        "error: {path}, record after line 21: a quote is opened and never",
    ),
    "unterminated quote in the middle": (
        GOOD.replace(b"word 7,", b'"word 7,'),
        "error: {path}, record after line 8: a quote is opened and never closed",
    ),
    "ragged rows": (GOOD + b"1\n1,2\n1,2,3,4\n", "unreadable: missing columns, unreadable: too many columns"),
    "wrong encoding": (GOOD.replace(b"word 3", b"caf\xe9"), "unreadable: invalid encoding"),
    "NUL bytes": (GOOD.replace(b"word 3", b"wo\x00rd").replace(b"word 5", b"\x00"), ""),
    "a field of 1 MB": (GOOD.replace(b"word 3", b"x" * 1_000_000), ""),
    "a field of 3 MB": (GOOD.replace(b"word 3", b"x" * 3_000_000), ""),
    "a quoted field of 3 MB of lines": (GOOD.replace(b"word 3", b'"' + b"line\n" * 600_000 + b'"'), ""),
    "a line of 3 MB with too many fields": (
        GOOD + b"x," * 1_500_000 + b"\n1,2,3\n",
        "error: {path}, line 22: 1500000 fields",
    ),
    "a header with a name too few": (
        b"a,b\n" + GOOD[6:],
        "error: {path}, line 2: 3 fields for 2 columns, and none of the next has fewer",
    ),
    "an empty field at the end of each row": (GOOD[:6] + GOOD[6:].replace(b"\n", b",\n"), ""),
    "duplicate headers": (GOOD.replace(b"a,b,c", b"a,A,a"), ""),
    "mixed line ends": (GOOD.replace(b"y\n", b"y\r\n").replace(b"z\n", b"z\r"), ""),
    "embedded quotes and newlines": (GOOD.replace(b"word 3", b'"a ""b""\nc"').replace(b"word 4", b'"\r\n"'), ""),
    "a stray quote": (GOOD.replace(b"word 3", b'5" pipe'), ""),
    "a stray quote before quoted line ends": (
        GOOD.replace(b"word 3", b'5" pipe').replace(b"word 9", b'"l\r\nm"') + b"short\n",
        "unreadable: missing columns",
    ),
    "text behind a closing quote": (GOOD.replace(b"word 3", b'"Joe" Smith'), "unreadable: unquoted value"),
    "blank lines": (b"\n" + GOOD.replace(b"y\n", b"y\n\n\n") + b"short\n\n", "unreadable: missing columns"),
    "blank lines behind a byte order mark": (b"\xef\xbb\xbf\r\n" + GOOD.replace(b"\n", b"\r\n"), ""),
    "another delimiter from the middle on": (
        GOOD[:100] + GOOD[100:].replace(b",", b";"),
        "unreadable: missing columns",
    ),
    "a byte order mark in the middle, as pasted": (GOOD + b"\xef\xbb\xbf" + GOOD, ""),
    "nothing but line ends": (b"\r\n\r\n\n", "error: {path}: the file is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "error: {path}: the file is empty"),
    "random bytes": (random.Random(1).randbytes(5000), None),
    "a million quotes": (
        b"a,b,c\n" + b'"' * 1_000_001 + b"\n",
        "error: {path}, record after line 1: a quote is opened",
    ),
    "a million carriage returns": (b"a,b,c\n" + b"\r" * 1_100_000 + b"1,2,3\n", ""),
}


@pytest.mark.parametrize("case", CORRUPTED)
def test_a_corruption_ends_in_one_error_or_in_quarantine(case: str, tmp_path: Path) -> None:
    content, outcome = CORRUPTED[case]
    found = check(content, tmp_path)
    if outcome is not None and outcome.startswith("error"):
        assert found.startswith(outcome.format(path=tmp_path / "data.csv"))
    elif outcome is not None:
        assert found == outcome


def page_of(tmp_path: Path, rows: list[list[str]], columns: dict[str, Column]) -> str:
    """Return reports/prepare/quarantine.md of a table."""
    path = tmp_path / "data.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([list(columns), *rows])
    connection = connect()
    contract = Contract("t", "regression", None, columns, [])
    table = open_table(connection, Source(str(path)), columns, tmp_path)
    account = Account(connection, table, contract, Split("hash", 0.2, 0.2))
    account.check()
    account.set_aside(merges_duplicates=True)
    account.write_quarantine(tmp_path / "quarantine.parquet")
    counts = account.count_fates(account.write_kept(tmp_path / "kept.parquet"))
    return (
        Reasons(connection, tmp_path / "quarantine.parquet", contract, str(path)).page(counts).replace(str(path), "F")
    )


def test_a_report_shows_no_value_that_may_tell_who_somebody_is(tmp_path: Path) -> None:
    columns = {
        "id": Column("integer", role="key", unique=True),
        "who": Column("category", role="id", values=["a"]),
        "home": Column("category", role="group", values=["b"]),
        "faith": Column("category", sensitive=True, values=["c"]),
        "size": Column("integer"),
    }
    rows = [["1", "a", "b", "c", "1"], ["77123", "Ann", "Elm", "Zen", "big"], ["2", "Ann Again"]]
    page = page_of(tmp_path, [*rows, ["Key", "a", "b", "c", "1"], ["1", "a", "b", "c", "2"]], columns)
    assert not [word for word in ("77123", "Ann", "Elm", "Zen", "Key") if word in page]
    assert "| size | type integer | 1 | set aside | F:3 | `big` |" in page
    assert page.count("(not shown: it may tell who somebody is)") == 6  # id twice, who, home, faith, the row of two


def test_a_report_stays_a_table_whatever_the_values(tmp_path: Path) -> None:
    columns = {
        "a|b": Column("category", pattern="x|y"),
        "two\nlines": Column("category", values=["v|w"], on_violation="null"),
        "plain": Column("integer"),
    }
    rows = [["p|q`r`", "s\r\n| t", "1"], ["x", "v|w", "y" * 5000], ["x|y"]]
    page = page_of(tmp_path, rows, columns)
    assert page.splitlines()[-4:] == [
        "| a\\|b | pattern x\\|y | 1 | set aside | F:3 | `p\\|q'r'` |",
        f"| plain | type integer | 1 | set aside | F:5 | `{'y' * 60}...` |",
        "| row | unreadable: missing columns | 1 | set aside | F:6 | `x\\|y` |",
        "| two\\nlines | values ['v\\|w'] | 1 | made missing | F:3 | `s\\r\\n\\| t` |",
    ]
