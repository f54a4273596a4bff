"""Makes a contract of a loaded table: types, roles, split; then tries it and mends what the trial shows."""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import date
from pathlib import Path

from stages.runtime.contract_sql import identifier
from stages.runtime.forms import NUMBERS
from stages.shared.errors import InputError
from stages.shared.progress import Progress
from stages.shared.sides.leakage import CHECKS
from tools.draft import roles
from tools.draft.columns import SURE, Drafted, Habits, Texts
from tools.draft.infer import infer
from tools.draft.leaks import RULE, drop_companions, drop_sums, explained, later_than, spare_rules
from tools.draft.reading import Table
from tools.draft.render import Draft, render
from tools.draft.sample import count_texts, draw, scalar
from tools.draft.splits import propose_split
from tools.draft.target import Target, assign_target, find_target
from tools.draft.trial import Outcome, attempt, require

FEWEST_FOR_LIMIT = 0.01  # share of rows that may always be lost
TRIALS = 4
MANY_ROWS = 2_000_000  # beyond, equal rows are not counted
ONLY = "gives the answer, and there is no other to predict from"
WAIVERS = {
    "group_on_both_sides": "the question is the future, of known and new ones alike; to confirm",
    "duplicates_across_sides": "nobody said yet whether equal rows are copies or coincidence; to confirm",
    "future_in_training": "the rows were not split by time, see split; to confirm",
}


def draft_contract(
    table: Table, name: str, wanted: str, places: dict[str, Path], scratch: Path
) -> tuple[Draft, Outcome]:
    """Return the draft and what prepare made of it. Raises InputError where no model could come of the table."""
    target_name = find_target(table.names, wanted, table.given)
    progress = Progress("draft", "steps", 4)
    n_sample = draw(table.connection, table.names, table.n_rows)
    texts = [count_texts(table.connection, column, n_sample) for column in table.names]
    progress.update(1, f": {table.n_rows} rows read")
    columns, habits = infer_all(texts, table.source.get("delimiter", ","))
    if habits.decimal != ".":
        table.source["decimal"] = habits.decimal
    progress.update(2, ": types inferred")
    by_name = {drafted.name: drafted for drafted in columns}
    target = assign_target(by_name[target_name], table.given)
    look_at = [f"{target_name}: {note}" for note in target.notes if "quarantine" in note]
    look_at += [f"{target_name}: {note}" for note in by_name[target_name].notes if "spelled" in note]
    look_at += assign_roles(table, columns, target, target_name)
    split, split_note = propose_split(table.connection, columns, target, table.n_rows)
    hoist_missing(table, columns)
    draft = Draft(
        name=name,
        table=Path(table.given).name,
        n_rows=table.n_rows,
        source=table.source,
        columns=columns,
        task=target.task,
        task_note="; ".join(target.notes),
        split=split,
        split_note=split_note,
        positive=target.positive,
        source_notes=table.notes,
        look_at=look_at,
    )
    if split["by"] == "time" and any(drafted.keys.get("role") == "group" for drafted in columns):
        draft.waive["group_on_both_sides"] = WAIVERS["group_on_both_sides"]
    for said in (RULE, ONLY):
        if any(said in note for drafted in columns for note in drafted.notes):
            draft.waive["feature_gives_the_answer"] = f"one column {said}: a rule, or known only later? To confirm"
    progress.update(3, ": roles proposed")
    outcome = try_out(draft, places, scratch)
    progress.close()
    return draft, outcome


def infer_all(texts: list[Texts], delimiter: str) -> tuple[list[Drafted], Habits]:
    """Return the columns as proposed, and the habits of the table that were learned from all of them first."""
    columns = [infer(column, Habits()) for column in texts]
    commas = sum(drafted.keys.get("decimal") == "," for drafted in columns)
    points = sum(drafted.type in NUMBERS and any("." in text for text, _ in drafted.present[:100]) and (
        drafted.keys.get("decimal") != ",") for drafted in columns)  # fmt: skip
    decimal = "," if commas > points else "."
    proofs = {drafted.moments.day_first for drafted in columns if drafted.moments} - {None}
    day_first = proofs == {True} if len(proofs) == 1 else decimal == "," or delimiter == ";"
    numeric = [drafted for drafted in columns if drafted.type in NUMBERS]
    habits = Habits(
        decimal,
        day_first,
        frozenset(
            text.lstrip("-") for drafted in numeric for text in drafted.keys["missing"] if text.lstrip("-").isdigit()
        ),
        not any("NA" in drafted.keys["missing"] for drafted in numeric),
    )
    return ([infer(column, habits) for column in texts] if habits != Habits() else columns), habits


def assign_roles(table: Table, columns: list[Drafted], target: Target, target_name: str) -> list[str]:
    """Give every column its role; return the sentences that the person should read first."""
    connection = table.connection
    roles.drop_empty(columns, connection)
    roles.drop_duplicates(columns, connection)
    roles.assign_key(columns, connection)
    roles.assign_group(columns)
    roles.assign_ids(columns)
    shares = explained(connection, columns, target, target_name)
    said = spare_rules(connection, columns, shares, target, target_name)
    said += drop_sums(connection, columns, target, target_name)
    time = roles.assign_time(columns, date.today())  # no leak: rows of a day are alike, the next day is new
    said += roles.mark_leaks(columns, shares, target_name)
    said += drop_companions(columns)
    said += later_than(connection, columns, time)
    sensitive = roles.mark_sensitive(columns)
    if sensitive:
        said.append(f"sensitive by their names: {roles.listed(sensitive)}")
    dropped = [drafted.name for drafted in columns if drafted.keys.get("role") == "drop" and not _is_leak(drafted)]
    if dropped:
        said.append(
            f"dropped as constant, missing or double: {', '.join(dropped[:12])}{' ...' if len(dropped) > 12 else ''}"
        )
    keep_a_feature(columns, table)
    return said + count_copies(table, columns)


def count_copies(table: Table, columns: list[Drafted]) -> list[str]:
    """Return a sentence on rows that equal an earlier one, where no key tells copies from coincidence."""
    if table.n_rows > MANY_ROWS or any(drafted.keys.get("role") == "key" for drafted in columns):
        return []
    names = ", ".join(identifier(name) for name in table.names)
    n = table.n_rows - scalar(table.connection, f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM raw)")
    return [f"{n:,} rows equal an earlier one: kept; if they are copies, add duplicates: merge"] if n else []


def _is_leak(drafted: Drafted) -> bool:
    return str(drafted.keys.get("reason", "")).startswith("a leak")


def keep_a_feature(columns: list[Drafted], table: Table) -> None:
    """Where nothing else is left, turn ids back into features, else leaks. Raises InputError where there is nothing."""
    ids = [drafted for drafted in columns if drafted.keys.get("role") == "id"]
    leaks = [drafted for drafted in columns if _is_leak(drafted)]
    for spared in (ids, leaks):
        if any(drafted.keys.get("role") in (None, "time") for drafted in columns):
            return
        for drafted in spared:
            drafted.keys = {key: value for key, value in (drafted.before or drafted.keys).items() if key != "role"}
            drafted.notes = [ONLY] if spared is leaks else []
    if not any(drafted.keys.get("role") in (None, "time") for drafted in columns):
        shown = [f"{drafted.name}: {drafted.keys.get('reason', drafted.keys.get('role'))}" for drafted in columns]
        raise InputError(f"{table.given}: no column is left to predict from", shown)


def hoist_missing(table: Table, columns: list[Drafted]) -> None:
    """Say markers that several columns share, and none uses as a value, once for the whole source."""
    counts = Counter(text for drafted in columns for text in drafted.keys.get("missing", []))
    meant = {text for drafted in columns for text, _ in drafted.present if text in counts}
    shared = sorted(text for text, n in counts.items() if n > 1 and text in SURE and text not in meant)
    if shared:
        table.source["missing"] = shared
        table.notes["missing"] = f"in {max(counts[text] for text in shared)} columns"
    for drafted in columns:
        drafted.shared_missing = shared
        if drafted.keys.get("missing"):
            drafted.keys["missing"] = [text for text in drafted.keys["missing"] if text not in shared]


def try_out(draft: Draft, places: dict[str, Path], scratch: Path) -> Outcome:
    """Return the last of a few trials, the draft mended between them by what each showed."""
    for _ in range(TRIALS):
        draft.limit = 1.0
        outcome = attempt(draft.name, render(draft), places, scratch)
        if not mend(draft, outcome):
            break
    require(outcome)
    lost = outcome.rows["quarantined"] / outcome.rows["in"]
    draft.limit = max(FEWEST_FOR_LIMIT, math.ceil(lost * 1.2 * 200) / 200)
    if lost:
        reasons = quarantine_reasons(outcome)
        draft.limit_note = f"share of the rows; {lost:.1%} here: {'; '.join(reasons[:2])}"
        draft.look_at.append(f"quarantined {outcome.rows['quarantined']:,}: {'; '.join(reasons[:4])}")
    return outcome


def quarantine_reasons(outcome: Outcome) -> list[str]:
    """Return what rows were set aside for, the commonest first."""
    found = [(-n, column, rule) for column, rules in outcome.broken.items() for rule, n in rules.items()]
    return [
        f"{column} {rule} {-n:,}" + (f" ({', '.join(outcome.examples[column, rule][:2])})"
                                     if rule != "required" and (column, rule) in outcome.examples else "")
        for n, column, rule in sorted(found)
    ]  # fmt: skip


def mend(draft: Draft, outcome: Outcome) -> bool:
    """Change the draft where a trial showed what the sample did not; return whether there is a reason to try again."""
    changed = mend_leaks(draft, outcome.complaint) if outcome.complaint else False
    for drafted in draft.columns:
        if drafted.keys.get("role") is not None:
            continue
        for rule, n in outcome.broken.get(drafted.name, {}).items():
            if rule == "required":
                changed |= drafted.keys.pop("nullable", None) is not None
            elif drafted.keys.get("on_violation") != "null":
                drafted.keys["on_violation"] = "null"
                drafted.keys.pop("nullable", None)
                examples = ", ".join(map(repr, outcome.examples.get((drafted.name, rule), [])))
                drafted.notes.append(f"{n} rows break {rule}, such as {examples}: made missing")
                changed = True
    return changed


def mend_leaks(draft: Draft, complaint: str) -> bool:
    """Drop features that give the answer, waive with what was found the other leaks that prepare complained of."""
    changed = False
    for check, said in re.findall(r"^ *(\w+): (.+?)\. Mend it", complaint, re.MULTILINE):
        if check not in CHECKS or check in draft.waive:
            continue
        changed = True
        if check == "feature_gives_the_answer":
            target = next(drafted.name for drafted in draft.columns if drafted.keys.get("role") == "target")
            for drafted in draft.columns:
                share = re.search(re.escape(drafted.name) + r" \(([01]\.[0-9]+)\)", said)
                if share and drafted.keys.get("role") in (None, "time"):
                    roles.drop(drafted, f"a leak? alone explains {share[1]} of {target}")
                    draft.look_at.append(f"{drafted.name}: dropped, alone explains {share[1]} of {target}")
        else:
            draft.waive[check] = f"{WAIVERS[check]}; found while drafting: {said}"
            draft.look_at.append(f"waived {check}: {said}")
    return changed
