"""What the tags of a release say: a line for people, then YAML that people and programs read alike."""

from __future__ import annotations

from typing import Any

import yaml

from stages.shared.errors import InputError
from stages.shared.evaluation.checks import gates_line
from stages.shared.metrics import HEADLINE
from tools.diff.cache import outputs
from tools.diff.revision import Revision, git
from tools.promote.wheel import Wheel

GATES, INTERVALS = "reports/evaluate/gates.json", "reports/evaluate/intervals.json"
OF_A_GATE = ("name", "passed", "kind", "metric", "bound", "limit", "value", "low", "high", "why", "reason")
Evidence = dict[str, Any]


def of_commit(artifact: str, version: str, revision: Revision, wheel: Wheel, gates: list[dict[str, Any]]) -> Evidence:
    """Return the evidence of a commit: what it is, and what was measured."""
    measured = (revision.json(INTERVALS) or {}).get("metrics") or {}
    headline = next((name for name in HEADLINE.values() if name in measured), None)
    order = sorted(measured, key=lambda name: (name != headline, name))
    return {
        "artifact": artifact,
        "version": version,
        "commit": revision.commit,
        "wheel": wheel.told,
        "metrics": {name: {key: measured[name][key] for key in ("value", "low", "high")} for name in order},
        "gates": [_gate(gate) for gate in gates],
        "params": revision.yaml("params.yaml"),
        "hashes": hashes(revision.lock),
    }


def _gate(gate: dict[str, Any]) -> dict[str, Any]:
    """Return what a tag says of a gate: what it has no value for is left out, except `passed`, null where pending."""
    return {key: gate.get(key) for key in OF_A_GATE if key in ("name", "passed") or gate.get(key) not in (None, "")}


def hashes(lock: Any) -> dict[str, str]:
    """Return the hashes that dvc.lock has of the sources and of each stage's data."""
    stages = ((lock or {}).get("stages") or {}).values()
    deps = {dep["path"]: dep["md5"] for stage in stages for dep in stage.get("deps", []) if "md5" in dep}
    raw = {path: digest for path, digest in deps.items() if path.startswith("data/raw/")}
    return raw | {path: digest for path, digest in outputs(lock).items() if path.startswith("data/")}


def headline(evidence: Evidence) -> str:
    """Return the number that the model is known by, with its interval, and the state of its gates."""
    name, row = next(iter(evidence["metrics"].items()), ("no metric", None))
    told = name if row is None else f"{name} {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
    return f"{told}; {gates_line(evidence['gates'])}"


def message(title: str, evidence: Evidence) -> str:
    """Return a tag's message: a title with the headline, an empty line, the evidence as YAML."""
    return f"{title}: {headline(evidence)}\n\n{as_yaml(evidence)}"


def as_yaml(evidence: Evidence) -> str:
    """Return evidence as YAML with a line for each number, gate and hash."""
    parts = []
    for key, value in evidence.items():
        style = None if key in ("metrics", "gates") else False  # None: what is innermost stands on one line
        parts.append(
            yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=style, width=999, allow_unicode=True)
        )
    return "".join(parts)


def read(tag: str) -> Evidence:
    """Return the evidence that a tag carries. Raises InputError where it is no tag of ours."""
    kind = git("cat-file", "-t", f"refs/tags/{tag}")
    if kind is None:
        raise InputError(f"no tag {tag!r} here: git fetch origin --tags")
    if kind.strip() != "tag":
        raise InputError(f"{tag} is not an annotated tag here, so it says nothing: git fetch origin --tags --force")
    text = git("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}") or ""
    try:
        found = yaml.safe_load(text.partition("\n\n")[2].partition("-----BEGIN ")[0])  # a signature may follow
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict) or not {"version", "commit", "wheel", "gates"} <= found.keys():
        raise InputError(f"{tag} carries no evidence: it was not made by tools.promote")
    return found
