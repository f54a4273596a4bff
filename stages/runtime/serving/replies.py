"""What goes back over HTTP: answers and refusals, each with the model's version and the request's id.

No refusal holds a value that a client sent: it names columns, rules and what the contract declares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from ..contract import Contract, Violation
from .told import nearest, told

JSON = b"application/json"
MOST_TOLD = 1000  # violations in one refusal; their number is told whole
STATUSES = {status: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
NAME_LENGTH = 64  # of an unknown column that is still named in a refusal
Wrap = Callable[[dict[str, Any]], dict[str, Any]]
encode = msgspec.json.Encoder().encode

# The reasons of the transport, with status and what is told; the reason `contract` comes with violations (422).
REASONS: dict[str, tuple[int, str]] = {
    "http": (400, "The request should be HTTP/1.1."),
    "json": (400, "The body should be JSON (RFC 8259), in UTF-8 without a byte order mark."),
    "empty": (400, "The body should not be empty."),
    "number": (400, "A number should fit in a double; NaN and Infinity are not JSON."),
    "utf8": (400, "The body should be UTF-8."),
    "nesting": (400, "Values should not be nested so deep."),
    "duplicate_key": (400, "A key should stand once in an object."),
    "unauthorized": (401, "An API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY."),
    "not_found": (404, "There is nothing under this path."),
    "method": (405, "The path does not take this method; see Allow."),
    "timeout": (408, "The request came too slowly."),
    "too_large": (413, "The body should be smaller."),
    "too_many_rows": (413, "One request should have fewer records."),
    "too_many_values": (413, "One request should have fewer values, lists and objects."),
    "media_type": (415, "The body should be sent as a Content-Type that the path takes: application/json."),
    "encoding": (415, "The body should be sent without Content-Encoding."),
    "protocol": (400, "The body should have the form of the protocol that the path speaks."),
    "contract": (422, "The request breaks the contract."),
    "headers": (431, "The headers should be fewer and shorter."),
    "internal": (500, "The service failed; its own log says why, under this request_id."),
    "busy": (503, "Too many requests at once; ask again."),
    "slow": (503, "The answer would take too long; ask for fewer records."),
    "stopping": (503, "The service is stopping."),
}


@dataclass(slots=True)
class Reply:
    """One answer: what is told, and what of it counts: reasons as ((reason, column), how often)."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: bytes = b""
    closes: bool = False
    reasons: tuple[tuple[tuple[str, str], int], ...] = ()
    n_rows: int = 0

    def head(self, common: bytes, request_id: str, keeps: bool) -> bytes:
        """Return the bytes before the body."""
        return b"%scontent-type: %s\r\ncontent-length: %d\r\nx-request-id: %s\r\n%s%s%s\r\n" % (
            STATUSES[HTTPStatus(self.status)] if self.status != 200 else b"HTTP/1.1 200 OK\r\n",
            self.kind,
            len(self.body),
            request_id.encode(),
            common,
            self.headers,
            b"" if keeps else b"connection: close\r\n",
        )


class Refused(Exception):
    """A request that is not answered, by its reason; `violations` are (row or None, violation) of the contract.

    Kept are those that are told; all are counted here, so on the thread that found a million of them.
    """

    def __init__(
        self, reason: str, violations: Iterable[tuple[int | None, Violation]] = (), row: int | None = None
    ) -> None:
        super().__init__(reason)
        found = list(violations)
        self.reason, self.violations, self.row, self.n_violations = reason, found[:MOST_TOLD], row, len(found)
        self.counts = Counter((each.rule, "" if each.rule == "unknown" else each.column) for _, each in found)


def refusal(error: Refused, contract: Contract, version: str, request_id: str, wrap: Wrap | None = None) -> Reply:
    """Return the reply to a refused request: reason, message and, of a broken contract, all violations.

    `wrap` gives, from all that, what else the body holds in the words of another protocol.
    """
    status, message = REASONS[error.reason]
    content: dict[str, Any] = {"reason": error.reason, "message": message}
    if error.row is not None:
        content["row"] = error.row
    if error.violations:
        near = nearest(contract, [violation.column for _, violation in error.violations if violation.rule == "unknown"])
        content["violations"] = [_violation(row, violation, contract, near) for row, violation in error.violations]
        content["n_violations"] = error.n_violations
    reasons = tuple(error.counts.items()) if error.reason == "contract" else ()
    return Reply(
        status,
        encode({**content, **(wrap(content) if wrap else {}), "version": version, "request_id": request_id}),
        headers=b"retry-after: 1\r\n" if status == 503 else b"",
        closes=error.reason in CLOSING,
        reasons=reasons or (((error.reason, ""), 1),),
    )


CLOSING = ("http", "timeout", "too_large", "headers", "stopping")


def _violation(row: int | None, violation: Violation, contract: Contract, near: Mapping[str, str]) -> dict[str, Any]:
    where = {} if row is None else {"row": row}
    return {
        **where,
        "column": _column(violation, contract),
        "rule": violation.rule,
        "message": told(contract, violation, near),
    }


def _column(violation: Violation, contract: Contract) -> str | None:
    """Return the column's name; of one that the contract does not know, only what could be a name."""
    name = violation.column
    if name in contract.columns or violation.rule in ("check", "transformer"):
        return name
    if not name:
        return None
    return name if len(name) <= NAME_LENGTH and name.isprintable() else None
