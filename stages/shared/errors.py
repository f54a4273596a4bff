"""The one error that a user is meant to see, and the frame every stage and tool runs in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import NoReturn


class InputError(Exception):
    """Something given to us is wrong: `what` in one line, then each fault on a line of its own."""

    def __init__(self, what: str, faults: Iterable[str] = ()) -> None:
        self.what = what
        self.faults = list(faults)
        super().__init__("\n  ".join([what, *self.faults]))


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'NAME'?` for the nearest known name, or an empty string when none is near."""
    near = get_close_matches(given, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def run(name: str, main: Callable[[], None]) -> NoReturn:
    """Run `main` and exit: 0 when it returns, 1 with one message for an InputError; our own faults keep a traceback."""
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough: end as any command does then, by its signal's status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    sys.exit(0)
