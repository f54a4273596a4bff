"""Holds every number of the cards against the report that it was taken from.

python -m tools.trace check
"""

from __future__ import annotations

import sys

from stages.shared.errors import InputError, run
from tools.trace.check import check


def main() -> None:
    """Compare and print."""
    if sys.argv[1:] != ["check"]:
        raise InputError("say what to do: python -m tools.trace check")
    n_numbers, faults = check()
    if faults:
        raise InputError("the cards are not what the reports say", faults)
    print(f"{n_numbers} numbers of 2 cards, each as its report has it")


if __name__ == "__main__":
    run("trace", main)
