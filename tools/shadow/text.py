"""The report of a shadow run as Markdown."""

from __future__ import annotations

from typing import Any

from tools.diff.markdown import code, table

NAMES = {"a": "A", "b": "B"}


def markdown(found: dict[str, Any]) -> list[str]:
    """Return the lines of the report."""
    return [
        "# Shadow",
        "",
        f"A is {code(found['a']['version'])} of {code(found['a']['revision'])}, "
        f"B is {code(found['b']['version'])} of {code(found['b']['revision'])}.",
        "",
        _verdict(found),
        "",
        *_logged(found),
        *_refusals(found),
        *_differences(found),
        *_examples(found),
        *_cautions(found),
    ]


def _verdict(found: dict[str, Any]) -> str:
    n, both = found["records"], found["answered_by_both"]
    if found["equal"] == n:
        return f"**Both give the same answer to all {n} records of the log.**"
    changed = found["changed_predictions"]
    parts = [f"{both - found['equal']} of {both} answers differ"]
    if changed["records"]:
        parts.append(
            f"{changed['records']} call another class ({changed['share']:.2%}, 95% interval {changed['low']:.2%} to "
            f"{changed['high']:.2%})"
        )
    only = [f"{found['refused_by'][side]} refused by {NAMES[side]} only" for side in "ab" if found["refused_by"][side]]
    return f"**{'; '.join(parts + only)}.**"


def _logged(found: dict[str, Any]) -> list[str]:
    lines = []
    for side in "ab":
        told = found["as_logged"][side]
        if told["records"]:
            lines.append(f"- {NAMES[side]} wrote {told['records']} of them itself: {told['equal']} answered as then.")
    return [*lines, ""] if lines else []


def _refusals(found: dict[str, Any]) -> list[str]:
    rows = [[NAMES[side], code(reason), str(n)] for side in "ab" for reason, n in found["refusals"][side].items()]
    return ["## Refused", "", *table(["by", "column and rule", "records"], rows), ""] if rows else []


def _differences(found: dict[str, Any]) -> list[str]:
    spread, times = found["difference"], found["microseconds"]
    lines = ["## Difference, B - A", ""]
    if spread:
        names = ["mean (95% interval)", "median without sign", "95%", "99%", "largest"]
        mean = f"{spread['mean']:+.6g} [{spread['low']:+.6g}, {spread['high']:+.6g}]"
        cells = [mean, *(f"{spread[name]:.6g}" for name in ("median", "p95", "p99", "largest"))]
        lines += [*table(names, [cells]), ""]
    if found["changes"]:
        rows = [[code(change["a"]), code(change["b"]), str(change["records"])] for change in found["changes"]]
        lines += [*table(["A calls", "B calls", "records"], rows), ""]
    lines += [f"A record takes {times['a']:.0f} µs in A, {times['b']:.0f} µs in B (medians, in process).", ""]
    return lines


def _examples(found: dict[str, Any]) -> list[str]:
    rows = [
        [code(one["request_id"]), str(one["row"]), code(str(one["a"]["prediction"])), code(str(one["b"]["prediction"])),
         f"{one['difference']:+.6g}"]
        for one in found["examples"]
    ]  # fmt: skip
    head = ["request", "row", "A", "B", "B - A"]
    return ["## Most different", "", *table(head, rows), ""] if rows else []


def _cautions(found: dict[str, Any]) -> list[str]:
    lines = [f"- {n} records have no {code(column)}: the log does not keep it, so both were asked without."
             for column, n in found["redacted"].items()]  # fmt: skip
    for side in "ab":
        lines += [f"- {NAMES[side]} is pinned to {name} {pinned}; here it was asked with {here}."
                  for name, (pinned, here) in found[side]["other_libraries"].items()]  # fmt: skip
    return ["## Bear in mind", "", *lines] if lines else []
