"""Asks GitHub's interface with the token of a job. Needs Python's standard library alone."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any

from stages.shared.errors import InputError

API, JSON = "https://api.github.com", "application/json"
SECONDS = 60


class NotThere(InputError):
    """GitHub answered 404."""


def ask(method: str, path: str, content: Any = None, may_be_missing: bool = False) -> Any:
    """Return GitHub's answer, None where there is no such thing and that is no fault.

    Raises InputError with what it said where it refuses.
    """
    data = None if content is None else json.dumps(content).encode()
    try:
        return _send(method, os.environ.get("GITHUB_API_URL", API) + path, path, data, JSON, SECONDS)
    except NotThere:
        if may_be_missing:
            return None
        raise


def upload(address: str, content: bytes) -> Any:
    """Send a file to an address that GitHub gave; return its answer. Raises InputError likewise."""
    return _send("POST", address, address, content, "application/octet-stream", 60 * SECONDS)


def given(name: str) -> str:
    """Return a variable of the job. Raises InputError where it is not set."""
    if not os.environ.get(name):
        raise InputError(f"{name} is not set: this runs in a job of GitHub Actions")
    return os.environ[name]


def _send(method: str, address: str, told: str, data: bytes | None, kind: str, seconds: float) -> Any:
    headers = {
        "Authorization": f"Bearer {given('GITHUB_TOKEN')}",
        "Accept": "application/vnd.github+json",
        "Content-Type": kind,
        "X-GitHub-Api-Version": "2022-11-28",
    }
    request = urllib.request.Request(address, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        kind_of_fault = NotThere if error.code == 404 else InputError
        raise kind_of_fault(f"{method} {told}: {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise InputError(f"{method} {told}: {error.reason}") from None
