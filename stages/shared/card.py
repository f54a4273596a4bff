"""The model card, compiled from the reports: no number in it is typed by hand. After Mitchell et al. 2019."""

from __future__ import annotations

from typing import Any

from stages.runtime.contract import Contract


def model_card(title: str, contract: Contract, reports: dict[str, Any], lineage: dict[str, Any]) -> str:
    """Return the card as Markdown from the stages' reports, {stage: content}."""
    rows = reports["prepare"]["rows"]
    fates = f"{rows['kept']} kept, {rows['quarantined']} quarantined, {rows['merged']} exact duplicates merged"
    return "\n".join([
        f"# {title}",
        "",
        f"Predicts `{contract.target}` ({contract.task}) from {len(contract.inputs)} columns of the table "
        f"`{contract.name}`, with {lineage['model']['estimator']}.",
        "",
        *_measured(reports["evaluate"]),
        "",
        "## Data",
        "",
        f"{rows['in']} rows: {fates}.",
        *_broken(reports["prepare"]["broken"]),
        "",
        "| side | rows | target |",
        "|---|---|---|",
        *(f"| {side} | {part['rows']} | {_target(part)} |" for side, part in reports["prepare"]["split"].items()),
        "",
        *_leakage(reports["prepare"]["leakage"]),
        "",
        "## Inputs",
        "",
        "| column | type | unit | sensitive | description |",
        "|---|---|---|---|---|",
        *(_input(name, contract) for name in contract.inputs),
        "",
        *_left_out(contract),
        "## Lineage",
        "",
        "Hashes as in `dvc.lock`; `git log -S HASH -- dvc.lock` finds the commit.",
        "",
        *(f"- `{name}`: `{found}`" for name, found in sorted(lineage["made_from"].items())),
        "",
    ])  # fmt: skip


def _broken(broken: dict[str, dict[str, dict[str, int]]]) -> list[str]:
    lines = [
        f"- `{column}`: {', '.join(f'{n} {rule}' for rule, n in sorted(rules.items()))}"
        + (", made missing" if action == "null" else "")
        for action, columns in sorted(broken.items())
        for column, rules in sorted(columns.items())
    ]
    return ["", *lines] if lines else []


def _leakage(checks: dict[str, dict[str, Any]]) -> list[str]:
    """Return what was looked for across the split, and why a finding was let pass."""
    waived = [f"- `{name}`, waived: {check['waived']}" for name, check in checks.items() if check["waived"]]
    return [f"Looked for leaks across the split: {', '.join(f'`{name}`' for name in sorted(checks))}.", *waived]


def _measured(evaluated: dict[str, Any]) -> list[str]:
    lines = [
        f"## Measured on {evaluated['rows']} test rows",
        "",
        f"Intervals of {evaluated['confidence']:.0%}; the difference is paired over the same resamples.",
        "",
        "| metric | model | linear baseline | constant | model - linear | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in evaluated["metrics"].items():
        against = evaluated["minus_linear"][name]
        cells = [_interval(part) for part in (row, evaluated["linear"][name], evaluated["constant"][name], against)]
        lines.append(f"| {name} | {' | '.join(cells)} | {against['verdict']} |")
    return lines


def _interval(row: dict[str, Any]) -> str:
    return f"{row['value']:.6g} [{row['low']:.6g}, {row['high']:.6g}]"


def _target(part: dict[str, Any]) -> str:
    if "target_mean" in part:
        return f"mean {part['target_mean']:.6g}"
    return ", ".join(f"{label}: {found['share']:.1%}" for label, found in part.get("classes", {}).items())


def _input(name: str, contract: Contract) -> str:
    column = contract.columns[name]
    cells = [f"`{name}`", column.type, column.unit or "", "yes" if column.sensitive else "", column.description or ""]
    return f"| {' | '.join(cells)} |"


def _left_out(contract: Contract) -> list[str]:
    dropped = [f"- `{name}`: {contract.columns[name].reason}" for name in contract.with_role("drop")]
    return ["Left out:", "", *dropped, ""] if dropped else []
