"""The OpenAPI document says what the service does: its paths, its schemas, and what schemathesis finds by asking."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from jsonschema import Draft202012Validator
from made_model import CLASSES, make_model, serving_made

from stages.runtime.predictor import Predictor
from stages.runtime.serving.answering import Answering
from stages.runtime.serving.openapi import openapi
from stages.runtime.serving.replies import REASONS
from stages.runtime.serving.routes import routes
from stages.runtime.serving.settings import Limits

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "unsupported_method", "allow_header_conformance",
)  # fmt: skip
TASKS = list(CLASSES)


@pytest.fixture(scope="module", params=TASKS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    make_model(folder, request.param)
    return folder


def document(folder: Path, locked: bool = False) -> dict[str, Any]:
    predictor, examples = Predictor(folder), json.loads((folder / "examples.json").read_text())
    found = openapi(
        predictor.contract,
        predictor.model.meta,
        list(dict.fromkeys(predictor.columns)),
        "made",
        "1+a",
        examples,
        locked,
    )
    return json.loads(json.dumps(found))


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """All that stands under a key `schema` of a document, and the shared ones."""
    if isinstance(node, dict):
        for key, part in node.items():
            if key == "schema":
                yield part
            elif key == "schemas":
                yield from part.values()
            yield from schemas(part)
    elif isinstance(node, list):
        for part in node:
            yield from schemas(part)


def test_the_paths_are_those_of_the_service(folder: Path) -> None:
    pages = dict.fromkeys(["/schema", "/openapi.json"], (b"", b""))
    served = routes(Answering(Predictor(folder), Limits()), "made", "1+a", pages, (b"", b""))
    described = {(path, method) for path, item in document(folder)["paths"].items() for method in item}
    assert described == {(unquote(route.path), route.method.decode().lower()) for route in served}


def test_open_paths_and_media_types_are_those_of_the_service(folder: Path) -> None:
    paths = document(folder, locked=True)["paths"]
    pages = dict.fromkeys(["/schema", "/openapi.json"], (b"", b""))
    for route in routes(Answering(Predictor(folder), Limits()), "made", "1+a", pages, (b"", b"")):
        operation = paths[unquote(route.path)][route.method.decode().lower()]
        assert (operation["security"] == []) is route.is_open, route.path
        assert ("401" in operation["responses"]) is not route.is_open, route.path
        if route.method == b"POST":
            assert set(operation["requestBody"]["content"]) == {kind.decode() for kind in route.kinds if kind}


def test_schemas_are_schemas_and_references_lead_somewhere(folder: Path) -> None:
    told = document(folder)
    for schema in schemas(told):
        Draft202012Validator.check_schema(schema)
    names = set(told["components"]["schemas"])
    text = json.dumps(told)
    assert {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]} == names
    ids = [operation["operationId"] for item in told["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


def test_examples_fit_their_schema(folder: Path) -> None:
    told = document(folder)
    n_examples = 0
    for item in told["paths"].values():
        content = item.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            Draft202012Validator({**content["schema"], "components": told["components"]}).validate(example["value"])
            n_examples += 1
    assert n_examples == 6


def test_every_reason_is_told_with_its_status(folder: Path) -> None:
    told: dict[str, int] = {}
    for item in document(folder, locked=True)["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                for part in response["description"].split("- `")[1:]:
                    told[part.split("`")[0]] = int(status)
    expected = {reason: status for reason, (status, _) in REASONS.items()}
    assert told == {reason: status for reason, status in expected.items() if reason not in ("not_found", "method")}


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["binary"], indirect=True)
def test_nothing_that_schemathesis_asks_is_answered_otherwise_than_described(folder: Path, tmp_path: Path) -> None:
    with serving_made(folder) as address:
        done = schemathesis(
            tmp_path, f"{address}/openapi.json", "--max-examples", "6", "--exclude-path-regex", "/versions/"
        )
        assert done.returncode == 0, done.stdout
        assert "No issues found" in done.stdout
        place = urlsplit(address)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=10)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["binary"], indirect=True)
def test_schemathesis_would_see_a_wrong_description(folder: Path, tmp_path: Path) -> None:
    told = document(folder)
    told["components"]["schemas"]["Refusal"]["properties"]["n_violations"] = {"type": "string"}
    told["paths"] = {"/predict": told["paths"]["/predict"]}
    (tmp_path / "openapi.json").write_text(json.dumps(told))
    with serving_made(folder) as address:
        done = schemathesis(tmp_path, str(tmp_path / "openapi.json"), "--url", address, "--max-examples", "1")
    assert done.returncode == 1, done.stdout
    assert "Response violates schema" in done.stdout


def schemathesis(folder: Path, place: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", place, "--checks", ",".join(CHECKS)]
    command += ["--phases", "examples,coverage,fuzzing", "--seed", "1", "--generation-deterministic", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
