"""The prediction log: every answer as a line of JSON, written by a thread of its own, so that none waits for a disk.

`append` puts an entry into a queue, microseconds; the thread writes what is there twenty times a second and syncs once
a second. What does not fit into the queue, because the disk is full or slow, is counted, in `count` and, as soon as
something can be written again, in the log itself. Lines are written whole or taken off again.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from .files import mend_all, new_file, note, told

TICK, SYNC, PAUSE = 0.05, 1.0, 0.0003  # seconds: between looks, between syncs, between chunks (answers have their turn)
CHUNK = 100  # records turned into lines at once: a seventh of a millisecond
MOST_RECORDS = 50_000  # in the queue
QUEUE_BYTES = 50_000_000  # of what it holds, as JSON: some five times that in memory
MOST_BYTES, MOST_SECONDS = 64_000_000, 3600.0  # of one file
CLOSED = -1  # no file yet
EXPLAINED = ("base", "contributions")
Entry = Mapping[str, Any]
Line = dict[str, Any]


def _ignore(what: str, amount: int) -> None:
    """Count nothing."""


class PredictionLog:
    """Appends to a folder, a file a process. `count` is called with "written", "lost" or "torn" and how many.

    An entry has `time` (seconds since 1970), `request_id`, `route`, `seconds` (latency), `n_bytes` (of request and
    answer), `records` and `answers`; each record becomes a line. Values of the columns in `redact` are replaced by null
    and their names listed in `redacted`; what `explain` adds to an answer is left out, as it would tell them.
    """

    def __init__(
        self, folder: Path, version: str, redact: Collection[str] = (), count: Callable[[str, int], None] = _ignore
    ) -> None:
        import msgspec

        self.folder, self.version, self.redact, self.count = folder, version, tuple(redact), count
        self._encode = msgspec.json.Encoder().encode_lines
        self._queue: deque[Entry] = deque()
        self._n_in = self._n_out = 0  # records into the queue and out of it: each is one thread's to count
        self._bytes_in = self._bytes_made = self._bytes_out = 0  # likewise; made into lines, though not yet written
        self._n_dropped = self._n_failed = self._n_noted = 0  # those lost, and how many the log itself knows of
        self._making: Iterator[Line] = iter(())  # lines of the entry that is at work
        self._chunk: list[Line] = []  # lines that are to be written next
        self._file, self._size, self._since, self._synced = CLOSED, 0, 0.0, 0.0
        self._is_over = False  # closed, or the thread failed: nothing is written any more
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction log", daemon=True)
        self._thread.start()

    def append(self, entry: Entry) -> None:
        """Queue an entry, or count it as lost where the queue is full or nobody writes; never waits, never raises."""
        n, n_bytes = len(entry["records"]), entry["n_bytes"]
        n_records, n_queued = self._n_in - self._n_out + n, self._bytes_in - self._bytes_out + n_bytes
        if self._is_over or n_records > MOST_RECORDS or n_queued > QUEUE_BYTES:
            self._n_dropped += n
            self.count("lost", n)
            return
        self._n_in += n
        self._bytes_in += n_bytes
        self._queue.append(entry)

    def close(self, seconds: float = 5.0) -> None:
        """Write what is queued, for so long at most, and close the file."""
        self._stop.set()
        self._thread.join(seconds)

    def _open(self) -> bool:
        """Begin a file, and say whether there is one; where the disk has no room, it may have later."""
        try:
            file, self._path = new_file(self.folder)
        except OSError:
            return False
        self._file, self._size, self._since, self._synced = file, 0, time.monotonic(), time.monotonic()
        return True

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # a disk that cannot be written to; whoever comes next mends
            torn = mend_all(self.folder)
            self.count("torn", torn)
        try:
            while not self._stop.wait(TICK):
                self._write()
            self._write()
        finally:  # an error that is ours is told by the thread's end, and by the count of all that is lost with it
            self._is_over = True
            self._fail(self._n_in - self._n_out)
            if self._file != CLOSED:
                self._close_file()

    def _write(self) -> None:
        """Write all there is, chunk by chunk, until the disk refuses."""
        while (self._fill() or self._unnoted()) and self._write_chunk():
            self._care()
            time.sleep(PAUSE)
        self._care()

    def _care(self) -> None:
        """Sync once a second; end a file that is long or old, also where records never cease to come."""
        now = time.monotonic()
        if self._size and now - self._synced > SYNC:
            self._sync()
        if self._size > MOST_BYTES or (self._size and now - self._since > MOST_SECONDS):
            self._close_file()  # what comes next begins another

    def _fill(self) -> bool:
        """Make the lines of the next chunk; return whether there are any."""
        self._chunk += itertools.islice(self._making, CHUNK - len(self._chunk))
        while len(self._chunk) < CHUNK and self._queue:
            self._making = self._lines_of(self._queue.popleft())
            self._chunk += itertools.islice(self._making, CHUNK - len(self._chunk))
        return bool(self._chunk)

    def _unnoted(self) -> int:
        """Return how many lost records the log itself does not know of."""
        return self._n_dropped + self._n_failed - self._n_noted

    def _write_chunk(self) -> bool:
        n_lost, n_lines = self._unnoted(), len(self._chunk)
        if not self._append((note("lost", n_lost) if n_lost else b"") + self._text(self._chunk)):
            return False
        self._chunk = []
        self._n_noted += n_lost
        self._n_out += n_lines
        self._bytes_out = self._bytes_made
        if n_lines:
            self.count("written", n_lines)
        return True

    def _append(self, content: bytes) -> bool:
        """Write it all, or nothing of it; say which."""
        if self._file == CLOSED and not self._open():
            return False
        try:
            is_whole = os.write(self._file, content) == len(content)
        except OSError:
            is_whole = False
        if is_whole:
            self._size += len(content)
        else:
            self._take_back()
        return is_whole

    def _take_back(self) -> None:
        """Leave no part of a line, where the disk lets us; whoever finds the file next takes it off otherwise."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._close_file()  # a line behind half a line would be lost with it: what comes next begins another file

    def _lines_of(self, entry: Entry) -> Iterator[Line]:
        own = {"time": told(entry["time"]), "request_id": entry["request_id"], "version": self.version}
        own |= {"route": entry["route"], "latency_ms": round(entry["seconds"] * 1000, 4)}
        for row, (record, answer) in enumerate(zip(entry["records"], entry["answers"], strict=True)):
            is_plain = answer.keys().isdisjoint(EXPLAINED)
            output = answer if is_plain else {key: part for key, part in answer.items() if key not in EXPLAINED}
            redacted = [name for name in self.redact if record.get(name) is not None]
            if redacted:
                inputs = {**record, **dict.fromkeys(redacted)}
                yield {**own, "row": row, "inputs": inputs, "output": output, "redacted": redacted}
            else:
                yield {**own, "row": row, "inputs": record, "output": output}
        self._bytes_made += entry["n_bytes"]

    def _text(self, lines: list[Line]) -> bytes:
        try:
            return self._encode(lines)
        except OverflowError:  # a whole number of more than 64 bits
            return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def _fail(self, n_records: int) -> None:
        if n_records:
            self._n_failed += n_records
            self.count("lost", n_records)

    def _sync(self) -> None:
        with contextlib.suppress(OSError):  # a disk that is full says so again when it is written to
            os.fsync(self._file)
        self._synced = time.monotonic()

    def _close_file(self) -> None:
        """Sync and close."""
        self._sync()
        os.close(self._file)
        self._file, self._size = CLOSED, 0
