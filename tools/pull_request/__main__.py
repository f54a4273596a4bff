"""What CI does with the report of tools.diff: writes it beside its pull request's number, and posts it as one comment.

    python -m tools.pull_request write dist/pull-request     in the job that runs the pull request's code
    python -m tools.pull_request post dist/pull-request      in the job that holds a token, and runs only main's code

`write` takes DIFF_BASE and PULL_REQUEST from the environment, `post` what GitHub puts there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from stages.shared.errors import InputError, run
from tools.diff.revision import base_of_main, shared_commit
from tools.pull_request.comment import post

REPORT, NUMBER = "report.md", "number"


def main() -> None:
    """Write or post."""
    parser = argparse.ArgumentParser(prog="python -m tools.pull_request", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["write", "post"])
    parser.add_argument("folder", type=Path, help="where the report is, or is to be")
    given = parser.parse_args()
    if given.what == "write":
        write(given.folder)
    else:
        print(f"pull_request: {post(given.folder / REPORT, given.folder / NUMBER)}")


def write(folder: Path) -> None:
    """Write the report against where HEAD left DIFF_BASE, main unless said, and the number, empty without one."""
    name = os.environ.get("DIFF_BASE", "").strip()
    base = shared_commit(name) if name else base_of_main()
    command = [sys.executable, "-m", "tools.diff", base, "--rerun"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise InputError("tools.diff failed, as it says above: no report")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(done.stdout, encoding="utf-8")
    (folder / NUMBER).write_text(os.environ.get("PULL_REQUEST", ""), encoding="utf-8")
    print(f"pull_request: {folder / REPORT}  {len(done.stdout):,} characters")


if __name__ == "__main__":
    run("pull_request", main)
