"""Writes a drafted contract as YAML that reads like a lab note: every proposal with what was seen beside it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tools.draft.columns import Drafted, observed

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*([ .()/-]+[A-Za-z0-9_]+)*")
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"}  # YAML's own, or near
PLACE = 46  # column of comments on short lines
COMMENT_LENGTH = 150


@dataclass
class Draft:
    """Everything that stands in conf/data/NAME.yaml, and the sentences beside it."""

    name: str
    table: str
    n_rows: int
    source: dict[str, Any]
    columns: list[Drafted]
    task: str
    task_note: str
    split: dict[str, Any]
    split_note: str
    positive: str | None = None
    source_notes: dict[str, str] = field(default_factory=dict)
    waive: dict[str, str] = field(default_factory=dict)
    limit: float = 0.01
    limit_note: str = "share of the rows"
    look_at: list[str] = field(default_factory=list)


def render(draft: Draft) -> str:
    """Return the YAML."""
    target = next(drafted.name for drafted in draft.columns if drafted.keys.get("role") == "target")
    lines = [
        f"# {_clean(target)} from the other columns of {_clean(draft.table)}: {draft.n_rows:,} rows x"
        f" {len(draft.columns)} columns. Drafted by tools.draft from the",
        "# values alone: confirm each line; say what a row is, the units, and where the table comes from.",
    ]
    if draft.look_at:
        lines += ["# To look at first:", *(f"#   {_clean(sentence)}" for sentence in draft.look_at)]
    lines.append(_line(f"task: {draft.task}", draft.task_note))
    if draft.positive is not None:
        lines.append(_line(f"positive: {scalar(draft.positive)}", "its probability is the score"))
    lines.append("source:")
    for key, value in draft.source.items():
        lines.append(_line(f"  {key}: {scalar(value)}", draft.source_notes.get(key, "")))
    lines.append("columns:")
    lines += [_line(f"  {key_text(d.name)}: {mapping(d.keys)}", facts(d), 0) for d in draft.columns]
    lines.append(_line("split:", draft.split_note))
    lines += [f"  {key}: {scalar(value)}" for key, value in draft.split.items()]
    if draft.waive:
        lines.append(_line("waive:", "leakage checks that would stop prepare; delete a line to see what it finds"))
        lines += [f"  {check}: {scalar(reason)}" for check, reason in draft.waive.items()]
    lines += ["limits:", _line(f"  quarantine: {draft.limit:g}", draft.limit_note)]
    return "\n".join(lines) + "\n"


def facts(drafted: Drafted) -> str:
    """Return what was seen in a column, in a few words."""
    parts = []
    present = drafted.present
    role = drafted.keys.get("role")
    if drafted.low is not None and role != "drop":
        parts.append(f"{observed(drafted.low)} to {observed(drafted.high)}")
    elif drafted.type in ("category", "boolean") and present and role in (None, "target"):
        total = sum(n for _, n in present)
        parts.append(", ".join(f"{text[:24]} {n / total:.0%}" for text, n in present[:2]))
    if drafted.n_missing and present:
        share = drafted.n_missing / max(drafted.texts.n_rows, 1)
        parts.append(f"missing {share:.1%}" if share >= 0.001 else f"{drafted.n_missing} missing")
    return "; ".join([*parts, *drafted.notes])


def mapping(keys: dict[str, Any]) -> str:
    """Return the keys of a column as a flow mapping, in the order in which people read them."""
    order = "type role nullable unique min max values formats decimal thousands timezone missing sensitive on_violation"
    shown = [(key, keys[key]) for key in [*order.split(), "reason"] if key in keys and keys[key] not in ([], None)]
    return "{" + ", ".join(f"{key}: {scalar(value)}" for key, value in shown) + "}"


def scalar(value: Any) -> str:
    """Return a value as YAML in flow style; texts are quoted wherever YAML could read them as something else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = repr(value)
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else text if "." in text else f"{value:.1e}"
    if isinstance(value, list):
        return "[" + ", ".join(map(scalar, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key_text(key)}: {scalar(item)}" for key, item in value.items()) + "}"
    return key_text(str(value)).replace("${", "\\\\${")  # a value, not a key, is where OmegaConf interpolates


def key_text(text: str) -> str:
    """Return a text as a YAML key or value."""
    is_plain = PLAIN.fullmatch(text) and text.lower() not in WORDS and not text.endswith(" ")
    return text if is_plain else quoted(text)


def quoted(text: str) -> str:
    """Return a text in double quotes; what cannot be seen is escaped."""
    shown = "".join(c if c.isprintable() else _escape(c) for c in json.dumps(text, ensure_ascii=False)[1:-1])
    return f'"{shown}"'


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"


def _line(content: str, comment: str, place: int = PLACE) -> str:
    """Return a line with its comment, if any, on the same line."""
    cleaned = _clean(comment)
    if len(cleaned) > COMMENT_LENGTH:
        cleaned = cleaned[: COMMENT_LENGTH - 3] + "..."
    return f"{content.ljust(place - 2)}  # {cleaned}" if cleaned else content


def _clean(comment: str) -> str:
    return "".join(c if c.isprintable() else " " for c in comment).strip()
