"""The data card, compiled from the reports. After Pushkarna et al. 2022 (Data Cards) and Gebru et al. 2021."""

from __future__ import annotations

from stages.runtime.contract import Contract
from stages.shared.cards.columns import Column, columns_of, described
from stages.shared.cards.facts import Fact
from stages.shared.cards.files import DECLARED, PROFILE, SUMMARY, WHEEL, Report
from stages.shared.cards.metadata import data_metadata
from stages.shared.cards.parts import joined, licence, section, stated, table
from stages.shared.profile.shift import warn

MOST_MISSING = 10  # columns whose missing values are counted
SIDES = ("train", "validation", "test")


def data_card(report: Report, contract: Contract) -> str:
    """Return the draft of the card as Markdown with Hugging Face's metadata."""
    summary, profile, texts, name = report.of(SUMMARY), report.of(PROFILE), report.texts["data"], report.table
    columns = columns_of(report)
    sensitive = [columns[name].name for name, column in contract.columns.items() if column.sensitive]
    people = f"Marked as sensitive: {joined(sensitive)}." if sensitive else "The contract marks no column as sensitive."
    return "\n".join([
        *data_metadata(report, contract),
        f"# {name}: data card",
        "",
        f"The table that {report.of(WHEEL)['name']:code} was trained and tested on.",
        "",
        *section("Origin", [
            *stated("Origin", texts, "origin", name),
            *stated("Collection", texts, "collection", name),
            *licence(texts, name),
            *_source(report.of(DECLARED)["source"]),
        ]),
        *section("Rows", [*fates(summary), *_limits(report.of(DECLARED)["limits"])]),
        *section("Sides", [*_split(report.of(DECLARED)["split"]), *sides(summary["split"])]),
        *section("Columns", described(columns, [n for n in columns if contract.columns[n].role != "drop"], True)),
        *_left_out(columns, contract),
        *section("Profile", [*_span(profile, contract), *_missing(profile), *_differing(profile)]),
        *section("People", [people, "", *stated("People", texts, "people", name)]),
        *section("Leaks", _leakage(summary["leakage"])),
        *section("Use", [
            *stated("Purpose", report.texts, "purpose", name),
            *stated("Out of scope", report.texts, "out_of_scope", name),
        ]),
        *section("Upkeep", [
            *stated("Retention", texts, "retention", name),
            *stated("Owner", report.texts, "owner", name),
            *stated("Contact", report.texts, "contact", name),
        ]),
        *section("Lineage", [f"- `data/prepare`: {report.of(WHEEL)['made_from']['data/prepare']:code} (MD5, as in "
                             "`dvc.lock`)", ""]),
    ])  # fmt: skip


def _source(source: Fact) -> list[str]:
    pin = source.get("sha256")
    told = "not pinned in the contract; `dvc.lock` has its MD5" if pin is None else f"pinned, SHA-256 {pin:code}"
    return [f"**Source.** {source['path']:code} ({source['format']}), {told}.", ""]


def fates(summary: Fact) -> list[str]:
    """Return what became of the rows of the source, and which rules were broken."""
    rows = summary["rows"]
    told = f"{rows['kept']} kept, {rows['quarantined']} quarantined, {rows['merged']} exact duplicates merged"
    lines = [
        f"- {column:code}: {', '.join(f'{n} {rule}' for rule, n in rules.items())}"
        + (", made missing" if action.value == "null" else "")
        for action, columns in summary["broken"].items()
        for column, rules in columns.items()
    ]
    return [f"{rows['in']} rows: {told}.", "", *lines, *([""] if lines else [])]


def _limits(limits: Fact) -> list[str]:
    return [
        f"More than {limits['quarantine']:.6g} of the rows quarantined, or more than {limits['nulled']:.6g} of a "
        "column's values made missing, stops the pipeline.",
        "",
    ]


def _split(split: Fact) -> list[str]:
    """Return by what the sides are told apart."""
    by, gap, validation, test = (split[key] for key in ("by", "gap_days", "validation", "test"))
    if by.value == "time":
        apart = f", {gap} days apart" if gap else ""
        return [
            f"By time: validation rows from {validation} on, test rows from {test} on{apart}.",
            "",
        ]
    shares = f"a share of {validation:.6g} validates, {test:.6g} tests"
    return [f"By {by}, whatever the order of the rows: {shares}.", ""]


def sides(split: Fact) -> list[str]:
    """Return the rows and the target of each side."""
    rows = [[f"{side}", f"{part['rows']}", _target(part)] for side, part in split.items()]
    return table(["side", "rows", "target"], rows)


def _target(part: Fact) -> str:
    if "target_mean" in part:
        return f"mean {part['target_mean']:.6g}"
    classes = part["classes"].items() if "classes" in part else []
    return ", ".join(f"{label}: {found['share']:.1%}" for label, found in classes)


def _left_out(columns: dict[str, Column], contract: Contract) -> list[str]:
    dropped = [columns[name] for name in contract.with_role("drop")]
    lines = [f"- {column.name:code}: {column.says['reason']}" for column in dropped]
    return ["Left out:", "", *lines, ""] if lines else []


def _span(profile: Fact, contract: Contract) -> list[str]:
    """Return the first and last moment of each side, where there is a time column."""
    moments = [column for column in profile["columns"] if column["name"].value in contract.with_role("time")]
    rows = [
        [f"{side}", f"{column['min'][side]}", f"{column['max'][side]}"]
        for column in moments
        for side in SIDES
        if column["min"].get(side) is not None
    ]
    return [f"Time, {moments[0]['name']:code}:", "", *table(["side", "first", "last"], rows)] if rows else []


def _missing(profile: Fact) -> list[str]:
    """Return the columns with the most missing values, and how many, by side."""
    columns = sorted(profile["columns"], key=lambda column: -sum(column["missing"].value.values()))
    lacking = [column for column in columns if any(column["missing"].value.values())]
    if not lacking:
        return ["No value is missing.", ""]
    names = [name for name, _ in lacking[0]["missing"].items()]
    rows = [
        [f"{column['name']:code}", *(f"{column['missing'][name.value]}" for name in names)]
        for column in lacking[:MOST_MISSING]
    ]
    more = " The columns that lack most:" if len(lacking) > MOST_MISSING else ""
    return [f"Missing values by side.{more}", "", *table(["column", *map(str, map(format, names))], rows)]


def _differing(profile: Fact) -> list[str]:
    """Return the columns that differ between sides by more than chance."""
    warned = warn(profile.value)
    names = [column["name"] for column in profile["columns"] if column["name"].value in warned]
    page = "`reports/prepare/profile.html` shows by how much."
    if not names:
        return [f"No column of validation or test rows strikingly differs from training rows; {page}", ""]
    return [f"Distributed otherwise in validation or test rows than in training: {joined(names)}; {page}", ""]


def _leakage(checks: Fact) -> list[str]:
    """Return what was looked for across the split, what was found, and why a finding was let pass."""
    rows = [
        [f"{name:code}", f"{check['found']}", f"{check['limit']}", f"{check['waived']}" if check["waived"] else ""]
        for name, check in checks.items()
    ]
    return table(["check", "found", "limit", "waived"], rows)
