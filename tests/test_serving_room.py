"""Clients that ask for much and do not read: what they leave unread is bounded, and single records are answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from conftest import ROOT
from made_model import SERVE, make_model
from served import wait_until

from stages.runtime.serving.replies import Refused
from stages.runtime.serving.room import TURN_BYTES, TURNS, Room
from stages.runtime.serving.settings import Limits

UNREAD = 2_000_000
N_ROWS = 5000  # answered with half a megabyte
ROW = {"size": 40, "sold": False, "colour": "1"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    folder = tmp_path_factory.mktemp("model")
    make_model(folder, "multiclass")
    code = SERVE.replace("Limits()", f"Limits(unread_bytes={UNREAD})")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], text=True, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        host, port = process.stdout.readline().strip().removeprefix("http://").split(":")
        yield host, int(port)
        process.terminate()
    assert process.returncode == 0


def post(path: str, content: object, ends: bool) -> bytes:
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n" * ends + "\r\n").encode() + body


def asked(place: tuple[str, int], path: str, n_rows: int) -> tuple[bytes, bytes]:
    """Return head and body of the reply to some rows."""
    rows = [ROW] * n_rows
    with closing(socket.create_connection(place, timeout=60)) as client:
        client.sendall(post(path, {"dataframe_records": rows} if path == "/invocations" else rows, ends=True))
        parts = []
        while part := client.recv(65536):
            parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return head, body


def idle(place: tuple[str, int]) -> socket.socket:
    """Return a connection that has asked for a dozen large replies, and reads none."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(place)
    client.settimeout(0.2)
    with contextlib.suppress(TimeoutError):  # the service does not read what it cannot answer
        for _ in range(12):
            client.sendall(post("/predict", [ROW] * N_ROWS, ends=False))
    return client


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_lists_are_refused_while_others_do_not_read_theirs(place: tuple[str, int], path: str) -> None:
    with ExitStack() as opened:
        for _ in range(6):
            opened.enter_context(closing(idle(place)))
        assert wait_until(lambda: asked(place, path, 20)[0].startswith(b"HTTP/1.1 503 "), 60)
        head, body = asked(place, path, 20)
        assert b"\r\nretry-after: 1\r\n" in head
        assert json.loads(body)["reason"] == "busy"
        assert asked(place, path, 1)[0].startswith(b"HTTP/1.1 200 ")
    assert wait_until(lambda: asked(place, path, 20)[0].startswith(b"HTTP/1.1 200 "), 60)


def test_long_requests_take_turns_and_none_waits_for_ever() -> None:
    room = Room(Limits(seconds=0.2))
    begun: list[int] = []
    stop = asyncio.Event()

    async def answer(number: int) -> int:
        begun.append(number)
        await stop.wait()
        return number

    async def ask() -> list[object]:
        asked = [asyncio.create_task(room.in_turn(answer(each), TURN_BYTES + 1)) for each in range(TURNS + 2)]
        await asyncio.sleep(0.01)
        asked[-1].cancel()  # its client is gone
        short = asyncio.create_task(room.in_turn(answer(100), TURN_BYTES))
        await asyncio.sleep(0.01)
        assert begun == [*range(TURNS), 100]
        with pytest.raises(Refused, match="busy"):
            await asked[TURNS]
        stop.set()
        found = await asyncio.gather(*asked[:TURNS], short)
        return [*found, await room.in_turn(answer(7), TURN_BYTES + 1)]

    assert asyncio.run(ask()) == [*range(TURNS), 100, 7]


class Written:
    """A transport of which a part is not sent."""

    def __init__(self) -> None:
        self.n_unsent = 1

    def get_write_buffer_size(self) -> int:
        return self.n_unsent


def test_a_reply_counts_whole_until_its_last_byte_is_sent_or_its_client_is_gone() -> None:
    room = Room(Limits(unread_bytes=300_000))
    first, second = Written(), Written()
    for transport in (first, first, second):
        room.ensure(10)
        room.wrote(transport, 100_000)  # type: ignore[arg-type]
    room.wrote(Written(), 1000)  # type: ignore[arg-type]
    room.ensure(10)
    room.wrote(second, 100_000)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="busy"):
        room.ensure(10)
    room.ensure(1)
    room.left(second)  # type: ignore[arg-type]
    room.ensure(10)
    room.wrote(second, 200_000)  # type: ignore[arg-type]
    first.n_unsent = 0
    room.ensure(10)
    assert list(room.unread) == [second]
