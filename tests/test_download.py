"""tools.fetch on URLs: a real local web server and its faults, globs, and a local stand-in for S3."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT, run_in
from test_fetch import fetch, snapshot

TABLE = b"id,name\n1,a\n2,b\n" * 1000
PIN = hashlib.sha256(TABLE).hexdigest()


class Web(SimpleHTTPRequestHandler):
    """Serves a folder; three paths misbehave, and one tells what the client accepts."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/short.csv":
            self.answer(200, TABLE[:100], len(TABLE))
        elif path == "/forbidden.csv":
            self.answer(403, b"no")
        elif path == "/empty.csv":
            self.answer(200, b"")
        elif path == "/encoding.csv":
            self.answer(200, self.headers["Accept-Encoding"].encode())
        else:
            super().do_GET()

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server that serves the folder `web`."""
    (tmp_path / "web/parts").mkdir(parents=True)
    (tmp_path / "web/table.csv").write_bytes(TABLE)
    for name in ("a", "b"):
        (tmp_path / f"web/parts/{name}.csv").write_text(f"id\n{name}\n")
    (tmp_path / "web/parts/notes.txt").write_text("no table")

    def handler(*arguments: object) -> BaseHTTPRequestHandler:
        return Web(*arguments, directory=str(tmp_path / "web"))

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def declare(folder: Path, url: str, path: str = "data/raw/far/far.csv") -> None:
    (folder / "conf/data").mkdir(parents=True, exist_ok=True)
    (folder / "conf/data/far.yaml").write_text(f"source:\n  path: {path}\n  fetch: {{url: {url!r}}}\n")


def listing(folder: Path, *names: str) -> str:
    """The pin of several files by hand."""
    files = sorted(f"{name} {hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n" for name in names)
    return hashlib.sha256("".join(files).encode()).hexdigest()


def test_a_file_of_a_web_server_is_brought_pinned_and_left_alone(tmp_path: Path, web: str):
    declare(tmp_path, f"{web}/table.csv?key=s3cr3t")
    done = fetch(tmp_path, "far")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data/raw/far/far.csv").read_bytes() == TABLE
    assert f'sha256: "{PIN}"' in (tmp_path / "conf/data/far.yaml").read_text()
    before = snapshot(tmp_path)
    assert f"unchanged: {len(TABLE)} bytes" in fetch(tmp_path, "far").stdout
    assert snapshot(tmp_path) == before
    (tmp_path / "web/table.csv").write_bytes(b"id,name\n")
    changed = fetch(tmp_path, "far")
    assert changed.returncode == 1
    assert PIN in changed.stderr
    assert hashlib.sha256(b"id,name\n").hexdigest() in changed.stderr
    assert snapshot(tmp_path) == before
    assert fetch(tmp_path, "far", "--accept").returncode == 0
    assert (tmp_path / "data/raw/far/far.csv").read_bytes() == b"id,name\n"


def test_the_server_is_asked_for_the_bytes_as_they_lie_there(tmp_path: Path, web: str):
    declare(tmp_path, f"{web}/encoding.csv")
    assert fetch(tmp_path, "far").returncode == 0
    assert (tmp_path / "data/raw/far/far.csv").read_bytes() == b"identity"


FAULTS = {
    "absent": ("{web}/other.csv", "/other.csv: no such file there"),
    "forbidden": ("{web}/forbidden.csv?key=s3cr3t", "403"),
    "cut short": ("{web}/short.csv", "Not enough data"),
    "empty": ("{web}/empty.csv", "the file is empty"),
    "refused": ("http://127.0.0.1:1/table.csv", "Connect call failed"),
    "no such host": ("https://nowhere.invalid/table.csv", "cannot be brought"),
    "password": ("https://u:s3cr3t@h/table.csv", "holds a password"),
    "protocol": ("htps://h/table.csv", "no protocol 'htps'; did you mean 'https'?"),
    "package": ("gs://bucket/table.csv", "pip install gcsfs"),
    "folder": ("file://{folder}/web", "is a folder"),
    "absent file": ("file://{folder}/web/other.csv", "no such file there"),
    "one file for several": ("file://{folder}/web/parts/*.csv", "should be a folder or a glob"),
}


@pytest.mark.parametrize(("url", "says"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_line_and_changes_nothing(tmp_path: Path, web: str, url: str, says: str):
    (tmp_path / "data/raw/far").mkdir(parents=True)
    (tmp_path / "data/raw/far/far.csv").write_bytes(TABLE)
    declare(tmp_path, url.format(web=web, folder=tmp_path))
    before = snapshot(tmp_path)
    done = fetch(tmp_path, "far")
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cr3t" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("path", ["data/raw/far/", "data/raw/far/*.csv", "data/raw/far/parts"])
@pytest.mark.parametrize("protocol", ["file", "http"])
def test_a_glob_brings_several_files_under_one_pin(tmp_path: Path, web: str, path: str, protocol: str):
    declare(tmp_path, (f"file://{tmp_path}/web" if protocol == "file" else web) + "/parts/*.csv", path)
    done = fetch(tmp_path, "far")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / ("data/raw/far/parts" if path.endswith("parts") else "data/raw/far")
    assert sorted(file.name for file in folder.iterdir()) == ["a.csv", "b.csv"]
    assert listing(folder, "a.csv", "b.csv") in (tmp_path / "conf/data/far.yaml").read_text()
    before = snapshot(tmp_path)
    assert "unchanged: 2 files" in fetch(tmp_path, "far").stdout
    assert snapshot(tmp_path) == before


def test_a_glob_that_loses_and_gains_files_is_refused_then_accepted_beside_what_is_not_its_own(
    tmp_path: Path, web: str
):
    declare(tmp_path, f"file://{tmp_path}/web/parts/*.csv", "data/raw/far/*.csv")
    fetch(tmp_path, "far")
    folder = tmp_path / "data/raw/far"
    (folder / "notes.md").write_text("mine")
    (folder / ".gitignore").write_text("/a.csv\n")
    (tmp_path / "web/parts/a.csv").rename(tmp_path / "web/parts/c.csv")
    before = snapshot(tmp_path)
    done = fetch(tmp_path, "far")
    assert done.returncode == 1
    assert snapshot(tmp_path) == before
    assert fetch(tmp_path, "far", "--accept").returncode == 0
    assert sorted(file.name for file in folder.iterdir()) == [".gitignore", "b.csv", "c.csv", "notes.md"]
    assert listing(folder, "b.csv", "c.csv") in (tmp_path / "conf/data/far.yaml").read_text()


def test_a_glob_whose_files_the_source_would_not_read_is_refused(tmp_path: Path, web: str):
    declare(tmp_path, f"file://{tmp_path}/web/parts/*", "data/raw/far/*.csv")
    done = fetch(tmp_path, "far")
    assert done.returncode == 1
    assert "would not read what source.fetch.url brings: notes.txt" in done.stderr


def test_a_glob_that_fits_nothing_is_refused(tmp_path: Path, web: str):
    declare(tmp_path, f"file://{tmp_path}/web/parts/*.parquet", "data/raw/far/")
    done = fetch(tmp_path, "far")
    assert done.returncode == 1
    assert "no file fits" in done.stderr


def test_s3_without_its_package_says_what_to_install(tmp_path: Path):
    declare(tmp_path, "s3://bucket/table.csv")
    done = fetch(tmp_path, "far")
    assert done.returncode == 1
    assert "requirements-s3.txt" in done.stderr
    assert len(done.stderr.splitlines()) == 1


FILL = """
import boto3
client = boto3.client("s3")
client.create_bucket(Bucket="tables")
for name in "ab":
    client.put_object(Bucket="tables", Key=f"parts/{name}.csv", Body=f"id\\n{name}\\n".encode())
"""


@pytest.fixture
def s3_python(tmp_path: Path) -> str:
    """The Python of an environment as README makes it for S3, and the stand-in for S3 in it."""
    run_in(tmp_path, sys.executable, "-m", "venv", "venv")
    lock = str(ROOT / "tests/requirements-s3.txt")
    run_in(tmp_path, "venv/bin/pip", "install", "-q", "--require-hashes", "-r", lock)
    return str(tmp_path / "venv/bin/python")


@pytest.fixture
def bucket(tmp_path: Path, s3_python: str) -> Iterator[dict[str, str]]:
    """The environment that reaches a bucket of two files, at a local stand-in for S3 that speaks its HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [s3_python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "moto.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        variables = {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "s3cr3t",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }
        try:
            run_in(tmp_path, s3_python, "-c", FILL, AWS_MAX_ATTEMPTS="10", **variables)
            yield variables
        finally:
            server.terminate()


@pytest.mark.slow
def test_files_of_a_bucket_are_brought_and_pinned(tmp_path: Path, s3_python: str, bucket: dict[str, str]):
    def fetch_s3() -> subprocess.CompletedProcess[str]:
        return run_in(
            tmp_path, s3_python, "-m", "tools.fetch", "far", check=False, PYTHONPATH=str(ROOT), **bucket
        )  # fmt: skip

    declare(tmp_path, "s3://tables/parts/*.csv", "data/raw/far/")
    done = fetch_s3()
    assert done.returncode == 0, done.stderr
    assert listing(tmp_path / "data/raw/far", "a.csv", "b.csv") in (tmp_path / "conf/data/far.yaml").read_text()
    assert (tmp_path / "data/raw/far/b.csv").read_text() == "id\nb\n"
    declare(tmp_path, "s3://tables/parts/absent.csv")
    absent = fetch_s3()
    assert absent.returncode == 1
    assert "no such file there" in absent.stderr
    assert "s3cr3t" not in absent.stderr
