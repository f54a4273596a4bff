"""Counts the records of a plain CSV by a route of its own, and knows on which line each of them begins.

The reader of tables is DuckDB; what it read must add up to what is counted here. The first count looks at line ends
and quotes only (a line end is a record's when an even number of quotes stands before it): NumPy does 1 GB in a second.
Where it disagrees with the reader, Python's csv module counts again, 1 million records in some two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.shared.progress import Progress
from stages.shared.source import Source, records

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CHUNK = 1 << 20  # fits in a processor's cache


@dataclass
class Layout:
    """Where the records of one file lie. Records are numbered from 0, which is the header where there is one."""

    n_records: int
    breaks: Array  # sorted; the record after which a line stands that begins no record: blank, or within quotes
    blanks: Array  # sorted; those of `breaks` that are blank lines
    n_leading: int = 0  # blank lines before the first record
    longest: int = 0  # bytes of the longest record, at least
    is_mixed: bool = False  # lines end now in one way, now in another
    is_open: bool = False  # a quote is opened and never closed

    def line(self, record: Array) -> Array:
        """Return the line, from 1, on which each of `record` begins."""
        import numpy as np

        return record + 1 + np.searchsorted(self.breaks, record, "left")

    def record(self, line: Array) -> Array:
        """Return the record of each of the reader's line numbers: it counts records and blank lines, from 1."""
        import numpy as np

        blank_lines = self.blanks + 2 + np.arange(len(self.blanks))
        return line - 1 - np.searchsorted(blank_lines, line)


def scan(path: Path, quote: str, keeps_blank: bool) -> Layout:
    """Return the layout of a plain file by its line ends and quotes; `keeps_blank`: a blank line is a record."""
    import numpy as np

    scanner = _Scanner(quote, keeps_blank)
    progress = Progress("count records", "MB", path.stat().st_size >> 20)
    for chunk in _chunks(path):
        scanner.add(np.frombuffer(chunk, np.uint8))
        progress.update(scanner.size >> 20)
    progress.close()
    return scanner.finish()


def count_strictly(path: Path, source: Source, keeps_blank: bool) -> Layout:
    """Return the layout by Python's csv module. Raises InputError naming the line where it cannot go on."""
    import numpy as np

    breaks: list[int] = []
    blanks: list[int] = []
    number = line = 0
    for number, (last, _fields) in enumerate(records(path, source, keeps_blank=keeps_blank), start=1):
        skipped = _blank_before(last, line, _fields)
        blanks += [number - 2] * skipped
        breaks += [number - 2] * skipped + [number - 1] * (last - line - 1 - skipped)
        line = last
    return Layout(number, np.array(sorted(breaks), np.int64), np.array(blanks, np.int64), blanks.count(-1))


def _blank_before(last: int, line: int, fields: list[str]) -> int:
    """Return how many lines before a record are blank: those its fields' own line ends do not account for."""
    inside = sum(field.count("\n") + field.replace("\r\n", "").count("\r") for field in fields)
    return max(0, last - line - 1 - inside)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            while chunk.endswith(b"\r") and (more := file.read(1)):  # never between the two bytes of a line end
                chunk += more
            yield chunk


class _Scanner:
    """Goes through a file chunk by chunk; what it holds is the state between two chunks and what was found."""

    def __init__(self, quote: str, keeps_blank: bool) -> None:
        self.quote = ord(quote) if quote and quote.isascii() else None
        self.keeps_blank = keeps_blank
        self.n_records = self.n_leading = self.longest = 0
        self.parity = 0  # of the quotes so far
        self.size = 0  # bytes so far
        self.end = -1  # where the last line ended that was not within quotes
        self.kinds: set[int] = set()  # 0 line feed, 1 carriage return and line feed, 2 carriage return
        self.breaks: list[Array] = []
        self.blanks: list[Array] = []

    def add(self, text: Array) -> None:
        """Take the next chunk."""
        import numpy as np

        ends, kind = _line_ends(text)
        parity = self._parities(text, ends)
        is_outside = parity == 0
        outside = ends[is_outside] + self.size
        length = np.diff(outside, prepend=self.end) - 1
        kinds = kind[is_outside]
        is_blank = (length - (kinds == 1) == 0) & (not self.keeps_blank)
        is_record = np.zeros(len(ends), bool)
        is_record[is_outside] = ~is_blank
        number = self.n_records + np.cumsum(is_record)  # of the record that is next after each line end
        blanks = number[is_outside][is_blank] - 1
        inside = number[~is_outside]
        self.breaks.append(np.sort(np.concatenate((blanks, inside))))
        self.blanks.append(blanks)
        self.kinds.update(np.unique(kinds).tolist())
        if len(outside):
            self.n_records = int(number[-1])
            self.longest = max(self.longest, int(length.max()))
            self.end = int(outside[-1])
        self.size += len(text)

    def _parities(self, text: Array, ends: Array) -> Array:
        """Return of each line end whether an odd number of quotes stands before it, in the whole file."""
        import numpy as np

        if self.quote is None:
            return np.zeros(len(ends), np.uint8)
        is_quote = (text == self.quote).view(np.uint8)
        starts = np.concatenate((np.zeros(1, np.int64), ends))
        running = np.bitwise_xor.accumulate(np.bitwise_xor.reduceat(is_quote, starts)) ^ self.parity
        self.parity = int(running[-1])
        return running[:-1]

    def finish(self) -> Layout:
        """Return the layout; what stands after the last line end is a record too."""
        import numpy as np

        if self.size - 1 > self.end:
            self.n_records += 1
        breaks, blanks = (np.concatenate([np.empty(0, np.int64), *found]) for found in (self.breaks, self.blanks))
        return Layout(
            self.n_records, breaks, blanks, int((blanks == -1).sum()), max(self.longest, self.size - self.end),
            is_mixed=len(self.kinds) > 1, is_open=bool(self.parity),
        )  # fmt: skip


def _line_ends(text: Array) -> tuple[Array, Array]:
    """Return where lines end (the last byte of each end) and of which kind each end is."""
    import numpy as np

    feeds = np.flatnonzero(text == 10)
    returns = np.flatnonzero(text == 13)
    if not len(returns):
        return feeds, np.zeros(len(feeds), np.int8)
    is_pair = np.zeros(len(feeds), bool)
    is_pair[feeds > 0] = text[feeds[feeds > 0] - 1] == 13
    follower = np.minimum(returns + 1, len(text) - 1)
    alone = returns[(text[follower] != 10) | (returns + 1 >= len(text))]
    ends = np.concatenate((feeds, alone))
    order = np.argsort(ends, kind="stable")
    kinds = np.concatenate((is_pair.astype(np.int8), np.full(len(alone), 2, np.int8)))
    return ends[order], kinds[order]
