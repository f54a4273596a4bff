"""Builds a Python wheel of fixed bytes: sorted members, one time, nothing compressed.

Stored, not deflated: zlib and its replacements give different bytes for the same input.
Format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can hold
FILE_MODE = 0o100644 << 16


@dataclass(frozen=True)
class Distribution:
    """What pip reads of a wheel; `command` is the entry point of the console script NAME, as `module:function`."""

    name: str
    version: str
    summary: str
    requires: list[str]
    extras: dict[str, list[str]]
    command: str

    @property
    def metadata(self) -> bytes:
        """The file METADATA."""
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {self.name}",
            f"Version: {self.version}",
            f"Summary: {self.summary}",
            "Requires-Python: >=3.11",
            *(f"Requires-Dist: {requirement}" for requirement in self.requires),
        ]
        for extra, requirements in self.extras.items():
            lines.append(f"Provides-Extra: {extra}")
            lines += [f"Requires-Dist: {_only_with(extra, requirement)}" for requirement in requirements]
        return _lines(lines)


def build_wheel(folder: Path, about: Distribution, members: dict[str, bytes], notes: dict[str, bytes]) -> Path:
    """Write NAME-VERSION-py3-none-any.whl into `folder` and return its path.

    `members` are its files by path, `notes` those that lie with its metadata.
    """
    info = f"{about.name}-{about.version}.dist-info"
    tags = ["Wheel-Version: 1.0", "Generator: plumbline", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    files = members | {
        f"{info}/METADATA": about.metadata,
        f"{info}/WHEEL": _lines(tags),
        f"{info}/entry_points.txt": _lines(["[console_scripts]", f"{about.name} = {about.command}"]),
        **{f"{info}/{path}": content for path, content in notes.items()},
    }
    record = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in sorted(files.items())]
    files[f"{info}/RECORD"] = _lines([*record, f"{info}/RECORD,,"])
    path = folder / f"{about.name}-{about.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member in sorted(files, key=lambda member: (member.startswith(info), member)):  # metadata last, as advised
            entry = zipfile.ZipInfo(member, ZIP_TIME)
            entry.external_attr, entry.create_system = FILE_MODE, 3  # 3: Unix, whatever the machine
            archive.writestr(entry, files[member])
    return path


def _only_with(extra: str, requirement: str) -> str:
    pin, _, marker = requirement.partition(" ; ")
    return f"{pin} ; ({marker}) and extra == '{extra}'" if marker else f"{pin} ; extra == '{extra}'"


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _lines(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
