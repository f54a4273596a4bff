"""A prediction log behind a service: which columns it leaves out, and its beginning and end with the worker's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .log import PredictionLog

if TYPE_CHECKING:
    from ..serving.service import Service


class NoLog(ValueError):
    """Why a log cannot be kept as asked, in one line."""


def checked_folder(path: str) -> Path:
    """Return the folder of a log, made if need be. Raises NoLog where it cannot be written to."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NoLog(f"--log {path}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NoLog(f"--log {path}: cannot be written to")
    return folder


def redacted(columns: Mapping[str, Mapping[str, Any]], asked: str | None) -> list[str]:
    """Return the columns whose values are not logged: those asked for, otherwise the contract's sensitive ones.

    `columns` are those of the contract, as its JSON has them. Raises NoLog for a name that it does not know.
    """
    if asked is None:
        return [name for name, column in columns.items() if column["sensitive"]]
    names = [name for name in asked.split(",") if name]
    strange = [name for name in names if name not in columns]
    if strange:
        raise NoLog(f"--log-redact {', '.join(strange)}: not a column of the contract")
    return names


@contextmanager
def attached(service: Service, folder: Path | None, redact: list[str]) -> Iterator[None]:
    """Log what the service answers, until the end of the body, which writes what is queued."""
    if folder is None:
        yield
        return
    log = PredictionLog(folder, service.version, redact, service.metrics.log)
    service.log = log.append
    try:
        yield
    finally:
        log.close()
