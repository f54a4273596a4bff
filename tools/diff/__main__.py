"""Shows what changed between two revisions, as Markdown for a pull request, or as JSON.

    python -m tools.diff [BASE] [HEAD] [--json]

BASE is where HEAD left main unless said, HEAD is the workspace. The data of a revision come from the workspace, the
DVC cache or the remote; where they are not to be had, from the reports that Git keeps, and the report says so.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from stages.shared.errors import InputError, run
from tools.diff import data
from tools.diff.revision import Revision, base_of_main, commit_of

# Each has compare(base, head, folder) -> plain data, and markdown(compared) -> lines; its heading is its name.
SECTIONS = {"data": data}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="python -m tools.diff", description=__doc__.split("\n")[0])
    parser.add_argument("base", nargs="?", help="a commit, branch or tag; where HEAD left main unless said")
    parser.add_argument("head", nargs="?", help="the same; the workspace unless said")
    parser.add_argument("--json", action="store_true", help="plain data instead of Markdown")
    given = parser.parse_args()
    commit_of("HEAD")  # or it is no repository, or one without commits
    if not Path("dvc.yaml").is_file():
        raise InputError("no dvc.yaml in this folder: run it at the top of the repository")
    with tempfile.TemporaryDirectory() as folder:
        base, head = Revision(given.base or base_of_main(), Path(folder)), Revision(given.head, Path(folder))
        sections = {name: module.compare(base, head, Path(folder)) for name, module in SECTIONS.items()}
    if given.json:
        revisions = {"base": base.commit, "head": head.commit}
        print(json.dumps({**revisions, **sections}, indent=1, sort_keys=True, default=str, ensure_ascii=False))
        return
    print(f"# What changed from {base} to {head}")
    for name, module in SECTIONS.items():
        print("\n".join(["", f"## {name.capitalize()}", "", *module.markdown(sections[name])]))


if __name__ == "__main__":
    run("diff", main)
