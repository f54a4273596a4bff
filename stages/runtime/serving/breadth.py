"""How many values a JSON text has, counted before it is read.

Reading lets no other thread go on: 150,000 lists, or as many keys of one object, take some 40 ms, a million of them
seconds, as the garbage collector walks again and again over what is there. Counting is done chunk by chunk.
"""

from __future__ import annotations

from .replies import Refused

CHUNK = 16_384  # bytes: at most half a millisecond


def check_breadth(body: bytes | bytearray, most_lists: int, most_values: int) -> None:
    """Raise Refused for a JSON text of more lists and objects, or of more values, than that."""
    n_lists, n_commas = _counted(body)  # a few milliseconds for 8 MB; brackets and commas within texts count too
    if n_lists > most_lists or n_commas >= most_values:
        _count_closely(body, most_lists, most_values)


def _count_closely(body: bytes | bytearray, most_lists: int, most_values: int) -> None:
    at = n_lists = n_commas = is_inside = 0
    while at < len(body):
        chunk = body[at : at + CHUNK]
        if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2:  # what is escaped stands in the next chunk
            chunk = body[at : at + CHUNK + 1]
        at += len(chunk)
        parts = chunk.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        found = _counted(b"".join(parts[is_inside::2]))
        is_inside = (is_inside + len(parts) - 1) % 2
        n_lists, n_commas = n_lists + found[0], n_commas + found[1]
        if n_lists > most_lists or n_commas >= most_values:
            raise Refused("too_many_values")


def _counted(text: bytes | bytearray) -> tuple[int, int]:
    """Return the numbers of opening brackets and of commas."""
    return text.count(b"[") + text.count(b"{"), text.count(b",")
