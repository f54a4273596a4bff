"""Answers a prediction log with the models of two revisions, and reports where they differ.

    python -m tools.shadow REV_A [REV_B] --replay LOG [--json] [--examples 10]

REV_B is the workspace unless said. LOG is the folder of `NAME serve --log`, its lines and its Parquet files. The wheels
come from the workspace, the DVC cache or the remote, and are asked with the libraries that are installed here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from stages.shared.errors import InputError, run
from tools.diff.revision import Revision
from tools.promote.wheel import wheel_of
from tools.shadow.asked import Asked, write_records
from tools.shadow.compared import compare
from tools.shadow.text import markdown


def main() -> None:
    """Read the log, ask both, print."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_records = write_records(given.replay, folder / "records.jsonl")
        if not n_records:
            raise InputError(f"{given.replay}: no records in this prediction log: `NAME serve --log FOLDER` writes one")
        revisions = Revision(given.first, folder), Revision(given.second, folder)
        asked = [Asked(str(revision), wheel_of(revision), folder / side)
                 for side, revision in zip("ab", revisions, strict=True)]  # fmt: skip
        found = compare((asked[0], asked[1]), folder / "records.jsonl", n_records, given.examples)
    print(json.dumps(found, indent=1, ensure_ascii=False) if given.json else "\n".join(markdown(found)))


def _arguments() -> argparse.Namespace:
    doc = (__doc__ or "").split("\n")
    parser = argparse.ArgumentParser(
        prog="python -m tools.shadow", description="\n".join(doc), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("first", metavar="REV_A", help="the model in use: a commit, branch or tag")
    parser.add_argument("second", metavar="REV_B", nargs="?", help="the other model; the workspace unless said")
    parser.add_argument("--replay", type=Path, required=True, metavar="LOG", help="folder of a prediction log")
    parser.add_argument("--json", action="store_true", help="all of it for programs")
    parser.add_argument("--examples", type=int, default=10, metavar="N", help="most different records to show (10)")
    return parser.parse_args()


if __name__ == "__main__":
    run("shadow", main)
