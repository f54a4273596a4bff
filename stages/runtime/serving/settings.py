"""The limits of the service and their defaults: what `NAME serve --help` shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _limit(default: float, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Limits:
    """What one client may ask for; each is an option of its own, and what exceeds it is refused with its reason."""

    body_bytes: int = _limit(8_000_000, "largest body of a request")
    rows: int = _limit(10_000, "most records in one request")
    lists: int = _limit(150_000, "most lists and objects in one body; values: as many, or rows times columns")
    text_length: int = _limit(10_000, "longest text, in characters")
    unread_bytes: int = _limit(64_000_000, "most bytes of long answers that clients of one worker have not yet read")
    seconds: float = _limit(30.0, "longest time to send a request, and again to answer it")
    concurrent: int = _limit(128, "most requests at work at once in one worker; more are told to come back")
    connections: int = _limit(1024, "most open connections of one worker")
    idle_seconds: float = _limit(60.0, "time after which a connection without requests is closed")
    drain_seconds: float = _limit(30.0, "time to finish requests in when told to stop")


HEAD_BYTES = 32_768  # of request line and headers together
HEADERS = 100
LONG_BYTES = 20_000  # a longer body is read on a thread aside: up to here that takes at most a millisecond or two
LINGER_SECONDS = 5.0  # a refused client may go on sending for so long, lest it never reads why
