"""Our service against MLflow, BentoML, LitServe, MLServer, FastAPI and an empty server, the same model behind each.

    python -m tests.benchmarks.serving.compare [--peers mlflow,...] [--rounds 5] [--seconds 5]
        [--folder build/benchmarks] [--wheel PATH] [--json FILE]

The wheel in data/package, unpacked, and its equal, a scikit-learn Pipeline with the same trees (servers/pipeline.py),
answer the test rows. Each peer is installed once, with pip, into an environment of its own under --folder; ours and the
empty server (uvicorn) run in this one. In each round every server is started, loaded with one-row requests, weighed,
asked for 1000 rows at a time and stopped; each round begins with another one. In the first round it is also told how
many answers are not ours to 1e-9, asked row by row and all together. In process, our `predict` of a record takes turns
with the Pipeline's `predict_proba` of a one-row DataFrame made beforehand. Prints one Markdown table; --json keeps
every number. Exit status 1: a server failed. It takes eight minutes on two idle cores, and six more once, to install.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.runtime.contract import Contract
from stages.shared.files import read_json, write_json
from stages.shared.records import read_records
from stages.shared.tables import parquet
from tests.benchmarks.serving.environments import (
    THREADS,
    command,
    install,
    installed_version,
    save,
    variables,
)
from tests.benchmarks.serving.load import load, request
from tests.benchmarks.serving.peers import EMPTY, OURS, PEERS, Peer, Record
from tests.benchmarks.serving.server import NotServing, Server, free_ports, serving
from tests.benchmarks.serving.table import PIPELINE, machine, table

IN_PROCESS = Path(__file__).with_name("in_process.py")
CONNECTIONS = 8
ALONE, TOGETHER = 200, 1000  # rows that are asked one by one, and in one request
EQUAL = 1e-9


@dataclass(frozen=True)
class Case:
    """What all are asked: the unpacked wheel, rows of the test side, and P(positive) as our package gives it."""

    site: Path
    package: str
    rows: list[Record]
    expected: list[float]

    @property
    def model(self) -> Path:
        """Return the wheel's model folder."""
        return self.site / self.package / "model"


@dataclass(frozen=True)
class Ready:
    """A peer that is installed and has its model: binaries of its environment, its folder, its version."""

    peer: Peer
    binaries: Path
    folder: Path
    version: str


def main() -> None:
    """Install, measure in rounds, print the table."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("compare: stopped"))  # so that no server is left behind
    before = machine(options.rounds, options.seconds)
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="serving-") as temporary:
        case = read_case(options.wheel, Path(temporary))
        ready = make_ready(options, case, Path(temporary), failed)
        found = measure(options, case, ready, Path(temporary), failed)
    versions = {name: each.version for name, each in ready.items()}
    print(f"{before}\n\n{table(found, [*options.systems, PIPELINE], versions)}")
    if options.json:
        write_json(options.json, {"machine": before, "versions": versions, "found": found, "failed": failed})
    if failed:
        sys.exit(f"compare: {len(failed)} of {len(options.systems)} failed: {', '.join(failed)}")


def make_ready(options: argparse.Namespace, case: Case, scratch: Path, failed: dict[str, str]) -> dict[str, Ready]:
    """Return the servers that are installed and have their model; those that cannot be are told, and in `failed`."""
    ready = {}
    for name in options.systems:
        folder = scratch / name
        folder.mkdir()
        try:
            binaries = install(PEERS[name], options.folder)
            if PEERS[name].packages:
                save(PEERS[name], binaries, case.model, folder)
            ready[name] = Ready(PEERS[name], binaries, folder, installed_version(PEERS[name], binaries, options.wheel))
        except subprocess.CalledProcessError as error:
            tell_failed(name, error.stderr or str(error), failed)
    return ready


def measure(
    options: argparse.Namespace, case: Case, ready: dict[str, Ready], scratch: Path, failed: dict[str, str]
) -> dict[str, dict[str, list[float]]]:
    """Return a number a round by system and measure; a server that fails takes no part in later rounds."""
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in (*options.systems, PIPELINE)}
    for number in range(options.rounds):
        turn = number % len(options.systems)
        for name in options.systems[turn:] + options.systems[:turn]:
            if name in failed:
                continue
            try:
                values = visit(ready[name], case, options.seconds, is_checked=number == 0)
            except NotServing as error:
                tell_failed(name, str(error), failed)
                continue
            add(found[name], values)
            told = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
            print(f"compare: round {number + 1}, {name}: {told}", file=sys.stderr, flush=True)
        for name, values in in_process(case, scratch, options.seconds).items():
            add(found[name], values)
    return found


def tell_failed(name: str, why: str, failed: dict[str, str]) -> None:
    """Say and note that a server failed."""
    failed[name] = why
    print(f"compare: {name}: {why}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """Return the options; `systems` are ours, the empty server and the peers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    peers = [name for name in PEERS if name not in (OURS, EMPTY)]
    parser.add_argument("--peers", default=",".join(peers), help="peers, instead of all; '' for none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load on each server, in each round")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"), help="where environments are kept")
    parser.add_argument("--wheel", type=Path, help="the packaged model, instead of that in data/package")
    parser.add_argument("--json", type=Path, help="where all that was measured goes, too")
    options = parser.parse_args()
    chosen = [name for name in options.peers.split(",") if name]
    unknown = [name for name in chosen if name not in peers]
    if unknown:
        parser.error(f"--peers: no peer {', '.join(unknown)}; there are {', '.join(peers)}")
    wheels = [options.wheel] if options.wheel else sorted(Path("data/package").glob("*.whl"))
    if len(wheels) != 1 or not wheels[0].is_file():
        parser.error("there should be one wheel in data/package: dvc repro, or --wheel PATH")
    options.systems, options.wheel = [OURS, EMPTY, *chosen], wheels[0]
    return options


def read_case(wheel: Path, scratch: Path) -> Case:
    """Return the unpacked wheel with the test rows of data/prepare and our answers to them."""
    site, package = scratch / "site", wheel.name.split("-")[0]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    contract = Contract.from_json(read_json(site / package / "model" / "contract.json"))
    source = f"{parquet(Path('data/prepare/kept.parquet'))} WHERE _split = 'test'"
    rows = read_records(contract, source)[:TOGETHER]
    code = (
        f"import json, sys; sys.path.insert(0, {str(site)!r}); import {package}; "
        f"answers = [{package}.predict(row) for row in json.load(sys.stdin)]; "
        "json.dump([list(answer['probabilities'].values())[-1] for answer in answers], sys.stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], input=json.dumps(rows), text=True, stdout=subprocess.PIPE, check=True
    )
    return Case(site, package, rows, json.loads(done.stdout))


def visit(ready: Ready, case: Case, seconds: float, is_checked: bool) -> dict[str, float]:
    """Return what one start of a server gives. Raises NotServing where it does not answer all with 200."""
    peer, port = ready.peer, free_ports()
    alone = [body(peer, [row]) for row in case.rows[:ALONE]]
    together = body(peer, case.rows)
    started = command(peer, ready.binaries, case.package, port)
    own = variables(peer, ready.binaries, case.site, port)
    with serving(started, ready.folder, own, port, peer.path, alone[0]) as server:
        found = {"start_s": server.started}
        if is_checked and peer.name != EMPTY:
            found |= differing(peer, server, alone, together, case.expected)
        one = loaded(server, alone, CONNECTIONS, seconds)
        found |= {key: one[key] for key in ("per_second", "p50_ms", "p99_ms")}
        found["memory_mb"] = server.memory()
        found["thousand_ms"] = loaded(server, [together], 1, min(seconds, 1.0))["p50_ms"]
    return found


def body(peer: Peer, rows: list[Record]) -> bytes:
    """Return the body of a request for some rows."""
    return json.dumps(peer.write(rows)).encode()


def differing(
    peer: Peer, server: Server, alone: list[bytes], together: bytes, expected: list[float]
) -> dict[str, float]:
    """Return how many answers are not ours, asked alone and together. Raises NotServing for too few answers."""
    answers = [answer for each in alone for answer in peer.read(server.ask(each))]
    many = peer.read(server.ask(together))
    if (len(answers), len(many)) != (len(alone), len(expected)):
        raise NotServing(f"{len(answers)} answers to {len(alone)} rows alone, {len(many)} to {len(expected)} together")
    return {"differ_alone": count_differing(answers, expected), "differ_together": count_differing(many, expected)}


def count_differing(answers: list[float], expected: list[float]) -> int:
    """Return how many answers are further than EQUAL from the expected ones, which may be more."""
    return sum(not abs(answer - right) <= EQUAL for answer, right in zip(answers, expected, strict=False))


def loaded(server: Server, bodies: list[bytes], connections: int, seconds: float) -> dict[str, Any]:
    """Return what the load generator found. Raises NotServing where any answer was not 200."""
    requests = [request(server.url, each) for each in bodies]
    found = load(server.url, requests, connections, seconds).summary()
    if set(found["statuses"]) != {"200"} or found["broken"]:
        raise NotServing(f"under load: {found['statuses']}, {found['broken']} connections broke{server.printed()}")
    return found


def in_process(case: Case, scratch: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Return quantiles of one row in process, by system. Raises RuntimeError where the two differ."""
    records = scratch / "records.json"
    records.write_text(json.dumps(case.rows[:ALONE]))
    command_line = [sys.executable, str(IN_PROCESS), str(case.site), case.package, str(records), str(seconds)]
    done = subprocess.run(command_line, env={**os.environ, **THREADS}, text=True, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    if found["differ"] > EQUAL:
        raise RuntimeError(f"the Pipeline differs from our package by {found['differ']}")
    return {name: {f"row_{key}": value for key, value in found[name].items()} for name in (OURS, PIPELINE)}


def add(found: dict[str, list[float]], values: dict[str, float]) -> None:
    """Add one round's values."""
    for key, value in values.items():
        found[key].append(value)


if __name__ == "__main__":
    main()
