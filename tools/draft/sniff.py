"""Finds out how a CSV file is written: encoding, delimiter, quoting, escape, header.

Every candidate dialect reads the sample; the one whose records agree best in length and whose fields look most like
values wins. Idea: van den Burg, Nazabal & Sutton 2019, "Wrangling messy CSV files by detecting row and type patterns"
(CleverCSV); theirs is a library of its own with two dependencies and says nothing of encodings, headers or escapes.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

HEAD, CHUNK = 1 << 20, 1 << 16  # bytes looked at: the beginning, and pieces further down
BLOCK = 1 << 18
DELIMITERS = {",": 1.0, ";": 1.0, "\t": 1.0, "|": 1.0, "\x01": 1.0, "~": 0.5, "^": 0.5, ":": 0.3, " ": 0.3}  # trust
SAMPLE_RECORDS = 5000
NUMBER = re.compile(r"[-+]?[$€£]?[0-9][0-9.,' ]*([eE][-+]?[0-9]+)?%?|[-+]?\.[0-9]+")
DATE = re.compile(r"[0-9]{1,4}[-/.][0-9A-Za-z]{1,9}[-/.][0-9]{1,4}([T ].*)?|[0-9]{1,2}:[0-9]{2}(:[0-9.]+)?")
BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written, in the words of `source:` in conf/data/NAME.yaml."""

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    header: bool = True


@dataclass
class Sample:
    """What of a file is looked at; all of it was checked for its encoding."""

    head: bytes = b""
    chunks: list[bytes] = None  # type: ignore[assignment]
    encoding: str = "utf-8"
    n_bytes: int = 0


def take_sample(blocks: Iterable[bytes]) -> Sample:
    """Return the beginning of a stream of bytes, pieces at doubling distances after it, and its encoding."""
    sample = Sample(chunks=[])
    decoder, is_utf8, is_cp1252 = codecs.getincrementaldecoder("utf-8")(), True, True
    next_piece = 2 * HEAD
    for block in blocks:
        if len(sample.head) < HEAD:
            sample.head += block
        elif sample.n_bytes >= next_piece:
            sample.chunks.append(block[:CHUNK])
            next_piece *= 2
        sample.n_bytes += len(block)
        is_cp1252 = is_cp1252 and not re.search(rb"[\x81\x8d\x8f\x90\x9d]", block)
        if is_utf8:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                is_utf8 = False
    sample.encoding = _encoding(sample.head, is_utf8, is_cp1252)
    return sample


def _encoding(head: bytes, is_utf8: bool, is_cp1252: bool) -> str:
    """Return the encoding: by byte order mark, by NUL bytes in every other place, else what the whole file allows."""
    for mark, encoding in BOMS.items():
        if head.startswith(mark):
            return encoding
    even, odd = head[:4096:2].count(0), head[1:4096:2].count(0)
    if max(even, odd) > 0.3 * len(head[:4096]) / 2 and min(even, odd) < 0.1 * max(even, odd):
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8" if is_utf8 else "cp1252" if is_cp1252 else "latin-1"


def sniff(sample: Sample, target: str | None = None) -> list[Dialect]:
    """Return the dialects that fit, best first; the target's name helps to tell a header from a record."""
    text = _decode(sample.head, sample.encoding)
    if sample.n_bytes > HEAD:
        text = text[: text.rfind("\n") + 1] or text
    tail = "\n".join(_decode(chunk, sample.encoding) for chunk in sample.chunks)
    scored = []
    for order, (delimiter, quote, escape) in enumerate(_candidates(text, tail)):
        records, n_broken = read_records(text, delimiter, quote, escape)
        score = DELIMITERS[delimiter] * _score(records, n_broken, delimiter)
        scored.append((-score, order, delimiter, quote, escape, records))
    scored.sort(key=lambda entry: entry[:2])
    best = scored[0]
    header = has_header(best[5], target)
    fitting = [entry for entry in scored if entry[2] == best[2]]
    return [Dialect(sample.encoding, delimiter, quote, escape, header) for _, _, delimiter, quote, escape, _ in fitting]


def _decode(content: bytes, encoding: str) -> str:
    return content.decode(encoding, errors="replace").removeprefix("\ufeff")


def _candidates(text: str, tail: str) -> list[tuple[str, str, str]]:
    """Return (delimiter, quote, escape) worth trying, the usual ones first."""
    lines = [line for line in text.splitlines()[:2000] if line.strip()]
    present = [mark for mark in DELIMITERS if sum(mark in line for line in lines) > 0.3 * len(lines)] or [","]
    quotes = ['"']
    if '"' in text or '"' in tail:
        quotes.append("")
    if len(re.findall(r"(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|\n])", text, re.MULTILINE)) > 0.2 * len(lines):
        quotes.append("'")
    escapes = ["", "\\"] if re.search(r"\\[\"']", text + tail) else [""]
    return [(mark, quote, escape) for mark in present for quote in quotes for escape in escapes if quote or not escape]


def read_records(
    text: str, delimiter: str, quote: str, escape: str, limit: int = SAMPLE_RECORDS
) -> tuple[list[list[str]], int]:
    """Return the records of a text that are not blank, and how many break the rules of quoting.

    An escaped character stands as x: the csv module forgets to be strict where it knows an escape.
    """
    csv.field_size_limit(2**31 - 1)
    if escape:
        text = re.sub(re.escape(escape) + ".", "x", text)
    reader = csv.reader(
        text.splitlines(keepends=True),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    records: list[list[str]] = []
    n_broken = 0
    while len(records) + n_broken < limit:
        try:
            records.append(next(reader))
        except csv.Error:
            n_broken += 1
        except StopIteration:
            break
    return [record for record in records if record], n_broken


def _score(records: list[list[str]], n_broken: int, delimiter: str) -> float:
    """Return from 0 to 1 how well records agree in length, times how much their fields look like values."""
    if not records:
        return 0.0
    lengths = Counter(map(len, records))
    length, n_agreeing = lengths.most_common(1)[0]
    if length == 1:
        return 1e-3
    agreement = n_agreeing / (len(records) + 20 * n_broken)  # one broken quote may have swallowed many records
    fields = [field for record in islice(records, 1000) for field in record]
    return agreement**2 * (length - 1) / length * sum(map(_likeness, fields)) / len(fields)


def _likeness(field: str) -> float:
    """Return how much a field looks like one value: numbers, dates and blanks most, what holds separators least."""
    text = field.strip()
    if not text or NUMBER.fullmatch(text) or DATE.fullmatch(text):
        return 1.0
    if any(mark in text for mark in ";\t|\x01"):
        return 0.3
    return 0.5 if text[0] in "\"'" or text[-1] in "\"'" else 0.8


def has_header(records: list[list[str]], target: str | None = None) -> bool:
    """Return whether the first record names the columns, by the votes of the columns; the target's name may decide."""
    if not records:
        return True
    first = [field.strip() for field in records[0]]
    if target is not None and target.strip() in first and not target.strip().isdigit():
        return True
    votes = sum(_vote(name, _column(records[1:], place)) for place, name in enumerate(first))
    if votes:
        return votes > 0
    if target is not None and target.isdigit() and int(target) < len(first):
        return False
    return len(set(first)) == len(first) and all(first) and not any(map(NUMBER.fullmatch, first))


def _column(records: list[list[str]], place: int) -> list[str]:
    return [record[place].strip() for record in records if place < len(record) and record[place].strip()]


def _vote(name: str, values: list[str]) -> int:
    """Return 2 to -2: does a column's first field differ in kind from the others, or is it one of them?"""
    if not name or not values:
        return 0
    is_number, numbers = bool(NUMBER.fullmatch(name)), sum(bool(NUMBER.fullmatch(value)) for value in values)
    if numbers > 0.8 * len(values):
        return -1 if is_number else 2 if re.search(r"[^\W\d_]", name) else 0
    if DATE.fullmatch(name):
        return -2
    n_equal, n_distinct = values.count(name), len(set(values))
    if n_equal > 1 or (n_equal and n_distinct < len(values)):
        return -2
    if is_number or len(name) > 60:
        return -1
    return 1 if n_distinct <= 0.2 * len(values) else 0


def count_fields(sample: Sample, dialect: Dialect) -> tuple[int, int]:
    """Return how many fields the first record has, and how many most have."""
    text = _decode(sample.head, sample.encoding)
    records, _ = read_records(text, dialect.delimiter, dialect.quote, dialect.escape)
    return (len(records[0]), Counter(map(len, records)).most_common(1)[0][0]) if records else (0, 0)
