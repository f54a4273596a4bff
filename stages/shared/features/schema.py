"""What conf/features/NAME.yaml may say: a block for each type of column, and changes of it for single columns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from stages.runtime.contract import Column, Contract
from stages.runtime.forms import MOMENTS, NUMBERS
from stages.shared.config import build
from stages.shared.errors import did_you_mean

Encoding = Literal["code", "one_hot", "ordered", "target", "frequency"]
Part = Literal["hour", "weekday", "day", "month", "year"]


@dataclass(frozen=True)
class Numbers:
    """What an integer, number, amount of money, percentage or boolean becomes."""

    missing: bool = False
    clip: float = field(default=0.0, metadata={"min": 0.0, "max": 0.25})
    log: Literal["never", "skewed", "always"] = "never"
    bins: int = field(default=0, metadata={"min": 0, "max": 256})


@dataclass(frozen=True)
class Categories:
    """What a category becomes."""

    encode: list[Encoding] = field(default_factory=lambda: ["code"])
    encode_thin: list[Encoding] = field(default_factory=lambda: ["code"])
    many_levels: int = field(default=30, metadata={"min": 0})
    thin_rows: float = field(default=200.0, metadata={"min": 0})
    min_rows: int = field(default=10, metadata={"min": 1})
    max_levels: int = field(default=254, metadata={"min": 1})
    smoothing: float = field(default=20.0, metadata={"min": 0.0})
    missing: bool = False


@dataclass(frozen=True)
class Dates:
    """What a date or timestamp becomes."""

    parts: list[Part] = field(default_factory=list)
    cycles: list[Literal["hour", "weekday", "day", "month"]] = field(default_factory=list)
    since: list[str] = field(default_factory=list)
    holidays: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Text:
    """What a text becomes."""

    measures: list[Literal["length", "words"]] = field(default_factory=list)
    grams: list[Literal["words", "pairs", "trigrams"]] = field(default_factory=list)
    min_rows: int = field(default=5, metadata={"min": 1})
    max_grams: int = field(default=5000, metadata={"min": 1, "max": 100_000})
    components: int = field(default=0, metadata={"min": 0, "max": 500})
    missing: bool = False


@dataclass(frozen=True)
class Interaction:
    """A feature of two columns: numbers divided, subtracted, multiplied, or categories crossed."""

    op: Literal["ratio", "difference", "product", "cross"]
    of: list[str]


@dataclass(frozen=True)
class FeaturesConf:
    """The schema of conf/features/NAME.yaml."""

    numbers: Numbers = field(default_factory=Numbers)
    categories: Categories = field(default_factory=Categories)
    dates: Dates = field(default_factory=Dates)
    text: Text = field(default_factory=Text)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    interactions: list[Interaction] = field(default_factory=list)
    drop_constant: bool = True
    drop_duplicate: bool = True


Settings = Numbers | Categories | Dates | Text


def group_of(column: Column) -> str:
    """Return the name of the block that a column's type belongs to."""
    if column.type in MOMENTS:
        return "dates"
    if column.type in NUMBERS or column.type == "boolean":
        return "numbers"
    return "categories" if column.type == "category" else "text"


def settings(conf: FeaturesConf, contract: Contract, faults: list[str]) -> dict[str, Settings]:
    """Return what each input column becomes: its type's block with the changes of `columns`; add faults to the list."""
    for name in [name for name in conf.columns if name not in contract.inputs]:
        role = contract.columns[name].role if name in contract.columns else None
        near = did_you_mean(name, contract.inputs)
        reason = f"has role {role} in {contract.name}" if role else f"no column of {contract.name}{near}"
        faults.append(f"columns.{name}: {reason}")
    found = {}
    for name in contract.inputs:
        group = group_of(contract.columns[name])
        found[name] = _changed(getattr(conf, group), conf.columns.get(name, {}), name, contract.columns[name], faults)
    return found


def _changed(base: Any, changes: dict[str, Any], name: str, column: Column, faults: list[str]) -> Settings:
    """Return `base` with the changes of one column."""
    known = list(asdict(base)) if column.type != "boolean" else ["missing"]
    strange = [key for key in changes if key not in known]
    for key in strange:
        fits = did_you_mean(key, known) or f", which takes {', '.join(known)}"
        faults.append(f"columns.{name}.{key}: nothing for a column of type {column.type}{fits}")
    own: list[str] = []
    built = build(type(base), {key: value for key, value in changes.items() if key in known}, f"columns.{name}", own)
    faults += own
    result: Settings = base if own else replace(base, **{key: getattr(built, key) for key in changes if key in known})
    return result
