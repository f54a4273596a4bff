"""The prediction log: what is answered is in it, nothing waits for it, and no kill or full disk damages it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from served import command, examples, serving, unpack, wait_until

from stages.runtime.journal import compact, log
from stages.runtime.journal.files import log_files, new_file
from stages.runtime.journal.log import PredictionLog
from stages.runtime.journal.reading import read_log, summary

ROOT = Path(__file__).parent.parent


def entry(number: int, n_rows: int = 1, **record: Any) -> dict[str, Any]:
    records = [{"size": number + row, **record} for row in range(n_rows)]
    answers = [{"prediction": "no", "probabilities": {"no": 0.1, "yes": 0.9}} for _ in records]
    return {"time": 1.7e9 + number, "request_id": f"r{number}", "route": "/predict", "seconds": 0.0012,
            "n_bytes": 100 * n_rows, "records": records, "answers": answers}  # fmt: skip


def counted() -> tuple[Counter[str], Any]:
    found: Counter[str] = Counter()
    return found, lambda what, n: found.update({what: n})


def test_an_entry_is_a_line_a_record(tmp_path: Path) -> None:
    counts, count = counted()
    own = PredictionLog(tmp_path, "1.0+abc", ["colour"], count)
    own.append(entry(1, 2, colour="red"))
    own.append(entry(2, big=10**30, colour=None))
    own.append(entry(3) | {"answers": [{"prediction": 1.5, "interval": [1, 2], "base": 3, "contributions": {"x": 1}}]})
    own.close()
    first, second, third, fourth = read_log(tmp_path)
    assert first == {
        "time": "2023-11-14T22:13:21.000000Z", "request_id": "r1", "version": "1.0+abc", "route": "/predict",
        "latency_ms": 1.2, "row": 0, "inputs": {"size": 1, "colour": None},
        "output": {"prediction": "no", "probabilities": {"no": 0.1, "yes": 0.9}}, "redacted": ["colour"],
    }  # fmt: skip
    assert (second["row"], second["inputs"]) == (1, {"size": 2, "colour": None})
    assert third["inputs"] == {"size": 2, "big": 10**30, "colour": None}
    assert "redacted" not in third
    assert fourth["output"] == {"prediction": 1.5, "interval": [1, 2]}
    assert counts == {"written": 4, "torn": 0}


def test_append_takes_microseconds_and_everything_is_there_within_a_second(tmp_path: Path) -> None:
    own = PredictionLog(tmp_path, "1")
    entries = [entry(number) for number in range(5000)]
    took = []
    for each in entries:
        start = time.perf_counter()
        own.append(each)
        took.append(time.perf_counter() - start)
    assert sorted(took)[2500] < 20e-6
    assert wait_until(lambda: sum(1 for _ in read_log(tmp_path)) == 5000, 10)
    own.close()
    assert [line["request_id"] for line in read_log(tmp_path)] == [f"r{number}" for number in range(5000)]


def test_what_does_not_fit_is_counted_also_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MOST_RECORDS", 100)
    counts, count = counted()
    gate = threading.Event()
    write = os.write
    monkeypatch.setattr(log.os, "write", lambda file, content: (gate.wait(), write(file, content))[1])
    own = PredictionLog(tmp_path, "1", count=count)
    for number in range(150):
        own.append(entry(number))
    gate.set()
    own.append(entry(150, 200))
    own.close()
    assert counts["lost"] == 50 + 200
    assert counts["written"] == 100
    assert summary(tmp_path) | {"first": "", "last": ""} == {
        "records": 100, "versions": {"1": 100}, "lost": 250, "torn": 0, "first": "", "last": ""}  # fmt: skip


def test_long_records_do_not_fit_by_bytes_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue bounded by records alone held fifty thousand texts of any length: gigabytes."""
    monkeypatch.setattr(log, "QUEUE_BYTES", 10_000, raising=False)
    counts, count = counted()
    gate = threading.Event()
    write = os.write
    monkeypatch.setattr(log.os, "write", lambda file, content: (gate.wait(), write(file, content))[1])
    own = PredictionLog(tmp_path, "1", count=count)
    for number in range(15):
        own.append(entry(number, 2) | {"n_bytes": 1000})
    gate.set()
    assert wait_until(lambda: counts["written"] == 2 * 10)
    for number in range(15, 25):
        own.append(entry(number, 2) | {"n_bytes": 1000})
    own.close()
    assert (counts["lost"], counts["written"]) == (2 * 5, 2 * 20)
    written = [line["request_id"] for line in read_log(tmp_path) if "note" not in line]
    assert written == [f"r{number}" for number in [*range(10), *range(15, 25)] for _ in range(2)]


FULL = """
import resource, signal, sys, time
from pathlib import Path
from stages.runtime.journal import log
from collections import Counter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log.MOST_RECORDS = 500
counts = Counter()
own = log.PredictionLog(Path(sys.argv[1]), "1", count=lambda what, n: counts.update({what: n}))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
slowest = 0.0
for number in range(2000):
    start = time.perf_counter()
    own.append({"time": 1.7e9, "request_id": f"r{number}", "route": "/predict", "seconds": 0.001, "n_bytes": 50,
                "records": [{"size": number}], "answers": [{"prediction": "no"}]})
    slowest = max(slowest, time.perf_counter() - start)
    time.sleep(0.0002)
time.sleep(0.5)
n_lost = counts["lost"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
own.close()
assert counts["lost"] == n_lost, counts
print(counts["written"], counts["lost"], slowest)
"""


def test_a_full_disk_loses_lines_by_number_and_damages_none(tmp_path: Path) -> None:
    """A limit on the size of files is a disk that is full, and then is not."""
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    n_written, n_lost, slowest = map(float, done.stdout.split())
    assert n_written + n_lost == 2000
    assert n_lost > 0
    assert slowest < 0.5
    found = summary(tmp_path)
    assert (found["records"], found["lost"], found["torn"]) == (n_written, n_lost, 0)


def test_a_file_is_changed_for_the_next_by_size_and_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MOST_BYTES", 2000)
    own = PredictionLog(tmp_path, "1")
    for number in range(5):
        own.append(entry(number, 20))
        time.sleep(0.15)
    own.close()
    assert len(log_files(tmp_path)) == 5
    assert [line["request_id"] for line in read_log(tmp_path)] == [f"r{n}" for n in range(5) for _ in range(20)]


def test_records_that_never_cease_end_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is one look at the queue: files were only ended, and synced, when the queue was empty."""
    monkeypatch.setattr(log, "MOST_BYTES", 20_000)
    monkeypatch.setattr(log, "TICK", 0.3)
    own = PredictionLog(tmp_path, "1")
    own.append(entry(0, 1000))
    own.close()
    sizes = [path.stat().st_size for path in log_files(tmp_path)]
    assert len(sizes) > 5
    assert max(sizes) < 40_000
    assert [line["row"] for line in read_log(tmp_path)] == list(range(1000))


def test_half_a_line_that_cannot_be_taken_off_ends_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written next stood behind half a line, in the middle of a file that could then not be read."""
    write, truncate, n_written = os.write, os.ftruncate, [0]

    def write_half(file: int, content: bytes) -> int:
        n_written[0] += 1
        return write(file, content[: len(content) // 2] if n_written[0] == 2 else content)

    def refuse(file: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(log.os, "write", write_half)
    monkeypatch.setattr(log.os, "ftruncate", refuse)
    own = PredictionLog(tmp_path, "1")
    for number in range(3):
        own.append(entry(number))
        assert wait_until(lambda wanted=number: n_written[0] > wanted)
    own.close()
    monkeypatch.setattr(log.os, "ftruncate", truncate)
    assert log.mend_all(tmp_path) == 1
    assert [line["request_id"] for line in read_log(tmp_path) if "note" not in line] == ["r0", "r1", "r2"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_failed_is_seen_in_the_counts(tmp_path: Path) -> None:
    counts, count = counted()
    own = PredictionLog(tmp_path, "1", count=count)
    own.append(entry(0) | {"answers": []})  # an answer too few: our own fault
    assert wait_until(lambda: counts["lost"] == 1)
    own.append(entry(1, 3))
    assert counts["lost"] == 4
    own.close()


def test_a_torn_last_line_is_taken_off_and_counted_once(tmp_path: Path) -> None:
    own = PredictionLog(tmp_path, "1")
    own.append(entry(1, 3))
    own.close()
    [path] = log_files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:77])
    assert len(list(read_log(tmp_path))) == 3
    counts, count = counted()
    PredictionLog(tmp_path, "1", count=count).close()
    PredictionLog(tmp_path, "1", count=count).close()
    assert counts["torn"] == 1
    assert path.read_bytes().startswith(whole)
    assert summary(tmp_path)["torn"] == 1
    assert summary(tmp_path)["records"] == 3


def test_a_file_that_is_written_to_is_neither_mended_nor_compacted(tmp_path: Path) -> None:
    file, path = new_file(tmp_path)
    os.write(file, b'{"half')
    PredictionLog(tmp_path, "1").close()
    assert compact.compact(tmp_path) == (0, 0, 1)
    assert path.read_bytes() == b'{"half'
    os.close(file)
    assert compact.compact(tmp_path) == (1, 1, 0)
    assert summary(tmp_path)["torn"] == 1


def test_parquet_says_what_the_lines_said(tmp_path: Path) -> None:
    own = PredictionLog(tmp_path, "1", ["colour"])
    own.append(entry(1, 3, colour="red", note='a "b"\né', day=None, price=0.1))
    own.append(entry(2, size=1e-7))
    own.close()
    lines = list(read_log(tmp_path))
    assert compact.compact(tmp_path) == (1, 0, 0)
    assert list(read_log(tmp_path)) == lines
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o640
    found = duckdb.execute(f"SELECT time, row, inputs->>'price', redacted FROM '{path}' ORDER BY time, row").fetchall()
    assert [row[1:] for row in found] == [(n, "0.1", ["colour"]) for n in range(3)] + [(0, None, None)]
    assert str(found[0][0]) == "2023-11-14 22:13:21"
    assert compact.compact(tmp_path) == (0, 0, 0)


def test_a_compaction_killed_before_the_lines_went_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = PredictionLog(tmp_path, "1")
    own.append(entry(1, 3))
    own.close()
    unlink = Path.unlink

    def killed(path: Path, *_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        compact.compact(tmp_path)
    monkeypatch.setattr(Path, "unlink", unlink)
    [lines, parquet] = sorted(tmp_path.iterdir())
    content = parquet.read_bytes()
    assert summary(tmp_path)["records"] == 3
    assert compact.compact(tmp_path) == (1, 0, 0)
    assert parquet.read_bytes() == content
    assert not lines.exists()


def test_a_damaged_file_stays_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "predictions-1.jsonl"
    path.write_text('{"version": "1"}\n{"ver\n{"version": "1"}\n')
    with pytest.raises(compact.DamagedLog, match=r"predictions-1.jsonl: not lines of JSON: at byte 6 in line 3"):
        compact.compact(tmp_path)
    assert path.exists()


# Behind the service, over real HTTP


@pytest.fixture(scope="module")
def site(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(small / "data/package", tmp_path_factory.mktemp("site"))


def test_every_answer_over_http_is_in_the_log(site: Path, tmp_path: Path) -> None:
    records = [example["record"] for example in examples(site)]
    with serving(site, "--log", str(tmp_path / "log"), "--log-redact", "note", "--workers", "2") as served:
        given = [served.ask("/predict", record, X_Request_Id=f"a{n}") for n, record in enumerate(records)]
        many = served.ask("/predict", records, X_Request_Id="many")
        assert served.ask("/predict", {"size": "no"}).status == 422
        assert wait_until(lambda: served.metrics().get('model_log_records_total{what="written"}') == 2 * len(records))
        assert served.stop() == 0
    lines = {(line["request_id"], line["row"]): line for line in read_log(tmp_path / "log")}
    assert len(lines) == 2 * len(records)
    for number, (record, reply) in enumerate(zip(records, given, strict=True)):
        for key, answer in (((f"a{number}", 0), reply.body), (("many", number), many.body["answers"][number])):
            assert lines[key]["inputs"] == record | {"note": None}
            assert lines[key]["output"]["probabilities"] == answer["probabilities"]
            assert lines[key]["version"] == reply.body["version"]
            assert 0 < lines[key]["latency_ms"] < 60_000


def test_a_kill_loses_no_answer_that_is_a_second_old(site: Path, tmp_path: Path) -> None:
    record = examples(site)[0]["record"]
    answered: dict[str, float] = {}
    with serving(site, "--log", str(tmp_path), "--workers", "2") as served:
        ends = time.monotonic() + 4
        killed_at = 0.0
        for number in range(100_000):
            try:
                reply = served.ask("/predict", record, X_Request_Id=f"r{number}")
                assert reply.status == 200
                answered[f"r{number}"] = time.monotonic()
            except (ConnectionError, OSError):
                assert killed_at
            if not killed_at and time.monotonic() > ends - 2:
                killed_at = time.monotonic()
                os.kill(served.children()[0], signal.SIGKILL)
            if time.monotonic() > ends:
                break
        assert served.stop() == 0
    found = {line["request_id"] for line in read_log(tmp_path) if "request_id" in line}
    lost = [name for name, at in answered.items() if name not in found]
    assert all(killed_at - 1 <= answered[name] <= killed_at + 0.1 for name in lost)
    done = subprocess.run(command(site, "log", "compact", str(tmp_path)), text=True, capture_output=True, check=True)
    assert "files compacted" in done.stdout
    assert not log_files(tmp_path)
    assert summary(tmp_path)["records"] == len(found)
    one = next(iter(found))
    shown = subprocess.run(
        command(site, "log", "show", str(tmp_path), "--request-id", one), text=True, capture_output=True, check=True
    )
    assert json.loads(shown.stdout)["inputs"] == record


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--log", "/proc/nowhere"], "--log /proc/nowhere: "),
        (["--log", "{tmp}", "--log-redact", "note,town"], "--log-redact town: not a column of the contract"),
    ],
)
def test_a_log_that_cannot_be_kept_is_one_line(site: Path, tmp_path: Path, options: list[str], message: str) -> None:
    words = [option.replace("{tmp}", str(tmp_path)) for option in options]
    done = subprocess.run(command(site, "serve", "--port", "0", *words), text=True, capture_output=True)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"toy_model: {message}")


def test_log_commands_name_a_folder_that_is_not_there(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(command(site, "log", "count", str(tmp_path / "no")), text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (1, f"log: {tmp_path / 'no'}: no such folder\n")
