"""The folder in which prepare and the hand-written scripts do the same work on a table of make_large.py."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.conftest import ROOT

CONTRACT = ROOT / "tests/benchmarks/bookings.yaml"
TABLE = Path("data/raw/bookings/bookings.csv")


def make_folder(folder: Path, table: Path) -> Path:
    """Return the folder with this repository's conf/, the bookings' contract and a link to the table."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copy(CONTRACT, folder / "conf/data/bookings.yaml")
    link_table(folder, table)
    return folder


def link_table(folder: Path, table: Path) -> None:
    """Put another table in the place of the last one, without a copy where the disk is the same."""
    place = folder / TABLE
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        os.link(table, place)
    except OSError:
        place.symlink_to(table)
