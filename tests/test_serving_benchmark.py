"""The benchmark of serving: what it starts is gone afterwards, its table says what was measured, and it runs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import run_in

from tests.benchmarks.serving.peers import EMPTY, MLFLOW, OURS, columns
from tests.benchmarks.serving.server import NotServing, Server, family, free_ports, serving
from tests.benchmarks.serving.table import PIPELINE, table

needs_proc = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="processes are read from /proc")

# Two processes, the second in a session of its own with 50 MB; PORT and STATUS come first and second.
ANSWERING = """
import http.server, subprocess, sys
port, status = map(int, sys.argv[1:])
child = subprocess.Popen(
    [sys.executable, "-c", "import time; held = b'x' * 50_000_000; print(flush=True); time.sleep(600)"],
    stdout=subprocess.PIPE, start_new_session=True,
)
child.stdout.read(1)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@contextlib.contextmanager
def started(folder: Path, code: str, status: int = 200) -> Iterator[Server]:
    port = free_ports()
    command = [sys.executable, "-c", code, str(port), str(status)]
    with serving(command, folder, dict(os.environ), port, "/", b"[1]") as server:
        yield server


@needs_proc
def test_a_server_is_weighed_with_what_it_started_and_none_of_it_is_left(tmp_path: Path) -> None:
    with started(tmp_path, ANSWERING) as server:
        assert server.ask(b"[2]") == [2]
        members = family(server.process.pid)
        assert len(members) == 2
        assert 50 < server.memory() < 100
    assert not [process for process in members if Path(f"/proc/{process}").exists() and not is_ended(process)]


def is_ended(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@needs_proc
def test_a_server_that_ends_is_told_with_what_it_printed(tmp_path: Path) -> None:
    with (
        pytest.raises(NotServing, match=r"(?s)exited 3.*no model here"),
        started(tmp_path, "import sys; print('no model here', flush=True); sys.exit(3)"),
    ):
        pass


@needs_proc
def test_a_server_that_refuses_is_told_with_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.serving.server.START_LIMIT", 1.0)
    with pytest.raises(NotServing, match="no answer within 1 s: / answered 422"), started(tmp_path, ANSWERING, 422):
        pass


def test_the_table_has_medians_how_many_times_ours_is_better_and_what_falls_short() -> None:
    found = {
        OURS: {"per_second": [900.0, 1000.0, 5000.0], "p99_ms": [2.0], "row_p50_ms": [0.5]},
        EMPTY: {"per_second": [2000.0]},
        MLFLOW: {"per_second": [10.0, 20.0], "p99_ms": [50.0], "differ_alone": [3]},
        "fastapi": {"per_second": [40.0]},
        PIPELINE: {"row_p50_ms": [100.0]},
    }
    lines = table(found, [OURS, EMPTY, MLFLOW, "fastapi", PIPELINE], {MLFLOW: "3.1"}).splitlines()
    assert lines[0] == "|  | plumbline | empty | mlflow 3.1 | fastapi | pipeline | asked | met |"
    assert [line.split(" | ")[1:] for line in lines[2:]] == [
        ["1,000", "2,000 (0.5x)", "15 (67x)", "40 (25x)", "", "80x mlflow; 50x fastapi; 0.4x empty",
         "no: mlflow, fastapi |"],
        ["2", "", "50 (25x)", "", "", "30x mlflow", "no: mlflow |"],
        ["", "", "3", "", "", "", " |"],
        ["0.5", "", "", "", "100 (200x)", "200x pipeline", "yes |"],
    ]  # fmt: skip


def test_records_are_tensors_of_columns_with_missing_values() -> None:
    asked = columns([{"size": None, "colour": "red", "big": True}, {"size": 2.5, "colour": None, "big": False}])
    assert [(each["name"], each["datatype"], each["shape"], each["data"]) for each in asked["inputs"]] == [
        ("size", "FP64", [2, 1], [None, 2.5]),
        ("colour", "BYTES", [2, 1], ["red", None]),
        ("big", "BOOL", [2, 1], [True, False]),
    ]


@pytest.mark.parametrize(("given", "message"), [("--peers=mflow", "no peer mflow"), ("--wheel=none.whl", "one wheel")])
def test_an_unknown_peer_or_wheel_is_one_line(tmp_path: Path, given: str, message: str) -> None:
    root = str(Path(__file__).parent.parent)
    done = run_in(
        tmp_path, sys.executable, "-m", "tests.benchmarks.serving.compare", given, check=False, PYTHONPATH=root
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@needs_proc
@pytest.mark.slow
def test_ours_and_the_empty_server_are_compared(reproduced: Path, tmp_path: Path) -> None:
    module, told = "tests.benchmarks.serving.compare", tmp_path / "told.json"
    done = run_in(
        reproduced, sys.executable, "-m", module, "--peers=", "--rounds=1", "--seconds=1", "--json", str(told)
    )
    assert "| requests a second, 8 connections, a row each |" in done.stdout
    found = json.loads(told.read_text())["found"]
    assert (found[OURS]["differ_alone"], found[OURS]["differ_together"]) == ([0], [0])
    [rate], [empty] = found[OURS]["per_second"], found[EMPTY]["per_second"]
    assert 0 < rate < empty
    [ours], [pipeline] = found[OURS]["row_p50_ms"], found[PIPELINE]["row_p50_ms"]
    assert 10 * ours < pipeline
