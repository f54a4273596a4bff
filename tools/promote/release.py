"""Puts a version into a stage: looks for what stands against it, then makes the tags.

A version is what conf/packaging declares (version: 0.2.0) and belongs to one commit and one wheel. It is registered
when it is first put anywhere, and the commit is looked at in full then; later stages only have to find that very wheel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from stages.shared.errors import InputError
from tools.diff.revision import Revision, commit_of
from tools.promote import evidence, refusals
from tools.promote.evidence import Evidence
from tools.promote.registry import Registry
from tools.promote.wheel import Wheel, remote_faults, wheel_of

LIVE = ("prod", "staging", "dev")  # a new model is held against what is in the first of these


@dataclass
class Candidate:
    """What is to be put into a stage: `is_new` where the version is not registered yet."""

    registry: Registry
    stage: str
    version: str
    revision: Revision
    is_new: bool
    faults: list[str] = field(default_factory=list)

    @property
    def is_return(self) -> bool:
        """Return whether the version was in the stage before: a rollback, which nothing newer can stop."""
        return self.version in self.registry.once_in(self.stage)

    def rival(self) -> str | None:
        """Return the version that the gates hold it against: none on a rollback, or where it leads itself."""
        if self.is_return:
            return None
        there = (self.registry.in_stage(stage) for stage in LIVE)
        leading = next((version for version in there if version is not None), None)
        return None if leading == self.version else leading


def find_candidate(registry: Registry, stage: str, rev: str | None, version: str | None, folder: Path) -> Candidate:
    """Return what is meant: a version, a commit, or (for prod, without either) what is in staging.

    A commit that has the same wheel as its version's own commit stands for that one. Raises InputError where the
    version is unknown, or belongs to another commit with another wheel.
    """
    if version is None and rev is None and stage == "prod":
        version = registry.in_stage("staging")
        if version is None:
            raise InputError(f"nothing of {registry.artifact} is in staging: python -m tools.promote staging")
    if version is not None:
        event = registry.registered(version)
        return Candidate(registry, stage, version, Revision(event["commit"], folder), False)
    revision = Revision(rev or "HEAD", folder)
    version = refusals.declared_version(revision)
    event = registry.versions.get(version, {})
    found = Candidate(registry, stage, version, revision, not event)
    if event and event["commit"] != revision.commit:
        known = evidence.read(event["ref"])["wheel"]["sha256"]
        if wheel_of(revision).sha256 != known:
            file = f"conf/packaging/{revision.yaml('params.yaml')['packaging']}.yaml"
            what = f"{event['ref']} is another wheel, of commit {event['commit'][:10]}"
            raise InputError(f"{what}: raise `version` in {file}, `dvc repro`, then commit")
        found.revision = Revision(event["commit"], folder)
    elif rev is None:
        found.faults += refusals.tree_faults()
    return found


def promote(candidate: Candidate, because: str | None, folder: Path) -> list[str]:
    """Make the tags that put a version into a stage; return their names. Raises InputError with all that is against."""
    registry, stage, version = candidate.registry, candidate.stage, candidate.version
    before, name, is_return = registry.in_stage(stage), f"{registry.artifact} {version}", candidate.is_return
    faults = [*candidate.faults, *registry.faults_of_origin(), *_order_faults(candidate, before)]
    wheel = _wheel(candidate, folder, faults)
    gates = _gates(candidate, folder, faults)
    if faults or wheel is None:
        raise InputError(f"{name} does not go into {stage}", faults)
    rival, commit, made = candidate.rival(), str(candidate.revision.commit), []
    told = evidence.of_commit(registry.artifact, version, candidate.revision, wheel, gates) | {"held_against": rival}
    if candidate.is_new:
        made.append(registry.version_tag(version))
        registry.make_tag(made[0], commit, evidence.message(name, told))
    more: Evidence = {"stage": stage, "before": before, "rollback": is_return, "because": because}
    made.append(registry.next_stage_tag(stage))
    registry.make_tag(made[-1], commit, evidence.message(f"{name} in {stage}", more | told))
    print(f"promote: {name} {'is back in' if is_return else 'is in'} {stage}, {_came(before)}")
    print(f"promote: {wheel.path.name}  sha256 {wheel.sha256}; {evidence.headline(told)}")
    return made


def _came(before: str | None) -> str:
    return f"after {before}" if before else "as the first"


def _order_faults(candidate: Candidate, before: str | None) -> list[str]:
    """Return that a version is there already, or goes to prod without having been in staging."""
    registry, version = candidate.registry, candidate.version
    found = [f"it is in {candidate.stage} already"] if before == version else []
    if candidate.stage == "prod" and version not in registry.once_in("staging"):
        how = "python -m tools.promote staging" + ("" if candidate.is_new else f" --version {version}")
        found.append(f"it was never in staging: {how}")
    return found


def _wheel(candidate: Candidate, folder: Path, faults: list[str]) -> Wheel | None:
    """Return the wheel, None where it is not to be had; add what stands against it and its commit to `faults`."""
    revision, tag = candidate.revision, candidate.registry.version_tag(candidate.version)
    if candidate.is_new:
        faults += refusals.artifact_faults(revision, candidate.registry.artifact)
        faults += refusals.lock_faults(revision, folder)
    try:
        wheel = wheel_of(revision)
    except InputError as error:
        faults.append(str(error.what))
        return None
    if candidate.is_new and f"v{wheel.content_version.partition('+')[0]}" != candidate.version:
        faults.append(f"its wheel calls itself {wheel.content_version}")
    if not candidate.is_new and evidence.read(tag)["wheel"]["sha256"] != wheel.sha256:
        faults.append(f"its wheel is not the one that {tag} was given for: sha256 {wheel.sha256}")
    if not candidate.is_return:
        faults += remote_faults(revision)
    return wheel


def _gates(candidate: Candidate, folder: Path, faults: list[str]) -> list[refusals.Gate]:
    """Return the gates as they stand; add those that do not pass to `faults`."""
    rival = candidate.rival()
    why = "it was there before" if candidate.is_return else "nothing else to hold it against"
    try:
        against = candidate.registry.registered(rival)["commit"] if rival else None
        gates = refusals.judged(candidate.revision, against, why, folder)
    except InputError as error:
        faults.append(str(error.what))
        return []
    faults += refusals.gate_faults(gates, may_wait=rival is None)
    return gates


def table_of(rev: str | None) -> str:
    """Return the name of the artifact that a commit, or HEAD, is about: its table. Raises InputError without one."""
    revision = Revision(commit_of(rev or "HEAD"), Path())
    name = (revision.yaml("params.yaml") or {}).get("data")
    if not isinstance(name, str):
        raise InputError(f"params.yaml of {revision}: data should name a table, got {name!r}")
    return name
