"""The report's sections on the model: verdict, metrics, curves, decisions, importance; each where there is data."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

from stages.runtime.contract import Contract
from stages.shared.errors import InputError
from stages.shared.metrics import HEADLINE, HIGHER_IS_BETTER
from stages.shared.report.charts import Series, bars, chart, forest
from stages.shared.report.parts import Html, badge, details, interval, markup, number, paragraph, section, table


class Reports(dict[str, Any]):
    """What stages reported, by file below `reports/`: `[...]` for what must be there, `get` for the rest."""

    def __missing__(self, name: str) -> Any:
        raise InputError(f"reports/{name}: no such file; `dvc repro` makes it")


PASSED = {"better": True, "worse": False, "cannot tell": None}
MOST_BARS = 20


def verdict(contract: Contract, reports: Reports) -> Html:
    """Return the headline metric, beside both baselines, and the gates."""
    evaluated = reports["evaluate/intervals.json"]
    name = HEADLINE[contract.task]
    row = evaluated["metrics"][name]
    lead = f"{name} {row['value']:.4f}, {evaluated['confidence']:.0%} interval {row['low']:.4f} to {row['high']:.4f}"
    parts: list[Any] = [paragraph(f"{lead}, on {evaluated['rows']:,} test rows.", "lead")]
    for other in ("linear", "constant"):
        against = evaluated[f"minus_{other}"][name]
        said = f" than the {other} baseline" if against["verdict"] != "cannot tell" else f" from the {other} baseline"
        told = f"{said}: {against['value']:+.4f} [{against['low']:+.4f}, {against['high']:+.4f}]"
        parts.append(paragraph(Html(badge(PASSED[against["verdict"]], against["verdict"]) + markup(told))))
    return section("verdict", "Verdict", [*parts, gates(reports)])


def gates(reports: Reports) -> Html:
    """Return every gate with the number that decided it."""
    listed = reports.get("evaluate/gates.json", {}).get("gates", [])
    words = {True: "passed", False: "failed", None: "pending"}
    rows = [
        [gate["name"], Html(f"<td>{badge(gate['passed'], words[gate['passed']])}</td>"),
         Html(f"<td>{markup(gate['metric'])}</td>"), _judged(gate), gate["limit"], gate["bound"],
         ". ".join(filter(None, [gate["why"], gate["reason"]]))]
        for gate in listed
    ]  # fmt: skip
    header = ["gate", "", "metric", "value", "limit", "decided by", "why"]
    return table("Gates", header, rows) if rows else Html("")


def _judged(gate: dict[str, Any]) -> Html:
    return interval({key: gate[key] for key in ("value", "low", "high") if gate[key] is not None})


def metrics(reports: Reports) -> Html:
    """Return all metrics of the model and of both baselines, and the difference from the linear one as a picture."""
    found = reports["evaluate/intervals.json"]
    rows, differences = [], []
    for name, row in found["metrics"].items():
        against = found["minus_linear"].get(name)
        others = [interval(found[other].get(name)) for other in ("linear", "constant")]
        word = against["verdict"] if against else None
        judged = Html(f"<td>{badge(PASSED[word], word)}</td>") if word else Html("<td>–</td>")
        rows.append([name, interval(row), *others, interval(against, signed=True), judged])
        if against and against["value"] is not None:
            differences.append((name, *in_standard_errors(name, against, found["confidence"])))
    header = ["metric", "model", "linear baseline", "constant", "model − linear", "verdict"]
    caption = f"Metrics on the test rows, with intervals of {found['confidence']:.0%}"
    return section("metrics", "Metrics", [
        table(caption, header, rows),
        forest("Model against the linear baseline, right of 0 is better", "standard errors", differences, 0.0),
        _periods(reports),
        _classes(found),
    ])  # fmt: skip


def in_standard_errors(name: str, row: dict[str, Any], confidence: float) -> tuple[float, float, float]:
    """Return a difference and its interval on a scale that all metrics share, the better side positive."""
    error = (row["high"] - row["low"]) / 2 / NormalDist().inv_cdf((1 + confidence) / 2)
    scale = (1 if HIGHER_IS_BETTER[name] else -1) / error if error else 0.0
    low, high = sorted((row["low"] * scale, row["high"] * scale))
    return row["value"] * scale, low, high


def _periods(reports: Reports) -> Html:
    rows = reports.get("evaluate/plots/periods.csv", [])
    if not rows:
        return Html("")
    header = list(rows[0])
    return table("By period", header, [[_typed(row[name]) for name in header] for row in rows])


def _classes(found: Reports) -> Html:
    classes = found.get("classes") or {}
    names = list(dict.fromkeys(name for row in classes.values() for name in row))
    rows = [[label, *(_measured(row.get(name)) for name in names)] for label, row in classes.items()]
    return table("By class", ["class", *names], rows) if rows else Html("")


def _measured(value: Any) -> Any:
    return interval(value) if isinstance(value, dict) else value


def curves(contract: Contract, reports: Reports) -> Html:
    """Return the curves of the task."""
    charts = [_curve(reports, *spec) for spec in CURVES]
    shown = "".join(charts)
    parts = [Html(f'<div class="charts">{shown}</div>')] if shown else []
    return section("curves", "Curves", [*parts, confusion(contract, reports)])


CURVES = [  # file, title, x, y, drawn as, reference line
    ("evaluate/plots/roc.csv", "ROC", "false_positive_rate", "true_positive_rate", "line", "diagonal"),
    ("evaluate/plots/precision_recall.csv", "Precision and recall", "recall", "precision", "line", ""),
    ("evaluate/plots/calibration.csv", "Calibration, bins of equal count", "predicted", "observed", "line", "diagonal"),
    ("evaluate/plots/lift.csv", "Lift, rows by score", "share", "lift", "line", "one"),
    ("evaluate/plots/predicted.csv", "Predicted and actual", "predicted", "actual", "dots", "diagonal"),
    ("evaluate/plots/residuals.csv", "Residuals", "predicted", "residual", "dots", "zero"),
    ("train/plots/threshold.csv", "Thresholds, rows that decided", "threshold", "f1", "line", ""),
]


def _curve(reports: Reports, file: str, title: str, x: str, y: str, style: str, reference: str) -> Html:
    rows = reports.get(file, [])
    if not rows or x not in rows[0] or y not in rows[0]:
        return Html("")
    points = [(float(row[x]), float(row[y])) for row in rows]
    xs, ys = zip(*points, strict=True)
    low, high = min(*xs, *ys), max(*xs, *ys)
    ends = {"diagonal": [(low, low), (high, high)], "zero": [(min(xs), 0.0), (max(xs), 0.0)],
            "one": [(min(xs), 1.0), (max(xs), 1.0)], "": []}  # fmt: skip
    return chart(title, x.replace("_", " "), y.replace("_", " "), [Series(title, points, style)], ends[reference])


def confusion(contract: Contract, reports: Reports) -> Html:
    """Return how many rows of each class were called what; the shade is the share of the actual class."""
    pairs = [(row["actual"], row["predicted"]) for row in reports.get("evaluate/plots/confusion.csv", [])]
    if not pairs:
        return Html("")
    rows = []
    for actual in contract.classes:
        counts = [pairs.count((actual, called)) for called in contract.classes]
        total = max(1, sum(counts))
        rows.append([actual, *(_shaded(n, n / total) for n in counts)])
    return table("Confusion: actual classes down, predicted across", ["actual", *contract.classes], rows)


def _shaded(n: int, share: float) -> Html:
    return Html(f'<td class="shade" data-v="{n}" style="--s:{60 * share:.3g}%">{n:,} <small>{share:.1%}</small></td>')


def decisions(reports: Reports) -> Html:
    """Return what was decided on rows that were not fitted on: calibration, threshold, interval, weights."""
    found = reports.get("train/decisions.json", {})
    rows = [[name.replace("_", " "), _plain(value)] for name, value in found.items()]
    return section("decisions", "Decisions", [table("Decided before the test rows were read", ["what", "how"], rows)]
                   if rows else [])  # fmt: skip


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')}: {_plain(part)}" for key, part in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else number(value)


def importance(reports: Reports) -> Html:
    """Return how much the loss grows when a column is dealt out anew."""
    rows = [
        (row["column"], float(row["loss_increase"]), float(row["spread"]))
        for row in reports.get("train/plots/importance.csv", [])
    ]
    if not rows:
        return Html("")
    drawn = [(name, grown, grown - spread, grown + spread) for name, grown, spread in rows[:MOST_BARS]]
    return section("importance", "Importance", [
        bars("Growth of the loss when a column is dealt out anew", "growth of the loss", drawn),
        details(f"All {len(rows)} columns", table("Importance", ["column", "growth", "spread"], rows)),
    ])  # fmt: skip


def _typed(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text or None
