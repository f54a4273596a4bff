"""NAME score: every row of a file is answered as NAME.predict answers it alone, or is set aside with its reasons."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

COMMAND = "from toy_model.runtime.cli import main; main(sys.argv[1:])"
SMALL = "import toy_model.runtime.scoring.batch as batch; batch.rows_of_part = lambda n: 64"
SLOW = "import time; import toy_model.runtime.scoring.part as part; _score = part.Scorer.score\n" + (
    "part.Scorer.score = lambda self, one: (time.sleep(0.15), _score(self, one))[1]"
)
HEADER = ["id", "day", "size", "colour", "note", "bought"]


@pytest.fixture(scope="module")
def site(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the toy table, unpacked."""
    folder = tmp_path_factory.mktemp("site")
    [wheel] = (small / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def code(site: Path, *lines: str) -> list[str]:
    return [sys.executable, "-I", "-c", "\n".join([f"import sys; sys.path.insert(0, {str(site)!r})", *lines])]


def score(site: Path, *words: Any, before: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [*code(site, before, COMMAND), "score", *map(str, words)]
    done = subprocess.run(command, text=True, capture_output=True)
    assert not check or done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what was said but for progress, which a busy machine may bring."""
    return [line for line in done.stderr.splitlines() if not re.fullmatch(r"score: \d+ rows, \d+%, .*", line)]


def predict(site: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what NAME.predict says of each record, alone; violations where it refuses it."""
    lines = """import json, toy_model
def ask(record):
    try: return toy_model.predict(record)
    except toy_model.BrokenContract as error: return [[v.column, v.rule, v.value] for v in error.violations]
print(json.dumps([ask(record) for record in json.load(sys.stdin)]))"""
    done = subprocess.run(code(site, lines), input=json.dumps(records), text=True, capture_output=True, check=True)
    return json.loads(done.stdout)


def made(n_rows: int) -> list[list[str]]:
    """Rows in many ways to write them, some broken."""
    sizes = ["12", " 7.50 ", "1e1", "", "-0", "101", "abc", "100", "nan", "+3", "0.1", "99.99999999999999"]
    days = ["2024-05-06", "2024-05-06 07:08:09", "6 May", "", "2024-02-30", "2024-5-6"]
    colours = ["red", " blue", "mauve", "green", "", "RED"]
    notes = ["", "a b", 'say ""so""', "two\nlines", "comma, too", "é ü", "  "]
    return [
        [str(i), days[i % 6 if i % 11 == 0 else i % 2], sizes[i * 5 % 12], colours[i * 3 % 6 if i % 7 == 0 else 0],
         notes[i % 7].replace('""', '"'), ""]
        for i in range(n_rows)
    ]  # fmt: skip


def write_csv(path: Path, rows: list[list[str]], **options: Any) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, **{"lineterminator": "\n", **options}).writerows([HEADER, *rows])
    return path


def read(path: Path) -> list[dict[str, Any]]:
    source = f"read_csv('{path}', all_varchar = true)" if ".csv" in path.name else f"'{path}'"
    found = duckdb.execute(f"SELECT * FROM {source}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def check_answers(site: Path, records: list[dict[str, Any]], out: Path, rejected: Path) -> None:
    """Every record is answered as alone, in its order, or stands among the rejected with the same violations."""
    answers, refused = read(out), read(rejected)
    expected = predict(site, records)
    good = [number for number, answer in enumerate(expected, start=1) if isinstance(answer, dict)]
    assert [int(row["row"]) for row in answers] == good
    for row, number in zip(answers, good, strict=True):
        answer = expected[number - 1]
        assert row["prediction"] == answer["prediction"]
        found = {label: float(row[f"probability_{label}"]) for label in answer["probabilities"]}
        assert found == answer["probabilities"]
    broken = [[n, *v] for n, answer in enumerate(expected, start=1) if isinstance(answer, list) for v in answer]
    broken = [[*most, value or None] for *most, value in broken]
    assert [[int(row["row"]), row["column"], row["rule"], row["value"]] for row in refused] == broken
    assert good
    assert broken


RECORDS = [dict(zip(HEADER[1:5], row[1:5], strict=True)) for row in made(300)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("table.csv", {}),
        ("table.csv", {"lineterminator": "\r\n"}),
        ("table.csv", {"quoting": csv.QUOTE_ALL}),
        ("table.csv.gz", {}),
    ],
)
@pytest.mark.parametrize("out", ["out.parquet", "out.csv", "out.csv.gz"])
def test_a_csv_is_answered_as_each_record_alone(
    site: Path, tmp_path: Path, name: str, options: dict[str, Any], out: str
) -> None:
    path = write_csv(tmp_path / "table.csv", made(300), **options)
    if name.endswith(".gz"):
        path = path.with_name(name)
        path.write_bytes(gzip.compress((tmp_path / "table.csv").read_bytes()))
    done = score(site, path, tmp_path / out, before=SMALL)
    stem, suffix = out.split(".", 1)
    check_answers(site, RECORDS, tmp_path / out, tmp_path / f"{stem}.rejected.{suffix}")
    n_rejected = len({row["row"] for row in read(tmp_path / f"{stem}.rejected.{suffix}")})
    assert f"300 rows = {300 - n_rejected} answered + {n_rejected} rejected" in done.stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        {path.name, "table.csv", out, f"{stem}.rejected.{suffix}"}
    )


@pytest.mark.parametrize(
    "types",
    [
        {"size": "DOUBLE", "day": "TIMESTAMP"},
        {"size": "FLOAT", "day": "DATE"},
        {"size": "INTEGER", "day": "VARCHAR"},
        {"size": "DECIMAL(9,3)", "day": "TIMESTAMP"},
    ],
)
def test_a_typed_table_is_answered_as_its_values_alone(site: Path, tmp_path: Path, types: dict[str, str]) -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE made (id VARCHAR, day VARCHAR, size VARCHAR, colour VARCHAR, note VARCHAR)")
    connection.executemany("INSERT INTO made VALUES (?, ?, ?, ?, ?)", [row[:5] for row in made(300)])
    columns = ", ".join(f"TRY_CAST({name} AS {types.get(name, 'VARCHAR')}) AS {name}" for name in HEADER[:5])
    connection.execute(f"COPY (SELECT {columns} FROM made) TO '{tmp_path}/t.parquet'")
    rows = duckdb.execute(f"SELECT day::VARCHAR, size::VARCHAR, colour, note FROM '{tmp_path}/t.parquet'").fetchall()
    records = [
        {"day": day, "size": size and size.removesuffix(".0").replace("nan", ""), "colour": colour, "note": note}
        for day, size, colour, note in rows
    ]
    score(site, tmp_path / "t.parquet", tmp_path / "out.parquet", before=SMALL)
    if types["size"].startswith("DECIMAL"):
        records = [{**r, "size": r["size"] and r["size"].removesuffix(".000")} for r in records]
    answers = {row["row"]: row for row in read(tmp_path / "out.parquet")}
    for number, expected in enumerate(predict(site, records), start=1):
        assert (number in answers) == isinstance(expected, dict)
        if number in answers:
            found = {label: answers[number][f"probability_{label}"] for label in ("no", "yes")}
            assert found == expected["probabilities"]


def test_bytes_do_not_depend_on_the_workers(site: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", made(1000))
    for workers in (1, 2, 3):
        score(site, path, tmp_path / f"{workers}.parquet", "--workers", workers, before=SMALL)
    found = [[(tmp_path / f"{n}{kind}.parquet").read_bytes() for kind in ("", ".rejected")] for n in (1, 2, 3)]
    assert found[0] == found[1] == found[2]


def test_a_killed_run_goes_on_where_it_was(site: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", made(1500))
    score(site, path, tmp_path / "whole.parquet", before=SMALL)
    words = ["score", str(path), str(tmp_path / "out.parquet"), "--workers", "1"]
    process = subprocess.Popen([*code(site, SMALL, SLOW, COMMAND), *words], start_new_session=True)
    folder = tmp_path / ".out.parquet.parts"
    deadline = time.monotonic() + 60
    while len(list(folder.glob("counts-*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out.parquet").exists()
    finished = {file.name: file.stat().st_mtime_ns for file in folder.glob("*-00000[0-2].*")}
    assert len(finished) == 9
    watch = f"""import pathlib, toy_model.runtime.scoring.batch as batch; _finish = batch.finish
def finish(*words):
    print({{f.name: f.stat().st_mtime_ns for f in pathlib.Path({str(folder)!r}).glob("*-00000[0-2].*")}})
    return _finish(*words)
batch.finish = finish"""
    done = score(site, path, tmp_path / "out.parquet", before=f"{SMALL}\n{watch}")
    assert done.stdout.splitlines()[0] == str(finished)
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not folder.exists()


def test_parts_of_another_table_are_not_gone_on_with(site: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", made(300))
    failing = "def fail(*words): raise KeyboardInterrupt\nbatch.finish = fail"
    done = score(site, path, tmp_path / "out.parquet", before=f"{SMALL}\n{failing}", check=False)
    assert done.returncode == 130
    assert told(done) == ["score: interrupted; the same command goes on from here"]
    write_csv(path, made(299))
    done = score(site, path, tmp_path / "out.parquet", before=SMALL)
    assert "score: starting over, not what the parts in" in done.stderr
    assert "299 rows" in done.stdout


def test_a_worker_that_is_killed_is_one_line_and_the_parts_are_kept(site: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", made(300))
    killing = """import os, threading
from toy_model.runtime.scoring import part, worker
begun, _own, _other = threading.Event(), part.Scorer.score, worker.Worker.score
def other(self, part):
    begun.set()
    os.kill(self.process.pid, 9)
    return _other(self, part)
worker.Worker.score = other
part.Scorer.score = lambda self, one: (begun.wait(60), _own(self, one))[1]"""
    words = [path, tmp_path / "out.parquet", "--workers", 2]
    done = score(site, *words, before=f"{SMALL}\n{killing}", check=False)
    assert done.returncode == 1
    [line] = told(done)
    assert line.startswith("score: a worker process ended with exit status -9")
    assert not (tmp_path / "out.parquet").exists()
    assert (tmp_path / ".out.parquet.parts/job.json").exists()
    score(site, *words, before=SMALL)
    check_answers(site, RECORDS, tmp_path / "out.parquet", tmp_path / "out.rejected.parquet")


def test_kept_columns_stand_beside_the_answers(site: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", made(20))
    score(site, path, tmp_path / "key.csv")
    score(site, path, tmp_path / "two.csv", "--keep", "colour,note")
    score(site, path, tmp_path / "all.csv", "--keep", "*")
    own = ["prediction", "probability_no", "probability_yes", "version"]
    assert list(read(tmp_path / "key.csv")[0]) == ["row", "id", *own]
    assert list(read(tmp_path / "two.csv")[0]) == ["row", "colour", "note", *own]
    assert list(read(tmp_path / "all.csv")[0]) == ["row", *HEADER, *own]
    for row in read(tmp_path / "all.csv"):
        assert row["note"] == (made(20)[int(row["row"]) - 1][4] or None)


def test_lines_that_cannot_be_read_are_set_aside_by_number(site: Path, tmp_path: Path) -> None:
    lines = [
        "id,day,size,colour,note,bought",
        "0,2024-05-06,12,red,,",
        "",
        "1,2024-05-06,12,red",
        "2,2024-05-06,13,red,,",
    ]
    lines += [
        "3,2024-05-06,14,red,,,,9",
        '4,2024-05-06,15,red,"a \'b\nc",',
        '5,2024-05-06,16,red,5" pipe,',
        "6,2024-05-06,17,blue,,",
    ]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    score(site, tmp_path / "table.csv", tmp_path / "out.csv")
    refused = [(row["row"], row["column"], row["rule"]) for row in read(tmp_path / "out.rejected.csv")]
    assert refused == [("2", None, "unreadable: missing columns"), ("4", None, "unreadable: too many columns")]
    assert [(row["row"], row["id"]) for row in read(tmp_path / "out.csv")] == [
        ("1", "0"), ("3", "2"), ("5", "4"), ("6", "5"), ("7", "6")]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (b"", [], "t.csv: the file is empty"),
        (b"id,day,size,colour,note\n", [], "t.csv: no rows"),
        (b"id,day,sise,note\n1,,2,\n", [],
         "t.csv does not have the columns of the model's contract\n"
         "  size: not in the file; did you mean 'sise'?\n"
         "  colour: not in the file\n"
         "  sise: in the file, not in the contract; did you mean 'size'? (--keep '*' lets it pass)"),
        (b"id,day,size,colour,note\n1,,2,red,\n", ["--keep", "town"], "--keep town: not in the file"),
        (b"id,day,size,colour,note,row\n1,,2,red,,\n", ["--keep", "row"], "--keep row: an output column has this name"),
        (b'id,day,size,colour,note\n1,,2,red,"a\n', [], "a quote is opened and never closed"),
        (b"id,day,size,colour,note\n1,,2,red,\xff\n", ["--encoding", "utf-16"], "not utf-16"),
        (b"id;day\n1;2\n", ["--delimiter", ";;"], "--delimiter should be one character"),
        (b"id,day,size,colour,note\n1,,2,red,\n", ["--encoding", "utf-33"], "--encoding should be one"),
        (b"id,day,size,colour,note\n1,,2,red,\n", ["--workers", "0"], "--workers should be 1 or more, got 0"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message(site: Path, tmp_path: Path, content: bytes, words: list[str], message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    done = score(site, tmp_path / "t.csv", tmp_path / "out.parquet", *words, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("absent.csv", "out.csv", "absent.csv: no such file"),
        ("t.parquet", "out.csv", "t.parquet: not readable as Parquet"),
        ("t.xlsx", "out.csv", "t.xlsx: its name should end in one of .parquet"),
        ("t.csv", "out.xlsx", "out.xlsx: its name should end in one of .parquet"),
        ("t.csv", "t.csv", "t.csv: there is such a file already"),
        ("t.csv", "nowhere/out.csv", "nowhere: no such folder"),
        ("cut.csv.gz", "out.csv", "cut.csv.gz: the file is damaged"),
    ],
)
def test_bad_paths_are_one_line(site: Path, tmp_path: Path, source: str, out: str, message: str) -> None:
    write_csv(tmp_path / "t.csv", made(3))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes())[:-12])
    done = score(site, tmp_path / source, tmp_path / out, check=False)
    assert done.returncode == 1
    [line] = told(done)
    assert message in line


def test_a_full_disk_is_one_line(site: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", made(5000))
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    limited += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    done = score(site, path, tmp_path / "out.parquet", "--workers", 1, before=limited, check=False)
    assert done.returncode == 1
    [line] = told(done)
    assert line.startswith("score: ")
    assert not (tmp_path / "out.parquet").exists()
