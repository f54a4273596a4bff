"""Other servers' protocols: a record has one prediction in all, and a wrong wrapper is told by its rules."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pytest
from demo import records_of
from hypothesis import given, settings
from hypothesis import strategies as st
from made_model import CLASSES, RECORDS, made_contract, make_model

from stages.runtime.contract import Type
from stages.runtime.forms import as_text
from stages.runtime.predictor import BrokenContract, Predictor
from stages.runtime.serving.dialects import inference, mlflow
from stages.runtime.serving.dialects.refused import RULES, RefusedRequest
from stages.runtime.serving.dialects.tensors import CASTS, datatype
from stages.shared.records import json_value

FAST = settings(max_examples=60, derandomize=True, database=None, deadline=None)
TASKS = list(CLASSES)
META = {"task": "binary", "classes": ["no", "yes"]}


@pytest.fixture(scope="module", params=TASKS)
def predictor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return make_model(tmp_path_factory.mktemp(request.param), request.param)


def carried(predictor: Predictor, record: dict[str, Any]) -> dict[str, Any]:
    """A record of typed values as JSON carries it."""
    contract = predictor.contract
    return json.loads(json.dumps({name: json_value(value, contract.columns[name]) for name, value in record.items()}))


def asked(predictor: Predictor, records: list[dict[str, Any]]) -> list[Any]:
    """Answers, or what is wrong, one by one: a rule over several columns may break."""
    found: list[Any] = []
    for record in records:
        try:
            found.append(predictor.predict(record))
        except BrokenContract as error:
            found.append([(violation.column, violation.rule) for violation in error.violations])
    return found


def split(names: list[str], records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"columns": names, "data": [[record[name] for name in names] for record in records]}


def columns(names: list[str], records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [record[name] for record in records] for name in names}


def tensors(names: list[str], records: list[dict[str, Any]], kinds: dict[str, str], nested: bool) -> dict[str, Any]:
    inputs = []
    for name in names:
        data = [record[name] for record in records]
        data = [None if value is None else as_text(value) for value in data] if kinds[name] == "BYTES" else data
        shape, elements = ([len(data), 1], [[value] for value in data]) if nested else ([len(data)], data)
        inputs.append({"name": name, "shape": shape, "datatype": kinds[name], "data": elements})
    return {"inputs": inputs}


def as_csv(names: list[str], records: list[dict[str, Any]], predictor: Predictor) -> str:
    """Texts as the contract's source writes them: a decimal comma where the column has one."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(names)
    for record in records:
        texts = [as_text(record[name]) or "" for name in names]
        marks = [predictor.contract.columns[name].decimal for name in names]
        writer.writerow(
            [text.replace(".", ",") if mark == "," else text for text, mark in zip(texts, marks, strict=True)]
        )
    return out.getvalue()


def test_every_form_of_a_record_gives_the_same_bits(predictor: Predictor) -> None:
    names = predictor.contract.inputs
    kinds = {name: datatype(predictor.contract.columns[name]) for name in names}

    @FAST
    @given(st.lists(records_of(predictor.contract), min_size=1, max_size=3), st.permutations(names), st.booleans())
    def check(rows: list[dict[str, Any]], order: list[str], nested: bool) -> None:
        records = [carried(predictor, row) for row in rows]
        expected = repr(asked(predictor, records))
        forms = {
            "dataframe_split": split(order, records),
            "dataframe_records": [{name: record[name] for name in order} for record in records],
            "instances": records,
            "inputs": columns(order, records),
        }
        given = [mlflow.read_json({key: form}) for key, form in forms.items()]
        given.append(mlflow.read_json({"instances": columns(order, records), "params": {"x": 1}}))
        given.append(mlflow.read_csv(as_csv(order, records, predictor), 10))
        given.append(inference.read(tensors(order, records, kinds, nested), predictor.model.meta).records)
        for number, found in enumerate(given):
            assert repr(asked(predictor, found)) == expected, number

    check()


def test_answers_are_what_the_model_says(predictor: Predictor) -> None:
    meta, answers = predictor.model.meta, predictor.predict_many(RECORDS)
    assert mlflow.write(answers) == {"predictions": [answer["prediction"] for answer in answers]}
    outputs = {
        tensor["name"]: tensor for tensor in inference.write(answers, list(inference.output_tensors(meta)), meta)
    }
    assert outputs["prediction"]["shape"] == [2]
    for name, kind, key in (("probabilities", "FP64", dict.values), ("interval", "FP64", list)):
        if name not in answers[0]:
            assert name not in outputs
            continue
        expected = [list(key(answer[name])) for answer in answers]
        assert outputs[name]["datatype"] == kind
        assert np.reshape(outputs[name]["data"], outputs[name]["shape"]).tolist() == expected
    if "probabilities" in outputs:
        assert json.loads(outputs["probabilities"]["parameters"]["classes"]) == list(answers[0]["probabilities"])
    metadata = inference.model_metadata(predictor.contract, meta, "made", "1")
    assert [tensor["name"] for tensor in metadata["inputs"]] == predictor.contract.inputs
    assert {t["name"]: (t["datatype"], t["shape"][1:]) for t in metadata["outputs"]} == {
        name: (tensor["datatype"], tensor["shape"][1:]) for name, tensor in outputs.items()
    }


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("BOOL", True, True), ("BOOL", 1, None), ("BOOL", "true", None),
        ("INT8", -128, -128), ("INT8", 128, None), ("INT8", True, None), ("INT8", 1.0, None), ("UINT8", 255, 255),
        ("UINT8", -1, None), ("INT64", 2**63 - 1, 2**63 - 1), ("INT64", 2**63, None), ("UINT64", 2**64 - 1, 2**64 - 1),
        ("FP64", 3, 3), ("FP64", 0.1, 0.1), ("FP64", "0.1", None), ("FP64", False, None),
        ("FP32", 0.1, 0.1), ("FP32", float(np.float32(0.1)), 0.1), ("FP32", 16777217, 16777216.0), ("FP32", 1e39, None),
        ("FP32", 10**400, None), ("FP16", 0.1, 0.0999755859375), ("FP16", 65504, 65504.0), ("FP16", 65505, None),
        ("BYTES", "1", "1"), ("BYTES", 1, None),
    ],
)  # fmt: skip
def test_an_element_is_the_value_of_its_data_type(kind: str, given: Any, expected: Any) -> None:
    assert repr(CASTS[kind](given)) == repr(expected)


def test_a_short_float_is_what_the_python_api_makes_of_it() -> None:
    for kind, name in ((np.float32, "FP32"), (np.float16, "FP16")):
        for value in np.random.default_rng(1).normal(0, 1e3, 200).astype(kind):
            assert as_text(CASTS[name](float(value))) == as_text(value)


TENSOR = {"name": "size", "shape": [2], "datatype": "FP64", "data": [1, 2.5]}
BROKEN = [
    ([], [("", "object", None)]),
    ({}, [("inputs", "absent", None)]),
    ({"inputs": {"a": 1}}, [("inputs", "array", None)]),
    ({"inputs": [TENSOR], "input": 1, "id": 7}, [("input", "unknown_key", None), ("id", "text", None)]),
    ({"inputs": [3, {"shape": [1]}, {"name": 4}]},
     [("inputs[0]", "object", None), ("inputs[1].name", "absent", None), ("inputs[2].name", "text", None)]),
    ({"inputs": [TENSOR, TENSOR]}, [("size", "duplicate", None)]),
    ({"inputs": [TENSOR, {**TENSOR, "name": "rate", "shape": [1], "data": [1]}]}, [("rate", "shape", None)]),
    ({"inputs": [{**TENSOR, "shape": [3]}]}, [("size", "shape", None)]),
    ({"inputs": [{**TENSOR, "shape": [1, 2]}]}, [("size", "shape", None)]),
    ({"inputs": [{**TENSOR, "shape": [10**30]}]}, [("size", "shape", None)]),
    ({"inputs": [{**TENSOR, "shape": [True, True]}]}, [("size", "shape", None)]),
    ({"inputs": [{**TENSOR, "shape": [2, 1], "data": [[1], [2, 3]]}]},
     [("size", "element", 0), ("size", "element", 1)]),
    ({"inputs": [{**TENSOR, "datatype": "FP8"}]}, [("size", "datatype", None)]),
    ({"inputs": [{**TENSOR, "datatype": ["FP64"]}]}, [("size", "datatype", None)]),
    ({"inputs": [{**TENSOR, "data": [1, "2"]}]}, [("size", "element", 1)]),
    ({"inputs": [{**TENSOR, "parameters": {"binary_data_size": 16}}]}, [("size", "binary", None)]),
    ({"inputs": [{**TENSOR, "more": 1, "parameters": []}]},
     [("size.more", "unknown_key", None), ("size.parameters", "object", None)]),
    ({"inputs": [TENSOR], "outputs": [{"name": "prediction"}, {"name": "score"}, {"name": []}]},
     [("outputs[1].name", "unknown_output", None), ("outputs[2].name", "unknown_output", None)]),
    ({"inputs": [TENSOR], "outputs": ["prediction"]}, [("outputs", "object", None)]),
    ({"inputs": [TENSOR], "outputs": {}, "parameters": 1},
     [("parameters", "object", None), ("outputs", "array", None)]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "faults"), BROKEN, ids=range(len(BROKEN)))
def test_a_wrong_inference_request_is_told_by_its_rules(body: Any, faults: list[tuple[Any, ...]]) -> None:
    with pytest.raises(RefusedRequest, match=faults[0][1]) as caught:
        inference.read(body, META)
    assert [(fault.column, fault.rule, fault.row) for fault in caught.value.faults] == faults
    assert {fault.rule for fault in caught.value.faults} <= set(RULES)


def test_outputs_are_those_asked_for_in_the_models_order() -> None:
    body = {"inputs": [TENSOR], "outputs": [{"name": "probabilities"}], "id": "42", "parameters": {"timeout": 3}}
    assert inference.read(body, META) == inference.Asked([{"size": 1}, {"size": 2.5}], ["probabilities"], "42")
    assert inference.read({"inputs": [TENSOR], "outputs": []}, META).outputs == ["prediction", "probabilities"]


UNREADABLE = [
    ([], [("", "object", None)]),
    ({}, [("", "form", None)]),
    ({"inputs": {}, "instances": []}, [("", "form", None)]),
    ({"dataframe_records": [], "signature_name": "x", "params": 3},
     [("signature_name", "unknown_key", None), ("params", "object", None)]),
    ({"dataframe_records": {}}, [("dataframe_records", "array", None)]),
    ({"dataframe_records": [{}, 1, []]}, [("", "object", 1), ("", "object", 2)]),
    ({"dataframe_split": []}, [("dataframe_split", "object", None)]),
    ({"dataframe_split": {"data": {}, "rows": 1}},
     [("rows", "unknown_key", None), ("columns", "absent", None), ("data", "array", None)]),
    ({"dataframe_split": {"columns": ["a", 1], "data": []}}, [("columns", "text", None)]),
    ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2], [1], 3]}},
     [("a", "duplicate", None), ("", "shape", 1), ("", "array", 2)]),
    ({"inputs": {"a": [1, 2], "b": [1], "c": 3}}, [("b", "shape", None), ("c", "shape", None)]),
    ({"instances": [[1, 2]]}, [("", "object", 0)]),
    ({"instances": "x"}, [("instances", "array", None)]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "faults"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_wrong_mlflow_request_is_told_by_its_rules(body: Any, faults: list[tuple[Any, ...]]) -> None:
    with pytest.raises(RefusedRequest, match=faults[0][1]) as caught:
        mlflow.read_json(body)
    assert [(fault.column, fault.rule, fault.row) for fault in caught.value.faults] == faults
    assert {fault.rule for fault in caught.value.faults} <= set(RULES)


def test_one_record_may_be_an_object_of_values() -> None:
    assert mlflow.read_json({"inputs": {"a": 1, "b": "x"}}) == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,\"x,y\"\n\n2,\n", [{"a": "1", "b": "x,y"}, {"a": "2", "b": ""}]),
        ("\ufeffa\r\n1\r\n", [{"a": "1"}]),
        ("a\n", []),
    ],
)  # fmt: skip
def test_csv_values_stay_texts(text: str, expected: list[dict[str, str]]) -> None:
    assert mlflow.read_csv(text, 10) == expected


@pytest.fixture
def fresh_limit() -> Iterator[None]:
    """The limit on a CSV field of a process in which no stage has read a table: the packaged service's."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


@pytest.mark.usefixtures("fresh_limit")
@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [("", "csv", None)]),
        ('a\n"x', [("", "csv", None)]),
        ("a\n" + "x" * 200_000, [("", "csv", None)]),
        ("a,b,a\n1,2,3\n4,5\n", [("a", "duplicate", None), ("", "shape", 1)]),
    ],
    ids=["empty", "quote", "long", "names"],
)
def test_wrong_csv_is_told_by_its_rules(text: str, faults: list[tuple[Any, ...]]) -> None:
    with pytest.raises(RefusedRequest, match=faults[0][1]) as caught:
        mlflow.read_csv(text, 10)
    assert [(fault.column, fault.rule, fault.row) for fault in caught.value.faults] == faults


KEYS = st.sampled_from(
    ["inputs", "outputs", "id", "parameters", "name", "shape", "datatype", "data", "dataframe_split",
     "dataframe_records", "instances", "params", "columns", "index", "size", "binary_data_size", "prediction"]
)  # fmt: skip
WORDS = st.sampled_from(["size", "FP64", "FP32", "BOOL", "INT8", "BYTES", "prediction", ""])
NUMBERS = st.integers(-1, 3) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@settings(FAST, max_examples=300)
@given(JSON)
def test_any_document_is_read_or_refused_by_rules(document: Any) -> None:
    for read in (mlflow.read_json, lambda body: inference.read(body, META).records):
        assert read_or_refused(read, document)


@FAST
@given(st.text('ab,"\n\r;\ufeff', max_size=30))
def test_any_csv_is_read_or_refused_by_rules(text: str) -> None:
    assert read_or_refused(lambda given: mlflow.read_csv(given, 10), text)


def read_or_refused(read: Callable[[Any], list[Any]], given: Any) -> bool:
    try:
        return all(isinstance(record, dict) for record in read(given))
    except RefusedRequest as error:
        return {fault.rule for fault in error.faults} <= set(RULES) and bool(error.faults)


def test_no_more_faults_are_collected_than_anybody_reads() -> None:
    with pytest.raises(RefusedRequest, match="object") as caught:
        mlflow.read_json({"instances": [1] * 100_000})
    assert len(caught.value.faults) == 1000


def test_contract_of_the_made_model_has_every_type() -> None:
    assert {column.type for column in made_contract("binary").columns.values()} == set(get_args(Type))
