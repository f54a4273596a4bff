"""Proposes what each column is for: target, key, ids, group, time; and what should be dropped, doubted or protected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stages.runtime.contract_sql import identifier
from stages.shared.errors import InputError, did_you_mean
from stages.shared.leakage import EXPLAINED
from tools.infer import Drafted
from tools.sample import scalar
from tools.vocabulary import (
    AFTER,
    BIRTH,
    NAMES,
    TIMES,
    hints,
    is_sensitive,
    names_entity,
    names_id,
    names_row,
    word_set,
    words,
)

if TYPE_CHECKING:
    import duckdb

FEWEST_ROWS = 20  # labelled, for a draft to make sense
CLASS_ROWS = 10  # of a class, or its rows are left to quarantine
MOST_CLASSES, MOST_WHOLE_CLASSES = 100, 10  # of texts; of whole numbers, more are a number to predict
SUSPECT = 0.5  # share of the target that one column explains alone, to be looked at; EXPLAINED is refused
FEWEST_GROUPS = 30
YES = word_set("1 1.0 yes y true t positive pos ja oui si sí sim da tak hai event case")
NOS = ("not", "no", "non", "un", "in", "kein", "nicht")


@dataclass
class Target:
    """What is to be predicted."""

    task: str
    positive: str | None = None
    classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_target(names: list[str], target: str, where: str) -> str:
    """Return the target's column. Raises InputError with the columns there are."""
    if target in names:
        return target
    folded = [name for name in names if name.strip().lower() == target.strip().lower()]
    if len(folded) == 1:
        return folded[0]
    shown = ", ".join(names[:60]) + (f", ... ({len(names)} in all)" if len(names) > 60 else "")
    raise InputError(f"{where} has no column {target!r}{did_you_mean(target, names)}", [f"columns: {shown}"])


def assign_target(drafted: Drafted, where: str) -> Target:
    """Return the task, and make the column the target. Raises InputError where it cannot be predicted."""
    counts = drafted.present
    n_rows = drafted.texts.n_rows - drafted.n_missing
    if n_rows < FEWEST_ROWS:
        raise InputError(f"{where}: {drafted.name} has a value in {n_rows} rows; fewer than {FEWEST_ROWS} are no table")
    if drafted.texts.n_distinct == 1 or len(counts) == 1:
        raise InputError(f"{where}: {drafted.name} is {counts[0][0]!r} in every row: there is nothing to predict")
    drafted.keys.pop("on_violation", None)
    is_number = drafted.type in ("integer", "number", "money", "percent")
    few = MOST_WHOLE_CLASSES if drafted.type == "integer" else 2
    if is_number and len(counts) > few:
        drafted.keys |= {"role": "target"}
        drafted.keys.pop("max", None)
        return Target("regression")
    if drafted.texts.n_distinct > MOST_CLASSES:
        n = drafted.texts.n_distinct
        raise InputError(f"{where}: {drafted.name} has {n} different texts: neither classes nor a number")
    return _classes(drafted, counts, n_rows, where)


def _classes(drafted: Drafted, counts: list[tuple[str, int]], n_rows: int, where: str) -> Target:
    """Return a target of classes: all but those of hardly any row, the yes-like or rarer one of two being positive."""
    fewest = min(CLASS_ROWS, n_rows // 10)
    kept = [(text, n) for text, n in counts if n >= fewest]
    if len(kept) < 2:
        shown = ", ".join(f"{text!r} {n}" for text, n in counts[:5])
        raise InputError(f"{where}: {drafted.name} has no two classes of {fewest} rows or more: {shown}")
    rare = [f"{text!r} ({n})" for text, n in counts if n < fewest]
    classes = sorted(text for text, _ in kept)
    missing = drafted.keys.get("missing", [])
    drafted.keys = {"type": "category", "role": "target", "missing": missing, "values": classes}
    drafted.notes = [note for note in drafted.notes if "taken for missing" in note]
    target = Target("binary" if len(classes) == 2 else "multiclass", classes=classes)
    if rare:
        target.notes.append(f"too few rows to learn, left to quarantine: {', '.join(rare[:5])}")
    if target.task == "binary":
        target.positive = choose_positive(kept)
        share = dict(kept)[target.positive] / sum(n for _, n in kept)
        target.notes.append(f"{share:.1%} are {target.positive}")
    else:
        label, n = min(kept, key=lambda entry: entry[1])
        target.notes.append(f"{len(classes)} classes, the rarest {label!r} {n / n_rows:.1%}")
    return target


def choose_positive(counts: list[tuple[str, int]]) -> str:
    """Return of two classes the one that says yes, else the one that the other denies, else the rarer."""
    (first, n_first), (second, n_second) = counts
    for one, other in ((first, second), (second, first)):
        if one.lower() in YES and other.lower() not in YES:
            return one
        if any(other.lower().replace(" ", "").replace("_", "") == prefix + one.lower() for prefix in NOS):
            return one
    return first if n_first < n_second else second


def drop_empty(columns: list[Drafted], connection: duckdb.DuckDBPyConnection) -> None:
    """Drop columns that have no value, or one and the same in every row of the whole table."""
    for drafted in columns:
        if not drafted.present:
            drop(drafted, "all missing")
        elif len(drafted.present) == 1 and not drafted.n_missing and "role" not in drafted.keys:
            column = f"trim({identifier(drafted.name)})"
            if scalar(connection, f"SELECT (min({column}) = max({column}))::INT FROM raw"):
                drop(drafted, f"constant: {drafted.present[0][0]}")


def drop_duplicates(columns: list[Drafted], connection: duckdb.DuckDBPyConnection) -> None:
    """Drop columns whose every text equals that of an earlier column."""
    live = [drafted for drafted in columns if drafted.keys.get("role") != "drop"]
    for place, later in enumerate(live):
        for earlier in live[:place]:
            alike = (later.texts.n_distinct, later.texts.n_blank, later.texts.counts[:3]) == (
                (earlier.texts.n_distinct, earlier.texts.n_blank, earlier.texts.counts[:3])
            )
            if not alike or "drop" in (earlier.keys.get("role"), later.keys.get("role")):
                continue
            first, second = (f"coalesce(trim({identifier(d.name)}), '')" for d in (earlier, later))
            if scalar(connection, f"SELECT count(*) FROM raw WHERE {first} <> {second}") == 0:
                one, other = (earlier, later) if later.keys.get("role") == "target" else (later, earlier)
                drop(one, f"equals {other.name} in every row")


def drop(drafted: Drafted, reason: str) -> None:
    """Take a column out of what is learned from, with the reason."""
    missing = drafted.keys.get("missing", [])
    drafted.keys = {"type": drafted.type, "role": "drop", "missing": missing, "reason": reason}
    drafted.notes = []


def assign_key(columns: list[Drafted], connection: duckdb.DuckDBPyConnection, n_rows: int) -> Drafted | None:
    """Return the column that tells rows apart, made the key: unique, never missing, and named or placed like one."""
    candidates = []
    for place, drafted in enumerate(columns):
        texts = drafted.texts
        is_whole = drafted.type in ("integer", "category") and not any(" " in text for text, _ in drafted.present[:100])
        if "role" in drafted.keys or drafted.n_missing or not is_whole or texts.n_distinct < texts.n_rows:
            continue
        rank = 0 if names_id(drafted.name) else 1 if names_row(drafted.name) or place == 0 else 9
        if rank < 9:
            candidates.append((rank, place, drafted))
    for _, _, drafted in sorted(candidates, key=lambda entry: entry[:2]):
        column = f"trim({identifier(drafted.name)})"
        if scalar(connection, f"SELECT count(DISTINCT {column}) FROM raw WHERE {column} <> ''") == n_rows:
            kind = "integer" if drafted.type == "integer" or _is_whole(drafted) else "category"
            drafted.keys = {"type": kind, "role": "key", "nullable": False, "unique": True}
            drafted.notes = ["one value per row"]
            return drafted
    return None


def _is_whole(drafted: Drafted) -> bool:
    texts = [text for text, _ in drafted.texts.counts]
    return all(
        text.isdigit() and text.isascii() and (text == "0" or text[0] != "0") and len(text) < 19 for text in texts
    )


def assign_group(columns: list[Drafted]) -> Drafted | None:
    """Return the column of the person, device or the like that a row is about, if they come back; made the group."""
    candidates = []
    for place, drafted in enumerate(columns):
        n_present = drafted.texts.n_rows - drafted.n_missing
        repeats = drafted.texts.n_distinct <= 0.999 * n_present
        enough = drafted.texts.n_distinct >= max(FEWEST_GROUPS, 0.002 * n_present)
        is_id = drafted.type in ("integer", "category") and names_entity(drafted.name)
        if "role" not in drafted.keys and is_id and repeats and enough and drafted.n_missing <= 0.01 * n_present:
            candidates.append((-drafted.texts.n_distinct, place, drafted))
    if not candidates:
        return None
    _, _, drafted = min(candidates, key=lambda entry: entry[:2])
    n_present, n_groups = drafted.texts.n_rows - drafted.n_missing, drafted.texts.n_distinct
    drafted.keys = {"type": "category", "role": "group", "missing": drafted.keys.get("missing", []), "nullable": False}
    drafted.notes = [f"{n_groups} of them in {n_present} rows"]
    return drafted


def assign_ids(columns: list[Drafted]) -> None:
    """Make columns that only name things ids: kept beside the rows, never learned from."""
    for drafted in columns:
        n_present = max(drafted.texts.n_rows - drafted.n_missing, 1)
        share = drafted.texts.n_distinct / n_present
        is_named = names_id(drafted.name) and share > 0.3
        found = words(drafted.name)
        is_name = (hints(drafted.name, NAMES) or (bool(found) and found[-1].endswith("name"))) and (
            share > 0.2 or {"first", "last", "sur", "full", "user", "host", "customer"} & set(found)
        )
        is_unique = drafted.type == "category" and share > 0.9
        if (
            "role" in drafted.keys
            or drafted.texts.n_distinct < FEWEST_GROUPS
            or ("min" in drafted.keys and not is_named)
        ):
            continue
        if drafted.type in ("category", "text", "integer") and (is_named or is_name or is_unique):
            keys = {"type": drafted.type, "role": "id", "missing": drafted.keys.get("missing", [])}
            drafted.keys = keys | ({"nullable": False} if not drafted.n_missing else {})
            drafted.notes = [f"{drafted.texts.n_distinct} values name rows; nothing to learn from"]


def assign_time(columns: list[Drafted]) -> Drafted | None:
    """Return the moment that orders the rows, made the time column: present, spread, not known only later."""
    candidates = []
    for place, drafted in enumerate(columns):
        is_moment = drafted.type in ("date", "timestamp") and "role" not in drafted.keys
        n_missing = drafted.n_missing + drafted.n_bad
        if not is_moment or n_missing > 0.02 * drafted.texts.n_rows or drafted.texts.n_distinct < 10:
            continue
        if hints(drafted.name, BIRTH) or (
            hints(drafted.name, AFTER) and not hints(drafted.name, word_set("created booked"))
        ):
            continue
        likely = hints(drafted.name, TIMES)
        candidates.append((not likely, drafted.type == "date", n_missing, place, drafted))
    if not candidates:
        return None
    drafted = min(candidates, key=lambda entry: entry[:4])[-1]
    drafted.keys = {key: value for key, value in drafted.keys.items() if key not in ("nullable", "on_violation")}
    drafted.keys["role"] = "time"
    return drafted


def mark_leaks(columns: list[Drafted], explained: dict[str, float], target: str) -> list[str]:
    """Drop what nearly gives the answer alone, doubt what comes near; return the sentences for the person."""
    said = []
    for drafted in columns:
        share = explained.get(drafted.name, 0.0)
        if share >= EXPLAINED and "role" not in drafted.keys:
            drop(drafted, f"a leak? alone explains {share:.2f} of {target}")
            said.append(f"{drafted.name}: dropped, alone explains {share:.2f} of {target}; take it back if it is known"
                        " when predicting")  # fmt: skip
        elif "role" not in drafted.keys and share >= SUSPECT:
            drafted.notes.append(f"alone explains {share:.2f} of {target}: known when predicting?")
            said.append(f"{drafted.name}: alone explains {share:.2f} of {target}; is it known when predicting?")
        elif "role" not in drafted.keys and hints(drafted.name, AFTER):
            drafted.notes.append("by its name perhaps known only afterwards")
    return said


def mark_sensitive(columns: list[Drafted]) -> list[str]:
    """Mark columns whose names sound like protected traits; return their names."""
    found = [d for d in columns if d.keys.get("role") in (None, "target") and is_sensitive(d.name)]
    for drafted in found:
        drafted.keys["sensitive"] = True
    return [drafted.name for drafted in found]


def known_keys(drafted: Drafted, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a column that the contract knows, empty ones left out."""
    return {key: value for key, value in drafted.keys.items() if key in schema and value not in ([], None)}
