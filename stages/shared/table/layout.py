"""Counts the records of a plain CSV by a route of its own, and knows on which line each of them begins.

The reader of tables is DuckDB; what it read must add up to what is counted here. The first count looks at line ends
and quotes only (a line end is a record's when an even number of quotes stands before it): NumPy does 1 GB in a second.
That holds while every quote opens or closes a field. Where one does not, `lines_of` goes through the file line by line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.runtime.quotes import Quotes
from stages.shared.errors import InputError
from stages.shared.progress import Progress
from stages.shared.table.source import Source

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CHUNK = 1 << 20  # fits in a processor's cache
ENDS = (r"\n", r"\r\n", r"\r")
MARK = b"\xef\xbb\xbf"  # a byte order mark of UTF-8


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
    end: str = r"\n"  # of lines outside quotes, as the reader names it, unless mixed
    has_strays: bool = False  # a quote neither opens nor closes a field: what was counted may be wrong

    def line(self, record: Array) -> Array:
        """Return the line, from 1, on which each of `record` begins."""
        import numpy as np

        return record + 1 + np.searchsorted(self.breaks, record, "left")

    def record(self, line: Array) -> Array:
        """Return the record of each of the reader's line numbers: it counts records and blank lines, from 1."""
        import numpy as np

        blank_lines = self.blanks + 2 + np.arange(len(self.blanks))
        return line - 1 - np.searchsorted(blank_lines, line)


def scan(path: Path, quote: str, keeps_blank: bool, delimiter: str = ",", escape: str = "") -> Layout:
    """Return the layout of a plain file by its line ends and quotes; `keeps_blank`: a blank line is a record."""
    import numpy as np

    scanner = _Scanner(quote, keeps_blank, delimiter, escape)
    progress = Progress("count records", "MB", path.stat().st_size >> 20)
    for chunk in _chunks(path):
        scanner.add(np.frombuffer(chunk, np.uint8))
        progress.update(scanner.size >> 20)
    progress.close()
    return scanner.finish()


def count_strictly(path: Path, source: Source, keeps_blank: bool) -> Layout:
    """Return the layout by a look at every line. Raises InputError naming the line of a quote that is never closed."""
    import numpy as np

    breaks: list[int] = []
    blanks: list[int] = []
    n_records = longest = size = begun = 0
    is_quoted = is_inside = False
    for n_lines, (line, is_quoted) in enumerate(lines_of(path, source), start=1):
        size = size + len(line) if is_inside else len(line)
        longest = max(longest, size)
        if is_inside:
            breaks.append(n_records - 1)
        elif keeps_blank or line.rstrip("\r\n"):
            n_records, begun = n_records + 1, n_lines
        else:
            breaks.append(n_records - 1)
            blanks.append(n_records - 1)
        is_inside = is_quoted
    if is_quoted:
        what = "a quote is opened and never closed (source.quote, source.delimiter)"
        raise InputError(f"{source.path}, record after line {begun - 1}: {what}")
    return Layout(n_records, np.array(breaks, np.int64), np.array(blanks, np.int64), blanks.count(-1), longest)


def lines_of(path: Path, source: Source) -> Iterator[tuple[str, bool]]:
    """Yield each line of a plain CSV with its end, a character a byte, and whether the next is within its quotes."""
    quotes = Quotes(source.quote, source.delimiter, source.escape)
    is_quoted = False
    with path.open(encoding="latin-1", newline="") as text:
        text.seek(_skipped(path))
        for line in text:
            is_quoted = quotes.goes_on(line, is_quoted)
            yield line, is_quoted


def _skipped(path: Path) -> int:
    """Return the number of bytes before the first character: those of a byte order mark."""
    with path.open("rb") as file:
        return len(MARK) if file.read(len(MARK)) == MARK else 0


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(_skipped(path))
        while chunk := file.read(CHUNK):
            if chunk.endswith(b"\r") and file.peek(1)[:1] == b"\n":  # never between the two bytes of a line end
                chunk += file.read(1)
            yield chunk


class _Scanner:
    """Goes through a file chunk by chunk; what it holds is the state between two chunks and what was found."""

    def __init__(self, quote: str, keeps_blank: bool, delimiter: str, escape: str) -> None:
        import numpy as np

        self.quote = ord(quote) if quote else None
        self.keeps_blank = keeps_blank
        self.is_edge = np.zeros(256, bool)  # what may stand beside a field's quotes
        self.is_edge[[*f"\r\n{quote}".encode(), delimiter.encode()[0], delimiter.encode()[-1]]] = True
        self.escape = ord(escape) if escape else None
        self.has_strays = False
        self.last = 10  # byte before the next chunk
        self.n_records = self.n_leading = self.longest = 0
        self.parity = 0  # of the quotes so far
        self.size = 0  # bytes so far
        self.end = -1  # where the last line ended that was not within quotes
        self.kinds: set[int] = set()  # places in ENDS
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
        if not self.has_strays:
            self._look_for_strays(text, np.flatnonzero(is_quote))
        starts = np.concatenate((np.zeros(1, np.int64), ends))
        running = np.bitwise_xor.accumulate(np.bitwise_xor.reduceat(is_quote, starts)) ^ self.parity
        self.parity = int(running[-1])
        return running[:-1]

    def _look_for_strays(self, text: Array, quotes: Array) -> None:
        """Note whether a quote opens after, or closes before, something else than a delimiter or a line end."""
        import numpy as np

        opening, closing = quotes[self.parity :: 2], quotes[1 - self.parity :: 2]
        around = np.concatenate((np.array([self.last], np.uint8), text))  # a place further on than in `text`
        is_edge = (
            self.is_edge[around[opening]].all() and self.is_edge[around[closing[closing + 1 < len(text)] + 2]].all()
        )
        if self.last == self.quote and not self.parity:  # the last chunk ended with a closing one
            is_edge &= self.is_edge[text[0]]
        is_escaped = self.escape is not None and (around[quotes] == self.escape).any()
        self.has_strays |= bool(is_escaped or not is_edge)
        self.last = int(text[-1])

    def finish(self) -> Layout:
        """Return the layout; what stands after the last line end is a record too."""
        import numpy as np

        if self.size - 1 > self.end:
            self.n_records += 1
        breaks, blanks = (np.concatenate([np.empty(0, np.int64), *found]) for found in (self.breaks, self.blanks))
        end = ENDS[min(self.kinds, default=0)]
        return Layout(
            self.n_records, breaks, blanks, int((blanks == -1).sum()), max(self.longest, self.size - self.end),
            is_mixed=len(self.kinds) > 1, is_open=bool(self.parity), has_strays=self.has_strays, end=end,
        )  # fmt: skip


def _line_ends(text: Array) -> tuple[Array, Array]:
    """Return where lines end (the last byte of each end) and of which kind (place in ENDS) each end is."""
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
