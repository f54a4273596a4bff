"""The JSON Schema of a record promises no more than the contract takes, and takes what the packaged model was asked."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from demo import NAMES, demo_contract, records_of, values_of
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stages.runtime.contract import Column, Contract, check_row, parse
from stages.runtime.expression import Rule
from stages.runtime.forms import text_of
from stages.runtime.schema import answer_schema, column_schema, explanation_schema, record_schema
from stages.shared.records import json_value

FAST = settings(max_examples=40, derandomize=True, database=None, deadline=None)
ODD = [
    Column("integer", min=-3, max=9),
    Column("number", nullable=False, min=0.5, max=1e6, decimal=","),
    Column("money", min=0, unit="EUR", description="what was paid"),
    Column("percent", max=100, on_violation="null"),
    Column("date", min="2020-02-01", max="2021-03-31"),
    Column("date", formats=["%d.%m.%Y", "%d%m%y"]),
    Column("timestamp", formats=["%d %b %Y %I:%M %p"], nullable=False),
    Column("timestamp", timezone="Europe/Rome"),
    Column("category", nullable=False, values=["1", "02", "3.5", "yes", "?"], missing=["?"]),
    Column("category", pattern="[A-Z]{2}|x", missing=["XX"], nullable=False),
    Column("text", nullable=False, min_length=2, max_length=5),
    Column("boolean", nullable=False),
]
TEXTS = [
    "", " ", "1", "02", "3.5", "yes", "?", "XX", "AB", "x", " ab", "ab ", "ab", "abcdef", "\n", "NA", "1e3", "12,5",
    "2020-02-29", "2020-13-01", "29.02.2020", "290220", "320199", "311299", "05 Mar 2020 09:30 PM",
    "5 Mar 2020 9:30 AM",
    "05 Mar 2020 19:30 PM", "2020-02-29 25:00", "2020-02-29T23:59:59.5", "2020-02-29 23:59Z",
    "2020-02-29 23:59 +02:00", "0000-01-01",
]  # fmt: skip
NUMBERS = st.integers() | st.integers(-20, 120) | st.floats(allow_nan=False, allow_infinity=False)
NESTED = st.lists(st.integers(), max_size=1) | st.dictionaries(st.text(max_size=1), st.none(), max_size=1)
VALUES = st.none() | st.booleans() | NUMBERS | st.sampled_from(TEXTS) | st.text(max_size=6) | NESTED


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("column", ODD, ids=lambda column: column.type)
def test_a_value_that_fits_is_one_that_the_contract_takes(column: Column) -> None:
    missing = ["NA"]
    fits = validator(column_schema(column, missing))

    @settings(FAST, max_examples=400)
    @given(VALUES | values_of(column).map(lambda value: json_value(value, column)))
    def check(value: Any) -> None:
        if fits.is_valid(value):
            rule = parse(column, text_of(column, value), frozenset([*missing, *column.missing]))[1]
            is_date = column.type in ("date", "timestamp")
            assert rule is None or column.on_violation == "null" or (is_date and rule in ("min", "max")), value

    check()


@pytest.mark.parametrize("name", NAMES)
def test_records_of_the_demo_tables_fit_as_requests_carry_them(name: str) -> None:
    contract = demo_contract(name)
    fits = validator(record_schema(contract))

    @FAST
    @given(records_of(contract))
    def check(record: dict[str, Any]) -> None:
        sent = {key: json_value(value, contract.columns[key]) for key, value in record.items()}
        assert [
            violation for violation in check_row(contract, sent, contract.inputs)[1] if violation.rule != "check"
        ] == []
        fits.validate(json.loads(json.dumps(sent)))

    check()


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"b": 1}, True),
        ({"key": {"any": "thing"}, "y": 3}, True),
        ({"aa": 1}, False),
        ({"a": None}, False),
        ({"a": 10}, False),
        ({"a": 9.0}, True),
        ({"a": 8.5}, False),
        ({"b": "z"}, False),
    ],
)
def test_names_and_limits_of_columns_are_the_contracts(change: dict[str, Any], fits: bool) -> None:
    columns = {
        "key": Column("text", "key"),
        "a": Column("integer", nullable=False, max=9),
        "b": Column("category", values=["1"]),
    }
    columns["y"] = Column("number", "target")
    schema = record_schema(Contract("t", "regression", None, columns, [], {"order": Rule("a > b")}))
    assert validator(schema).is_valid({"a": 3} | change) == fits
    assert list(schema["properties"]) == ["a", "b"]
    assert (schema["required"], schema["x-rules"]) == (["a"], {"order": "a > b"})


def test_what_people_need_to_know_of_a_column_is_said() -> None:
    column = replace(ODD[2], sensitive=True)
    assert column_schema(column, []) == {
        "type": ["number", "null"], "minimum": 0.0, "description": "what was paid", "x-unit": "EUR", "x-type": "money",
        "x-sensitive": True,
    }  # fmt: skip
    dated = column_schema(ODD[4], [])
    assert {key: dated[key] for key in ("format", "x-minimum", "x-maximum")} == {
        "format": "date", "x-minimum": "2020-02-01", "x-maximum": "2021-03-31",
    }  # fmt: skip
    assert column_schema(ODD[6], [])["x-formats"] == ["%d %b %Y %I:%M %p"]


@pytest.mark.parametrize(
    ("meta", "answer"),
    [
        ({"task": "regression"}, {"prediction": 1.5}),
        ({"task": "regression", "interval": {"quantile": 1.0}}, {"prediction": 1.5, "interval": [1.0, 2.0]}),
        ({"task": "binary", "classes": ["n", "p"]}, {"prediction": "n", "probabilities": {"n": 0.75, "p": 0.25}}),
        ({"task": "multiclass", "classes": ["a", "b", "c"]},
         {"prediction": "c", "probabilities": {"a": 0.0, "b": 0.25, "c": 0.75}}),
    ],
)  # fmt: skip
def test_an_answer_fits_and_one_without_a_part_does_not(meta: dict[str, Any], answer: dict[str, Any]) -> None:
    fits = validator(answer_schema(meta))
    fits.validate(answer)
    fits.validate({**answer, "version": "1"})
    for name in answer:
        assert not fits.is_valid({key: value for key, value in answer.items() if key != name})
    if "probabilities" in answer:
        assert not fits.is_valid({**answer, "prediction": "stranger"})


def test_the_packaged_examples_and_an_explanation_fit(small: Path) -> None:
    meta = json.loads((small / "data/train/model.json").read_text())
    contract = Contract.from_json(json.loads((small / "data/prepare/contract.json").read_text()))
    [wheel] = (small / "data/package").glob("*.whl")
    examples = json.loads(zipfile.ZipFile(wheel).read("toy_model/model/examples.json"))
    for example in examples:
        validator(record_schema(contract)).validate(example["record"])
        validator(answer_schema(meta)).validate(example["answer"])
    names = ["colour", "size"]
    explained = examples[0]["answer"] | {"base": -1.0, "contributions": dict.fromkeys(names, 0.5)}
    validator(explanation_schema(meta, names)).validate(explained)
    assert not validator(explanation_schema(meta, [*names, "note"])).is_valid(explained)
