"""Builds a Python wheel of fixed bytes: sorted members, one time, nothing compressed.

Stored, not deflated: zlib and its replacements give different bytes for the same input.
Format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can hold
FILE_MODE = 0o100644 << 16


def build_wheel(
    folder: Path, name: str, version: str, summary: str, requires: list[str], command: str, members: dict[str, bytes]
) -> Path:
    """Write NAME-VERSION-py3-none-any.whl into `folder` and return its path; `members` are its files by path.

    `command` is the console script NAME's entry point, as `module:function`.
    """
    info = f"{name}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        f"Summary: {summary}",
        "Requires-Python: >=3.11",
        *(f"Requires-Dist: {requirement}" for requirement in requires),
    ]
    files = members | {
        f"{info}/METADATA": _lines(metadata),
        f"{info}/WHEEL": _lines(
            ["Wheel-Version: 1.0", "Generator: plumbline", "Root-Is-Purelib: true", "Tag: py3-none-any"]
        ),
        f"{info}/entry_points.txt": _lines(["[console_scripts]", f"{name} = {command}"]),
    }
    record = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in sorted(files.items())]
    files[f"{info}/RECORD"] = _lines([*record, f"{info}/RECORD,,"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member in sorted(files, key=lambda member: (member.startswith(info), member)):  # metadata last, as advised
            entry = zipfile.ZipInfo(member, ZIP_TIME)
            entry.external_attr, entry.create_system = FILE_MODE, 3  # 3: Unix, whatever the machine
            archive.writestr(entry, files[member])
    return path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _lines(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
