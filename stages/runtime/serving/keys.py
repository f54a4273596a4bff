"""API keys: from the environment or a file, one a line; not from an argument, which all users of a machine can see."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from pathlib import Path

BEARER = b"bearer "
SHORTEST = 16  # bytes of a key: 16 random letters and digits are 95 bits, which nobody guesses over a network


class NoKey(ValueError):
    """Keys that cannot be read, are none or too short: the service does not start open, or nearly so, by mistake."""


def read_keys(variable: str, file: str | None) -> list[bytes]:
    """Return the keys of a file, or of the environment variable; none where neither is given.

    Several keys let one take over from another. Raises NoKey, which says what is wrong.
    """
    if file is None and variable not in os.environ:
        return []
    source = variable if file is None else file
    try:
        text = os.environ[variable] if file is None else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NoKey(f"{source}: cannot be read ({type(error).__name__})") from None
    keys = [line.strip().encode() for line in text.splitlines() if line.strip()]
    if not keys:
        raise NoKey(f"{source}: holds no key; remove it to serve without one")
    short = [number for number, key in enumerate(keys, 1) if len(key) < SHORTEST]
    if short:
        which = f"key {short[0]} of {len(keys)}" if len(keys) > 1 else "its key"
        length = len(keys[short[0] - 1])
        raise NoKey(f"{source}: {which} should have {SHORTEST} characters or more, got {length}: openssl rand -hex 16")
    return keys


def is_known(keys: list[bytes], headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request carries one of the keys; every key is compared, in constant time."""
    given = headers.get(b"x-api-key", b"")
    authorization = headers.get(b"authorization", b"")
    if not given and authorization[: len(BEARER)].lower() == BEARER:
        given = authorization[len(BEARER) :].strip()
    return sum([hmac.compare_digest(given, key) for key in keys]) > 0
