"""Releases by Git: puts a version of the model into dev, staging or prod, as tags that `gto show` and DVC read.

    python -m tools.promote staging                    what HEAD has, registered under the version of conf/packaging
    python -m tools.promote prod [--version v0.1.0]    what is in staging, or that version
    python -m tools.promote rollback prod              what was in prod before
    python -m tools.promote status                     what is where, and which tags are not at origin yet
    python -m tools.promote show prod                  the evidence of what is there, as YAML
    python -m tools.promote check rides@v0.1.0 --into dist/release      CI: the wheel here is the one of the tag

Nothing is pushed: the command to do so is printed. What stands against a release is told in a line each, exit status 1.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from stages.shared.errors import InputError, run
from tools.promote import evidence
from tools.promote.checked import check
from tools.promote.registry import STAGES, Registry, has_origin
from tools.promote.release import find_candidate, promote, table_of
from tools.promote.status import status


def main() -> None:
    """Run one command."""
    given = _arguments()
    registry = None if given.command == "check" else Registry(given.artifact or table_of(getattr(given, "rev", None)))
    if registry is None:
        print(f"promote: {check(given.tag, given.wheel, given.into)}")
    elif given.command == "status":
        print("\n".join(status(registry)))
    elif given.command == "show":
        print(evidence.as_yaml(evidence.read(_tag(registry, given.what))), end="")
    else:
        _promote(registry, given)


def _promote(registry: Registry, given: argparse.Namespace) -> None:
    stage, version, rev = given.command, getattr(given, "version", None), getattr(given, "rev", None)
    if stage == "rollback":
        stage, version = given.stage, registry.before(given.stage)
    with tempfile.TemporaryDirectory() as folder:
        candidate = find_candidate(registry, stage, rev, version, Path(folder))
        made = promote(candidate, given.because, Path(folder))
    what = "next: " if has_origin() else "no remote origin: these tags are only here; "
    print(f"{what}git push origin {' '.join(made)}")


def _tag(registry: Registry, what: str) -> str:
    """Return the tag that a stage, a version or a tag means."""
    if what in STAGES:
        tags = [event["ref"] for event in registry.events if event["stage"] == what and event["event"] == "assignment"]
        if registry.in_stage(what) is None:
            raise InputError(f"nothing of {registry.artifact} is in {what}")
        return str(tags[-1])
    return what if "@" in what or "#" in what else str(registry.registered(what)["ref"])


def _arguments() -> argparse.Namespace:
    doc = (__doc__ or "").split("\n")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--artifact", metavar="NAME", help="which model; the table in params.yaml unless said")
    why = argparse.ArgumentParser(add_help=False)
    why.add_argument("--because", metavar="TEXT", help="a reason, kept in the tag")
    parser = argparse.ArgumentParser(
        prog="python -m tools.promote", description="\n".join(doc), formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for stage in STAGES:
        command = commands.add_parser(stage, parents=[shared, why], help=f"put a version into {stage}")
        which = command.add_mutually_exclusive_group()
        which.add_argument("--rev", metavar="REV", help="a commit, branch or tag; HEAD unless said")
        which.add_argument("--version", metavar="V", help="a registered version, as v0.1.0")
    command = commands.add_parser("rollback", parents=[shared, why], help="put back what was in a stage before")
    command.add_argument("stage", choices=STAGES)
    commands.add_parser("status", parents=[shared], help="what is where")
    command = commands.add_parser("show", parents=[shared], help="the evidence behind a stage, version or tag")
    command.add_argument("what", help="prod, v0.1.0, rides@v0.1.0 or rides#prod#2")
    command = commands.add_parser("check", help="whether the wheel here is the one of a tag")
    command.add_argument("tag")
    command.add_argument("--wheel", type=Path, default=Path("data/package"), metavar="FOLDER", help="where it lies")
    command.add_argument("--into", type=Path, metavar="FOLDER", help="where to copy it, with its evidence")
    return parser.parse_args()


if __name__ == "__main__":
    run("promote", main)
