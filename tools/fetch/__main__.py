"""Brings a source that lies elsewhere into data/raw/ and pins it: a SQL query's result, or files from a URL.

    python -m tools.fetch NAME             (reads source: of conf/data/NAME.yaml)
    python -m tools.fetch NAME --accept    (the source has changed: takes it as it is now)

Prepare never asks a network: it reads what this command brought, and checks it against the pin. The first run writes
`source.sha256` into conf/data/NAME.yaml; a later one that finds other content changes nothing, and says so.
The connection string comes from the environment; its password is in no message and no file.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from stages.shared.config import build
from stages.shared.errors import InputError, did_you_mean, run
from stages.shared.files import replacing
from stages.shared.table.pin import pin_of
from stages.shared.table.source import SUFFIXES, Fetch, has_suffix
from tools.fetch.download import bring_url, is_glob
from tools.fetch.pin_line import read_yaml, with_pin
from tools.fetch.query import bring_query

CONF = Path("conf/data")
RAW = Path("data/raw")
# How a query's result is written; a source that says otherwise could not be read.
WRITTEN = {
    "format": "csv", "delimiter": ",", "quote": '"', "escape": "", "header": True, "encoding": "utf-8", "decimal": ".",
    "thousands": "",
}  # fmt: skip


@dataclass(frozen=True)
class Order:
    """What to bring, where to put it, and the pin that conf/ holds."""

    name: str
    fetch: Fetch
    path: Path  # a file, or a folder
    pattern: str | None  # of the files in that folder; None where `path` is one file
    pin: str | None
    form: str  # source.format

    @property
    def conf(self) -> Path:
        """The file that declares the source."""
        return CONF / f"{self.name}.yaml"

    def files(self) -> list[Path]:
        """Return the source's files that are there already."""
        if self.pattern is None:
            return [self.path] if self.path.is_file() else []
        listed = self.path.iterdir() if self.path.is_dir() else []
        return sorted(file for file in listed if file.is_file() and self.fits(file.name))

    def fits(self, name: str) -> bool:
        """Say whether a file of this name is the source's; hidden ones (.gitignore) never are."""
        is_named = has_suffix(name, self.form) if self.pattern == "*" else fnmatchcase(name, self.pattern or "*")
        return is_named and not name.startswith(".")


def read_order(name: str) -> Order:
    """Return what `source` of conf/data/NAME.yaml asks for. The rest of that file may be unfinished.

    Raises InputError with all faults at once.
    """
    path = CONF / f"{name}.yaml"
    if not path.is_file():
        raise InputError(f"{path}: no such file{did_you_mean(name, (file.stem for file in CONF.glob('*.yaml')))}")
    content = read_yaml(path, path.read_bytes())
    source = content.get("source") if isinstance(content, dict) else None
    if not isinstance(source, dict):
        raise InputError(f"{path}: source: missing; it says what to bring (fetch) and where to (path)")
    faults: list[str] = []
    where = build(str, source.get("path"), "source.path", faults)
    fetch = build(Fetch | None, source.get("fetch"), "source.fetch", faults)
    pin = build(str | None, source.get("sha256"), "source.sha256", faults)
    if not faults:
        faults += fetch_faults(fetch or Fetch(), source) + path_faults(where, name, fetch or Fetch())
    form = source.get("format", "csv")
    if form not in SUFFIXES:
        faults.append(f"source.format: should be one of {', '.join(SUFFIXES)}, got {form!r}")
    if faults:
        raise InputError(f"{path} is not valid", faults)
    folder, _, last = where.rpartition("/")
    if any(mark in last for mark in "*?["):
        return Order(name, fetch, Path(folder), last, pin, form)
    return Order(name, fetch, Path(where), "*" if is_folder(where, fetch) else None, pin, form)


def is_folder(path: str, fetch: Fetch) -> bool:
    """Say whether a path without a pattern means a folder."""
    return path.endswith("/") or Path(path).is_dir() or is_glob(fetch.url or "")


def fetch_faults(fetch: Fetch, source: dict[str, Any]) -> list[str]:
    """Return what is wrong with `source.fetch` and with the dialect that a query's result should be read in."""
    if (fetch.url is None) == (fetch.query is None):
        return ["source.fetch: should have either url or query"]
    if fetch.url is not None:
        return ["source.fetch.connection: belongs to a query, not to a url"] if fetch.connection else []
    faults = [] if fetch.connection else ["source.fetch.connection: missing; a query needs it"]
    return faults + [
        f"source.{key}: a query's result is written with {right!r}, got {source[key]!r}"
        for key, right in WRITTEN.items()
        if source.get(key, right) != right
    ]


def path_faults(path: str, name: str, fetch: Fetch) -> list[str]:
    """Return why what is fetched cannot be put at `path`."""
    parts = Path(path).parts
    home = (*RAW.parts, name)
    if parts[: len(home)] != home or ".." in parts or (len(parts) == len(home) and not is_folder(path, fetch)):
        return [f"source.path: should be inside {RAW / name}/ to be fetched, got {path!r}"]
    if any(mark in path.rpartition("/")[0] for mark in "*?["):
        return [f"source.path: should have its wildcards in the last part, got {path!r}"]
    is_several = is_folder(path, fetch) or any(mark in path for mark in "*?[")
    if is_several and fetch.query is not None:
        return [f"source.path: should be one file, since a query gives one, got {path!r}"]
    if is_several and not is_glob(fetch.url or ""):
        return [f"source.path: should be one file, since source.fetch.url is one, got {path!r}"]
    if is_glob(fetch.url or "") and path.endswith((".csv", ".gz", ".parquet", ".jsonl")) and "*" not in path:
        return [f"source.path: should be a folder or a glob, since source.fetch.url may be several files, got {path!r}"]
    return []


@contextmanager
def draft_folder(name: str) -> Iterator[Path]:
    """Yield an empty hidden folder beside data/raw/NAME, removed at the end; a killed run's is removed by the next."""
    folder = RAW / f".{name}.fetch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bring(order: Order, draft: Path) -> list[Path]:
    """Bring the files into `draft` under the names they will have."""
    if order.fetch.query is not None:
        bring_query(order.fetch, draft / order.path.name)
        return [draft / order.path.name]
    name = order.path.name if order.pattern is None else None
    files = bring_url(order.fetch.url or "", draft, name)
    strange = [file.name for file in files if name is None and not order.fits(file.name)]
    if strange:
        raise InputError(f"{order.conf}: source.path would not read what source.fetch.url brings: {', '.join(strange)}")
    return files


def settle(order: Order, brought: list[Path], is_accepted: bool) -> str:
    """Put the files in place and pin them, or leave everything as it is; return what was done.

    Raises InputError where the content is not what the pin, or a file that lies there already, says.
    """
    old, now = order.files(), pin_of(brought)
    there = pin_of(old) if old else None
    known = order.pin or there
    size = f"{described(order, brought)}, sha256 {now}"
    if known not in (None, now) and not is_accepted:
        raise refusal(order, old, there, f"now     {size}")
    if now == order.pin == there:
        return f"unchanged: {size}"
    if there != now:
        place(order, brought)
    if now == order.pin:
        return f"{size}, as pinned"
    write_whole(order.conf, with_pin(order.conf, order.conf.read_bytes(), now))
    return f"{size}, pinned in {order.conf}"


def refusal(order: Order, old: list[Path], there: str | None, now: str) -> InputError:
    """Return the error that shows the old content beside the new one."""
    what = (
        "the source has other content than the pin" if order.pin else "another file lies there, and no pin says which"
    )
    word = "pinned " if there == order.pin else "there  "
    lines = [f"{word} {described(order, old)}, sha256 {there}"] if old else []
    if order.pin not in (None, there):
        lines.insert(0, f"pinned  sha256 {order.pin}")
    lines.append(now)
    step = f"python -m tools.fetch {order.name} --accept takes it; the pull request then shows the new pin"
    return InputError(f"{order.path}: {what}; nothing was changed", [*lines, step])


def described(order: Order, files: list[Path]) -> str:
    """Return how much the files hold: rows where a query wrote them, bytes."""
    n_bytes = sum(file.stat().st_size for file in files)
    if order.fetch.query is not None:
        return f"{count_rows(files[0])}, {n_bytes} bytes"
    return f"{n_bytes} bytes" if order.pattern is None else f"{len(files)} files, {n_bytes} bytes"


def count_rows(file: Path) -> str:
    """Return the number of records below the header of a CSV, in words."""
    csv.field_size_limit(2**31 - 1)
    opener = gzip.open if file.name.endswith(".gz") else open
    try:
        with opener(file, "rt", encoding="utf-8", newline="") as text:
            return f"{max(sum(1 for record in csv.reader(text) if record) - 1, 0)} rows"
    except (OSError, EOFError, ValueError, csv.Error):  # a stranger's file lies at the path
        return "not a CSV"


def place(order: Order, brought: list[Path]) -> None:
    """Move the files to where the source is read: one by a rename, several by an exchange of the whole folder."""
    order.path.parent.mkdir(parents=True, exist_ok=True)
    if order.pattern is None:
        brought[0].replace(order.path)
        return
    others = set(order.path.iterdir()) - set(order.files()) if order.path.is_dir() else set()
    with replacing(order.path) as [fresh]:
        for other in others:
            copy = shutil.copytree if other.is_dir() else shutil.copy2
            copy(other, fresh / other.name)
        for file in brought:
            file.rename(fresh / file.name)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name first, so that a kill leaves it old or new."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    shutil.copymode(path, draft)
    draft.replace(path)


def main() -> None:
    """Bring the source named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.fetch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", metavar="NAME", help="of conf/data/NAME.yaml")
    parser.add_argument("--accept", action="store_true", help="take content that differs from the pin, and pin it")
    given = parser.parse_args()
    order = read_order(given.name)
    with draft_folder(order.name) as draft:
        done = settle(order, bring(order, draft), given.accept)
    print(f"{order.path}  {done}")


if __name__ == "__main__":
    run("fetch", main)
