"""Drafts a complete, commented contract from a table: what each column is, what to doubt, how to split.

    python -m tools.draft TABLE --target COLUMN [--name NAME] [--force]

TABLE is a file, a glob or a folder (CSV of any dialect, Parquet, JSON lines); it is copied to data/raw/NAME/ unless it
lies there. Writes conf/data/NAME.yaml, after trying it on the whole table with the real prepare. Where that file has no
more than the `source` block that tools.fetch brought the table by, the block and its pin stay.
"""

from __future__ import annotations

import argparse
import keyword
import re
import shutil
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from stages.shared.config import CONF
from stages.shared.errors import InputError, run
from stages.shared.table.schema import RAW
from tools.draft.drafting import draft_contract
from tools.draft.reading import find_files, gather, read_table
from tools.draft.render import Draft, render
from tools.draft.trial import Outcome
from tools.fetch.pin_line import read_yaml

SHOWN = 8  # sentences of one kind in the closing lines


def main() -> None:
    """Read, infer, try, write, and say what to look at."""
    arguments = parse_arguments()
    folder, files = find_files(arguments.table)
    name = arguments.name or name_of(Path(arguments.table), folder)
    check_name(name)
    path = CONF / "data" / f"{name}.yaml"
    places, source_path = lay_out(name, folder, files, arguments.table)
    known = (read_yaml(path, path.read_bytes()) or {}) if path.exists() else {}
    if known.keys() - {"source"} and not arguments.force:
        raise InputError(f"{path} is there already; --force replaces it, --name NAME drafts beside it")
    origin = origin_of(known.get("source"), source_path, path)
    check_free(name, places, force=arguments.force)
    RAW.mkdir(parents=True, exist_ok=True)
    scratch = tempfile.TemporaryDirectory(prefix=".draft-", suffix=".scratch", dir=RAW.parent)
    with tempfile.TemporaryDirectory(prefix="draft-") as links, scratch as temporary:
        place = gather(files, folder, Path(links))
        table = read_table(files, place, arguments.table, arguments.target, Path(temporary).resolve())
        table.given, table.source = arguments.table, {"path": source_path, **origin, **table.source}
        draft, outcome = draft_contract(table, name, arguments.target, places, Path(temporary).resolve())
        table.connection.close()
    for place, file in places.items():
        goal = RAW / name / place
        if not goal.exists() or goal.resolve() != file.resolve():
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, goal)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(draft), encoding="utf-8")
    say(draft, outcome, path)


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(prog="python -m tools.draft", description="Draft a contract from a table.")
    parser.add_argument("table", help="a file, a quoted glob or a folder: CSV of any dialect, Parquet, JSON lines")
    parser.add_argument("--target", required=True, help="what to predict; in a file without header its place from 0")
    parser.add_argument("--name", help="of conf/data/NAME.yaml and the packaged model; else the file's")
    parser.add_argument("--force", action="store_true", help="replace conf/data/NAME.yaml and data/raw/NAME")
    return parser.parse_args()


def name_of(given: Path, folder: Path) -> str:
    """Return a file's or folder's name as an identifier."""
    stem = folder.name if any(c in given.name for c in "*?[") else given.name.split(".")[0] or given.name
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"\W+", "_", plain).strip("_")
    return name if name and not name[0].isdigit() and not keyword.iskeyword(name) else f"table_{name}".rstrip("_")


def check_name(name: str) -> None:
    """Raise InputError for a name that no packaged model could have."""
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise InputError(f"--name becomes the packaged model's: letters, digits and _ only, got {name!r}")


def origin_of(source: Any, source_path: str, path: Path) -> dict[str, Any]:
    """Return the keys of a `source` block that say where the table comes from, and its pin: a draft keeps them."""
    found = {key: source[key] for key in ("sha256", "fetch") if source.get(key)} if isinstance(source, dict) else {}
    if found and Path(source.get("path") or "") != Path(source_path):
        raise InputError(
            f"{path} fetches {source.get('path')}, but the table is {source_path}; draft the former, or --name NAME"
        )
    return found


def lay_out(name: str, folder: Path, files: list[Path], given: str) -> tuple[dict[str, Path], str]:
    """Return ({place in data/raw/NAME/: file}, what source.path should be)."""
    goal = RAW / name
    inside = folder.resolve().is_relative_to(goal.resolve())
    base = goal.resolve() if inside else folder.resolve()
    places = {str(file.resolve().relative_to(base)): file for file in files}
    if len(places) == 1 and not Path(given).is_dir():
        return places, str(goal / next(iter(places)))
    if Path(given).is_dir():
        return places, str(goal / folder.resolve().relative_to(base))
    pattern = str(Path(given)).removeprefix(str(folder)).lstrip("/")
    return places, str(goal / folder.resolve().relative_to(base) / pattern)


def check_free(name: str, places: dict[str, Path], *, force: bool) -> None:
    """Raise InputError where other files would be overwritten or join the table."""
    for place, file in places.items():
        goal = RAW / name / place
        if goal.exists() and goal.resolve() != file.resolve() and not force and not _equal(goal, file):
            raise InputError(f"{goal} is there already and differs; --force replaces it, --name NAME drafts beside it")


def _equal(first: Path, second: Path) -> bool:
    return first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes()


def say(draft: Draft, outcome: Outcome, path: Path) -> None:
    """Print what was written, what came of the trial, what to look at and the next command."""
    rows = outcome.rows
    print(
        f"draft: {path}  {rows['in']} rows = {rows['kept']} kept + {rows['quarantined']} quarantined "
        f"+ {rows['merged']} merged; {draft.task}, split by {draft.split['by']}"
    )
    for sentence in draft.look_at:
        print(f"  {sentence}")
    print(f"next: read {path}, then")
    print(f"  dvc exp run -S data={draft.name}        (or data: {draft.name} in params.yaml, then dvc repro)")


if __name__ == "__main__":
    run("draft", main)
