"""The report's sections on data, slices, behaviour, experiments and lineage."""

from __future__ import annotations

from typing import Any

from stages.shared.profile.shift import warn
from stages.shared.report.charts import Series, bars, chart
from stages.shared.report.parts import Html, details, paragraph, section, table
from stages.shared.report.sections import Reports


def data(reports: Reports) -> Html:
    """Return the fates of rows, the sides, and each column with what differs between sides."""
    summary, profile = reports["prepare/summary.json"], reports["prepare/profile.json"]
    fates = [[name, n] for name, n in summary["rows"].items()]
    sides = [[side, part["rows"], _target(part)] for side, part in summary["split"].items()]
    return section("data", "Data", [
        paragraph(Html(f'Table {profile["name"]}; <a href="prepare/profile.html">every column in pictures</a>.')),
        table("Rows by fate", ["fate", "rows"], fates),
        table("Rows by side", ["side", "rows", "target"], sides),
        details(f"{len(profile['columns'])} columns", _columns(profile)),
    ])  # fmt: skip


def _columns(profile: Reports) -> Html:
    warnings = warn(profile)
    total = sum(profile["rows"].values()) or 1
    rows = [
        [column["name"], column["type"], column["role"], f"{sum(column['missing'].values()) / total:.1%}",
         column["distinct"].get("train"), " ".join(warnings.get(column["name"], []))]
        for column in profile["columns"]
    ]  # fmt: skip
    header = ["column", "type", "role", "missing", "distinct in training", "differs"]
    return table("Columns", header, rows)


def _target(part: Reports) -> str:
    if "target_mean" in part:
        return f"mean {part['target_mean']:.6g}"
    return ", ".join(f"{label}: {found['share']:.1%}" for label, found in part.get("classes", {}).items())


def experiments(reports: Reports) -> Html:
    """Return what was tried before this model: trials of tuning, members of the ensemble."""
    parts: list[Any] = []
    trials = [row for row in reports.get("train/plots/tuning.csv", []) if row["loss"]]
    if trials:
        series = [
            Series(name, [(float(row["trial"]), float(row[name])) for row in trials], style)
            for name, style in (("loss", "dots"), ("best", "line"))
        ]
        parts.append(chart("Tuning: cross-validated loss by trial", "trial", "loss", series))
        weights = [(row["argument"], float(row["importance"])) for row in reports["train/plots/tuning_importance.csv"]]
        parts.append(bars("Share of the loss's variance", "share", [(n, v, v, v) for n, v in weights]))
    members = reports.get("train/plots/ensemble.csv", [])
    if members:
        header = list(members[0])
        rows = [[row["member"], *(float(row[name]) for name in header[1:])] for row in members]
        parts.append(table("Members of the ensemble", header, rows))
    return section("experiments", "Experiments", parts)


def lineage(reports: Reports, hashes: dict[str, str], estimator: str) -> Html:
    """Return the hashes of what was made on the way, which lead to the commit."""
    packaged = reports["package/summary.json"]
    return section("lineage", "Lineage", [
        paragraph(
            f"Fitted by {estimator}; its wheel of {packaged['wheel_bytes']:,} bytes answered all "
            f"{packaged['replayed']:,} test rows as they were evaluated."
        ),
        paragraph("Hashes as in dvc.lock; git log -S HASH -- dvc.lock finds the commit."),
        table("Made from", ["path", "hash"], [[path, Html(f"<td><code>{found}</code></td>")]
                                              for path, found in hashes.items()]),
    ])  # fmt: skip
