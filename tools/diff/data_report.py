"""The data section of tools.diff as Markdown."""

from __future__ import annotations

from typing import Any

from tools.diff.markdown import code, table, value

COLUMNS_SHOWN = 30
ABOUT_LABELS = """Intervals: Newcombe's method 10 for shares, normal for means. They take the two revisions as
independent samples; the more rows these share, the wider the interval is than needed.""".replace("\n", " ")
ABOUT_COLUMNS = """Distance: total variation over common bins or values, others and missing, which is the share of rows
that would have to move. Chance: what two samples of one population stay below in 95% of comparisons, over all columns
at once (Bonferroni), rows taken as independent; the more rows the revisions share, the less chance would
give.""".replace("\n", " ")


def lines(found: dict[str, Any]) -> list[str]:
    """Return the lines of what `diff_data.compare` found."""
    names = list(dict.fromkeys(found["tables"]))
    shown = [f"Table: {' -> '.join(map(code, names))}.", *found["notes"]]
    parts = ["\n\n".join(shown).split("\n"), _contract(found["contract"]), _fates(found)]
    if "rows" in found:
        parts.append(_rows(found["rows"]))
    if "labels" in found:
        parts.append(_labels(found["labels"]))
    if "columns" in found:
        parts.append(_columns(found["columns"]))
    return [line for part in parts for line in (*part, "")][:-1]


def _contract(contract: dict[str, Any]) -> list[str]:
    items = [f"- added: {code(name)}" for name in contract["added"]]
    items += [f"- removed: {code(name)}" for name in contract["removed"]]
    changes = {f"columns.{name}.{key}": c for name, keys in contract["columns"].items() for key, c in keys.items()}
    for key, (before, after) in {**changes, **contract["rest"]}.items():
        items.append(f"- {code(key)}: {value(before)} -> {value(after)}")
    return ["### Contract", "", *(items or ["Unchanged."])]


def _fates(found: dict[str, Any]) -> list[str]:
    before, after = found["fates"]
    if not before or not after:
        return ["### Rows by fate", "", "Not known: a revision has no reports/prepare/summary.json."]
    rows = [[key, f"{before.get(key, 0):,}", f"{after.get(key, 0):,}"] for key in {**before, **after}]
    shown = ["### Rows by fate", "", *table(["fate", "before", "after"], rows)]
    broken = [
        {
            (column, rule, action): n
            for action, columns in (side or {}).items()
            for column, rules in columns.items()
            for rule, n in rules.items()
        }
        for side in found["broken"]
    ]
    changed = [key for key in sorted({**broken[0], **broken[1]}) if broken[0].get(key, 0) != broken[1].get(key, 0)]
    rows = [
        [code(key[0]), key[1], key[2], f"{broken[0].get(key, 0):,}", f"{broken[1].get(key, 0):,}"] for key in changed
    ]
    return [*shown, "", *table(["column", "rule broken", "action", "before", "after"], rows)] if rows else shown


def _rows(rows: dict[str, Any]) -> list[str]:
    by = f"by key ({', '.join(map(code, rows['key']))})" if rows["key"] else "by content, since they have no key"
    if "key_not_unique" in rows:
        by = f"by content, since {', '.join(map(code, rows['key_not_unique']))} is not unique in both"
    counts = [f"{rows[fate]:,} {fate}" for fate in ("added", "removed", "changed", "same") if fate in rows]
    shown = [f"### Rows kept, {by}", "", f"{', '.join(counts)}.", ""]
    if rows["not_compared"]:
        shown += [f"Not compared, since their type changed: {', '.join(map(code, rows['not_compared']))}.", ""]
    if rows.get("columns"):
        shown += [*table(["column", "rows changed"], [[code(c), f"{n:,}"] for c, n in rows["columns"].items()]), ""]
    if rows.get("first") == "hidden":
        shown += ["Keys are not shown: the contract calls them sensitive.", ""]
    elif "first" in rows:
        shown += [f"- first {fate}: {', '.join(map(code, keys))}" for fate, keys in rows["first"].items() if keys]
        shown += [""] * any(rows["first"].values())
    return [*shown, _moved(rows)]


def _moved(rows: dict[str, Any]) -> str:
    moved = rows["moved"]
    if not moved["rows"]:
        return "No row changed sides."
    between = ", ".join(f"{way} {n:,}" for way, n in moved["between"].items())
    shown = f"{moved['rows']:,} rows changed sides ({between})"
    if rows["split_changed"]:
        return f"{shown}; the split changed in the contract."
    if moved["unchanged"]:
        return f"**{shown}, {moved['unchanged']:,} of them with equal values, although the split did not change.**"
    return f"{shown}, all of them with other values than before."


def _labels(labels: list[dict[str, Any]]) -> list[str]:
    header = ["side", "label", "before", "after", "difference, 95% interval", ""]
    rows = []
    for label in labels:
        form = "{:.6g}" if label["label"] == "mean" else "{:.2%}"
        signed = form.replace(":", ":+")
        low, high = (signed.format(end) for end in label["interval"])
        difference = f"{signed.format(label['difference'])} ({low} to {high})"
        judged = "changed" if label["changed"] else "within chance"
        ends = [form.format(label[end]) for end in ("base", "head")]
        rows.append([label["side"], code(str(label["label"])), *ends, difference, judged])
    return ["### Label rate", "", *table(header, rows), "", ABOUT_LABELS]


def _columns(columns: list[dict[str, Any]]) -> list[str]:
    changed = [column for column in columns if column["changed"]]
    shown = ["### Shift of columns", ""]
    if not changed:
        return [*shown, f"None of {len(columns)} columns differs by more than chance would give."]
    header = ["column", "distance", "chance stays below", "missing before", "after", "chance stays below"]
    rows = []
    for column in changed[:COLUMNS_SHOWN]:
        distance = [f"{column[key]:.3f}" if key in column else "–" for key in ("distance", "noise")]
        missing = [*(f"{share:.2%}" for share in column["missing"]), f"{column['missing_noise']:.2%}"]
        rows.append([code(column["column"]), *distance, *missing])
    hidden = len(changed) - len(rows)
    left_out = f", {hidden} of them not shown" if hidden else ""
    note = f"{len(changed)} of {len(columns)} columns differ by more than chance would give{left_out}. {ABOUT_COLUMNS}"
    return [*shown, *table(header, rows), "", note]
