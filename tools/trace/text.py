"""What was traced, as text for a terminal."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from tools.diff.markdown import table

WIDTH = 116
Found = dict[str, Any]


def lines(found: Found) -> list[str]:
    """Return the lines of what was found: commits, and what the first of them was made of."""
    made = found["made"]
    return [
        f"{found['asked']}",
        *(f"  ({note})" for note in found["notes"]),
        *(line for entry in found["requests"] for line in _request(entry)),
        "",
        "made by",
        *map(_commit, found["commits"]),
        *(f"  tag {tag['name']}  {tag['day']}  {tag['meaning'] or tag['subject']}" for tag in found["tags"]),
        f"  now in {', '.join(found['branches']) or 'no branch'}",
        "",
        *_wheel(made["wheel"]),
        "data",
        *(f"  {path}  {digest}" for path, digest in made["data"]["hashes"].items()),
        f"  pin of the source: {made['data']['pin'] or 'none in conf/data'}",
        "",
        "parameters",
        *_wrapped(f"{key}={value}" for key, value in made["parameters"]["choices"].items()),
        *(line for file, values in made["parameters"]["files"].items() for line in _values(file, values, found)),
        "",
        "environment",
        f"  requirements.txt  {made['environment']['requirements']}",
        *_wrapped(f"{name} {version}" for name, version in made["environment"]["packages"].items()),
        "",
        *_gates(made["gates"]),
        "metrics of the test rows",
        *(f"  {name}  {_interval(row)}" for name, row in made["metrics"].items()),
        *(f"  {path} of this commit is not the one that its dvc.lock names" for path in made["not_of_this_run"]),
    ]  # fmt: skip


def _request(entry: Found) -> list[str]:
    output = json.dumps(entry.get("output"), ensure_ascii=False, default=str)
    return [f"  answered at {entry.get('time')} by version {entry['version']}: {textwrap.shorten(output, 80)}"]


def _commit(each: Found) -> str:
    return f"  {each['commit'][:12]}  {each['date'][:10]}  {each['author']}  {each['subject']}"


def _wheel(wheel: Found | None) -> list[str]:
    if wheel is None:
        return []
    named = f"  {wheel['name']} {wheel['version']}  {wheel['model']['estimator']}"
    return ["wheel", named, f"  SHA-256 {wheel['sha256']}", ""]


def _values(file: str, values: Any, found: Found) -> list[str]:
    """Return the values of one file of conf/; of those that name tables, only this one's."""
    name = found["made"]["parameters"]["choices"].get("data")
    if file.startswith("conf/data/"):
        return [f"  {file}: a contract of {len(values.get('columns', {}))} columns"]
    shown = {key: value for key, value in values.items() if key != "tables"} if isinstance(values, dict) else values
    told = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in leaves(shown).items()]
    more = " (and what is said of this table)" if name in (values.get("tables") or {}) else ""
    return [f"  {file}{more}", *_wrapped(told, "    ")]


def leaves(value: Any, where: str = "") -> dict[str, Any]:
    """Return {dotted key: value} of what a configuration holds; a list is one value."""
    if not isinstance(value, dict):
        return {where: value}
    return {
        key: leaf
        for name, part in value.items()
        for key, leaf in leaves(part, f"{where}.{name}" if where else name).items()
    }


def _wrapped(parts: Iterator[str] | list[str], indent: str = "  ") -> list[str]:
    return textwrap.wrap(", ".join(parts), WIDTH, initial_indent=indent, subsequent_indent=indent,
                         break_on_hyphens=False)  # fmt: skip


def _gates(gates: list[Found]) -> list[str]:
    if not gates:
        return ["gates", "  none", ""]
    words = {True: "passed", False: "FAILED", None: "pending"}
    rows = [
        [words[gate["passed"]], gate["name"], gate["metric"], _number(gate["value"]), _number(gate["limit"]),
         gate["bound"], gate["why"] or ""]
        for gate in gates
    ]  # fmt: skip
    header = ["", "gate", "metric", "value", "limit", "decided by", "why"]
    passed = sum(gate["passed"] is True for gate in gates)
    return [f"gates: {passed} of {len(gates)} passed", *(f"  {line}" for line in table(header, rows)), ""]


def _interval(row: Found) -> str:
    return f"{_number(row['value'])} [{_number(row['low'])}, {_number(row['high'])}]"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
