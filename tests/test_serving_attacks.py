"""What hand-written clients do that no library would: the service stays whole, and so does its log."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT
from made_model import RECORDS, SERVE, made_contract, make_model, serving_made

from stages.runtime.contract import Column, Violation
from stages.runtime.serving.replies import Refused, refusal
from stages.runtime.serving.told import MOST_NEAR, nearest

RECORD = json.dumps(RECORDS[1]).encode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    folder = tmp_path_factory.mktemp("model")
    make_model(folder, "multiclass")
    with serving_made(folder) as address:
        host, port = address.removeprefix("http://").split(":")
        yield host, int(port)


def post(body: bytes, *headers: str, first: str = "POST /predict HTTP/1.1") -> bytes:
    lines = [first, "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def rows(number: int) -> bytes:
    return b"[" + b",".join([RECORD] * number) + b"]"


def exchange(place: tuple[str, int], data: bytes, ends: bool = False, seconds: float = 5.0) -> bytes:
    """Send bytes and, if `ends`, no more; return all until the server closes. Raises TimeoutError if it does not."""
    with closing(socket.create_connection(place, timeout=seconds)) as client:
        client.sendall(data)
        if ends:
            client.shutdown(socket.SHUT_WR)
        parts = []
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


def in_flight(place: tuple[str, int]) -> float:
    told = exchange(place, b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").decode()
    [line] = [line for line in told.splitlines() if line.startswith("model_requests_in_flight ")]
    return float(line.split()[1])


def test_requests_behind_a_refusal_that_closes_are_not_at_work_for_ever(place: tuple[str, int]) -> None:
    """128 of them made the service tell everybody that it is busy, until it was started again."""
    flood = "".join(f"X{number}: y\r\n" for number in range(120))
    refused = f"GET /health HTTP/1.1\r\n{flood}\r\n".encode()
    for _ in range(10):
        told = exchange(place, post(rows(100)) + refused + post(RECORD) * 20)
        assert told.count(b"HTTP/1.1 200 ") == 1
        assert told.count(b"HTTP/1.1 431 ") == 1
    assert in_flight(place) == 0
    assert exchange(place, post(RECORD, "Connection: close")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("n_requests", [1, 3])
def test_a_client_that_sends_no_more_is_answered_and_let_go(place: tuple[str, int], n_requests: int) -> None:
    told = exchange(place, post(rows(300)) * n_requests, ends=True)
    assert told.count(b"HTTP/1.1 200 ") == n_requests


def test_thousands_of_requests_in_a_row_keep_nobody_waiting(place: tuple[str, int]) -> None:
    """All that had come with them were answered before anybody else was."""
    n_asked, n_answered, begun = 3000, 0, threading.Event()

    def read(client: socket.socket) -> None:
        nonlocal n_answered
        while n_answered < n_asked:
            n_answered += client.recv(1 << 20).count(b"HTTP/1.1 200 OK")
            begun.set()

    with closing(socket.create_connection(place, timeout=60)) as client:
        thread = threading.Thread(target=read, args=(client,), daemon=True)
        thread.start()
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * n_asked)
        assert begun.wait(30)
        assert exchange(place, b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", seconds=60).startswith(
            b"HTTP/1.1 200"
        )
        assert n_answered < n_asked / 2
        thread.join(60)
    assert n_answered == n_asked


def test_a_client_that_asks_ahead_takes_nobody_s_place(place: tuple[str, int]) -> None:
    """Requests that came together were all at work, 128 of them all that may be, and the others told to come back."""
    told = exchange(place, post(b"[]") * 200 + post(RECORD, "Connection: close"), seconds=60)
    assert told.count(b"HTTP/1.1 200 ") == 201
    assert in_flight(place) == 0


@pytest.mark.parametrize(
    "head",
    ["GET /health HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
     "GET /health HTTP/1.1\r\nConnection: Upgrade, Close\r\nUpgrade: h2c\r\n\r\n"],
)  # fmt: skip
def test_a_declined_upgrade_leaves_the_connection_to_end_as_asked(place: tuple[str, int], head: str) -> None:
    told = exchange(place, head.encode())
    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in told


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (post(RECORD, "Expect: 100-Continue", "Connection: close"), [b"100", b"200"]),
        (post(RECORD, "Expect: something", "Connection: close"), [b"200"]),
        (post(RECORD, "Expect: 100-continue", first="POST /predict HTTP/1.0"), [b"200"]),
        (
            b"POST /predict HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\n\r\nGET /health HTTP/1.1\r\n\r\n",
            [b"400"],
        ),
    ],
)
def test_http_1_0_gets_neither_an_interim_answer_nor_chunks(
    place: tuple[str, int], data: bytes, statuses: list[bytes]
) -> None:
    told = exchange(place, data)
    assert [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]] == statuses


def test_a_hundred_thousand_strange_columns_are_counted(place: tuple[str, int]) -> None:
    strange = b"{" + b",".join(b'"%x":0' % number for number in range(100_000)) + b"}"
    told = exchange(place, post(strange, "Connection: close"), seconds=30)
    body = json.loads(told.partition(b"\r\n\r\n")[2])
    assert (body["reason"], len(body["violations"])) == ("contract", 1000)
    assert body["n_violations"] >= 100_000
    told = exchange(place, b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b'model_refusals_total{reason="unknown",column=""} 100000\n' in told


def test_a_refusal_keeps_what_it_tells_and_suggests_few_columns() -> None:
    """A million violations were sorted, counted and freed while every other client waited: for seconds."""
    found = [(None, Violation(f"size{number}", "unknown", None)) for number in range(5000)]
    error = Refused("contract", [*found, (None, Violation("size", "max", None))])
    assert error.violations == found[:1000]
    assert (error.n_violations, error.counts) == (5001, {("unknown", ""): 5000, ("max", "size"): 1})
    body = json.loads(refusal(error, made_contract("regression"), "1", "id").body)
    near = [each["message"] for each in body["violations"] if "did you mean 'size'?" in each["message"]]
    assert (len(near), len(body["violations"]), body["n_violations"]) == (MOST_NEAR, 1000, 5001)


def test_names_are_compared_with_few_columns_of_a_wide_contract() -> None:
    """Twenty names beside 500 columns took 270 ms of everybody's time, in a request of a kilobyte."""
    columns = {f"size {number}": Column("number") for number in range(100)}
    contract = dataclasses.replace(made_contract("regression"), columns=columns)
    near = nearest(contract, [f"sise {number}" for number in range(20)])
    assert near == {f"sise {number}": f"; did you mean 'size {number}'?" for number in range(3)}


def test_a_second_stop_while_the_log_is_written_ends_nothing_early(tmp_path: Path) -> None:
    make_model(tmp_path, "regression")
    again = "import os, signal\nfor n in (signal.SIGTERM, signal.SIGINT): os.kill(os.getpid(), n)\nprint('closed')"
    command = [sys.executable, "-c", SERVE + again, str(tmp_path)]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http")
        process.terminate()
        assert process.stdout.read() == "closed\n"
    assert process.returncode == 0
