"""Attaches the files of a folder to a version's release on GitHub, which is made where there is none.

    python -m tools.promote.attach rides@v0.1.0 dist/release      in a job that holds a token

Its text is the evidence of the tag. What is there already stays as it is. Needs Python's standard library alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stages.shared.errors import InputError, run
from tools.pull_request.github import ask, given, upload

NOTES = "evidence.txt"  # as tools.promote check writes it


def main() -> None:
    """Attach, and say what."""
    parser = argparse.ArgumentParser(prog="python -m tools.promote.attach", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tag")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    for line in attach(arguments.tag, arguments.folder):
        print(f"attach: {line}")


def attach(tag: str, folder: Path) -> list[str]:
    """Upload what the release of a tag lacks; return a line for each file. Raises InputError where GitHub refuses."""
    if not (folder / NOTES).is_file():
        raise InputError(f"{folder / NOTES} is not there: make release-check")
    release = _release(tag, (folder / NOTES).read_text(encoding="utf-8"))
    there = {asset["name"]: asset["size"] for asset in release["assets"]}
    address = release["upload_url"].partition("{")[0]
    return [_attached(path, there, address) for path in sorted(folder.iterdir()) if path.is_file()]


def _attached(path: Path, there: dict[str, int], address: str) -> str:
    content, name = path.read_bytes(), path.name
    if there.get(name, len(content)) != len(content):
        raise InputError(f"{name} is attached with another size: delete it there, then try again")
    if name in there:
        return f"{name} was there"
    called = upload(f"{address}?name={quote(name, safe='')}", content)["name"]
    if called != name:
        raise InputError(f"{name} was attached as {called}: pip takes a wheel by its own name alone")
    return f"{name}  {len(content)} bytes"


def _release(tag: str, notes: str) -> dict[str, Any]:
    """Return the release of a tag, made where there is none."""
    repository, own = given("GITHUB_REPOSITORY"), quote(tag, safe="")
    found = ask("GET", f"/repos/{repository}/releases/tags/{own}", may_be_missing=True)
    if found is None:
        title, _, evidence = notes.partition("\n\n")
        content = {"tag_name": tag, "name": title, "body": f"```yaml\n{evidence.rstrip()}\n```\n"}
        found = ask("POST", f"/repos/{repository}/releases", content)
    return dict(found)


if __name__ == "__main__":
    run("attach", main)
