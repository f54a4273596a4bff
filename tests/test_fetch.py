"""tools.fetch: what a source of SQLite gives, the pin in the YAML, and what stays as it was when the source changes."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, run_in

from stages.shared.errors import InputError
from stages.shared.table.pin import pin_of
from tools.fetch.pin_line import with_pin
from tools.fetch.query import checked_query

FILE = "data/raw/shop/shop.csv"
CONF = "conf/data/shop.yaml"
SHOP = """# The shop's orders.
task: binary            # unfinished: no columns yet
source:
  path: data/raw/shop/shop.csv     # where it lies
  fetch:
    query: |
      SELECT id, name, price FROM orders   -- all of them
      ORDER BY id
    connection: SHOP
limits: {quarantine: 0.1}
"""
EXPECTED = 'id,name,price\n1,"Tea, ""green""",2.5\n2,,3\n3,"two\nlines 🍵",\n'
PIN = hashlib.sha256(EXPECTED.encode()).hexdigest()
SQLITE = "sqlite:///shop.db"


def fetch(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder with this repository's code."""
    command = (sys.executable, "-m", "tools.fetch", *arguments)
    return run_in(folder, *command, check=False, PYTHONPATH=str(ROOT), **variables)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's content and time of change."""
    files = [file for name in ("conf", "data") for file in (folder / name).rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def sql(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "shop.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / CONF
    assert old in path.read_text(), "the change must really be made"
    path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a contract that is hardly begun, and a SQLite file of three orders."""
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / CONF).write_text(SHOP)
    sql(
        tmp_path,
        "CREATE TABLE orders (id INTEGER, name TEXT, price REAL)",
        """INSERT INTO orders VALUES (2, NULL, 3.0), (1, 'Tea, "green"', 2.5)""",
        "INSERT INTO orders VALUES (3, 'two' || char(10) || 'lines 🍵', NULL)",
    )
    return tmp_path


def test_a_query_becomes_a_csv_and_a_pin_below_the_path(shop: Path):
    done = fetch(shop, "shop", SHOP=SQLITE)
    assert done.returncode == 0, done.stderr
    assert (shop / FILE).read_bytes().decode() == EXPECTED
    assert (shop / CONF).read_text() == SHOP.replace("lies\n", f'lies\n  sha256: "{PIN}"\n')
    assert "3 rows" in done.stdout
    assert PIN in done.stdout
    assert [path.name for path in (shop / "data/raw").iterdir()] == ["shop"]


def test_a_second_run_touches_nothing(shop: Path):
    fetch(shop, "shop", SHOP=SQLITE)
    before = snapshot(shop)
    done = fetch(shop, "shop", SHOP=SQLITE)
    assert done.returncode == 0
    assert "unchanged: 3 rows" in done.stdout
    assert snapshot(shop) == before


def test_other_content_is_refused_and_taken_only_when_accepted(shop: Path):
    fetch(shop, "shop", SHOP=SQLITE)
    before = snapshot(shop)
    sql(shop, "UPDATE orders SET price = 4 WHERE id = 2", "INSERT INTO orders VALUES (4, 'x', 1)")
    new = EXPECTED.replace("2,,3\n", "2,,4\n") + "4,x,1\n"
    new_pin = hashlib.sha256(new.encode()).hexdigest()
    done = fetch(shop, "shop", SHOP=SQLITE)
    assert done.returncode == 1
    assert f"pinned  3 rows, {len(EXPECTED.encode())} bytes, sha256 {PIN}" in done.stderr
    assert f"now     4 rows, {len(new.encode())} bytes, sha256 {new_pin}" in done.stderr
    assert "--accept" in done.stderr
    assert snapshot(shop) == before
    accepted = fetch(shop, "shop", "--accept", SHOP=SQLITE)
    assert accepted.returncode == 0
    assert (shop / FILE).read_bytes().decode() == new
    assert (shop / CONF).read_text() == SHOP.replace("lies\n", f'lies\n  sha256: "{new_pin}"\n')


def test_a_lost_file_is_brought_back_as_pinned(shop: Path):
    fetch(shop, "shop", SHOP=SQLITE)
    conf = (shop / CONF).read_bytes()
    (shop / FILE).unlink()
    done = fetch(shop, "shop", SHOP=SQLITE)
    assert done.returncode == 0
    assert "as pinned" in done.stdout
    assert (shop / FILE).read_bytes().decode() == EXPECTED
    assert (shop / CONF).read_bytes() == conf


def test_a_lost_file_of_a_source_that_changed_is_refused_with_both_hashes(shop: Path):
    fetch(shop, "shop", SHOP=SQLITE)
    (shop / FILE).unlink()
    sql(shop, "DELETE FROM orders WHERE id = 2")
    done = fetch(shop, "shop", SHOP=SQLITE)
    assert done.returncode == 1
    assert f"  pinned  sha256 {PIN}\n  now     2 rows" in done.stderr
    assert not (shop / FILE).exists()


def test_a_damaged_file_is_replaced_by_what_the_pin_says(shop: Path):
    fetch(shop, "shop", SHOP=SQLITE)
    (shop / FILE).write_text("damaged\n")
    assert "as pinned" in fetch(shop, "shop", SHOP=SQLITE).stdout
    assert (shop / FILE).read_bytes().decode() == EXPECTED


def test_a_file_that_no_pin_vouches_for_is_not_overwritten(shop: Path):
    (shop / FILE).parent.mkdir(parents=True)
    (shop / FILE).write_text("mine\n")
    before = snapshot(shop)
    done = fetch(shop, "shop", SHOP=SQLITE)
    assert done.returncode == 1
    assert "another file lies there" in done.stderr
    assert snapshot(shop) == before


def test_a_compressed_result_has_fixed_bytes(shop: Path):
    edit(shop, "shop.csv ", "shop.csv.gz ")
    assert fetch(shop, "shop", SHOP=SQLITE).returncode == 0
    content = (shop / f"{FILE}.gz").read_bytes()
    assert gzip.decompress(content).decode() == EXPECTED
    assert content[3:8] == bytes(5), "neither a name nor a time in the header"
    assert hashlib.sha256(content).hexdigest() in (shop / CONF).read_text()


def test_a_sqlite_file_of_the_repository_may_be_named_in_the_configuration(shop: Path):
    edit(shop, "connection: SHOP", f"connection: {SQLITE}")
    assert fetch(shop, "shop").returncode == 0
    assert (shop / FILE).read_bytes().decode() == EXPECTED


def test_a_query_cannot_write(shop: Path):
    edit(
        shop, "SELECT id, name, price FROM orders   -- all of them\n      ORDER BY id", "DELETE FROM orders ORDER BY id"
    )
    done = fetch(shop, "shop", SHOP=SQLITE)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    edit(shop, "DELETE FROM orders ORDER BY id", "INSERT INTO orders SELECT * FROM orders ORDER BY id")
    done = fetch(shop, "shop", SHOP=SQLITE)
    assert "readonly database" in done.stderr


FAULTS = {
    "no variable": ({}, "SHOP", "SHOP", "environment variable SHOP is not set"),
    "no database": ({"SHOP": "sqlite:///other.db"}, "SHOP", "SHOP", "other.db: no such SQLite file"),
    "no text": ({"SHOP": "nonsense s3cr3t"}, "SHOP", "SHOP", "SHOP: its value should look like postgresql://"),
    "no dialect": ({"SHOP": "nosql://u:s3cr3t@h/d"}, "SHOP", "SHOP", "knows no database 'nosql'"),
    "no driver": ({"SHOP": "mysql+pymysql://u:s3cr3t@h/d"}, "SHOP", "SHOP", "pip install pymysql"),
    "raw @": ({"SHOP": "postgresql://u:s3@cr3t@h/d"}, "SHOP", "SHOP", "@ in the user or the password"),
    "secret in Git": ({}, "connection: SHOP", "connection: postgresql://u:s3cr3t@h/d", "never the string itself"),
    "no order": ({"SHOP": SQLITE}, "      ORDER BY id\n", "", "should end with ORDER BY"),
    "no rows": ({"SHOP": SQLITE}, "ORDER BY id", "WHERE id > 9 ORDER BY id", "returns no rows"),
    "no column": ({"SHOP": SQLITE}, "SELECT id,", "SELECT idd,", "no such column: idd"),
    "outside": ({"SHOP": SQLITE}, "data/raw/shop/", "data/raw/other/", "should be inside data/raw/shop/"),
    "upwards": ({"SHOP": SQLITE}, "data/raw/shop/", "data/raw/shop/../", "should be inside data/raw/shop/"),
    "several": ({"SHOP": SQLITE}, "shop.csv ", "*.csv ", "should be one file, since a query gives one"),
    "dialect": ({"SHOP": SQLITE}, "  fetch:", '  delimiter: ";"\n  fetch:', "source.delimiter: a query's result"),
    "typo": ({"SHOP": SQLITE}, "    query:", "    qurey:", "source.fetch.qurey: unknown key; did you mean 'query'?"),
    "both": ({"SHOP": SQLITE}, "    query:", "    url: a.csv\n    query:", "should have either url or query"),
    "neither": ({}, "fetch:", "fetched:", "should have either url or query"),
    "bad YAML": ({}, "task: binary", "task: [binary", "not valid YAML"),
}


@pytest.mark.parametrize(("variables", "old", "new", "says"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_message_and_changes_nothing(shop: Path, variables: dict, old: str, new: str, says: str):
    edit(shop, old, new)
    before = snapshot(shop)
    done = fetch(shop, "shop", **variables)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not [part for part in ("s3cr3t", "cr3t") if part in done.stdout + done.stderr]
    assert len(done.stderr.splitlines()) <= 2, done.stderr
    assert snapshot(shop) == before


def test_an_unknown_name_suggests_the_near_one(shop: Path):
    done = fetch(shop, "shpo")
    assert done.returncode == 1
    assert "did you mean 'shop'?" in done.stderr


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t ORDER BY a",
        "select a from t\norder  by a desc nulls last limit 5 -- the end\n;\n",
        "SELECT a FROM t UNION SELECT b FROM u ORDER BY 1",
        "SELECT a FROM t WHERE b = 'x;y' ORDER BY lower((a)), (SELECT max(c) FROM u)",
    ],
)
def test_an_ordered_query_is_taken(query: str):
    assert checked_query(query).rstrip(" \n;") == query.rstrip(" \n;")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t",
        "SELECT a FROM (SELECT a FROM t ORDER BY a) s",
        "SELECT row_number() OVER (ORDER BY a) FROM t",
        "SELECT a FROM t -- ORDER BY a",
        "SELECT a, 'ORDER BY a' FROM t",
        "SELECT a FROM t /* ORDER\n BY */",
        'SELECT "ORDER BY a" FROM t',
        "SELECT $x$ ORDER BY $x$ FROM t",
        "(SELECT a FROM t ORDER BY a) UNION SELECT b FROM u",
    ],
)
def test_a_query_without_an_order_of_its_own_is_refused(query: str):
    with pytest.raises(InputError, match="should end with ORDER BY"):
        checked_query(query)


def test_several_statements_are_refused():
    with pytest.raises(InputError, match="one statement"):
        checked_query("DELETE FROM t; SELECT a FROM t ORDER BY a")


# Before, and after with P for the pin.
LAYOUTS = {
    "block": ("source:\n  path: a  # 1\n  # 2\n  x: 1\n", "source:\n  path: a  # 1\n  sha256: P\n  # 2\n  x: 1\n"),
    "no line end": ("source:\n    x: 1\n    path: a.csv", "source:\n    x: 1\n    path: a.csv\n    sha256: P"),
    "braces": ("source: {path: a.csv, x: {}}  # one\n", "source: {path: a.csv, sha256: P, x: {}}  # one\n"),
    "old": ("source:\n  sha256: 'abc'   # pin\n  path: a.csv\n", "source:\n  sha256: P   # pin\n  path: a.csv\n"),
    "old in braces": ('source: {sha256: "abc", path: "a.csv"}\n', 'source: {sha256: P, path: "a.csv"}\n'),
    "empty": ("source:\n  sha256:  # later\n  path: a\n", "source:\n  sha256: P  # later\n  path: a\n"),
    "empty, last": ("source:\n  path: a.csv\n  sha256:\n", "source:\n  path: a.csv\n  sha256: P\n"),
    "Windows": ("# é\r\nsource:\r\n  path: a # 🍵\r\n", "# é\r\nsource:\r\n  path: a # 🍵\r\n  sha256: P\r\n"),
    "one elsewhere": ("sha256: abc\nsource:\n  path: a\n", "sha256: abc\nsource:\n  path: a\n  sha256: P\n"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_pin_changes_one_line_and_nothing_else(before: str, after: str):
    edited = with_pin(Path("x.yaml"), before.encode(), PIN).decode()
    assert edited == after.replace("P", f'"{PIN}"')
    assert yaml.safe_load(edited)["source"]["sha256"] == PIN
    assert with_pin(Path("x.yaml"), edited.encode(), PIN).decode() == edited


def test_a_layout_without_a_place_for_the_pin_is_left_alone():
    with pytest.raises(InputError, match="write it yourself"):
        with_pin(Path("x.yaml"), b"base: &base {path: a.csv}\nsource:\n  <<: *base\n", PIN)


def test_the_pin_of_one_file_is_what_sha256sum_prints(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"hello\n")
    printed = run_in(tmp_path, "sha256sum", "a").stdout.split()[0]
    assert pin_of([tmp_path / "a"]) == printed


def test_the_pin_of_several_files_hashes_their_sorted_lines(tmp_path: Path):
    for name, content in (("b.csv", b"2"), ("a.csv", b"1")):
        (tmp_path / name).write_bytes(content)
    lines = f"a.csv {hashlib.sha256(b'1').hexdigest()}\nb.csv {hashlib.sha256(b'2').hexdigest()}\n"
    both = pin_of([tmp_path / "b.csv", tmp_path / "a.csv"])
    assert both == hashlib.sha256(lines.encode()).hexdigest() == pin_of([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_the_pin_of_several_files_tells_folders_apart(tmp_path: Path):
    for name, text in (("p=a/f.csv", "1"), ("p=b/f.csv", "2")):
        (tmp_path / "x" / name).parent.mkdir(parents=True)
        (tmp_path / "x" / name).write_text(text)
    files = sorted((tmp_path / "x").glob("*/*"))
    before = pin_of(files)
    shutil.copytree(tmp_path / "x", tmp_path / "elsewhere")
    assert pin_of(sorted((tmp_path / "elsewhere").glob("*/*"))) == before
    (tmp_path / "x/p=a").rename(tmp_path / "x/p=c")
    (tmp_path / "x/p=b").rename(tmp_path / "x/p=a")
    (tmp_path / "x/p=c").rename(tmp_path / "x/p=b")
    assert pin_of(files) != before
