"""The reference page is the one that the code gives, and each of its examples is true."""

from __future__ import annotations

import dataclasses
import re
import typing
from datetime import date
from typing import Any

import pytest
import yaml
from conftest import ROOT

from stages.runtime import contract, contract_sql, expression_sql
from stages.runtime.contract import Column, Contract, Type, parse
from stages.runtime.expression import evaluate, parse_expression
from stages.shared.table.rules import contract_faults
from stages.shared.table.schema import DataConf
from tools import reference
from tools.reference import EXPRESSIONS, REASONS, ROW, ROW_TYPES, TYPES

ACCEPTED = [example for _, accepted, _ in TYPES.values() for example in accepted]
REFUSED = [example for *_, refused in TYPES.values() for example in refused]
KEYS = [(kind, key) for kind in reference.schemas(DataConf) for key in dataclasses.fields(kind)]


def test_the_page_is_what_the_code_gives():
    assert (ROOT / reference.PAGE).read_text(encoding="utf-8") == reference.page(), "run python -m tools.reference"


def test_every_schema_class_is_found():
    names = [kind.__name__ for kind in reference.schemas(DataConf)]
    assert names[0] == "DataConf"
    assert {"Source", "Column", "Rule", "Split", "Limits"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("kind", "key"), KEYS, ids=lambda value: getattr(value, "name", getattr(value, "__name__", ""))
)
def test_every_key_says_what_it_means(kind: Any, key: dataclasses.Field[Any]):
    doc = key.metadata.get("doc", "")
    assert doc, f"{kind.__name__}.{key.name} has no doc in its metadata"
    assert doc.endswith("."), doc


@pytest.mark.parametrize(("column", "text", "value"), ACCEPTED, ids=str)
def test_accepted_example_has_the_value_that_is_shown(column, text, value):
    found, rule = parse(column, text, frozenset())
    assert (str(found), rule) == (value, None)


@pytest.mark.parametrize(("column", "text"), REFUSED, ids=str)
def test_refused_example_is_refused(column, text):
    assert parse(column, text, frozenset())[1] is not None


@pytest.mark.parametrize("column", [example[0] for example in [*ACCEPTED, *REFUSED]], ids=str)
def test_column_of_an_example_may_stand_in_a_contract(column):
    assert contract_faults(Contract("t", "regression", None, {"x": column, "y": Column("number", "target")}, [])) == []


@pytest.mark.parametrize("column", [example[0] for example in [*ACCEPTED, *REFUSED]], ids=str)
def test_column_of_an_example_is_shown_as_yaml(column):
    assert Column(**yaml.safe_load(reference.show_column(column).strip("`"))) == column


def test_every_type_has_examples():
    assert tuple(TYPES) == typing.get_args(Type)
    assert all(accepted and refused for _, accepted, refused in TYPES.values())


def test_every_reason_of_the_code_is_on_the_page_and_no_other():
    texts = [(ROOT / f"stages/{path}.py").read_text() for path in ("runtime/contract", "shared/table/account")]
    returned = set(re.findall(r'return None, "([a-z_]+)"', texts[0])) | {"required"}
    named = set(re.findall(r'Violation\([^,]+, "([a-z_]+)"', texts[0])) | set(
        re.findall(r"SELECT _row, [^']*, '([a-z]+)', of", texts[1])
    )
    assert returned | named == set(REASONS)


@pytest.mark.parametrize(("check", "outcome"), EXPRESSIONS)
def test_expression_says_of_the_row_what_is_shown(check, outcome):
    values = {name: date.fromisoformat(value) if ROW_TYPES[name] == "date" else value for name, value in ROW.items()}
    found = evaluate(parse_expression(check, ROW_TYPES), values)
    assert {True: "holds", False: "broken", None: "unknown"}[found] == outcome


def test_expressions_of_the_page_are_read_by_tables_too():
    import duckdb

    columns = {name: Column(kind) for name, kind in ROW_TYPES.items()}  # type: ignore[arg-type]
    rules = {check: contract.Rule(check) for check, _ in EXPRESSIONS}
    whole = Contract("t", "regression", None, columns, [], rules)
    values = {
        name: f"{'NULL' if value is None else repr(value)}::{contract_sql.SQL_TYPES[ROW_TYPES[name]]}"
        for name, value in ROW.items()
    }
    for check, outcome in EXPRESSIONS:
        [(found,)] = duckdb.execute(f"SELECT {expression_sql.expression_sql(whole, check, values)}").fetchall()
        assert {True: "holds", False: "broken", None: "unknown"}[found] == outcome
