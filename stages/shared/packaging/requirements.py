"""What the packaged model needs to run, taken from requirements.txt, the lock of this repository."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from stages.shared.errors import InputError

LOCK = Path("requirements.txt")
PREDICT = ["numpy"]
BY_KIND = {"lightgbm": ["lightgbm"], "skops": ["scikit-learn", "skops"]}  # what loads a model of that kind
EXTRAS = {"serve": ["uvloop", "httptools", "msgspec"], "score": ["duckdb"]}
# Only its shared library is loaded (runtime/booster.py): SciPy, 140 MB, is what its Python module imports.
LOADED_ALONE = {"lightgbm"}


@dataclass(frozen=True)
class Pin:
    """One version of a package: where it applies (a marker, often empty), its files' hashes, the packages it is for."""

    name: str
    version: str
    marker: str
    hashes: list[str]
    via: list[str]

    @property
    def requirement(self) -> str:
        """The pin as a wheel's metadata has it."""
        return f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")


def read_lock(path: Path = LOCK) -> list[Pin]:
    """Return the pins of a lock with hashes, in its order. Raises InputError for one that cannot be read."""
    pins: list[Pin] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;]+)(?: ; (.+?))?(?: \\)?", line):
            pins.append(Pin(found[1], found[2], found[3] or "", [], []))
        elif found := re.fullmatch(r"    --hash=(sha256:[0-9a-f]{64})(?: \\)?", line):
            pins[-1].hashes.append(found[1])
        elif found := re.fullmatch(r"    # (?:via|  ) ?(\S.*)", line):
            pins[-1].via.append(found[1])
        elif line.strip() and not line.startswith("#") and line != "    # via":
            raise InputError(f"{path}: not a line of a lock with hashes: {line!r}; `make lock` writes it")
    return pins


def closure(pins: Iterable[Pin], packages: Collection[str]) -> list[Pin]:
    """Return the pins of packages and of what these need, in the lock's order. Raises InputError for one not locked."""
    pins = list(pins)
    found = set(packages)
    absent = sorted(found - {pin.name for pin in pins})
    if absent:
        raise InputError(f"{LOCK}: {', '.join(absent)} not in it, but the packaged model needs it")
    while new := {pin.name for pin in pins if (found - LOADED_ALONE).intersection(pin.via)} - found:
        found |= new
    return [pin for pin in pins if pin.name in found]


def packages_of(kinds: Collection[str], has_zones: bool) -> list[str]:
    """Return the packages that models of these kinds call for; `has_zones` where a column has a time zone."""
    return [*PREDICT, *(name for kind in sorted(kinds) for name in BY_KIND.get(kind, [])), *["tzdata"] * has_zones]


def requires(pins: list[Pin], packages: list[str]) -> list[str]:
    """Return the wheel's own requirements: the libraries that trained the model as locked, NumPy as it comes."""
    return ["numpy>=2", *(pin.requirement for pin in pins if pin.name in packages and pin.name != "numpy")]


def extras(pins: list[Pin]) -> dict[str, list[str]]:
    """Return the requirements of each extra, as locked."""
    return {extra: [pin.requirement for pin in pins if pin.name in names] for extra, names in EXTRAS.items()}


def served_by(pins: list[Pin], packages: list[str]) -> list[Pin]:
    """Return the pins of all that the packaged model and its service need."""
    return closure(pins, [*packages, *EXTRAS["serve"]])


def requirements_files(pins: list[Pin], packages: list[str], name: str) -> dict[str, bytes]:
    """Return the files to install from with `pip install --no-deps --require-hashes -r`, by name.

    One is what predicting needs, and one for each extra what it needs besides; none has what is never imported.
    """
    base = closure(pins, packages)
    files = {"requirements.txt": _file(base, f"What {name} needs to predict.")}
    for extra, names in EXTRAS.items():
        more = [pin for pin in closure(pins, names) if pin not in base]
        files[f"requirements-{extra}.txt"] = _file(more, f"What `{name} {extra}` needs besides requirements.txt.")
    return files


def _file(pins: list[Pin], what: str) -> bytes:
    lines = [f"# {what} Install: pip install --no-deps --require-hashes -r THIS"]
    for pin in pins:
        lines.append(" \\\n    ".join([pin.requirement, *(f"--hash={item}" for item in pin.hashes)]))
    return ("\n".join(lines) + "\n").encode()
