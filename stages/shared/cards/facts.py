"""What a card is compiled from: places in files that know where they are, and mark the text that they are written as.

    rows = facts["reports/evaluate/intervals.json"]["rows"]
    f"Measured on {rows:,} test rows"

A draft made of such texts is finished into the card and the list of its numbers, each with file, JSON pointer
(RFC 6901) and form. A digit that comes from no file is a fault of ours, and stops the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.shared.cards.forms import PRIVATE, prose, write
from stages.shared.errors import InputError, did_you_mean

BEGIN, MIDDLE, END = "\ue000", "\ue001", "\ue002"
MARKED = re.compile(f"{BEGIN}(\\d+){MIDDLE}([^{END}]*){END}")
DIGITS = re.compile(r"\d+")
WORDS = re.compile(r"SHA-256|MD5|macro F1")  # names with digits that the templates themselves use
REFERENCE = re.compile(r"\{([^{}#]+)#([^{}:]*)(?::([^{}]*))?\}")  # in a declared text: {FILE#POINTER:FORM}
Source = dict[str, Any]  # {"line", "column", "text", "from": FILE#POINTER, "as": FORM}


class Fact:
    """A value at a place of a file. In an f-string it is written by its form, marked, and remembered."""

    def __init__(self, facts: Facts, file: str, keys: tuple[str, ...], value: Any, is_name: bool = False) -> None:
        self.facts, self.file, self.keys, self.value, self.is_name = facts, file, keys, value, is_name

    def __repr__(self) -> str:
        return f"{self.file}#{pointer(self.keys)}"

    def __getitem__(self, key: str | int) -> Fact:
        """Return what stands under a key. Raises InputError naming the file and the key where nothing does."""
        return Fact(self.facts, self.file, (*self.keys, str(key)), step(self.value, str(key), self.file, self.keys))

    def get(self, key: str) -> Fact | None:
        """Return what stands under a key, None where nothing does or null."""
        return self[key] if isinstance(self.value, dict) and self.value.get(key) is not None else None

    def __contains__(self, key: str) -> bool:
        return key in self.value

    def __bool__(self) -> bool:
        return bool(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Fact]:
        if not isinstance(self.value, list):
            raise InputError(f"{self}: should be a list; `dvc repro` makes it anew")
        return (self[place] for place in range(len(self.value)))

    def items(self) -> list[tuple[Fact, Fact]]:
        """Return the keys of a mapping, to be written, and what stands under them."""
        return [(Fact(self.facts, self.file, (*self.keys, key), key, True), self[key]) for key in self.value]

    def __format__(self, form: str) -> str:
        return self.facts.mark(self, f"name {form}".strip() if self.is_name else form)


class Facts:
    """The files of a card by their paths, and every text that was written from them."""

    def __init__(self, files: Mapping[str, Any]) -> None:
        self.files = files
        self.written: list[tuple[str, str]] = []  # FILE#POINTER, form

    def __getitem__(self, file: str) -> Fact:
        if file not in self.files:
            raise InputError(f"{file}: no card is compiled from it{did_you_mean(file, self.files)}")
        return Fact(self, file, (), self.files[file])

    def mark(self, fact: Fact, form: str) -> str:
        """Return a fact in a form, marked. Raises InputError naming the place where it has no such form."""
        try:
            text = write(fact.value, fact.keys[-1] if fact.keys else "", form)
        except (InputError, ValueError, TypeError) as error:
            raise InputError(f"{fact!r}: {error}") from None
        return self._mark(text, repr(fact), form)

    def _mark(self, text: str, place: str, form: str) -> str:
        self.written.append((place, form))
        return f"{BEGIN}{len(self.written) - 1}{MIDDLE}{text}{END}"

    def said(self, fact: Fact) -> str:
        """Return a declared text, in which {FILE#POINTER:FORM} stands for a value of a report.

        Raises InputError where a reference leads nowhere.
        """
        parts, last = [], 0
        for found in REFERENCE.finditer(fact.value):
            parts.append(self._mark(prose_of(fact.value[last : found.start()]), repr(fact), "says"))
            try:
                parts.append(format(self.at(found[1], found[2]), found[3] or ""))
            except InputError as error:
                raise InputError(f"{fact!r}: {error}") from None
            last = found.end()
        return "".join([*parts, self._mark(prose_of(fact.value[last:]), repr(fact), "says")])

    def at(self, file: str, path: str) -> Fact:
        """Return the fact at a JSON pointer."""
        fact = self[file]
        for key in keys_of(path):
            fact = fact[key]
        return fact

    def finish(self, draft: str) -> tuple[str, list[Source]]:
        """Return the card without marks and where its numbers come from, in the order of the text."""
        typed = typed_digits(MARKED.sub("", draft))
        if typed:
            raise RuntimeError(f"the template of a card holds a number of its own: {typed[0]!r}")
        lines, sources = [], []
        for number, line in enumerate(draft.split("\n"), start=1):
            plain, last = "", 0
            for found in MARKED.finditer(line):
                plain += line[last : found.start()]
                place, form = self.written[int(found[1])]
                if DIGITS.search(found[2]):
                    at = {"line": number, "column": len(plain) + 1}
                    sources.append({**at, "text": found[2], "from": place, "as": form})
                plain, last = plain + found[2], found.end()
            lines.append(plain + line[last:])
        return "\n".join(lines), sources


def prose_of(text: str) -> str:
    """Return a piece of a declared text as Markdown without markup, its outer spaces kept as one."""
    inner = PRIVATE.sub("\ufffd", prose(text))
    return f"{' ' * text[:1].isspace()}{inner}{' ' * (bool(inner) and text[-1:].isspace())}"


def typed_digits(text: str) -> list[str]:
    """Return the words that hold a digit, but for names such as MD5."""
    return re.findall(r"\S*\d\S*", WORDS.sub("", text))


def pointer(keys: tuple[str, ...]) -> str:
    """Return keys as a JSON pointer."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def keys_of(path: str) -> list[str]:
    """Return the keys of a JSON pointer."""
    return [key.replace("~1", "/").replace("~0", "~") for key in path.split("/")[1:]]


def step(value: Any, key: str, file: str, before: tuple[str, ...]) -> Any:
    """Return what stands under a key, or at a place of a list. Raises InputError naming the file and the key."""
    if isinstance(value, dict) and key in value:
        return value[key]
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    known = list(value) if isinstance(value, dict) else []
    where = f"{file}#{pointer((*before, key))}"
    raise InputError(f"{where}: nothing stands there{did_you_mean(key, known)}; `dvc repro` makes the file anew")
