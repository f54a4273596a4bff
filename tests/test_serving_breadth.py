"""Bodies of more values than their records may have are refused before anything reads them, and nobody waits."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from made_model import CLASSES, RECORDS, make_model, serving_made

from stages.runtime.serving.answering import Answering
from stages.runtime.serving.breadth import CHUNK, check_breadth
from stages.runtime.serving.replies import Refused
from stages.runtime.serving.settings import LONG_BYTES, Limits

INFER = "/v2/models/made/infer"
MANY = 200_000


@pytest.fixture(scope="module", params=list(CLASSES))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    folder = tmp_path_factory.mktemp(request.param)
    make_model(folder, request.param)
    with serving_made(folder) as address:
        host, port = address.removeprefix("http://").split(":")
        yield host, int(port)


def ask(place: tuple[str, int], path: str, body: bytes, kind: str) -> tuple[int, Any]:
    connection = HTTPConnection(*place, timeout=60)
    connection.request("POST", path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def listed(text: bytes, number: int = MANY) -> bytes:
    return b"[" + b",".join([text] * number) + b"]"


def keys(number: int, value: bytes = b"0") -> bytes:
    return b"{" + b",".join(b'"%x":%s' % (each, value) for each in range(number)) + b"}"


WIDE: dict[str, tuple[str, bytes]] = {
    "lists": ("/predict", listed(b"[]")),
    "objects": ("/predict", listed(b"{}")),
    "numbers": ("/predict", listed(b"0")),
    "lists in one row": ("/explain", b"[" + listed(b"[]") + b"]"),
    "lists in one record": ("/predict", b'{"note":' + listed(b"[]") + b"}"),
    "objects in one record": ("/predict", b'{"no\\u0074e":' + listed(b'{"a":1}') + b"}"),
    "deep lists": ("/predict", b'{"note":' + listed(b"[" * 30 + b"]" * 30, MANY // 30) + b"}"),
    "keys": ("/predict", keys(MANY)),
    "rows of keys": ("/predict", listed(keys(50_000), 4)),
    "MLflow's lists": ("/invocations", b'{"instances":' + listed(b"[]") + b"}"),
    "MLflow's names": ("/invocations", b'{"inputs":' + keys(MANY, b"[0]") + b"}"),
    "NaN": ("/invocations", b"NaN" * 1_000_000),
    "texts beside NaN": ("/invocations", b"NaN" + b'""' * 1_000_000),
    "tensors": (INFER, b'{"inputs":' + listed(b"{}") + b"}"),
    "elements": (INFER, b'{"inputs":[{"name":"size","shape":[1],"datatype":"FP64","data":' + listed(b"0") + b"}]}"),
}


@pytest.mark.parametrize("name", WIDE)
def test_a_body_of_too_many_values_is_refused(place: tuple[str, int], name: str) -> None:
    path, body = WIDE[name]
    status, told = ask(place, path, body, "application/json")
    assert (status, told["reason"]) == (413, "too_many_values")


def test_mlflow_columns_are_refused_once_where_nobody_reads_of_each(place: tuple[str, int]) -> None:
    """100,000 of them over ten rows were told apart for seconds: a million unknown columns."""
    names = [f"c{number}" for number in range(2000)]
    table = {"columns": names, "data": [[0] * 2000] * 10}
    bodies = [json.dumps(form) for form in (
        {"dataframe_split": table}, {"dataframe_records": [dict.fromkeys(names, 0)] * 10},
        {"inputs": {name: [0] for name in names}})]  # fmt: skip
    wide = ",".join(f"c{number}" for number in range(100_002))
    asked = [(body, "application/json") for body in bodies] + [
        (json.dumps({"inputs": {str(number): [] for number in range(20_001)}}), "application/json"),
        (",".join(names) + "\n" + ",".join("0" * 2000) + "\n", "text/csv"),
        (wide + "\n" + wide + "\n", "text/csv"),
    ]
    for body, kind in asked:
        status, told = ask(place, "/invocations", body.encode(), kind)
        assert (status, told["reason"], told["n_violations"]) == (400, "protocol", 1)
        assert told["violations"] == [{"column": None, "rule": "columns", "message": "should have fewer columns"}]


def test_of_more_lines_than_rows_no_more_are_read(place: tuple[str, int]) -> None:
    status, told = ask(place, "/invocations", b"size\n" + b"a\n" * 1_000_000, "text/csv")
    assert (status, told["reason"]) == (413, "too_many_rows")


def test_a_text_full_of_brackets_is_a_text(place: tuple[str, int]) -> None:
    """What stands in texts is counted only until they are looked at closely."""
    record = {**RECORDS[1], "code": '[{,\\"' * 1900}
    status, told = ask(place, "/predict", json.dumps([record] * 100).encode(), "application/json")
    assert (status, len(told["answers"])) == (200, 100)


def counts(value: Any) -> tuple[int, int]:
    """Return how many lists and objects a value has, and how many commas its JSON has outside of texts."""
    if not isinstance(value, dict | list):
        return 0, 0
    inner = [counts(each) for each in (value.values() if isinstance(value, dict) else value)]
    return 1 + sum(each[0] for each in inner), max(len(value) - 1, 0) + sum(each[1] for each in inner)


@pytest.mark.parametrize("seed", range(5))
def test_brackets_and_commas_are_counted_outside_of_texts_only(seed: int) -> None:
    random = np.random.default_rng(seed)
    texts = ["".join(random.choice(list('\\"[{,]}é'), random.integers(30))) for _ in range(3000)]
    value = [{text: [1, text], "": {"a": [], "b": text}} for text in texts]
    n_lists, n_commas = counts(value)
    body = msgspec.json.encode(value)
    assert len(body) > 5 * CHUNK
    for whole in (body, bytearray(body)):
        check_breadth(whole, n_lists, n_commas + 1)
        for limits in ((n_lists - 1, n_commas + 1), (n_lists, n_commas)):
            with pytest.raises(Refused, match="too_many_values"):
                check_breadth(whole, *limits)


def test_an_escape_over_the_end_of_a_chunk_ends_no_text() -> None:
    for shift in range(4):
        body = b'["' + b"x" * (CHUNK - 4 - shift) + b'\\\\\\"[[[' + b'", "[[["]'
        assert json.loads(body)
        check_breadth(body, 1, 2)


@pytest.mark.parametrize("padding", [0, LONG_BYTES])
def test_few_long_rows_are_answered_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, padding: int) -> None:
    """Eight rows of 100,000 unknown columns each were told apart on the loop: for seconds."""
    predictor = make_model(tmp_path, "regression")
    answering = Answering(predictor, Limits())
    threads = []
    predict_many = predictor.predict_many
    monkeypatch.setattr(
        predictor, "predict_many", lambda given: (threads.append(threading.current_thread()), predict_many(given))[1]
    )
    text = json.dumps(RECORDS[1]).encode() + b" " * padding
    asyncio.run(answering.many("predict", [msgspec.Raw(text)] * 2, 2 * len(text), time.monotonic()))
    assert [thread is threading.main_thread() for thread in threads] == [padding == 0]
