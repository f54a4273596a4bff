"""Versions and stages of one artifact as GTO's tags: rides@v0.1.0 is a version, rides#prod#3 puts one into a stage.

What is where is asked of GTO, so that `gto show` says the same. The tags are made by Git itself, which signs them where
it is set up to, and makes a tag only where there is none. https://dvc.org/doc/gto/user-guide
"""

from __future__ import annotations

import os
import subprocess
import time
from functools import cached_property
from typing import Any

from stages.shared.errors import InputError, did_you_mean
from tools.diff.revision import git

STAGES = ("dev", "staging", "prod")
SECONDS_TO_ANSWER = 30
Event = dict[str, Any]  # timestamp, event, version, stage, commit, author, message, ref


class Registry:
    """The tags of one artifact in the repository that we are in."""

    def __init__(self, artifact: str) -> None:
        self.artifact = artifact

    @cached_property
    def events(self) -> list[Event]:
        """Return what happened to the artifact, oldest first."""
        import gto.api

        found: list[Event] = gto.api.history(".", self.artifact, ascending=True)
        return found

    @property
    def versions(self) -> dict[str, Event]:
        """Return the registrations that hold, by version, oldest first."""
        found: dict[str, Event] = {}
        for event in self.events:
            if event["event"] == "registration":
                found[event["version"]] = event
            elif event["event"] == "deregistration":
                found.pop(event["version"], None)
        return found

    def registered(self, version: str) -> Event:
        """Return a version's registration. Raises InputError where there is none."""
        if version not in self.versions:
            known = f"; there are {', '.join(self.versions)}" if self.versions else "; there is none yet"
            raise InputError(
                f"{self.artifact} has no version {version!r}{did_you_mean(version, self.versions) or known}"
            )
        return self.versions[version]

    @cached_property
    def stages(self) -> dict[str, str]:
        """Return the version that is in each stage now. GTO's `find_versions_in_stage` would name the highest one."""
        import gto.api

        shown = gto.api.show(".", self.artifact) if self.events else []
        return {stage["stage"]: version["version"] for version in shown for stage in version["stages"]}

    def in_stage(self, stage: str) -> str | None:
        """Return the version that is in a stage now, None where none is."""
        return self.stages.get(stage)

    def once_in(self, stage: str) -> list[str]:
        """Return the versions that were put into a stage, oldest first, each as often as it was."""
        is_in = [event for event in self.events if event["event"] == "assignment" and event["stage"] == stage]
        return [event["version"] for event in is_in]

    def before(self, stage: str) -> str:
        """Return what was in a stage before the version that is there now came for the first time.

        So one rollback after another walks back. Raises InputError where there is nothing to go back to.
        """
        now, order = self.in_stage(stage), self.once_in(stage)
        earlier = [version for version in order[: order.index(now)] if version in self.versions] if now else []
        if not earlier:
            what = f"{now} was the first in {stage}" if now else f"nothing is in {stage}"
            raise InputError(
                f"{self.artifact}: {what}: name a version, `python -m tools.promote {stage} --version VERSION`"
            )
        return earlier[-1]

    def version_tag(self, version: str) -> str:
        """Return the name of a version's tag."""
        return f"{self.artifact}@{version}"

    def next_stage_tag(self, stage: str) -> str:
        """Return the name of the tag that would next put something into a stage; GTO counts over all stages."""
        counters = [int(event["ref"].rpartition("#")[2]) for event in self.events if _is_counted(event["ref"])]
        return f"{self.artifact}#{stage}#{max(counters, default=0) + 1}"

    def make_tag(self, name: str, commit: str, message: str) -> None:
        """Make an annotated tag. Raises InputError where there is one by that name by now, or Git refuses.

        GTO takes the latest by its time in seconds: ours is later than all that came before, whatever the clocks were.
        """
        last = max((int(event["timestamp"].timestamp()) for event in self.events), default=0)
        when = {"GIT_COMMITTER_DATE": f"{max(int(time.time()), last + 1)} +0000"}
        command = ["git", "tag", "--annotate", "--cleanup=verbatim", "--file=-", name, commit]
        done = subprocess.run(
            command, input=message, env={**os.environ, **when}, capture_output=True, text=True, encoding="utf-8"
        )
        if done.returncode and git("rev-parse", "--verify", "--quiet", f"refs/tags/{name}"):
            raise InputError(f"someone has just made {name}: see `python -m tools.promote status`, then try again")
        if done.returncode:
            raise InputError(f"git tag {name}: {' '.join(done.stderr.split())}")
        for known in ("events", "stages"):  # to be read anew
            self.__dict__.pop(known, None)

    def faults_of_origin(self) -> list[str]:
        """Return each tag that origin has and we have not, or have otherwise; none where there is no origin."""
        listed, why = listed_at_origin()
        if why:
            return [f"origin: {why}"]
        own = [(name, digest) for name, digest in listed.items() if name.startswith(self._prefixes)]
        here = tags()
        return [
            f"{name}: origin has {'another one' if name in here else 'it'}: git fetch origin --tags"
            for name, digest in own
            if here.get(name) != digest
        ]

    @property
    def _prefixes(self) -> tuple[str, str]:
        return f"{self.artifact}@", f"{self.artifact}#"


def _is_counted(ref: str) -> bool:
    return ref.rpartition("#")[2].isdigit()


def tags() -> dict[str, str]:
    """Return all tags here and the hash of the object that each names."""
    lines = (git("for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/tags") or "").splitlines()
    return {name: digest for name, _, digest in (line.rpartition(" ") for line in lines)}


def has_origin() -> bool:
    """Return whether the repository has a remote by that name."""
    return "origin" in (git("remote") or "").split()


def listed_at_origin() -> tuple[dict[str, str], str]:
    """Return the tags of origin with their hashes, and in one line why they cannot be had, empty where they can."""
    if not has_origin():
        return {}, ""
    command = ["git", "ls-remote", "--tags", "--refs", "origin"]
    told = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER)
    except subprocess.TimeoutExpired:
        return {}, f"no answer within {SECONDS_TO_ANSWER} seconds"
    if done.returncode:
        return {}, " ".join(done.stderr.split())
    pairs = (line.split("\t") for line in done.stdout.splitlines())
    return {name.removeprefix("refs/tags/"): digest for digest, name in pairs}, ""
