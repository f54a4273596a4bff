"""The model card, compiled from the reports: no number in it is typed by hand. After Mitchell et al. 2019."""

from __future__ import annotations

from typing import Any

from stages.runtime.contract import Contract

MOST_COLUMNS = 10  # whose importance is shown


def model_card(title: str, contract: Contract, reports: dict[str, Any], lineage: dict[str, Any]) -> str:
    """Return the card as Markdown from the stages' reports, {stage: content}.

    Besides "importance", the rows of its table, and "gates" and "slices", what evaluate says in the files so called.
    """
    rows = reports["prepare"]["rows"]
    fates = f"{rows['kept']} kept, {rows['quarantined']} quarantined, {rows['merged']} exact duplicates merged"
    return "\n".join([
        f"# {title}",
        "",
        f"Predicts `{contract.target}` ({contract.task}) from {len(contract.inputs)} columns of the table "
        f"`{contract.name}`, with {lineage['model']['estimator']}.",
        "",
        *_measured(reports["evaluate"]),
        *_classes(reports["evaluate"]),
        *_deciles(reports["evaluate"]),
        *_periods(reports["evaluate"]),
        "",
        *_gates(reports.get("gates", [])),
        *_fairness(reports.get("slices", {}).get("fairness", {})),
        *_decided(reports["train"], reports["evaluate"], contract.classes),
        *_importance(reports["importance"], reports["train"]),
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


def _classes(evaluated: dict[str, Any]) -> list[str]:
    """Return precision, recall and F1 of each of several classes."""
    names = ("precision", "recall", "f1")
    lines = [
        f"| {label} | {part['rows']} | {' | '.join(_interval(part[name]) for name in names)} |"
        for label, part in evaluated.get("classes", {}).items()
    ]
    return _table("By class:", ["class", "rows", *names], lines)


def _deciles(evaluated: dict[str, Any]) -> list[str]:
    """Return the errors by how large the target is."""
    lines = [
        f"| {part['from']:.6g} to {part['to']:.6g} | {part['rows']} | {_interval(part['mae'])} | "
        f"{_interval(part['mean_error'])} |"
        for part in evaluated.get("deciles", [])
    ]
    columns = ["target", "rows", "mean absolute error", "mean of actual - predicted"]
    return _table("By decile of the target:", columns, lines)


def _periods(evaluated: dict[str, Any]) -> list[str]:
    """Return the headline metric by period, where the split is by time."""
    if "periods" not in evaluated:
        return []
    name, unit = evaluated["periods"]["headline"], evaluated["periods"]["unit"]
    lines = [
        f"| {part['period']} | {part['rows']} | {_interval(part['metrics'][name])} | "
        f"{_interval(part['linear'][name])} | {part['minus_linear'][name]['verdict']} |"
        for part in evaluated["periods"]["list"]
    ]
    return _table(f"{name} by {unit}:", ["period", "rows", "model", "linear baseline", "verdict"], lines)


def _table(title: str, columns: list[str], lines: list[str]) -> list[str]:
    """Return a titled table; nothing where it has no lines."""
    if not lines:
        return []
    return ["", title, "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *lines]


def _gates(gates: list[dict[str, Any]]) -> list[str]:
    """Return how many gates passed, and each that did not."""
    if not gates:
        return []
    passed = [gate for gate in gates if gate["passed"]]
    others = [gate for gate in gates if not gate["passed"]]
    word = {False: "failed", None: "pending"}
    lines = [f"- `{gate['name']}` {word[gate['passed']]}: {gate['metric']}{_against(gate)}" for gate in others]
    excused = [f"- `{gate['name']}`: {gate['reason']}" for gate in gates if gate["reason"]]
    told = f"{len(passed)} of {len(gates)} gates passed; `reports/evaluate/gates.json` has the numbers."
    return ["## Gates", "", told, *([""] if others or excused else []), *lines, *excused, ""]


def _against(gate: dict[str, Any]) -> str:
    number = {"point": gate["value"], "low": gate["low"], "high": gate["high"]}[gate["bound"]]
    found = "" if number is None else f" {number:.6g}, limit {gate['limit']:.6g}"
    return found + (f" ({gate['why']})" if gate["why"] else "")


def _fairness(fairness: dict[str, Any]) -> list[str]:
    """Return each sensitive column's differences and ratios between its groups."""
    if not fairness:
        return []
    names = list(dict.fromkeys(name for found in fairness.values() for name in found["metrics"]))
    lines = []
    for column, found in fairness.items():
        rows = [found["metrics"].get(name) for name in names]
        cells = [_interval(row) if row and row["value"] is not None else "" for row in rows]
        few = ", ".join(found["left_out"])
        lines.append(f"| `{column}` | {len(found['groups'])} | {' | '.join([*cells, few])} |")
    head = ["column", "groups", *(name.replace("_", " ") for name in names), "too few rows"]
    return ["## Fairness", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines, ""]


def _decided(trained: dict[str, Any], evaluated: dict[str, Any], classes: list[str]) -> list[str]:
    """Return what was decided on rows not fitted on: calibration, threshold or factors, interval; what there is."""
    parts = [
        *_calibration(trained),
        *_threshold(trained),
        *_factors(trained, classes),
        *_prediction_interval(trained, evaluated),
    ]
    return [f"## Decided on {_deciding(trained)}", "", *parts] if parts else []


def _deciding(trained: dict[str, Any]) -> str:
    return str(trained.get("decided_on", "validation rows"))


def _calibration(trained: dict[str, Any]) -> list[str]:
    if "calibration" not in trained:
        return []
    found = trained["calibration"]
    how = "Not calibrated" if found["method"] == "none" else f"Calibrated by `{found['method']}`"
    losses = [f"`{name}` {loss:.6g}" for name, loss in sorted(found.get("left_out_log_loss", {}).items())]
    why = f"; log loss on rows left out: {', '.join(losses)}" if losses else ""
    return [f"{how}{why}{': ' + found['reason'] if 'reason' in found else ''}.", ""]


def _threshold(trained: dict[str, Any]) -> list[str]:
    """Return the threshold, and what it gives beside 10% lower and higher ones."""
    if "threshold" not in trained:
        return []
    near = trained["threshold_sensitivity"]
    names = sorted(near["at"])
    rows = [("10% lower", "10_percent_lower"), (f"**{trained['threshold']:.6g}**", "at"),
            ("10% higher", "10_percent_higher")]  # fmt: skip
    return [
        f"Called positive from a probability of {trained['threshold']:.6g} on. On the {_deciding(trained)}:",
        "",
        f"| threshold | {' | '.join(names)} |",
        f"|{'---|' * (1 + len(names))}",
        *(f"| {label} | {' | '.join(f'{near[key][name]:.6g}' for name in names)} |" for label, key in rows),
        "",
    ]


def _factors(trained: dict[str, Any], classes: list[str]) -> list[str]:
    if "factors" not in trained:
        return []
    losses = trained["left_out_macro_f1"]
    told = f"macro F1 on rows left out: {losses['plain']:.6g} without factors, {losses['factors']:.6g} with"
    if all(factor == 1 for factor in trained["factors"]):
        return [f"The likeliest class is called; {told}.", ""]
    factors = ", ".join(f"`{label}` {factor:.6g}" for label, factor in zip(classes, trained["factors"], strict=True))
    return [f"The class is called whose probability is largest after multiplying: {factors}; {told}.", ""]


def _prediction_interval(trained: dict[str, Any], evaluated: dict[str, Any]) -> list[str]:
    if "interval" not in trained:
        return []
    found = evaluated.get("prediction_interval")
    if found is None:
        return [
            f"No prediction interval: too few {_deciding(trained)} for a level of {trained['interval']['level']:.6g}.",
            "",
        ]
    coverage, width = (_interval(found["measured"][name]) for name in ("coverage", "interval_width"))
    return [
        f"Prediction intervals should cover a share of {found['level']:.6g}; of the test rows they cover {coverage}, "
        f"with a mean width of {width}.",
        "",
    ]


def _importance(rows: list[dict[str, str]], trained: dict[str, Any]) -> list[str]:
    """Return the columns that count most, with the spread over repeats, and how many are left out."""
    if not rows:
        return []
    shown = [f"| `{row['column']}` | {row['loss_increase']} | {row['spread']} |" for row in rows[:MOST_COLUMNS]]
    more = len(rows) - len(shown)
    loss = f"loss on {trained['decided_on']}," if "decided_on" in trained else "validation loss"
    return [
        "## Importance",
        "",
        f"How much the {loss} grows when a column is dealt out anew, mean and standard deviation over repeats.",
        "",
        "| column | growth | spread |",
        "|---|---|---|",
        *shown,
        *(["", f"{more} more columns: less."] if more else []),
        "",
    ]


def _interval(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return "no value"
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
