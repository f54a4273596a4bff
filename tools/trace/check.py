"""Holds every number of the cards against the report that it was taken from, by reports/package/sources.json alone.

A card is untrue where a number is missing from the list, differs from its report, or its report lacks it; stale where
a report is not the one that dvc.lock names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.shared.cards.facts import Source, keys_of, prose_of, step, typed_digits
from stages.shared.cards.files import WHEEL
from stages.shared.cards.forms import write
from stages.shared.errors import InputError
from stages.shared.files import read_json, read_table
from stages.shared.lineage import dvc_hash
from tools.diff.cache import outputs

PACKAGED, LOCK = Path("reports/package"), Path("dvc.lock")


def check() -> tuple[int, list[str]]:
    """Return how many numbers were compared, and what is wrong, in the cards' order."""
    sources: dict[str, list[Source]] = read_json(PACKAGED / "sources.json")
    files = _Files()
    faults = []
    for name, listed in sources.items():
        lines = _lines(PACKAGED / name)
        faults += [f"{PACKAGED / name}:{fault}" for source in listed for fault in compare(source, lines, files)]
        faults += [f"{PACKAGED / name}:{fault}" for fault in unlisted(lines, listed)]
    return sum(map(len, sources.values())), faults + stale(files)


class _Files:
    """The files that numbers come from, each read once."""

    def __init__(self) -> None:
        self.read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.read:
            self.read[name] = _content(Path(name))
        return self.read[name]


def _content(path: Path) -> Any:
    if path.suffix == ".csv":
        return read_table(path)
    if path.suffix != ".yaml":
        return read_json(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return _yaml(path)


def _yaml(path: Path) -> Any:
    import yaml

    return yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; `dvc repro` makes it")
    return path.read_text(encoding="utf-8").split("\n")


def compare(source: Source, lines: list[str], files: Any) -> list[str]:
    """Return what is wrong with one number: the card has another one there, or its file has; mostly nothing."""
    line, begin, text = source["line"], source["column"] - 1, source["text"]
    found = lines[line - 1][begin : begin + len(text)] if line <= len(lines) else ""
    if found != text:
        return [f"{line}: should be {text!r} ({source['from']}), got {found!r}"]
    try:
        now = now_written(source, files)
    except InputError as error:
        return [f"{line}: {text!r}: {error}"]
    return [] if now == text else [f"{line}: says {text!r}, {source['from']} says {now!r}"]


def now_written(source: Source, files: Any) -> str:
    """Return what the card should say now. Raises InputError naming the file and the key where it is not there."""
    name, _, path = source["from"].partition("#")
    value = files[name]
    before: tuple[str, ...] = ()
    for key in keys_of(path):
        value = step(value, key, name, before)
        before = (*before, key)
    if source["as"] == "says":  # a piece of a declared text
        return str(source["text"]) if source["text"].strip() in prose_of(value) else prose_of(value)
    return write(value, before[-1] if before else "", source["as"])


def unlisted(lines: list[str], listed: list[Source]) -> list[str]:
    """Return the numbers of a card that stand at no place of the list."""
    rest = list(lines)
    for source in listed:
        line, begin = source["line"] - 1, source["column"] - 1
        if line < len(rest):
            end = begin + len(source["text"])
            rest[line] = rest[line][:begin] + " " * (end - begin) + rest[line][end:]
    return [
        f"{number}: {found!r} comes from no report"
        for number, line in enumerate(rest, start=1)
        for found in typed_digits(line)
    ]


def stale(files: _Files) -> list[str]:
    """Return the files that are not those of dvc.lock, and hashes of the wheel's lineage that are not.

    Where there is no dvc.lock, the stages were run by hand, and nothing can be stale.
    """
    outs = outputs(_yaml(LOCK)) if LOCK.is_file() else {}
    faults = [
        f"{name}: not the file that dvc.lock names; `dvc repro` or `dvc checkout`"
        for name in sorted(files.read)
        if name in outs and dvc_hash(Path(name)) != outs[name]
    ]
    made_from = read_json(WHEEL)["made_from"]
    return faults + [
        f"{WHEEL}: made_from.{path} is {found}, dvc.lock has {outs[path]}; `dvc repro`"
        for path, found in made_from.items()
        if path in outs and outs[path] != found
    ]
