"""Finds in Git which commits brought a text into a file, on any branch, tag or experiment, and which tags have it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from typing import Any, NamedTuple

from tools.diff.revision import git

REFS = ["--branches", "--tags", "--remotes", "--glob=refs/exps", "HEAD"]
# https://github.com/iterative/gto: NAME@VERSION registers, NAME#STAGE[#N] assigns, `!` takes back
TAG = re.compile(r"(?P<artifact>[^@#]+)(?:@(?P<version>[^#!]+)|#(?P<stage>[^#!]+))(?P<back>!?)(?:#(?P<n>\d+))?")


class Tag(NamedTuple):
    """A tag, the commit it points to, its day, and the first line of its message."""

    name: str
    commit: str
    day: str
    subject: str


def commits_that_brought(needles: list[str], path: str) -> list[str]:
    """Return the commits whose version of a file holds all needles while that of none of their parents does.

    The oldest come first. Git's pickaxe proposes them; merges are asked as well (-m), and what a merge only carries
    over falls away, since a parent has it.
    """
    pattern = "|".join(map(re.escape, needles))
    listed = git(
        "log", *REFS, "--topo-order", "--reverse", "--full-history", "-m", "--format=%H %P", "--no-patch",
        "--pickaxe-regex", f"-S{pattern}", "--", path,
    )  # fmt: skip
    parents = {line.split()[0]: line.split()[1:] for line in (listed or "").splitlines() if line}
    texts = contents([commit for pair in parents.items() for commit in (pair[0], *pair[1])], path)
    return [
        commit
        for commit, before in parents.items()
        if has_all(texts[commit], needles) and not any(has_all(texts[each], needles) for each in before)
    ]


def has_all(text: bytes, needles: Iterable[str]) -> bool:
    """Return whether a text holds every needle."""
    return all(needle.encode() in text for needle in needles)


def contents(commits: Iterable[str], path: str) -> dict[str, bytes]:
    """Return {commit: its version of a file}, empty where it has none."""
    found = objects((commit, path) for commit in commits)
    return {commit: text or b"" for (commit, _), text in found.items()}


def objects(wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes | None]:
    """Return {(commit, path): content}, None where the commit has no such file, from one process of Git."""
    names = list(dict.fromkeys(wanted))
    asked = "".join(f"{commit}:./{path}\n" for commit, path in names).encode()
    out = subprocess.run(["git", "cat-file", "--batch"], input=asked, capture_output=True, check=True).stdout
    found: dict[tuple[str, str], bytes | None] = {}
    place = 0
    for name in names:
        end = out.index(b"\n", place)
        header, place = out[place:end].split(), end + 1
        found[name] = None
        if header[-1] != b"missing":
            size = int(header[2])
            found[name] = out[place : place + size]
            place += size + 1
    return found


def tags() -> list[Tag]:
    """Return every tag of a commit, the oldest first."""
    kept = (
        "refname:strip=2",
        "*objecttype",
        "objecttype",
        "*objectname",
        "objectname",
        "creatordate:iso8601",
        "subject",
    )
    fields = "%00".join(f"%({field})" for field in kept)
    listed = git("for-each-ref", "--sort=creatordate", f"--format={fields}", "refs/tags") or ""
    found = []
    for line in listed.splitlines():
        name, inner, kind, peeled, direct, day, subject = line.split("\0")
        if "commit" in (inner, kind):
            found.append(Tag(name, peeled or direct, day[:10], subject if peeled else ""))
    return found


def tags_with(needles: list[str], path: str) -> list[Tag]:
    """Return the tags whose commit's version of a file holds all needles."""
    every = tags()
    texts = contents((tag.commit for tag in every), path) if every else {}
    return [tag for tag in every if has_all(texts[tag.commit], needles)]


def branches_with(needles: list[str], path: str) -> list[str]:
    """Return the branches whose last commit's version of a file holds all needles."""
    listed = git("for-each-ref", "--format=%(objectname) %(refname:short)", "refs/heads", "refs/remotes") or ""
    tips = [line.split(" ", 1) for line in listed.splitlines()]
    texts = contents((commit for commit, _ in tips), path) if tips else {}
    return [name for commit, name in tips if has_all(texts[commit], needles)]


def meaning(tag: Tag, every: list[Tag]) -> str:
    """Return what a tag says in GTO's words, and whether a later one took it back or its place; empty for others."""
    own = TAG.fullmatch(tag.name)
    if own is None:
        return ""
    later = [
        found for found in map(TAG.fullmatch, (each.name for each in every[every.index(tag) + 1 :]))
        if found and found["artifact"] == own["artifact"]
    ]  # fmt: skip
    if own["back"]:
        return f"takes back {own['version'] or own['stage']}"
    if own["version"]:
        gone = any(found["version"] == own["version"] and found["back"] for found in later)
        return f"version {own['version']}" + (", taken back later" if gone else "")
    gone = any(found["stage"] == own["stage"] for found in later)
    return f"stage {own['stage']}, {'until a later tag' if gone else 'now'}"


def about(commits: list[str]) -> list[dict[str, Any]]:
    """Return hash, author, date and subject of commits, in their order."""
    if not commits:
        return []
    listed = git("log", "--no-walk=unsorted", "--format=%H%x00%an%x00%aI%x00%s", *commits) or ""
    keys = ("commit", "author", "date", "subject")
    return [dict(zip(keys, line.split("\0"), strict=True)) for line in listed.splitlines()]
