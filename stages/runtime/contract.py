"""The contract of a table: what each column must be, and the check of one row against it.

The same rules stand in `contract_sql.py` for whole tables; a property test holds the two equal. Every value is
first brought to text, then checked and parsed, so that CSV, Parquet and JSON forms of a value are one value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Type = Literal["integer", "number", "boolean", "category", "text", "date", "timestamp"]
Role = Literal["feature", "target", "key", "id", "group", "time", "weight", "drop"]

MOMENTS = ("date", "timestamp")
SPACE = " \t\n\r\f\v"  # stripped from both ends of every value; ASCII only, so that all engines agree
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
INTEGER = r"[+-]?[0-9]{1,18}(\.0*)?"
BOOLEAN = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}
# Accepted besides a column's own formats, so that a request may always speak ISO 8601.
ISO_FORMATS = {
    "date": ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"],
    "timestamp": [
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f",
        "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d",
    ],
}  # fmt: skip
DIRECTIVES = {
    "%Y": "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})",  # 1 to 9999; engines differ on the year 0
    "%y": "[0-9]{2}", "%m": "[0-9]{1,2}", "%d": "[0-9]{1,2}", "%H": "[0-9]{1,2}",
    "%I": "[0-9]{1,2}", "%M": "[0-9]{1,2}", "%S": "[0-9]{1,2}", "%f": "[0-9]{1,6}", "%p": "[AaPp][Mm]",
    "%b": "[A-Za-z]{3}", "%B": "[A-Za-z]{3,9}",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """What one column must be. `min` and `max` are numbers, or ISO dates for date and timestamp columns."""

    type: Type
    role: Role = "feature"
    nullable: bool = True
    min: float | str | None = None
    max: float | str | None = None
    values: list[str] | None = None
    pattern: str | None = None
    unique: bool = False
    formats: list[str] = field(default_factory=list)
    sensitive: bool = False
    unit: str | None = None
    reason: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Contract:
    """The columns of one table by name, in the source's order, and the texts that mean missing."""

    name: str
    task: str
    positive: str | None
    columns: dict[str, Column]
    missing: list[str]

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Contract:
        """Return the contract that `data/prepare/contract.json` or a packaged model holds."""
        columns = {name: Column(**column) for name, column in stored["columns"]}
        return cls(stored["name"], stored["task"], stored["positive"], columns, stored["missing"])

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; the columns as pairs, since a JSON object has no order to rely on."""
        return {**asdict(self), "columns": [[name, asdict(column)] for name, column in self.columns.items()]}

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
    def inputs(self) -> list[str]:
        """The columns a prediction may read."""
        return self.with_role("feature", "time")


@dataclass(frozen=True)
class Violation:
    """One broken rule of one row; `value` is the text as it came, None for missing."""

    column: str
    rule: str
    value: str | None

    def __str__(self) -> str:
        return f"{self.column}: {self.rule}, got {self.value!r}"


def as_text(value: Any) -> str | None:
    """Return the one text form of a value from CSV, JSON, Parquet or Python; None for missing (None, NaN)."""
    if value is None or value is False or value is True:
        return None if value is None else str(value).lower()
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else _float_text(value)
    if isinstance(value, datetime | date):
        return str(value)
    if hasattr(value, "item"):  # a NumPy scalar
        return as_text(value.item())
    return str(value)


def _float_text(value: float) -> str:
    text = repr(float(value))  # a NumPy float is a float, but says so in its own repr
    return text.removesuffix(".0")


def parse(column: Column, text: str | None, missing: frozenset[str]) -> tuple[Any, str | None]:
    """Return (typed value or None, the first rule that the text breaks or None)."""
    stripped = "" if text is None else text.strip(SPACE)
    if not stripped or stripped in missing:
        return None, None if column.nullable else "required"
    value = _typed(column, stripped)
    if value is None:
        return None, "type"
    if column.values is not None and stripped not in column.values:
        return None, "values"
    if column.pattern is not None and not re.fullmatch(column.pattern, stripped, re.ASCII):
        return None, "pattern"
    if column.min is not None and value < bound(column, column.min):
        return None, "min"
    if column.max is not None and value > bound(column, column.max):
        return None, "max"
    return value, None


def bound(column: Column, limit: float | str) -> Any:
    """Return a declared `min` or `max` in the column's own type."""
    if column.type == "date":
        return date.fromisoformat(str(limit))
    if column.type == "timestamp":
        return datetime.fromisoformat(str(limit))
    return float(limit) if column.type == "number" else limit


def _typed(column: Column, text: str) -> Any:
    """Return the text as the column's type, or None where it is not one."""
    if column.type in ("category", "text"):
        return text
    if column.type == "boolean":
        return BOOLEAN.get(text.lower())
    if column.type == "integer":
        return int(text.split(".")[0]) if re.fullmatch(INTEGER, text) else None
    if column.type == "number":
        number = float(text) if re.fullmatch(NUMBER, text) else math.inf
        return number if math.isfinite(number) else None
    return _moment(column, text)


def _moment(column: Column, text: str) -> date | datetime | None:
    for form in [*column.formats, *ISO_FORMATS[column.type]]:
        if not re.fullmatch(format_pattern(form), text):
            continue
        try:
            moment = datetime.strptime(text, form)
        except ValueError:
            continue
        return moment.date() if column.type == "date" else moment
    return None


def format_pattern(form: str) -> str:
    """Return the regular expression of a date format: the shape that every engine is asked to accept.

    Directives with nothing between them have full width, or engines would divide the digits differently.
    """
    parts = re.split(r"(%[A-Za-z])", form)
    pattern = "".join(DIRECTIVES.get(part, "") if part.startswith("%") else re.escape(part) for part in parts)
    return re.sub(r"\{1,([0-9])\}", r"{\1}", pattern) if re.search("%[A-Za-z]%[A-Za-z]", form) else pattern


def check_row(
    contract: Contract, record: Mapping[str, Any], names: list[str]
) -> tuple[dict[str, Any], list[Violation]]:
    """Return (typed value of each column in `names`, all violations in that order).

    An absent column counts as missing; a column that the contract does not know is a violation `unknown`.
    """
    missing = frozenset(contract.missing)
    values: dict[str, Any] = {}
    violations = [Violation(str(key), "unknown", as_text(record[key])) for key in record if key not in contract.columns]
    for name in names:
        text = as_text(record.get(name))
        values[name], rule = parse(contract.columns[name], text, missing)
        if rule:
            violations.append(Violation(name, rule, text))
    return values, violations
