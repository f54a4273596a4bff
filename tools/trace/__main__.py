"""Answers which commits, data, parameters, environment and gates made a wheel, a file, or an answer of the service.

    python -m tools.trace WHAT [--json]
    python -m tools.trace REQUEST_ID --log FOLDER [--json]
    python -m tools.trace check

WHAT is a wheel's file, its version, or the name of an installed one; a file or folder that DVC tracks, here or not; an
MD5 or SHA-256. Only Git is asked, all branches, tags and experiments of it: no DVC cache or remote is needed. `check`
holds every number of the model card and the data card against the report that it was taken from.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError, run
from tools.diff.revision import Revision, commit_of, git
from tools.trace.asked import Asked, asked_for, of_version
from tools.trace.check import check
from tools.trace.history import about, branches_with, commits_that_brought, meaning, tags, tags_with
from tools.trace.journal import entries_of
from tools.trace.made import made_by
from tools.trace.text import lines


def main() -> None:
    """Look it up and print."""
    given = _arguments()
    if given.what == "check":
        print(_checked())
        return
    commit_of("HEAD")  # or it is no repository, or one without commits
    workspace = Revision(None, Path())
    requests = entries_of(given.what, given.log) if given.log else []
    asked = _of_request(given.what, requests) if requests else asked_for(given.what, workspace.lock)
    found = {**traced(asked), "requests": requests}
    if given.json:
        print(json.dumps(found, indent=1, sort_keys=True, default=str, ensure_ascii=False))
    else:
        print("\n".join(lines(found)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.trace", description=__doc__.split("\n")[0])
    parser.add_argument("what", help="a wheel, a version, an installed model, a file, a hash, a request id, or: check")
    parser.add_argument("--log", type=Path, metavar="FOLDER", help="the prediction log that the request id is in")
    parser.add_argument("--json", action="store_true", help="plain data")
    return parser.parse_args()


def _checked() -> str:
    n_numbers, faults = check()
    if faults:
        raise InputError("the cards are not what the reports say", faults)
    return f"{n_numbers} numbers of 2 cards, each as its report has it"


def _of_request(request_id: str, entries: list[dict[str, Any]]) -> Asked:
    """Return the search for the wheel that answered a request. Raises InputError where several did."""
    versions = sorted({str(entry["version"]) for entry in entries})
    if len(versions) > 1:
        raise InputError(f"request {request_id!r} was answered by {' and '.join(versions)}: trace each of them")
    return of_version(versions[0], f"request {request_id}, {len(entries)} row{'s' * (len(entries) != 1)}")


def traced(asked: Asked) -> dict[str, Any]:
    """Return the commits that made what was asked for, the tags that have it, and what went into it.

    Raises InputError where no commit did.
    """
    for path, needles, note in asked.searches:
        commits = commits_that_brought(needles, path)
        if commits:
            every = tags()
            return {
                "asked": asked.what,
                "notes": [*asked.notes, *([note] if note else []), *_shallow()],
                "commits": about(commits),
                "tags": [{**tag._asdict(), "meaning": meaning(tag, every)} for tag in tags_with(needles, path)],
                "branches": branches_with(needles, path),
                "made": made_by(commits[0]),
            }
    raise InputError("; ".join([f"{asked.what}: no commit of this repository made it", *asked.notes, *_shallow()]))


def _shallow() -> list[str]:
    is_shallow = (git("rev-parse", "--is-shallow-repository") or "").strip() == "true"
    return ["this clone is shallow: earlier commits are not looked at"] if is_shallow else []


if __name__ == "__main__":
    run("trace", main)
