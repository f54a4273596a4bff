"""Workers that are killed, parents that are killed, stops in the middle of work, and batches beside single records."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from conftest import PIPELINE, run_stage
from served import Served, examples, is_alive, serving, unpack, wait_until

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def site(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(small / "data/package", tmp_path_factory.mktemp("site"))


class Asker(threading.Thread):
    """Asks for the example records over one connection until told to stop; `wrong` are answers that are not theirs."""

    def __init__(self, served: Served, ends_with_server: bool = False) -> None:
        super().__init__(daemon=True)
        self.place, self.examples = served.place, examples(served.site)
        self.ends_with_server = ends_with_server
        self.n_right, self.lost, self.slowest = 0, 0, 0.0
        self.wrong: list[Any] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        with closing(HTTPConnection(*self.place, timeout=30)) as connection:
            self.ask(connection)

    def ask(self, connection: HTTPConnection) -> None:
        while not self.is_over.is_set():
            example = self.examples[self.n_right % len(self.examples)]
            try:
                start = time.monotonic()
                connection.request("POST", "/predict", json.dumps(example["record"]), JSON)
                answer = connection.getresponse()
                body = json.loads(answer.read())
                self.slowest = max(self.slowest, time.monotonic() - start)
            except (OSError, HTTPException):
                self.lost += 1
                connection.close()
                if self.ends_with_server:
                    return
                continue
            right = answer.status == 200 and body["probabilities"] == example["answer"]["probabilities"]
            self.n_right += right
            self.wrong += [] if right else [body]
            if answer.headers.get("connection") == "close" and self.ends_with_server:
                return


@pytest.fixture
def two(site: Path) -> Iterator[Served]:
    with serving(site, "--workers", "2") as running:
        yield running


def together(askers: list[Asker], seconds: float) -> None:
    for asker in askers:
        asker.start()
    time.sleep(seconds)


def over(askers: list[Asker]) -> None:
    for asker in askers:
        asker.is_over.set()
    for asker in askers:
        asker.join(40)
        assert not asker.is_alive()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_costs_only_what_it_held(two: Served) -> None:
    askers = [Asker(two) for _ in range(6)]
    together(askers, 1.0)
    before = two.children()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    assert wait_until(lambda: len(two.children()) == 2 and before[0] not in two.children())
    time.sleep(1.0)
    os.kill(before[1], signal.SIGKILL)
    assert wait_until(lambda: not set(before) & set(two.children()) and len(two.children()) == 2)
    time.sleep(1.0)
    over(askers)
    assert [asker.wrong for asker in askers] == [[]] * 6
    assert all(asker.lost <= 2 for asker in askers), "a request is lost only where its worker was killed"
    assert all(asker.n_right > 50 for asker in askers)
    assert two.metrics()["model_worker_starts_total"] == 4
    assert two.stop() == 0
    assert two.process.stderr is not None
    assert two.process.stderr.read().count("ended by signal 9; starting another") == 2


@pytest.mark.slow
def test_metrics_are_the_sum_of_all_workers_also_of_dead_ones(two: Served) -> None:
    record = examples(two.site)[0]["record"]
    for _ in range(40):
        two.ask("/predict", record)
    os.kill(two.children()[0], signal.SIGKILL)
    assert wait_until(lambda: two.metrics().get("model_worker_starts_total") == 3)
    for _ in range(10):
        two.ask("/predict", record)
    metrics = two.metrics()
    assert metrics['model_requests_total{route="/predict",status="200"}'] == 50
    assert metrics["model_rows_total"] == 50
    assert wait_until(lambda: two.metrics()["model_connections"] == 1)  # the one that asks


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_under_load_answers_all_that_was_asked(site: Path, workers: str, number: int) -> None:
    with serving(site, "--workers", workers) as served:
        pids = [served.process.pid, *served.children()]
        askers = [Asker(served, ends_with_server=True) for _ in range(8)]
        together(askers, 0.7)
        assert served.stop(number) == 0
        over(askers)
    assert [asker.wrong for asker in askers] == [[]] * 8
    assert [asker.lost for asker in askers] == [0] * 8
    assert min(asker.n_right for asker in askers) > 0
    assert wait_until(lambda: not any(map(is_alive, pids)))


@pytest.mark.slow
def test_a_stop_waits_for_a_batch_and_for_a_half_sent_request(site: Path) -> None:
    record = examples(site)[0]["record"]
    batch, single = json.dumps([record] * 10_000).encode(), json.dumps(record).encode()
    with serving(site) as served, ExitStack() as opened:
        half, whole = (opened.enter_context(closing(HTTPConnection(*served.place, timeout=30))) for _ in range(2))
        half.putrequest("POST", "/predict")
        half.putheader("Content-Type", "application/json")
        half.putheader("Content-Length", str(len(single)))
        half.endheaders(single[:20])
        whole.request("POST", "/predict", batch, JSON)
        time.sleep(0.05)
        served.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: not _accepts(served))
        half.send(single[20:])
        assert half.getresponse().status == 200
        assert len(json.loads(whole.getresponse().read())["answers"]) == 10_000
        assert served.process.wait(20) == 0


def _accepts(served: Served) -> bool:
    try:
        return served.ask("/ready").status == 200
    except OSError:
        return False


@pytest.mark.slow
def test_a_stop_does_not_wait_longer_than_it_may(site: Path) -> None:
    with (
        serving(site, "--max-drain-seconds", "1") as served,
        closing(HTTPConnection(*served.place, timeout=30)) as stuck,
    ):
        stuck.putrequest("POST", "/predict")
        stuck.putheader("Content-Type", "application/json")
        stuck.putheader("Content-Length", "100")
        stuck.endheaders(b"{")
        start = time.monotonic()
        assert served.stop() == 0
        assert 0.9 < time.monotonic() - start < 6


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_workers_do_not_outlive_a_killed_parent(two: Served) -> None:
    workers = two.children()
    assert len(workers) == 2
    two.process.kill()
    two.process.wait()
    assert wait_until(lambda: not any(map(is_alive, workers)), 10)


@pytest.mark.slow
def test_a_batch_keeps_neither_health_nor_single_records_waiting(site: Path) -> None:
    """Batches run all the time; the slowest of the others' answers is compared with how long a batch takes."""
    first, second = examples(site)[:2]
    with serving(site) as served:
        batch = json.dumps([first["record"]] * 10_000)
        is_over = threading.Event()
        took: list[float] = []

        def ask_batches() -> None:
            with closing(HTTPConnection(*served.place, timeout=60)) as connection:
                while not is_over.is_set():
                    start = time.monotonic()
                    connection.request("POST", "/predict", batch, JSON)
                    assert connection.getresponse().read()
                    took.append(time.monotonic() - start)

        batches = [threading.Thread(target=ask_batches, daemon=True) for _ in range(2)]
        for thread in batches:
            thread.start()
        time.sleep(0.5)
        waits = sorted(_waits(served, second, 5.0))
        is_over.set()
        for thread in batches:
            thread.join(60)
    assert len(waits) > 100
    assert waits[len(waits) // 2] < 0.1 * min(took)  # most single answers are far faster than a batch
    assert waits[int(0.99 * len(waits))] < 0.5 * min(took)


def _waits(served: Served, example: dict[str, Any], seconds: float) -> list[float]:
    waits, end = [], time.monotonic() + seconds
    with closing(HTTPConnection(*served.place, timeout=30)) as connection:
        while time.monotonic() < end:
            for method, path, body in (("POST", "/predict", json.dumps(example["record"])), ("GET", "/health", None)):
                start = time.monotonic()
                connection.request(method, path, body, JSON)
                answer = json.loads(connection.getresponse().read())
                waits.append(time.monotonic() - start)
                assert (
                    answer.get("probabilities", example["answer"]["probabilities"])
                    == example["answer"]["probabilities"]
                )
    return waits


@pytest.mark.slow
def test_a_worker_that_cannot_start_again_is_tried_later_and_the_others_serve(two: Served) -> None:
    """The model is damaged on disk while it is served: the workers that have it go on."""
    model = two.site / "toy_model/model/model.txt"
    content = model.read_bytes()
    try:
        model.write_bytes(content + b"\n")
        os.kill(two.children()[0], signal.SIGKILL)
        time.sleep(2.0)
        assert two.ask("/predict", examples(two.site)[0]["record"]).status == 200
        model.write_bytes(content)
        assert wait_until(lambda: two.metrics()["model_worker_starts_total"] == 3, 30)
    finally:
        model.write_bytes(content)


@pytest.mark.slow
def test_a_slow_model_is_asked_aside_and_answers_the_same(small: Path, tmp_path: Path) -> None:
    """A stored forest takes milliseconds a row, its sampled explanations more: /health is answered meanwhile."""
    folder = Path(shutil.copytree(small, tmp_path / "workspace"))
    for stage, arguments in {**PIPELINE, "train": ["model=forest", "seed=1"]}.items():
        if stage in ("train", "evaluate", "package"):
            run_stage(folder, stage, *arguments)
    site = unpack(folder / "data/package", tmp_path / "site")
    found = examples(site)
    with serving(site) as served:
        answers = [served.ask("/predict", example["record"]).body["probabilities"] for example in found]
        assert answers == [example["answer"]["probabilities"] for example in found]
        batch = served.ask("/predict", [example["record"] for example in found] * 40).body["answers"]
        assert batch == [example["answer"] for example in found] * 40
        records = [example["record"] for example in found]
        broken = {**records[0], "size": 500}
        assert served.ask("/predict", broken).status == 422
        assert served.ask("/predict", [records[0], broken]).body["violations"][0]["row"] == 1
        explaining = threading.Thread(target=served.ask, args=("/explain", records), daemon=True)
        explaining.start()
        waits = []
        while explaining.is_alive():
            start = time.monotonic()
            assert served.ask("/health").status == 200
            waits.append(time.monotonic() - start)
        assert len(waits) > 3
        assert sorted(waits)[len(waits) // 2] < 0.1
