"""The contract of a table: what each column must be, and the check of one row against it.

The same rules stand in `contract_sql.py` for whole tables; a property test holds the two equal. Every value is
first brought to text, then checked and parsed, so that CSV, Parquet and JSON forms of a value are one value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .dialect import Dialect
from .expression import Rule, breaks
from .forms import SPACE, as_text, bound, text_of, typed

Type = Literal["integer", "number", "money", "percent", "boolean", "category", "text", "date", "timestamp"]
Role = Literal["feature", "target", "key", "id", "group", "time", "weight", "drop"]
Action = Literal["quarantine", "null", "fail"]


FOR_NUMBERS = "integer, number, money, percent"
FOR_TEXTS = "category, text"


def _key(doc: str, applies_to: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the metadata of a key: what REFERENCE.md says of it, and its range."""
    return {"doc": doc, "applies_to": applies_to, **more}


@dataclass(frozen=True)
class Column:
    """What one column must be. Every rule looks at the value without spaces around it."""

    type: Type = field(metadata=_key("What the values are; see Types."))
    role: Role = field(
        default="feature",
        metadata=_key(
            "What the column is for: `key` tells rows apart, `group` is the entity that a split keeps whole, `time` "
            "orders the rows, `id` is kept but not learnt from, `drop` is neither checked nor kept."
        ),
    )
    nullable: bool = field(default=True, metadata=_key("Whether a value may be missing."))
    min: float | str | None = field(
        default=None,
        metadata=_key(
            "Smallest value; of dates an ISO date, quoted (in UTC where there is a `timezone`).",
            f"{FOR_NUMBERS}, date, timestamp",
        ),
    )
    max: float | str | None = field(
        default=None, metadata=_key("Largest value, written as `min`.", f"{FOR_NUMBERS}, date, timestamp")
    )
    values: list[str] | None = field(default=None, metadata=_key("The only values, quoted.", FOR_TEXTS))
    pattern: str | None = field(
        default=None, metadata=_key("Regular expression that the whole value must match.", FOR_TEXTS)
    )
    unique: bool = field(default=False, metadata=_key("Whether a value may stand in one row only: the first has it."))
    formats: list[str] = field(
        default_factory=list,
        metadata=_key("Formats such as `%d/%m/%Y %H:%M`, tried in this order before ISO 8601.", "date, timestamp"),
    )
    sensitive: bool = field(default=False, metadata=_key("Whether it is a trait that people are protected by."))
    unit: str | None = field(default=None, metadata=_key("Unit of the values, for people."))
    reason: str | None = field(default=None, metadata=_key("Why the column is dropped; needed where it is."))
    description: str | None = field(default=None, metadata=_key("What the column says, for people."))
    decimal: Literal[".", ","] | None = field(
        default=None, metadata=_key("Decimal mark; unless said, the source's.", FOR_NUMBERS)
    )
    thousands: Literal["", ",", ".", " ", "'"] | None = field(
        default=None,
        metadata=_key(
            "Mark between thousands, at all places or at none; a space is also a no-break one. Unless said, the "
            'source\'s; money then takes `,` too (`.` where `decimal` is `","`).',
            FOR_NUMBERS,
        ),
    )
    missing: list[str] = field(
        default_factory=list, metadata=_key("Texts that mean missing here, besides the source's.")
    )
    timezone: str | None = field(
        default=None,
        metadata=_key(
            "Zone of values without an offset: an IANA name such as `Europe/Rome`, `UTC`, or an offset such as "
            "`+02:00`. Only with it may values end in an offset. Stored as UTC.",
            "timestamp",
        ),
    )
    min_length: int | None = field(default=None, metadata=_key("Fewest characters (code points).", FOR_TEXTS, min=1))
    max_length: int | None = field(default=None, metadata=_key("Most characters (code points).", FOR_TEXTS, min=1))
    on_violation: Action | None = field(
        default="quarantine",
        metadata=_key(
            "Of a row whose value breaks a rule: `quarantine` sets the row aside, `null` keeps it and makes the value "
            "missing, `fail` stops the stage. A request is answered with `null`, and refused otherwise."
        ),
    )

    def __post_init__(self) -> None:
        if self.on_violation is None:  # YAML reads an unquoted null as no value at all
            object.__setattr__(self, "on_violation", "null")

    @property
    def marks(self) -> tuple[str, str]:
        """The decimal mark and the mark between thousands, empty for none."""
        decimal = self.decimal or "."
        if self.thousands is None and self.type == "money":
            return decimal, "," if decimal == "." else "."
        return decimal, self.thousands or ""


@dataclass(frozen=True)
class Contract:
    """The columns of one table by name, in the source's order, the texts that mean missing, and the rules of a row."""

    name: str
    task: str
    positive: str | None
    columns: dict[str, Column]
    missing: list[str]
    rules: dict[str, Rule] = field(default_factory=dict)  # over several columns
    dialect: Dialect = field(default_factory=Dialect)  # of the source, where it is a CSV

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Contract:
        """Return the contract that `data/prepare/contract.json` or a packaged model holds."""
        columns = {name: Column(**column) for name, column in stored["columns"]}
        rules = {name: Rule(**rule) for name, rule in stored.get("rules", [])}
        dialect = Dialect(**stored.get("dialect", {}))
        return cls(stored["name"], stored["task"], stored["positive"], columns, stored["missing"], rules, dialect)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; columns and rules as pairs, since a JSON object has no order to rely on."""
        pairs = {
            key: [[name, asdict(item)] for name, item in getattr(self, key).items()] for key in ("columns", "rules")
        }
        return {**asdict(self), **pairs}

    def with_role(self, *roles: str) -> list[str]:
        """Return the names of the columns that have one of `roles`, in the source's order."""
        return [name for name, column in self.columns.items() if column.role in roles]

    @property
    def target(self) -> str:
        """The name of the column to predict."""
        return self.with_role("target")[0]

    @property
    def classes(self) -> list[str]:
        """The classes in the order of the model's scores (binary: negative, positive); empty for regression."""
        values = self.columns[self.target].values or []
        return sorted(values, key=lambda value: value == self.positive) if self.positive else values

    @property
    def checked(self) -> list[str]:
        """The columns that are checked and kept: all but the dropped ones."""
        return [name for name, column in self.columns.items() if column.role != "drop"]

    @property
    def types(self) -> dict[str, str]:
        """The type of each column that rules may name."""
        return {name: self.columns[name].type for name in self.checked}

    @property
    def inputs(self) -> list[str]:
        """The columns a prediction may read."""
        return self.with_role("feature", "time")


@dataclass(frozen=True)
class Violation:
    """One broken rule of one row: of a column, or (`check`) a rule of its own name over several columns.

    `value` is the text as it came, None for missing. With the action `null` the row stays, its value counts as missing;
    with any other it is refused.
    """

    column: str
    rule: str
    value: str | None
    action: Action = "quarantine"

    def __str__(self) -> str:
        return f"{self.column}: {self.rule}, got {self.value!r}"


def parse(column: Column, text: str | None, missing: frozenset[str]) -> tuple[Any, str | None]:
    """Return (typed value or None, the first rule that the text breaks or None)."""
    stripped = "" if text is None else text.strip(SPACE)
    if not stripped or stripped in missing:
        return None, None if column.nullable else "required"
    value = typed(column, stripped)
    if value is None:
        return None, "type"
    if column.values is not None and stripped not in column.values:
        return None, "values"
    if column.pattern is not None and not re.fullmatch(column.pattern, stripped, re.ASCII):
        return None, "pattern"
    if column.min_length is not None and len(stripped) < column.min_length:
        return None, "min_length"
    if column.max_length is not None and len(stripped) > column.max_length:
        return None, "max_length"
    if column.min is not None and value < bound(column, column.min):
        return None, "min"
    if column.max is not None and value > bound(column, column.max):
        return None, "max"
    return value, None


def check_row(
    contract: Contract, record: Mapping[str, Any], names: list[str]
) -> tuple[dict[str, Any], list[Violation]]:
    """Return (typed value of each column in `names`, all violations in that order).

    An absent column counts as missing; a column that the contract does not know is a violation `unknown`. Rules over
    several columns come last, and only those whose columns are all in `names`.
    """
    shared = frozenset(contract.missing)
    values: dict[str, Any] = {}
    violations = [Violation(str(key), "unknown", as_text(record[key])) for key in record if key not in contract.columns]
    for name in names:
        column = contract.columns[name]
        text = text_of(column, record.get(name))
        values[name], rule = parse(column, text, shared.union(column.missing) if column.missing else shared)
        if rule:
            violations.append(Violation(name, rule, text, column.on_violation or "null"))
    return values, violations + _broken_rules(contract, record, values)


def _broken_rules(contract: Contract, record: Mapping[str, Any], values: dict[str, Any]) -> list[Violation]:
    violations = []
    types = contract.types if contract.rules else {}
    for name, rule in contract.rules.items():
        involved = breaks(rule.check, types, values)
        if involved:
            texts = [f"{key}={text_of(contract.columns[key], record.get(key)) or ''}" for key in involved]
            violations.append(Violation(name, "check", ", ".join(texts), rule.on_violation))
    return violations
