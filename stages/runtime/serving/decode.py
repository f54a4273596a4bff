"""JSON as strictly as RFC 8259 allows: what two readers could understand differently is refused.

msgspec refuses NaN, Infinity, numbers beyond a double, byte order marks and trailing text, but of two equal keys it
keeps the last, silently: those are found here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec

from .replies import Refused

DEEPEST = 32  # levels of values within a value
_any = msgspec.json.Decoder().decode
_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode


def document(body: bytes | bytearray | memoryview) -> Any:
    """Return the value of a whole JSON text. Raises Refused with the reason."""
    try:
        value = _any(body)
    except UnicodeDecodeError:
        raise Refused("utf8") from None
    except RecursionError:
        raise Refused("nesting") from None
    except msgspec.ValidationError:  # the only one without a type to hold the value against
        raise Refused("number") from None
    except msgspec.DecodeError:
        raise Refused("json" if len(body) else "empty") from None
    if not _is_plainly_unique(body, value):
        _look_closely(body)
    return value


def flat(texts: Sequence[msgspec.Raw]) -> list[dict[str, Any]] | None:
    """Return the objects that JSON texts are, all read at once; None where `document` has to look at each.

    That is where one is no JSON, no flat object, has a backslash, or may have a key twice: see `_is_plainly_unique`.
    """
    body = b"[%s]" % b",".join(texts)
    if b"\\" in body:
        return None
    try:
        values = _any(body)
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError):  # `document` says whose fault it is
        return None
    if len(values) != len(texts) or set(map(type, values)) != {dict}:
        return None
    kinds = list(map(type, chain.from_iterable(map(dict.values, values))))
    if dict in kinds or list in kinds or body.count(b'"') != 2 * (len(kinds) + kinds.count(str)):
        return None
    return values  # type: ignore[no-any-return]


def rows(body: bytes | bytearray) -> list[msgspec.Raw]:
    """Return the elements of a JSON list, each to be read by `document`: six times as fast as reading them."""
    try:
        return _rows(body)
    except UnicodeDecodeError:
        raise Refused("utf8") from None
    except RecursionError:
        raise Refused("nesting") from None
    except msgspec.DecodeError:
        raise Refused("json") from None


def is_list(body: bytes | bytearray) -> bool:
    """Return whether the first character of a JSON text opens a list."""
    return body.startswith(b"[") or body[:64].lstrip(b" \t\r\n").startswith(b"[")


def _is_plainly_unique(body: bytes | bytearray | memoryview, value: Any) -> bool:
    """Return True where a flat object can have no key twice; False means: look closely.

    Without a backslash every quotation mark begins or ends a key or a text, so a key more than the object has shows in
    their number. A microsecond a record, where reading it again would take twelve.
    """
    if type(value) is not dict:
        return type(value) is not list
    text = bytes(body)
    kinds = list(map(type, value.values()))
    if b"\\" in text or dict in kinds or list in kinds:
        return False
    return text.count(b'"') == 2 * (len(value) + kinds.count(str))


def _look_closely(body: bytes | bytearray | memoryview) -> None:
    """Raise Refused for an object, however deep, that has a key twice, and for depth."""
    try:
        whole = json.loads(bytes(body), object_pairs_hook=_unique, parse_int=len, parse_float=len)
    except RecursionError:
        raise Refused("nesting") from None
    if _depth(whole) > DEEPEST:
        raise Refused("nesting")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused("duplicate_key")
    return found


def _depth(value: Any) -> int:
    """Return how many levels of lists and objects a value has; level by level, since recursion has a limit itself."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth
