"""Whatever a client sends, it gets a 4xx with a reason that repeats nothing of it, and the next request is answered."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, examples, read_all, serving, unpack, wait_until

MARK = "Zx9Qf"  # stands in what clients send, and may stand in no answer
ROW: dict[str, Any] = {"day": "2024-10-01", "size": 50, "colour": "red", "note": None}


@pytest.fixture(scope="module")
def served(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    site = unpack(small / "data/package", tmp_path_factory.mktemp("site"))
    limits = ["--max-seconds", "1.5", "--max-body-bytes", "1000000", "--max-rows", "2000", "--max-connections", "40"]
    with serving(site, *limits, "--max-idle-seconds", "3") as running:
        yield running
        assert running.process.poll() is None
        assert running.stop() == 0
        assert running.process.stderr is not None
        assert "Traceback" not in running.process.stderr.read()


@pytest.fixture(autouse=True)
def _still_answers(served: Served) -> Iterator[None]:
    yield
    example = examples(served.site)[0]
    reply = served.ask("/predict", example["record"])
    assert reply.status == 200
    assert reply.body["prediction"] == example["answer"]["prediction"]


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def text(**changes: str) -> bytes:
    """Return the record as JSON with values as they are written here."""
    written = {key: json.dumps(value) for key, value in ROW.items()} | changes
    return ("{" + ", ".join(f'"{key}": {value}' for key, value in written.items()) + "}").encode()


def check(raw: bytes) -> None:
    """Fail where an answer holds what the client sent, or what only we should see."""
    for secret in (MARK.encode(), b"Traceback", b'File "', b".py", b"toy_model/"):
        assert secret not in raw


BODIES: dict[str, tuple[bytes, int, str]] = {
    "not JSON": (b"{size: 1}", 400, "json"),
    "NaN": (text(size="NaN"), 400, "json"),
    "Infinity": (text(size="-Infinity"), 400, "json"),
    "too large a number": (text(size="1e999"), 400, "number"),
    "an integer of 5000 digits": (text(size="7" * 5000), 400, "number"),
    "invalid UTF-8": (text(note='"X"').replace(b"X", b"\xff\xfe"), 400, "utf8"),
    "invalid UTF-8 in a key": (b'{"\xff": 1}', 400, "utf8"),
    "a byte order mark": (b"\xef\xbb\xbf" + text(), 400, "json"),
    "UTF-16": (text().decode().encode("utf-16"), 400, "json"),
    "lists 100000 deep": (b"[" * 100_000 + b"]" * 100_000, 400, "nesting"),
    "objects 100000 deep": (b'{"note":' * 100_000 + b"1" + b"}" * 100_000, 400, "nesting"),
    "objects 900 deep": (b'{"note":' * 900 + b"1" + b"}" * 900, 400, "nesting"),
    "lists 50 deep in a column": (text(note="[" * 50 + "]" * 50), 400, "nesting"),
    "an open list": (b"[" + text(), 400, "json"),
    "a key twice": (text()[:-1] + b', "size": 51}', 400, "duplicate_key"),
    "a key twice, once escaped": (text()[:-1] + b', "s\\u0069ze": 51}', 400, "duplicate_key"),
    "a key twice within": (text(note='{"a": 1, "a": 2}'), 400, "duplicate_key"),
    "a key twice beside colons": (text(note='"a:b"')[:-1] + b', "note": "c"}', 400, "duplicate_key"),
    "an empty body": (b"", 400, "empty"),
    "two records": (text() + text(), 400, "json"),
    "text behind": (text() + b" x", 400, "json"),
    "a control character": (text(note='"a\x01b"'), 400, "json"),
    "half a surrogate": (text(note='"\\ud800"'), 400, "json"),
    "nothing but spaces": (b"  \n ", 400, "json"),
    "a number": (b"5", 422, "contract"),
    "null": (b"null", 422, "contract"),
    "a text": (json.dumps(MARK).encode(), 422, "contract"),
    "too many rows": (json.dumps([ROW] * 2001).encode(), 413, "too_many_rows"),
    "100000 rows": (b"[" + b",".join([b"{}"] * 100_000) + b"]", 413, "too_many_rows"),
    "a body beyond the limit": (json.dumps(row(note="x" * 1_000_001)).encode(), 413, "too_large"),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_a_bad_body_is_refused_with_its_reason(served: Served, path: str, name: str) -> None:
    body, status, reason = BODIES[name]
    reply = served.ask(path, body)
    assert (reply.status, reply.body["reason"]) == (status, reason)
    assert reply.body["message"]
    check(reply.raw)


RECORDS: dict[str, tuple[dict[str, Any], list[tuple[str | None, str]]]] = {
    "wrong type": (row(size=MARK), [("size", "type")]),
    "a boolean for a number": (row(size=True), [("size", "type")]),
    "a list for a number": (row(size=[1]), [("size", "type")]),
    "an object for a category": (row(colour={MARK: 1}), [("colour", "values")]),
    "too large": (row(size=101), [("size", "max")]),
    "too small": (row(size=-1), [("size", "min")]),
    "an integer of 30 digits": (row(size=10**30), [("size", "max")]),
    "unknown category": (row(colour=MARK), [("colour", "values")]),
    "no such day": (row(day="2024-02-30"), [("day", "type")]),
    "extra column": (row(extra=MARK), [("extra", "unknown")]),
    "misspelt column": (row(colur="red"), [("colur", "unknown")]),
    "a column that is no name": (row(**{"\n" + MARK: 1}), [(None, "unknown")]),
    "a column too long to name": (row(**{MARK * 50: 1}), [(None, "unknown")]),
    "a text too long": (row(note=MARK * 5000), [("note", "text_length")]),
    "all at once": (
        {"size": 1e6, "colour": MARK, "day": MARK, "note": "x" * 20_000, "zise": 3},
        [("note", "text_length"), ("zise", "unknown"), ("day", "type"), ("size", "max"), ("colour", "values")],
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_broken_record_is_refused_with_all_its_faults(served: Served, name: str) -> None:
    record, expected = RECORDS[name]
    for reply, where in ((served.ask("/predict", record), None), (served.ask("/predict", [ROW, record, ROW]), 1)):
        assert (reply.status, reply.body["reason"]) == (422, "contract")
        found = [(v["column"], v["rule"], v.get("row")) for v in reply.body["violations"]]
        assert sorted(found, key=str) == sorted([(*each, where) for each in expected], key=str)
        assert reply.body["n_violations"] == len(expected)
        assert all(v["message"] for v in reply.body["violations"])
        check(reply.raw)


def test_a_misspelt_column_is_told_the_near_one(served: Served) -> None:
    [violation] = served.ask("/predict", row(colur="red")).body["violations"]
    assert violation["message"] == "is no column of the contract; did you mean 'colour'?"


def test_broken_rows_of_a_list_are_told_by_number(served: Served) -> None:
    rows = [row(size=200 if number % 7 == 3 else number % 100) for number in range(1000)]
    rows[0] = 5
    rows[999] = {**ROW, "colour": MARK}
    body = served.ask("/predict", rows).body
    found = [(v["row"], v["rule"]) for v in body["violations"]]
    assert found == [(0, "object"), *((n, "max") for n in range(3, 1000, 7)), (999, "values")]


def test_of_very_many_violations_the_first_are_told_and_all_counted(served: Served) -> None:
    body = served.ask("/predict", [row(size=-1, colour=MARK)] * 2000).body
    assert (len(body["violations"]), body["n_violations"]) == (1000, 4000)


def test_a_row_of_a_list_that_is_bad_json_is_told_by_number(served: Served) -> None:
    reply = served.ask("/predict", b"[" + text() + b"," + text()[:-1] + b', "size": 3}]')
    assert (reply.status, reply.body["reason"], reply.body["row"]) == (400, "duplicate_key", 1)


@pytest.mark.parametrize("given", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_another_content_type_is_refused(served: Served, given: str) -> None:
    reply = served.ask("/predict", ROW, Content_Type=given)
    assert (reply.status, reply.body["reason"]) == (415, "media_type")


def test_a_compressed_body_is_refused(served: Served) -> None:
    assert served.ask("/predict", ROW, Content_Encoding="gzip").body["reason"] == "encoding"
    assert served.ask("/predict", ROW, Content_Type="Application/JSON; charset=utf-8").status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/predict", "POST"), ("DELETE", "/predict", "POST"), ("PUT", "/explain", "POST"),
     ("POST", "/health", "GET, HEAD"), ("OPTIONS", "/metrics", "GET, HEAD")],
)  # fmt: skip
def test_another_method_is_refused_with_those_allowed(served: Served, method: str, path: str, allowed: str) -> None:
    reply = served.ask(path, method=method)
    assert (reply.status, reply.body["reason"], reply.headers["allow"]) == (405, "method", allowed)


@pytest.mark.parametrize(
    "path",
    ["/" + MARK, "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/predict/../health", "//health", "/health/",
     "/model/model.txt", "/predict%00", "/health;x", "*", "http://example.org/health"],
)  # fmt: skip
def test_another_path_is_not_found(served: Served, path: str) -> None:
    raw = served.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert raw.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    check(raw)


def post(body: bytes, *headers: str) -> bytes:
    lines = ["POST /predict HTTP/1.1", "Host: x", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


RAW: dict[str, tuple[bytes, int]] = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01" * 20, 400),
    "no version": (b"GET /health\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a header flood": (b"GET /health HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n", 431),
    "an endless header": (b"GET /health HTTP/1.1\r\nX: " + b"y" * 500_000, 431),
    "an endless path": (b"GET /" + b"y" * 500_000, 431),
    "a length that is none": (post(b"{}", "Content-Length: -1"), 400),
    "two lengths": (post(b"{}", "Content-Length: 2", "Content-Length: 3"), 400),
    "a length and chunks": (post(b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
    "64 MB told": (post(b"{", "Content-Length: 67108864"), 413),
    "64 MB told, waiting": (post(b"", "Content-Length: 67108864", "Expect: 100-continue"), 413),
    "chunks that are none": (post(b"xyz\r\n", "Transfer-Encoding: chunked"), 400),
    "a name with a space": (b"GET /health HTTP/1.1\r\nA b: c\r\n\r\n", 400),
    "a folded header": (b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", RAW)
def test_bad_http_is_refused(served: Served, name: str) -> None:
    data, status = RAW[name]
    raw = served.send(data)
    assert raw.startswith(b"HTTP/1.1 %d " % status), raw[:200]
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert json.loads(body)["reason"]
    check(raw)


def test_a_body_of_64_mb_is_refused_and_its_sender_reads_why(served: Served) -> None:
    reply = served.ask("/predict", b"[" + b" " * 64_000_000 + b"]")
    assert (reply.status, reply.body["reason"]) == (413, "too_large")


def test_chunks_without_a_length_are_taken_up_to_the_limit(served: Served) -> None:
    def chunked(body: bytes, size: int) -> bytes:
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

    head = post(b"", "Transfer-Encoding: chunked", "Connection: close")
    assert served.send(head + chunked(text(), 7)).startswith(b"HTTP/1.1 200 ")
    assert served.send(head + chunked(b" " * 1_200_000, 50_000)).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_too_slowly_is_told_so(served: Served) -> None:
    for start in (b"GET /health HTTP/1.1\r\nHost:", post(b'{"si', "Content-Length: 400")):
        with socket.create_connection(served.place, timeout=10) as client:
            begun = time.monotonic()
            client.sendall(start)
            while time.monotonic() - begun < 6 and not _readable(client):
                client.sendall(b" ")
                time.sleep(0.2)
            assert read_all(client).startswith(b"HTTP/1.1 408 ")
            assert time.monotonic() - begun < 8


def _readable(client: socket.socket) -> bool:
    import select

    return bool(select.select([client], [], [], 0)[0])


def test_a_silent_connection_is_closed(served: Served) -> None:
    with socket.create_connection(served.place, timeout=10) as client:
        assert client.recv(10) == b""


def test_clients_that_hang_up_leave_nothing_at_work(served: Served) -> None:
    batch = json.dumps([ROW] * 2000).encode()
    for data in (post(batch, f"Content-Length: {len(batch)}"), post(b"{", "Content-Length: 400"), b"GET /he"):
        client = socket.create_connection(served.place, timeout=10)
        client.sendall(data)
        client.close()
    assert wait_until(lambda: served.metrics()["model_requests_in_flight"] == 0)


def test_requests_in_one_piece_are_answered_in_order(served: Served) -> None:
    record = post(text(), f"Content-Length: {len(text())}")
    batch = json.dumps([ROW] * 500).encode()
    many = post(batch, f"Content-Length: {len(batch)}")
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    raw = served.send(health + many + record + many + health + last)
    assert raw.count(b"HTTP/1.1 200 OK") == 5
    bodies = [part.partition(b"\r\n\r\n")[2] for part in raw.split(b"HTTP/1.1 ")[1:]]
    kinds = ["status" if b"status" in b else "answers" if b"answers" in b[:20] else "other" for b in bodies]
    assert kinds == ["status", "answers", "other", "answers", "status", "other"]


def test_an_upgrade_is_declined_by_an_ordinary_answer(served: Served) -> None:
    asked = post(text(), f"Content-Length: {len(text())}", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
    health = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert served.send(asked + health).count(b"HTTP/1.1 200 OK") == 2


def test_more_connections_than_allowed_are_turned_away(served: Served) -> None:
    clients = [socket.create_connection(served.place, timeout=10) for _ in range(60)]
    try:
        time.sleep(0.2)
        told = [read_all(client)[:12] for client in clients[50:]]
        assert told == [b"HTTP/1.1 503"] * 10
    finally:
        for client in clients:
            client.close()
    assert wait_until(lambda: served.send(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200"))
