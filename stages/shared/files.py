"""Writes outputs whole or not at all: a stage fills a hidden folder, which then takes the place of the last one."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError


@contextmanager
def replacing(*folders: Path) -> Iterator[list[Path]]:
    """Yield an empty folder to fill for each of `folders`; on success they change places, on failure nothing does.

    A process killed while filling leaves the last good outputs and a `.NAME.new` that the next run removes. One
    killed between the two renames leaves `.NAME.old`, which the next run puts back.
    """
    drafts = [folder.with_name(f".{folder.name}.new") for folder in folders]
    for folder, draft in zip(folders, drafts, strict=True):
        _recover(folder)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    try:
        yield drafts
        for folder, draft in zip(folders, drafts, strict=True):
            last = _last(folder)
            if folder.exists():
                folder.rename(last)
            draft.rename(folder)
            shutil.rmtree(last, ignore_errors=True)
    finally:
        for draft in drafts:
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside `folder` that is gone afterwards, or when the next run begins."""
    own = folder.with_name(f".{folder.name}.scratch")
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _last(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _recover(folder: Path) -> None:
    last = _last(folder)
    if last.exists() and not folder.exists():
        last.rename(folder)
    shutil.rmtree(last, ignore_errors=True)


def json_bytes(content: Any) -> bytes:
    """Return JSON of fixed bytes: sorted keys, a final newline; refuses NaN, which JSON has no word for."""
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_json(path: Path, content: Any) -> None:
    """Write `json_bytes` of `content`."""
    path.write_bytes(json_bytes(content))


def read_json(path: Path) -> Any:
    """Return what `write_json` wrote. Raises InputError where an earlier stage's output is absent or damaged."""
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise InputError(f"{path}: damaged: {error}; `dvc checkout` brings the last good one back") from None


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV that an earlier stage wrote, by its header. Raises InputError where it is absent."""
    return list(csv.DictReader(io.StringIO(_read(path))))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `dvc repro` makes it") from None
