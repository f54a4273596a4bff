"""The command line of a packaged model: NAME COMMAND; each module of COMMANDS adds its own."""

from __future__ import annotations

import argparse
import os
import sys
from types import ModuleType

from . import api, ask
from .journal import command as journal
from .scoring import command as scoring
from .serving import command as serving

COMMANDS: list[ModuleType] = [ask, serving, scoring, journal]


def main(argv: list[str] | None = None) -> None:
    """Run one command; exit 1 where a record is refused or the model is damaged."""
    parser = argparse.ArgumentParser(prog=__package__.split(".")[0], description="A packaged model.")
    commands = parser.add_subparsers(dest="command", required=True)
    for module in COMMANDS:
        module.add(commands)
    arguments = parser.parse_args(argv)
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:  # `| head` has read enough: end as any command does then, by its signal's status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (api.DamagedModel, ImportError) as error:  # a library that is not installed says so by itself
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(1)
