"""Shows a profile to people: one HTML page of fixed bytes, without scripts, that needs nothing but itself.

Fits 360 pixels, follows the light or dark setting, and can be read by keyboard and screen reader: headings, tables
with headers, a label on every picture.
"""

from __future__ import annotations

from html import escape
from typing import Any

from stages.shared.profile.measure import SIDES
from stages.shared.profile.shift import warn
from stages.shared.profile.style import STYLE

Profile = dict[str, Any]
WIDTH, HEIGHT = 440, 40  # of one side's histogram


def page(profile: Profile) -> str:
    """Return the page of a profile; `profile["fates"]` ({"in", "kept", "merged", "quarantined"}) is shown if given."""
    profile = {**profile, "rows": {side: profile["rows"][side] for side in SIDES if side in profile["rows"]}}
    warnings = warn(profile)
    cards = [_card(profile, column, place, warnings.get(column["name"], [])) for place, column in _numbered(profile)]
    title = f"Profile of {profile['name']}"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>
<style>{STYLE}</style></head><body>
<header><h1>{escape(title)}</h1></header>
<main>
<section aria-labelledby="rows"><h2 id="rows">Rows and target</h2>
{_summary(profile)}</section>
<nav aria-labelledby="index"><h2 id="index">Columns</h2>
{_index(profile, warnings)}</nav>
<h2 id="cards">Each column</h2>
{"".join(cards)}</main></body></html>
"""


def _numbered(profile: Profile) -> list[tuple[int, dict[str, Any]]]:
    return list(enumerate(profile["columns"], 1))


def _summary(profile: Profile) -> str:
    rows, target = profile["rows"], profile["target"]
    total = sum(rows.values())
    header, body = ["Side", "Rows", "Share"], []
    is_number = profile["task"] == "regression"
    labels = [] if is_number else list(next(iter(target["sides"].values()), {}))
    header += ["Mean", "Standard deviation"] if is_number else [f"{target['name']} = {label}" for label in labels]
    for side, n in rows.items():
        found = target["sides"].get(side, {})
        if is_number:
            cells = [_number(found[key]) if found else "" for key in ("mean", "deviation")]
        else:
            cells = [_percent(found[label], sum(found.values())) for label in labels]
        body.append([side, f"{n:,}", _percent(n, total), *cells])
    fates = profile.get("fates")
    parts = [_table(f"Rows of each side, and the target {target['name']}", header, body)]
    if fates:
        names = {"in": "in the source", "kept": "kept", "quarantined": "quarantined", "merged": "merged as duplicates"}
        shown = [f"{fates[key]:,} {text}" for key, text in names.items() if key in fates]
        parts.append(f"<p>{'; '.join(shown)}.</p>")
    if profile["sample"]["every"] > 1:
        n = sum(profile["sample"]["rows"].values())
        parts.append(
            f"<p>Quantiles, bins and values are from a sample of {n:,} rows, one in {profile['sample']['every']}; "
            "distinct values are estimates (~), and what is new may only be missing from the sample.</p>"
        )
    parts.append(
        "<p>A warning stands where a side's distribution (bins or values, and missing) is at total variation distance "
        "0.1 or more from training, and further than chance would take it once on 20 such pages.</p>"
    )
    return "\n".join(parts)


def _index(profile: Profile, warnings: dict[str, list[str]]) -> str:
    items = []
    for place, column in _numbered(profile):
        mark = ' <span class="mark">differs</span>' if column["name"] in warnings else ""
        role = "" if column["role"] == "feature" else f" <small>{escape(column['role'])}</small>"
        items.append(f'<li><a href="#c{place}">{escape(column["name"])}</a>{role}{mark}</li>')
    return f'<ol class="index">{"".join(items)}</ol>'


def _card(profile: Profile, column: dict[str, Any], place: int, warnings: list[str]) -> str:
    facts = [column["type"], column["role"], column.get("unit", "")]
    facts.append("sensitive: what fewer than ten rows say is left out" if column.get("sensitive") else "")
    parts = [f'<h3 id="c{place}">{escape(column["name"])}</h3>\n']
    parts.append(f'<p class="facts">{escape(" · ".join(filter(None, facts)))}</p>\n')
    if "description" in column:
        parts.append(f"<p>{escape(column['description'])}</p>\n")
    parts += [f'<p class="warning"><strong>Differs</strong> {escape(text)}</p>\n' for text in warnings]
    if "edges" in column:
        parts.append(_histograms(profile, column))
    parts.append(_facts_table(profile, column))
    if column.get("values"):
        parts.append(_values_table(profile, column))
    parts.append('<p class="up"><a href="#index">Columns</a></p>')
    return f'<article aria-labelledby="c{place}">\n{"".join(parts)}</article>\n'


def _facts_table(profile: Profile, column: dict[str, Any]) -> str:
    about = "~" if column.get("approximate") else ""
    measured = "quantiles" in column
    header = ["Side", "Missing", "Distinct"] + ["New values"] * ("unseen" in column)
    unit = " of the length" if column["type"] == "text" else ""
    if measured:
        named = ["Median" if share == 0.5 else f"{share:.0%}" for share in profile["quantiles"]]
        header += ["Min", *named, "Max"]
    body = []
    for side, n in profile["rows"].items():
        row = [side, _percent(column["missing"][side], n), f"{about}{column['distinct'][side]:,}"]
        if "unseen" in column:
            unseen = column["unseen"].get(side)
            row.append("" if unseen is None else _percent(unseen, profile["sample"]["rows"].get(side, 0)))
        if measured:
            quantiles = column["quantiles"].get(side, [None] * len(profile["quantiles"]))
            ends = [column.get(end, {}).get(side) for end in ("min", "max")]
            row += [_number(value) for value in (ends[0], *quantiles, ends[1])]
        body.append(row)
    return _table(f"{column['name']}: counts" + (f" and quantiles{unit}" if measured else ""), header, body)


def _values_table(profile: Profile, column: dict[str, Any]) -> str:
    """Each cell's bar is a background as wide as its share, of the rows that have a value."""
    counts = {side: column["counts"][side] for side in profile["rows"]}
    totals = {side: sum(n or 0 for n in cells) for side, cells in counts.items()}
    names = [*map(escape, column["values"]), "<em>all others</em>"]
    if not any(cells[-1] for cells in counts.values()):
        names.pop()
    head = "".join(f'<th scope="col">{side}</th>' for side in counts)
    body = []
    for nth, name in enumerate(names):
        cells = "".join(_bar(side, counts[side][nth], totals[side]) for side in counts)
        body.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    caption = "Most frequent values of each side, shares of rows with a value"
    table = f"""<table class="values"><caption>{caption}</caption><tr><th scope="col">Value</th>{head}</tr>
{"".join(body)}</table>"""
    return _scrolling(f"{column['name']}: {caption.lower()}", table)


def _bar(side: str, n: int | None, total: int) -> str:
    if n is None:
        return "<td>under 10 rows</td>"
    return f'<td class="{side}" style="--s:{100 * n / max(1, total):.3g}%">{_percent(n, total)}</td>'


def _histograms(profile: Profile, column: dict[str, Any]) -> str:
    """Return one picture: a row for each side, on one scale of values, its highest bin as high as the row."""
    counts = {side: [n or 0 for n in column["counts"][side]] for side in profile["rows"]}
    if not any(sum(cells) for cells in counts.values()):
        return "<p>No values.</p>\n"
    heights = {side: [n / max(1, sum(cells)) for n in cells] for side, cells in counts.items()}
    n_bins = len(column["edges"]) + 1
    step = WIDTH / n_bins
    parts, label = [], []
    for nth, (side, cells) in enumerate(heights.items()):
        base, highest = (nth + 1) * (HEIGHT + 8), max(cells) or 1
        bars = [
            f"M{place * step:.4g} {base}v{-max(0.5, share / highest * HEIGHT):.3g}h{step - 1:.4g}V{base}z"
            for place, share in enumerate(cells) if share
        ]  # fmt: skip
        parts.append(f'<path class="{side}" d="{"".join(bars)}"/><path class="axis" d="M0 {base}.5h{WIDTH}"/>')
        parts.append(f'<text x="{WIDTH + 6}" y="{base - 2}">{side}</text>')
        label.append(_described(column, side))
    bottom = len(heights) * (HEIGHT + 8)
    parts += _ticks(column, step, bottom)
    what = (
        f"Histogram of the {'length' if column['type'] == 'text' else 'values'} of {column['name']}. {' '.join(label)}"
    )
    view = f"0 0 {WIDTH + 92} {bottom + 22}"
    return f'<svg viewBox="{view}" role="img" aria-label="{escape(what)}">{"".join(parts)}</svg>\n'


def _described(column: dict[str, Any], side: str) -> str:
    quantiles = column["quantiles"].get(side)
    if not quantiles or quantiles[3] is None:
        return f"{side}: too few values."
    if quantiles[1] is None or quantiles[5] is None:
        return f"{side}: median {_number(quantiles[3])}."
    return (
        f"{side}: median {_number(quantiles[3])}, nine in ten from {_number(quantiles[1])} to {_number(quantiles[5])}."
    )


def _ticks(column: dict[str, Any], step: float, bottom: int) -> list[str]:
    """Return the labels of the first and last edge and of one or two between them."""
    edges = column["edges"]
    last = len(edges) - 1
    places = sorted({0, last // 2, last}) if last > 1 else list(range(last + 1))
    anchors = {0: "start", last: "end"} if last else {0: "middle"}
    parts = []
    for place in places:
        x = (place + 1) * step - 0.5
        parts.append(f'<path class="axis" d="M{x:.4g} {bottom}v4"/>')
        parts.append(
            f'<text x="{x:.4g}" y="{bottom + 17}" text-anchor="{anchors.get(place, "middle")}">'
            f"{escape(_number(edges[place]))}</text>"
        )
    return parts


def _table(caption: str, header: list[str], body: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    rows = "".join(
        f'<tr><th scope="row"><span class="key {escape(row[0])}"></span>{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in body
    )
    named = f'<caption class="unseen">{escape(caption)}</caption>'
    return _scrolling(caption, f"<table>{named}<tr>{head}</tr>{rows}</table>")


def _scrolling(label: str, table: str) -> str:
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{table}</div>\n'


def _number(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value.removesuffix(" 00:00:00")
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:.6g}"


def _percent(n: int, total: int) -> str:
    if not total or not n:
        return "0%" if total else "–"
    share = n / total
    return "<0.1%" if share < 0.001 else f"{share:.1%}"
