"""A wheel with other content and a manifest that agrees with it: what a fault in packaging would look like."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from stages.runtime.manifest import MANIFEST, VERSION, manifest_source, version_source


def altered(wheel: Path, folder: Path, member: str, old: str, new: str) -> Path:
    """Return a copy of the wheel with other text in one of its members, and a manifest that agrees with it."""
    with zipfile.ZipFile(wheel) as source:
        package = {Path(name).relative_to("toy_model").as_posix(): source.read(name)
                   for name in source.namelist() if name.startswith("toy_model/")}  # fmt: skip
    assert old.encode() in package[member]
    package[member] = package[member].replace(old.encode(), new.encode())
    stated = json.loads(package[MANIFEST])
    manifest = manifest_source(stated["version"], {path: package[path] for path in stated["files"]})
    package |= {MANIFEST: manifest, VERSION: version_source(stated["version"], manifest)}
    version = package[VERSION].decode().split('"')[-2]
    path = folder / f"toy_model-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as target:
        for member, content in package.items():
            target.writestr(f"toy_model/{member}", content)
    return path
