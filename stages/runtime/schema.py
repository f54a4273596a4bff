"""JSON Schema (2020-12) of a record and of its answer, from the contract and the model's own description.

A record that fits the schema is one the contract accepts, but for what a schema cannot say: days that no calendar has,
the limits of dates (`x-minimum`, `x-maximum`) and the rules over several columns (`x-rules`). The contract takes more:
texts such as "12.5" for numbers, spaces around a value, the texts that mean missing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from .contract import Column, Contract
from .dates import DIRECTIVES, timed
from .forms import MOMENTS, as_text
from .zones import OFFSET

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LARGEST_INTEGER = 10**18 - 1  # the contract reads 18 digits
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
]  # fmt: skip
# As forms.DIRECTIVES, but only numbers that a clock or a calendar has.
SHAPES = DIRECTIVES | {
    "%m": "(?:0?[1-9]|1[0-2])", "%d": "(?:0?[1-9]|[12][0-9]|3[01])", "%H": "(?:0?[0-9]|1[0-9]|2[0-3])",
    "%I": "(?:0?[1-9]|1[0-2])", "%M": "(?:0?[0-9]|[1-5][0-9])", "%S": "(?:0?[0-9]|[1-5][0-9])",
    "%b": f"(?:{'|'.join(month[:3] for month in MONTHS)})", "%B": f"(?:{'|'.join(MONTHS)})",
}  # fmt: skip
ISO_DAY = f"{DIRECTIVES['%Y']}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
ISO_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
Schema = dict[str, Any]


def record_schema(contract: Contract) -> Schema:
    """Return the schema of a record: its `properties` are the columns that the model reads, in the contract's order.

    Columns that the contract knows and the model does not read may be there, whatever they hold: `patternProperties`.
    """
    columns = {name: contract.columns[name] for name in contract.inputs}
    schema: Schema = {
        "$schema": DIALECT,
        "title": contract.name,
        "type": "object",
        "properties": {name: column_schema(column, contract.missing) for name, column in columns.items()},
        "required": [name for name, column in columns.items() if not _may_be_missing(column)],
        "additionalProperties": False,
    }
    others = [name for name in contract.columns if name not in columns]
    if others:
        schema["patternProperties"] = {f"^(?:{'|'.join(map(_escaped, others))})$": True}
    if contract.rules:
        schema["x-rules"] = {name: rule.check for name, rule in contract.rules.items()}
    return schema


def column_schema(column: Column, missing: list[str]) -> Schema:
    """Return the schema of one column's value; null where it may be missing. `missing` are the table's texts for it."""
    words = {"", *missing, *column.missing}
    if column.type in MOMENTS:
        schema = _moment(column)
    elif column.type == "boolean":
        schema = {"type": ["boolean"]}
    elif column.type in ("category", "text"):
        schema = _text(column, words)
    else:
        schema = _number(column)
    if _may_be_missing(column):
        schema["type"].append("null")
        if "enum" in schema:
            schema["enum"].append(None)
    schema["type"] = schema["type"][0] if len(schema["type"]) == 1 else schema["type"]
    return schema | _told(column)


def answer_schema(meta: Mapping[str, Any]) -> Schema:
    """Return the schema of an answer of the model whose model.json `meta` is; a service may add keys of its own."""
    if meta["task"] == "regression":
        properties: Schema = {"prediction": {"type": "number", "description": "The predicted value."}}
        if meta.get("interval") is not None:
            told = "Where the true value should lie: low, high."
            properties["interval"] = {
                "type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2, "description": told,
            }  # fmt: skip
    else:
        p = {"type": "number", "minimum": 0, "maximum": 1}
        properties = {
            "prediction": {"type": "string", "enum": list(meta["classes"]), "description": "The predicted class."},
            "probabilities": _by_name(meta["classes"], p) | {"description": "Of each class."},
        }
    return {"$schema": DIALECT, "type": "object", "properties": properties, "required": list(properties)}


def explanation_schema(meta: Mapping[str, Any], columns: list[str]) -> Schema:
    """Return the schema of an explained answer, with parts for each of `columns`; by class where there are more."""
    schema = answer_schema(meta)
    number: Schema = {"type": "number"}
    base, parts = number, _by_name(columns, number)
    if meta["task"] == "multiclass":
        base, parts = _by_name(meta["classes"], base), _by_name(meta["classes"], parts)
    own = {
        "base": base | {"description": "What the model says before it has seen the record."},
        "contributions": parts | {"description": "What each column adds to the base, before the model's link."},
    }
    schema["properties"] |= own
    schema["required"] += list(own)
    return schema


def _by_name(names: list[str], each: Schema) -> Schema:
    properties = {name: dict(each) for name in names}
    return {"type": "object", "properties": properties, "required": list(names), "additionalProperties": False}


def _may_be_missing(column: Column) -> bool:
    return column.nullable or column.on_violation == "null"


def _told(column: Column) -> Schema:
    """Return what is said for people and pages: description, unit, the contract's type."""
    told: Schema = {"description": column.description} if column.description else {}
    told |= {"x-unit": column.unit} if column.unit else {}
    return told | {"x-type": column.type} | ({"x-sensitive": True} if column.sensitive else {})


def _number(column: Column) -> Schema:
    limits = {"minimum": _limit(column, column.min), "maximum": _limit(column, column.max)}
    if column.type == "integer":
        ends = {"minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
        return {"type": ["integer"], **{key: ends[key] if limit is None else limit for key, limit in limits.items()}}
    return {"type": ["number"], **{key: limit for key, limit in limits.items() if limit is not None}}


def _limit(column: Column, limit: float | str | None) -> float | int | None:
    if limit is None:
        return None
    number = float(limit)
    return int(number) if column.type == "integer" and math.isfinite(number) and number.is_integer() else number


def _text(column: Column, words: set[str]) -> Schema:
    if column.values is not None:
        return _one_of([value for value in column.values if value not in words])
    schema: Schema = {"type": ["string"]}
    if column.type == "category" and column.pattern is None:
        schema["type"].append("integer")  # 12 is the category "12"
    patterns = [r"^[^ \t\n\r\f\v](?:[\s\S]*[^ \t\n\r\f\v])?$"]  # neither empty nor within spaces
    patterns += [] if column.pattern is None else [f"^(?:{column.pattern})$"]
    if _may_be_missing(column):
        patterns[0] = f"^$|{patterns[0]}"
    schema |= {"pattern": patterns[0]} if len(patterns) == 1 else {"allOf": [{"pattern": each} for each in patterns]}
    schema |= {} if column.min_length is None else {"minLength": column.min_length}
    schema |= {} if column.max_length is None else {"maxLength": column.max_length}
    barred = sorted(words - {""})
    return schema | ({"not": {"enum": barred}} if barred and not _may_be_missing(column) else {})


def _one_of(values: list[str]) -> Schema:
    """Return the schema of levels; one that is written as a number may be sent as one."""
    numbers = [number for value in values if (number := _as_number(value)) is not None]
    types = ["string"] + (["number"] if numbers else [])
    return {"type": types, "enum": [*values, *numbers]}


def _as_number(text: str) -> float | int | None:
    """Return the JSON number whose text this is, None where there is none."""
    try:
        number = json.loads(text)
    except ValueError:
        return None
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return number if is_number and as_text(number) == text else None


def _moment(column: Column) -> Schema:
    """Return the schema of a date's or moment's text: ISO 8601, or one of the column's own formats."""
    if column.type == "date" and not column.formats:
        schema: Schema = {"type": ["string"], "format": "date"}
    else:
        offset = "" if column.timezone is None else f"(?: ?{OFFSET})?"
        iso = ISO_DAY if column.type == "date" else f"{ISO_DAY}(?:[ T]{ISO_TIME}{offset})?"
        own = [_shape(form) + (offset if timed([form]) else "") for form in column.formats]
        schema = {"type": ["string"], "pattern": f"^(?:{'|'.join([iso, *own])})$"}
    schema |= {"x-formats": column.formats} if column.formats else {}
    limits = {"x-minimum": column.min, "x-maximum": column.max}
    return schema | {key: str(limit) for key, limit in limits.items() if limit is not None}


def _shape(form: str) -> str:
    """Return the pattern of a format; directives with nothing between them have full width, as the contract asks."""
    parts = (SHAPES.get(part, "") if part.startswith("%") else _escaped(part) for part in re.split("(%[A-Za-z])", form))
    pattern = "".join(parts)
    return pattern.replace("0?", "0") if re.search("%[A-Za-z]%[A-Za-z]", form) else pattern


def _escaped(text: str) -> str:
    return re.sub(r"[.^$*+?()\[\]{}|\\]", r"\\\g<0>", text)
