"""Proposes what is predicted: the target's column, the task, its classes and which of two is positive."""

from __future__ import annotations

from dataclasses import dataclass, field

from stages.runtime.forms import NUMBERS
from stages.shared.errors import InputError, did_you_mean
from tools.draft.columns import Drafted
from tools.draft.vocabulary import word_set

FEWEST_ROWS = 20  # labelled, for a draft to make sense
CLASS_ROWS = 10  # of a class, or its rows are left to quarantine; half as many
FEW_ROWS = 500  # in a table smaller than that
MOST_CLASSES, MOST_WHOLE_CLASSES = 100, 10  # of texts; of whole numbers, more are a number to predict
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
    is_number = drafted.type in NUMBERS
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
    fewest = min(CLASS_ROWS, n_rows // 10) if n_rows >= FEW_ROWS else min(CLASS_ROWS // 2, n_rows // 10)
    kept = [(text, n) for text, n in counts if n >= fewest]
    if len(kept) < 2:
        shown = ", ".join(f"{text!r} {n}" for text, n in counts[:5])
        raise InputError(f"{where}: {drafted.name} has no two classes of {fewest} rows or more: {shown}")
    rare = [f"{text!r} ({n})" for text, n in counts if n < fewest]
    classes = sorted(text for text, _ in kept)
    missing, was_integer = drafted.keys.get("missing", []), drafted.type == "integer"
    drafted.keys = {"type": "category", "role": "target", "missing": missing, "values": classes}
    drafted.notes = [note for note in drafted.notes if "taken for missing" in note or "spelled" in note]
    if len({label.casefold() for label in classes}) < len(classes) and not any("spelled" in n for n in drafted.notes):
        drafted.notes.append(f"classes spelled in two ways: {', '.join(map(repr, classes[:6]))}; to be made one?")
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
        if was_integer:
            target.notes.append("if their order matters: task: regression, type: integer and no values")
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
