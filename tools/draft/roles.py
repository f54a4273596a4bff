"""Proposes what each column is for: target, key, ids, group, time; and what should be dropped, doubted or protected."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

from stages.runtime.contract_sql import identifier
from stages.shared.sides.leakage import EXPLAINED
from tools.draft.columns import Drafted
from tools.draft.sample import scalar
from tools.draft.vocabulary import (
    BIRTH,
    NAMES,
    TIMES,
    hints,
    is_sensitive,
    known_later,
    names_entity,
    names_id,
    names_row,
    word_set,
    words,
)

if TYPE_CHECKING:
    import duckdb

SUSPECT = 0.5  # share of the target that one column explains alone, to be looked at; EXPLAINED is refused
FEWEST_GROUPS = 30
UNIQUE = 0.98  # share of different values in a sample, above which a key is looked for; copies may repeat it
FUTURE = 0.01  # share of rows dated after today that is a mistake; more are plans


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
    drafted.before = drafted.keys
    drafted.keys = {"type": drafted.type, "role": "drop", "missing": missing, "reason": reason}
    drafted.notes = []


def assign_key(columns: list[Drafted], connection: duckdb.DuckDBPyConnection) -> Drafted | None:
    """Return the column that tells rows apart, made the key: unique, never missing, and named or placed like one."""
    candidates = []
    for place, drafted in enumerate(columns):
        texts = drafted.texts
        is_code = drafted.type in ("integer", "category") and not any(" " in text for text, _ in drafted.present[:100])
        if "role" in drafted.keys or drafted.n_missing or not is_code or texts.n_distinct < UNIQUE * texts.n_rows:
            continue
        if names_id(drafted.name) or names_row(drafted.name) or (place == 0 and _counts_rows(drafted)):
            candidates.append((not names_id(drafted.name), place, drafted))
    for _, _, drafted in sorted(candidates, key=lambda entry: entry[:2]):
        n_copies = count_copies(connection, [column.name for column in columns], drafted.name)
        if n_copies is not None:
            kind = "integer" if drafted.type == "integer" or _is_whole(drafted) else "category"
            drafted.keys = {"type": kind, "role": "key", "nullable": False, "unique": True}
            drafted.notes = [f"{n_copies:,} rows are copies, merged" if n_copies else "one value per row"]
            return drafted
    return None


def _counts_rows(drafted: Drafted) -> bool:
    """Return whether a first column is texts, or whole numbers without a gap: else it may be a measure."""
    return drafted.type == "category" or drafted.high - drafted.low < 1.01 * drafted.texts.n_rows


def count_copies(connection: duckdb.DuckDBPyConnection, names: list[str], key: str) -> int | None:
    """Return how many rows of the whole table repeat a value of `key` in every other column too.

    None where a value is missing, or stands in two rows that differ.
    """
    column = f"trim({identifier(key)})"
    if scalar(connection, f"SELECT count(*) FROM raw WHERE coalesce({column}, '') = ''"):
        return None
    again = f"(SELECT {column} AS k FROM raw GROUP BY 1 HAVING count(*) > 1)"
    query = f"""SELECT count(*), coalesce(sum(n), 0), coalesce(max(kinds), 1) FROM (
        SELECT count(*) AS n, count(DISTINCT md5(to_json(struct_pack({_packed(names)}))::VARCHAR)) AS kinds
        FROM raw SEMI JOIN {again} AS again ON {column} = again.k GROUP BY {column})"""
    [(n_values, n_rows, most_kinds)] = connection.execute(query).fetchall()
    return int(n_rows) - int(n_values) if most_kinds == 1 else None


def _packed(names: list[str]) -> str:
    return ", ".join(f"c{place} := {identifier(name)}" for place, name in enumerate(names))


def _is_whole(drafted: Drafted) -> bool:
    """Return whether every text is a whole number as programs write it."""
    return all(re.fullmatch("0|[1-9][0-9]{0,17}", text) for text, _ in drafted.texts.counts)


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


def assign_time(columns: list[Drafted], today: date) -> Drafted | None:
    """Return the moment that orders the rows, made the time column: present, spread, not known only later.

    The few rows dated after `today` are mistakes, which a split by time would put into the test: they get a bound.
    """
    candidates = []
    for place, drafted in enumerate(columns):
        is_moment = drafted.type in ("date", "timestamp") and "role" not in drafted.keys
        n_missing = drafted.n_missing + drafted.n_bad
        if not is_moment or n_missing > 0.02 * drafted.texts.n_rows or drafted.texts.n_distinct < 10:
            continue
        if hints(drafted.name, BIRTH) or (
            known_later(drafted.name) and not hints(drafted.name, word_set("created booked"))
        ):
            continue
        likely = hints(drafted.name, TIMES)
        candidates.append((not likely, drafted.type == "date", n_missing, place, drafted))
    if not candidates:
        return None
    drafted = min(candidates, key=lambda entry: entry[:4])[-1]
    drafted.keys = {key: value for key, value in drafted.keys.items() if key not in ("nullable", "on_violation")}
    drafted.keys["role"] = "time"
    moments = drafted.moments
    later = sum(n for moment, n in moments.values if moment.date() > today) if moments else 0
    if 0 < later <= FUTURE * drafted.texts.n_rows:
        drafted.keys["max"] = today.isoformat()
        drafted.notes.append(f"{later} rows lie after the day of this draft: mistakes?")
    return drafted


def mark_leaks(columns: list[Drafted], explained: dict[str, float], target: str) -> list[str]:
    """Drop what nearly gives the answer alone, doubt what comes near; return the sentences for the person."""
    said, later = [], []
    for drafted in columns:
        share = explained.get(drafted.name, 0.0)
        if share >= EXPLAINED and "role" not in drafted.keys:
            drop(drafted, f"a leak? alone explains {share:.2f} of {target}")
            said.append(f"{drafted.name}: dropped, alone explains {share:.2f} of {target}; take it back if it is known"
                        " when predicting")  # fmt: skip
        elif "role" not in drafted.keys and share >= SUSPECT:
            drafted.notes.append(f"alone explains {share:.2f} of {target}: known when predicting?")
            said.append(f"{drafted.name}: alone explains {share:.2f} of {target}; is it known when predicting?")
        elif "role" not in drafted.keys and known_later(drafted.name):
            drafted.notes.append("by its name perhaps known only afterwards")
            later.append(drafted.name)
    return said + ([f"by their names perhaps known only afterwards: {listed(later)}"] if later else [])


def listed(names: list[str], shown: int = 12) -> str:
    """Return names for a sentence, the last ones left out of a long list."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def mark_sensitive(columns: list[Drafted]) -> list[str]:
    """Mark columns whose names sound like protected traits; return their names."""
    found = [d for d in columns if d.keys.get("role") in (None, "target") and is_sensitive(d.name)]
    for drafted in found:
        drafted.keys["sensitive"] = True
    return [drafted.name for drafted in found]


def known_keys(drafted: Drafted, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a column that the contract knows, empty ones left out."""
    return {key: value for key, value in drafted.keys.items() if key in schema and value not in ([], None)}
