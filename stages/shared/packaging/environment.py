"""An environment that holds a wheel and what it needs, and nothing else: what a server of the operator's would have.

Made without network or pip: what is installed here is linked, distribution by distribution.
"""

from __future__ import annotations

import importlib.metadata
import sysconfig
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

from stages.shared.packaging.requirements import Pin


def clean_environment(folder: Path, wheel: Path, pins: Iterable[Pin]) -> Path:
    """Return the Python of a new environment in `folder` with the wheel and the packages that are pinned for it.

    Raises RuntimeError where one of them is not installed here, or does not say which files it consists of.
    """
    venv.create(folder, symlinks=True)
    places = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", places))
    for pin in {pin.name: pin for pin in pins}.values():  # one may be pinned for each Python
        for source in _entries(pin):
            (site / source.name).symlink_to(source)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return Path(sysconfig.get_path("scripts", "venv", places)) / "python"


def _entries(pin: Pin) -> list[Path]:
    """Return the files and folders of an installed package that lie in site-packages; none where it is for others."""
    try:
        distribution = importlib.metadata.distribution(pin.name)
    except importlib.metadata.PackageNotFoundError:
        if pin.marker:  # another system's, or another Python's
            return []
        raise RuntimeError(
            f"{pin.name}, which the wheel needs, is not installed: pip install -r requirements.txt"
        ) from None
    if distribution.files is None:
        raise RuntimeError(f"{pin.name} does not say which files it consists of (RECORD); install it with pip")
    top = {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}
    return [Path(str(distribution.locate_file(entry))) for entry in sorted(top)]
