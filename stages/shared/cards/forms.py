"""How a value of a report is written in a card; the compiler and the check of its numbers write by the same rules.

A form is a format of Python for numbers (`.6g`, `.1%`, `,`), or one of: nothing (plain text, or six digits), `code`,
`quoted` (YAML), `words`, `lower` (in lower case), `library` (of a dotted name), `size` (Hugging Face's size category),
`count`, `count KEY=JSON`. `name FORM` writes the key under which a value stands in place of the value.
"""

from __future__ import annotations

import json
import re
from typing import Any

from stages.shared.errors import InputError

SIZES = [(10**3, "1K"), (10**4, "10K"), (10**5, "100K"), (10**6, "1M"), (10**7, "10M"), (10**8, "100M"), (10**9, "1B")]
PRIVATE = re.compile("[\ue000-\uf8ff]")  # the compiler's own marks


def write(value: Any, key: str, form: str) -> str:
    """Return `value`, which stands under `key`, in a form. Raises InputError where the value has no such form."""
    if form == "name" or form.startswith("name "):
        return write(key, "", form.removeprefix("name").strip())
    if form == "count" or form.startswith("count "):
        return str(count(value, form.removeprefix("count").strip()))
    if form in TEXTS:
        return PRIVATE.sub("\ufffd", TEXTS[form](value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"should be a number, got {json.dumps(value)}")
    return format(value, form)


def count(value: Any, condition: str) -> int:
    """Return how many entries a list or mapping has; with `KEY=JSON`, those that hold just that under the key."""
    if not isinstance(value, dict | list):
        raise InputError(f"should be a list or a mapping, got {json.dumps(value)}")
    entries = list(value.values()) if isinstance(value, dict) else value
    if not condition:
        return len(entries)
    key, _, wanted = condition.partition("=")
    return sum(entry.get(key) == json.loads(wanted) for entry in entries)


def prose(value: Any) -> str:
    """Return a value as one line of Markdown that holds no markup: numbers with six digits that count."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return re.sub(r"([\\`*<\[\]|])", r"\\\1", " ".join(text.split()))


def code(value: Any) -> str:
    """Return a value as code, whatever it holds: more backticks around than inside, one line, bars escaped."""
    text = " ".join(str(value).split()).replace("|", "\\|") or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def quoted(value: Any) -> str:
    """Return a value as YAML takes it: JSON, which is YAML, and numbers with six digits that count."""
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def words(value: Any) -> str:
    """Return a key as words: `10_percent_lower` is `10% lower`."""
    return prose(re.sub(r"(\d)_percent_", r"\1% ", str(value)).replace("_", " "))


def size(n_rows: Any) -> str:
    """Return Hugging Face's size category of a number of rows, such as `10K<n<100K`."""
    larger = [name for limit, name in SIZES if n_rows < limit]
    smaller = [name for limit, name in SIZES if n_rows >= limit]
    if not smaller:
        return f"n<{larger[0]}"
    return f"{smaller[-1]}<n<{larger[0]}" if larger else f"n>{smaller[-1]}"


def lower(identifier: str) -> str:
    """Return an identifier, such as a licence's, in lower case."""
    return identifier.lower()


def library(name: str) -> str:
    """Return the library that a dotted name begins with."""
    return name.split(".")[0]


TEXTS = {"library": library, "": prose, "code": code, "quoted": quoted, "words": words, "size": size, "lower": lower}
