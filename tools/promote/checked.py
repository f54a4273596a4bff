"""What CI asks when a version's tag arrives: whether the wheel that lies here is the one that the tag was given for."""

from __future__ import annotations

import shutil
from pathlib import Path

from stages.shared.errors import InputError
from tools.diff.revision import commit_of, git
from tools.promote.evidence import headline, read
from tools.promote.wheel import wheel_in

NOTES, SUMS = "evidence.txt", "SHA256SUMS"


def check(tag: str, folder: Path, into: Path | None) -> str:
    """Return a line that says that the wheel in `folder` is the tag's; copy it and the evidence where asked.

    Raises InputError where it is another one, or HEAD is not the commit of the tag.
    """
    told, wheel = read(tag), wheel_in(folder)
    pairs = {
        "commit": (told["commit"], commit_of(f"refs/tags/{tag}")),
        "HEAD": (told["commit"], commit_of("HEAD")),
        "file": (told["wheel"]["file"], wheel.path.name),
        "sha256": (told["wheel"]["sha256"], wheel.sha256),
    }
    faults = [f"{what}: the tag says {said}, here is {found}" for what, (said, found) in pairs.items() if said != found]
    if faults:
        raise InputError(f"{wheel.path} is not the wheel of {tag}", faults)
    if into is not None:
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy2(wheel.path, into / wheel.path.name)
        (into / NOTES).write_text(
            git("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}") or "", encoding="utf-8"
        )
        (into / SUMS).write_text(f"{wheel.sha256}  {wheel.path.name}\n", encoding="utf-8")
    return f"{wheel.path.name}  sha256 {wheel.sha256}, as {tag} says; {headline(told)}"
