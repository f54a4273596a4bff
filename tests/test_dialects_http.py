"""Other servers' protocols over real HTTP: the bits of /predict, refusals as clients read them, nobody waits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from made_model import CLASSES, RECORDS, make_model, serving_made

from stages.runtime.forms import as_text
from stages.runtime.serving.dialects.tensors import datatype

MODEL = "/v2/models/made"


class Client:
    """Asks one server; texts go as they are, all else as JSON."""

    def __init__(self, address: str) -> None:
        self.place = urlsplit(address)

    def ask(self, path: str, body: Any = None, kind: str | None = "application/json") -> tuple[int, Any]:
        connection = HTTPConnection(self.place.hostname or "", self.place.port, timeout=60)
        content = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        headers = {} if kind is None or content is None else {"Content-Type": kind}
        connection.request("GET" if content is None else "POST", path, content, headers)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        return answer.status, json.loads(raw) if raw.strip() else None


@pytest.fixture(scope="module", params=list(CLASSES))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Any]]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    predictor = make_model(folder, request.param)
    with serving_made(folder) as address:
        yield Client(address), predictor


def tensors(predictor: Any, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for name in predictor.contract.inputs:
        kind = datatype(predictor.contract.columns[name])
        data = [record[name] for record in records]
        data = [None if value is None else as_text(value) for value in data] if kind == "BYTES" else data
        found.append({"name": name, "shape": [len(data)], "datatype": kind, "data": data})
    return found


def test_predictions_are_those_of_predict_bit_for_bit(made: tuple[Client, Any]) -> None:
    client, predictor = made
    status, told = client.ask("/predict", RECORDS)
    assert status == 200
    expected = [answer["prediction"] for answer in told["answers"]]
    names = predictor.contract.inputs
    table = {"columns": names, "data": [[record[name] for name in names] for record in RECORDS]}
    for body in ({"dataframe_split": table}, {"dataframe_records": RECORDS}, {"inputs": RECORDS, "params": {"a": 1}}):
        status, found = client.ask("/invocations", body)
        assert (status, repr(found["predictions"])) == (200, repr(expected))
    rest = {"id": "42", "inputs": tensors(predictor, RECORDS)}
    for path in (MODEL, f"{MODEL}/versions/1+a", f"{MODEL}/versions/1%2Ba"):
        for kind in ("application/json", None):
            status, found = client.ask(f"{path}/infer", rest, kind)
            assert (status, found["id"], found["model_version"]) == (200, "42", "1+a")
            assert repr(found["outputs"][0]["data"]) == repr(expected)
    if "probabilities" in told["answers"][0]:
        flat = [p for answer in told["answers"] for p in answer["probabilities"].values()]
        assert repr(found["outputs"][1]["data"]) == repr(flat)


def test_missing_values_as_mlflows_own_client_writes_them(made: tuple[Client, Any]) -> None:
    client, predictor = made
    record = RECORDS[1] | {"note": 'NaN, "NaN" \\'}
    body = json.dumps({"instances": [record]}).replace("null", "NaN")
    status, found = client.ask("/invocations", body)
    assert status == 200
    assert found["predictions"] == [predictor.predict(record)["prediction"]]
    for text in ("-NaN", "NaNs", "Infinity", "nan"):
        status, found = client.ask("/invocations", f'{{"instances": [{{"size": {text}}}]}}')
        assert (status, found["reason"]) == (400, "json")


def test_csv_is_read_as_the_contracts_source(made: tuple[Client, Any]) -> None:
    client, predictor = made
    text = 'share,size,sold,colour\r\n"0,25",40,no,red\r\n,41,true,1\r\n'
    rows = [{"share": 0.25, "size": 40, "sold": False, "colour": "red"}, {"size": 41, "sold": True, "colour": "1"}]
    status, found = client.ask("/invocations", text, "text/csv; charset=utf-8")
    assert status == 200
    assert found["predictions"] == [answer["prediction"] for answer in predictor.predict_many(rows)]
    assert client.ask("/predict", text, "text/csv")[1]["reason"] == "media_type"
    assert client.ask("/invocations", text, "text/plain")[1]["reason"] == "media_type"


N_ROWS = 3000
SECRET = "q7secret"
BAD = [
    ("/invocations", {"dataframe_records": [{**RECORDS[0], "size": SECRET}, {**RECORDS[0], "colour": SECRET}]}, 422,
     [(0, "size", "type"), (1, "colour", "values")]),
    ("/invocations", {"dataframe_split": {"columns": ["size", "size"], "data": [[1, 2], [SECRET]]}}, 400,
     [(None, "size", "duplicate"), (1, None, "shape")]),
    ("/invocations", {"instances": [SECRET]}, 400, [(0, None, "object")]),
    ("/invocations", {"x" * 300: SECRET, "inputs": []}, 400, [(None, None, "unknown_key")]),
    (f"{MODEL}/infer", {"inputs": [{"name": "size", "shape": [1], "datatype": "FP64", "data": [SECRET]}]}, 400,
     [(0, "size", "element")]),
    (f"{MODEL}/infer", {"inputs": [{"name": "size", "shape": [1], "datatype": "FP64", "data": [-1]}]}, 422,
     [(0, "size", "min"), (0, "sold", "required"), (0, "colour", "required")]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "faults"), BAD, ids=range(len(BAD)))
def test_all_faults_are_told_and_no_value_of_the_client(
    made: tuple[Client, Any], path: str, body: Any, status: int, faults: list[tuple[Any, ...]]
) -> None:
    client, _ = made
    found, told = client.ask(path, body)
    assert found == status
    assert [(fault.get("row"), fault["column"], fault["rule"]) for fault in told["violations"]] == faults
    assert SECRET not in json.dumps(told)
    if path == "/invocations":
        assert told["error_code"] == "BAD_REQUEST"
    else:
        assert told["error"].startswith(told["message"])
        assert told["violations"][0]["message"] in told["error"]


def test_binary_tensors_are_refused_by_name(made: tuple[Client, Any]) -> None:
    """Triton's client sends them unless told not to: JSON first, and a header that says how long it is."""
    client, _ = made
    connection = HTTPConnection(client.place.hostname or "", client.place.port, timeout=10)
    connection.request("POST", f"{MODEL}/infer", b"{}\x00\x01", {"Inference-Header-Content-Length": "2"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert (answer.status, told["violations"][0]["rule"]) == (400, "binary")
    assert told["error"] == f"{told['message']}; should be JSON: binary tensors are not taken"


def test_what_clients_ask_before_they_send_anything(made: tuple[Client, Any]) -> None:
    client, predictor = made
    assert client.ask("/ping") == (200, None)
    assert client.ask("/v2/health/live")[1]["live"] is True
    assert client.ask("/v2/health/ready")[1]["live"] is True
    assert client.ask(f"{MODEL}/ready")[1]["name"] == "made"
    assert client.ask("/v2")[1]["extensions"] == []
    inputs = client.ask(MODEL)[1]["inputs"]
    assert [tensor["name"] for tensor in inputs] == predictor.contract.inputs
    status, told = client.ask("/v2/models/other/infer", {})
    assert (status, told["error"]) == (404, told["message"])


@pytest.mark.slow
@pytest.mark.parametrize("made", ["binary"], indirect=True)
@pytest.mark.parametrize("form", ["dataframe_records", "tensors"])
def test_thousands_of_rows_keep_nobody_waiting(made: tuple[Client, Any], form: str) -> None:
    client, predictor = made
    records = [RECORDS[0]] * N_ROWS
    body = {"inputs": tensors(predictor, records)} if form == "tensors" else {form: records}
    text = json.dumps(body)
    waits, done = [], threading.Event()

    def look() -> None:
        while not done.is_set():
            start = time.perf_counter()
            assert client.ask("/health")[0] == 200
            waits.append(time.perf_counter() - start)
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    start = time.perf_counter()
    status, found = client.ask("/invocations" if form != "tensors" else f"{MODEL}/infer", text)
    seconds = time.perf_counter() - start
    done.set()
    thread.join()
    assert status == 200, found
    assert len(found["predictions"] if form != "tensors" else found["outputs"][0]["data"]) == N_ROWS
    assert len(waits) > 5
    print(f"{form}: {len(text)} bytes in {seconds:.2f} s; /health at most {1000 * max(waits):.0f} ms of {len(waits)}")
    assert max(waits) < max(0.2, seconds / 3)
