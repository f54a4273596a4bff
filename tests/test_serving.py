"""NAME serve over real HTTP: the same answers as in process, and what stands around them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from served import KEY, Served, command, examples, serving, unpack, wait_until

TOLD = {"version", "request_id"}
SECRET = "secret-of-24-characters."


@pytest.fixture(scope="module")
def site(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(small / "data/package", tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[Served]:
    with serving(site) as running:
        yield running


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what only HTTP adds."""
    return {key: value for key, value in answer.items() if key not in TOLD}


def in_process(site: Path, function: str, given: Any) -> Any:
    """Return what NAME.function says of records in process, with every digit."""
    code = f"import sys, json; sys.path.insert(0, {str(site)!r}); import toy_model"
    code += f"; print(json.dumps([toy_model.{function}(r) for r in json.load(sys.stdin)]))"
    done = subprocess.run(
        [*command(site)[:3], code], input=json.dumps(given), text=True, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def test_one_line_tells_address_version_and_workers(served: Served, site: Path) -> None:
    version = (site / "toy_model/version.py").read_text().split('__version__ = "')[1].partition('"')[0]
    host, port = served.place
    assert served.line == f"toy_model {version} serves on http://{host}:{port}, 1 worker\n"
    assert host == "127.0.0.1"


WRITTEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "alone": lambda record: record,
    "texts": lambda record: {**record, "size": str(record["size"])},
    "float": lambda record: {**record, "size": float(record["size"])},
    "other order": lambda record: dict(reversed(record.items())),
    "absent": lambda record: {key: value for key, value in record.items() if value is not None},
    "empty": lambda record: {key: "" if value is None else value for key, value in record.items()},
    "columns not read": lambda record: {**record, "id": 5, "bought": None},
}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_record_is_answered_as_in_process_however_it_is_written(served: Served, written: str) -> None:
    for example in examples(served.site):
        reply = served.ask("/predict", WRITTEN[written](example["record"]))
        assert (reply.status, plain(reply.body)) == (200, example["answer"])


def test_a_list_is_answered_in_its_order_each_as_if_alone(served: Served) -> None:
    found = examples(served.site)
    records = [WRITTEN[written](example["record"]) for example in found for written in WRITTEN]
    body = served.ask("/predict", records).body
    assert body["answers"] == [example["answer"] for example in found for _ in WRITTEN]
    assert served.ask("/predict", []).body["answers"] == []


def test_an_explanation_is_the_one_in_process(served: Served, site: Path) -> None:
    records = [example["record"] for example in examples(site)]
    expected = in_process(site, "explain", records)
    assert [plain(served.ask("/explain", record).body) for record in records] == expected
    assert served.ask("/explain", records).body["answers"] == expected


def test_every_answer_carries_version_and_request_id(served: Served) -> None:
    version = served.line.split()[1]
    record = examples(served.site)[0]["record"]
    for path, body in (("/predict", record), ("/predict", [record]), ("/explain", record), ("/predict", {"size": -1})):
        reply = served.ask(path, body, X_Request_Id="abc-123")
        assert (reply.headers["x-request-id"], reply.body["request_id"]) == ("abc-123", "abc-123")
        assert (reply.headers["x-model-version"], reply.body["version"]) == (version, version)
    made = {served.ask(path).body["request_id"] for path in ("/health", "/ready", "/nowhere")}
    assert len(made) == 3


@pytest.mark.parametrize("given", ["", "a b", "<script>", "x" * 129, "é".encode().decode("latin-1")])
def test_a_request_id_that_is_not_sane_is_replaced(served: Served, given: str) -> None:
    reply = served.ask("/health", X_Request_Id=given)
    assert reply.status == 200
    assert reply.headers["x-request-id"] == reply.body["request_id"] != given


def test_health_readiness_and_schema(served: Served) -> None:
    assert served.ask("/health").body["status"] == "alive"
    assert served.ask("/ready").body["status"] == "ready"
    assert served.ask("/schema").status == 200
    head = served.ask("/health", method="HEAD")
    assert (head.status, head.raw) == (200, b"")
    assert int(head.headers["content-length"]) > 0


def test_metrics_count_requests_refusals_and_predictions(site: Path) -> None:
    found = examples(site)
    with serving(site) as served:
        for example in found:
            served.ask("/predict", example["record"])
        served.ask("/predict", [example["record"] for example in found])
        served.ask("/predict", {"size": 500, "colour": "mauve", "sise": 1})
        served.ask("/predict", b"{")
        served.ask("/nowhere")
        metrics = served.metrics()
    n = len(found)
    assert metrics['model_requests_total{route="/predict",status="200"}'] == n + 1
    assert metrics['model_requests_total{route="/predict",status="422"}'] == 1
    assert metrics['model_requests_total{route="",status="404"}'] == 1
    assert metrics['model_refusals_total{reason="max",column="size"}'] == 1
    assert metrics['model_refusals_total{reason="values",column="colour"}'] == 1
    assert metrics['model_refusals_total{reason="unknown",column=""}'] == 1
    assert metrics['model_refusals_total{reason="json",column=""}'] == 1
    assert metrics["model_rows_total"] == 2 * n
    for label in ("no", "yes"):
        expected = 2 * sum(example["answer"]["prediction"] == label for example in found)
        assert metrics.get(f'model_predictions_total{{class="{label}"}}', 0) == expected
    assert metrics["model_prediction_count"] == 2 * n
    expected_sum = 2 * sum(example["answer"]["probabilities"]["yes"] for example in found)
    assert metrics["model_prediction_sum"] == pytest.approx(expected_sum)
    assert metrics['model_request_seconds_count{route="/predict"}'] == n + 3
    assert metrics["model_requests_in_flight"] == 0


def test_an_api_key_is_asked_for_where_one_is_set(site: Path, tmp_path: Path) -> None:
    record = examples(site)[0]["record"]
    with serving(site, **{KEY: SECRET}) as served:
        refused = served.ask("/predict", record)
        assert (refused.status, refused.body["reason"]) == (401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert served.ask("/predict", record, Authorization=f"Bearer {SECRET[:-1]}").status == 401
        assert served.ask("/metrics").status == 401
        assert served.ask("/predict", record, Authorization=f"Bearer {SECRET}").status == 200
        assert served.ask("/predict", record, X_API_Key=SECRET).status == 200
        assert [served.ask(path).status for path in ("/health", "/ready")] == [200, 200]
    file = tmp_path / "keys"
    old, new = "old".rjust(16, "."), "new".rjust(16, ".")
    file.write_text(f"{old}\n{new}\n")
    with serving(site, "--api-key-file", str(file)) as served:
        assert [served.ask("/predict", record, X_API_Key=key).status for key in (old, new, SECRET)] == [
            200,
            200,
            401,
        ]


def fails(site: Path, *options: str, **environment: str) -> str:
    """Return the one line with which `serve` gives up."""
    done = subprocess.run(
        command(site, "serve", *options), text=True, capture_output=True, timeout=60, env=environment or None
    )
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


def test_what_keeps_it_from_serving_is_told_in_one_line(served: Served, site: Path, tmp_path: Path) -> None:
    port = str(served.place[1])
    assert fails(site, "--port", port) == f"toy_model: 127.0.0.1:{port} is in use"
    assert "nowhere.invalid:8000 cannot be bound to" in fails(site, "--host", "nowhere.invalid")
    assert "203.0.113.1:8000 cannot be bound to" in fails(site, "--host", "203.0.113.1")
    assert fails(site, "--api-key-file", str(tmp_path / "no")) == (
        f"toy_model: {tmp_path / 'no'}: cannot be read (FileNotFoundError)"
    )
    assert fails(site, **{KEY: " "}) == f"toy_model: {KEY}: holds no key; remove it to serve without one"
    assert fails(site, **{KEY: "x" * 15}) == (
        f"toy_model: {KEY}: its key should have 16 characters or more, got 15: openssl rand -hex 16"
    )
    short = tmp_path / "short"
    short.write_text(f"{SECRET}\nab\n{SECRET}\n")
    assert fails(site, "--api-key-file", str(short)) == (
        f"toy_model: {short}: key 2 of 3 should have 16 characters or more, got 2: openssl rand -hex 16"
    )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_damaged_model_is_not_served(site: Path, tmp_path: Path, workers: str) -> None:
    copied = unpack_again(site, tmp_path)
    with (copied / "toy_model/model/model.txt").open("ab") as file:
        file.write(b"\n")
    done = subprocess.run(
        command(copied, "serve", "--port", "0", "--workers", workers), text=True, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert "model.txt" in done.stderr
    assert "Traceback" not in done.stderr


def unpack_again(site: Path, folder: Path) -> Path:
    import shutil

    return Path(shutil.copytree(site, folder / "copy"))


def test_a_missing_library_is_named_with_the_command_that_installs_it(site: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); sys.modules['msgspec'] = None\n"
        "import importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'msgspec' else found(name, *rest)\n"
        "from toy_model.runtime.cli import main; main(['serve'])"
    )
    done = subprocess.run([*command(site)[:3], code], text=True, capture_output=True, timeout=60)
    assert done.stderr == "toy_model: serve needs msgspec: pip install 'toy_model[serve]'\n"
    assert done.returncode == 1


def test_a_worker_computes_on_one_thread_beside_its_loop(served: Served) -> None:
    served.ask("/predict", [examples(served.site)[0]["record"]] * 5000)
    threads = [path.read_text().strip() for path in Path(f"/proc/{served.process.pid}/task").glob("*/comm")]
    assert len(threads) == 2, threads  # the event loop, and the one aside


def test_it_stops_with_status_0_when_told_to(site: Path) -> None:
    with serving(site) as served:
        assert served.ask("/ready").status == 200
        assert served.stop() == 0
    assert wait_until(lambda: served.process.poll() is not None)
