"""The container: what its Dockerfile promises, and its build steps run here one by one, as no Docker is at hand."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, run_in

DEPLOY = ROOT / "deploy"
Step = tuple[str, str]  # instruction, argument


def stages(text: str) -> list[list[Step]]:
    """Return the instructions of each build stage, FROM first; comments dropped, continued lines joined."""
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines()
    found: list[list[Step]] = []
    for line in filter(None, map(str.strip, lines)):
        word, _, argument = line.partition(" ")
        found += [[]] if word == "FROM" else []
        found[-1].append((word, argument.strip()))
    return found


TEXT = (DEPLOY / "Dockerfile").read_text()
BUILD, FINAL = stages(TEXT)
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def only(steps: list[Step], word: str) -> str:
    [found] = [argument for each, argument in steps if each == word]
    return found


def test_nothing_is_put_into_it_but_the_wheel() -> None:
    assert [argument for word, argument in BUILD if word == "COPY"] == ["*.whl wheel/"]
    assert [argument for word, argument in FINAL if word == "COPY"] == ["--from=build /model/venv /model/venv"]
    assert not {word for word, _ in [*BUILD, *FINAL]} & {"ADD", "ARG", "ONBUILD"}
    ignored = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[0] != "#"]
    assert ignored == ["*", "!*.whl"]


def test_it_runs_as_nobody_and_by_exec_form() -> None:
    words = [word for word, _ in FINAL]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", only(FINAL, "USER"))
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert json.loads(only(FINAL, "ENTRYPOINT")) == ["model"]
    assert json.loads(only(FINAL, "CMD"))[:3] == ["serve", "--host", "0.0.0.0"]
    assert isinstance(json.loads(only(FINAL, "HEALTHCHECK").partition(" CMD ")[2]), list)


def test_both_stages_have_one_base_which_a_digest_can_pin() -> None:
    bases = [steps[0][1].split()[0] for steps in (BUILD, FINAL)]
    assert bases[0] == bases[1]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", bases[0])


def test_what_is_installed_has_a_hash() -> None:
    installs = [argument for word, argument in BUILD if word == "RUN" and " install " in argument]
    assert len(installs) == 2
    assert all("--no-deps" in line and ("--require-hashes" in line or "--no-index" in line) for line in installs)


# The build, step by step.


def build(folder: Path, context: Path) -> subprocess.CompletedProcess[str]:
    """Do what Docker does of the build stage, in a folder that stands for its WORKDIR; return the last step."""
    done = subprocess.CompletedProcess[str]([], 0)
    for word, argument in BUILD[2:]:  # after FROM and WORKDIR
        if word == "COPY":
            pattern, target = argument.split()
            (folder / target).mkdir(parents=True)
            for file in context.glob(pattern):
                shutil.copy(file, folder / target)
        else:
            assert word == "RUN"
            done = run_in(folder, "sh", "-c", argument, check=False)
            if done.returncode:
                break
    return done


@pytest.fixture(scope="module")
def built(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build stage leaves in its WORKDIR."""
    context, folder = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("built")
    [wheel] = (small / "data/package").glob("*.whl")
    shutil.copy(wheel, context)
    (context / "secret.txt").write_text("not for the image")
    done = build(folder, context)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_build_leaves_a_model_that_answers_as_packaged(built: Path) -> None:
    assert {path.name for path in built.iterdir()} == {"wheel", "unpacked", "venv"}
    only_this = {"PATH": str(built / "venv/bin"), "HOME": "/nonexistent", "PYTHONPATH": ""}
    said = run_in(built, str(built / "venv/bin/model"), "verify", **only_this).stdout
    assert re.search(r"\b\d+ example records answered exactly as packaged\n", said)
    installed = {path.name.partition("-")[0] for path in built.glob("venv/lib/*/site-packages/*.dist-info")}
    assert {"numpy", "lightgbm", "toy_model", "httptools", "msgspec", "uvloop"} <= installed
    assert not installed & {"pip", "pandas", "dvc"}


@pytest.mark.slow
def test_the_command_of_the_container_serves_until_it_is_told_to_stop(built: Path) -> None:
    model, port = str(built / "venv/bin/model"), free_port()
    if run_in(built, model, "serve", "--help", check=False).returncode:
        pytest.skip("this model has no service yet")
    entry = [model, *json.loads(only(FINAL, "CMD"))]
    assert entry[-1] == only(FINAL, "EXPOSE")
    alone = {"PATH": str(built / "venv/bin"), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen([*entry[:-1], str(port)], cwd="/tmp", env=alone) as process:
        give_up = time.monotonic() + 20
        while healthy(port).returncode and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.1)
        assert healthy(port).returncode == 0
        process.terminate()
    assert process.returncode == 0
    assert healthy(port).returncode != 0


@pytest.mark.slow
def test_one_changed_hash_stops_the_build(small: Path, tmp_path: Path) -> None:
    context, folder = tmp_path / "context", tmp_path / "built"
    context.mkdir(), folder.mkdir()
    [wheel] = (small / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(context / wheel.name, "w") as changed:
        for name in archive.namelist():
            text = archive.read(name)
            is_list = name.endswith("/requirements-serve.txt")
            changed.writestr(name, re.sub(rb"sha256:\w{64}", b"sha256:" + b"0" * 64, text) if is_list else text)
    assert "DO NOT MATCH THE HASHES" in build(folder, context).stderr


@pytest.mark.parametrize("n_wheels", [0, 2])
def test_a_folder_without_exactly_one_wheel_is_refused_in_one_line(tmp_path: Path, n_wheels: int) -> None:
    context, folder = tmp_path / "context", tmp_path / "built"
    context.mkdir(), folder.mkdir()
    for number in range(n_wheels):
        (context / f"toy_model-{number}-py3-none-any.whl").write_text("")
    done = build(folder, context)
    assert (done.returncode, done.stderr) == (1, "the folder given should hold one wheel\n")


def healthy(port: int) -> subprocess.CompletedProcess[str]:
    """Run the container's health check against another port, where the environment names a proxy that there is not."""
    python, option, code = json.loads(only(FINAL, "HEALTHCHECK").partition(" CMD ")[2])
    inside = f":{only(FINAL, 'EXPOSE')}/"
    assert (python, option, code.count(inside)) == ("python", "-c", 1)
    command = (sys.executable, option, code.replace(inside, f":{port}/"))
    return run_in(ROOT, *command, check=False, http_proxy="http://127.0.0.1:9")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Health(BaseHTTPRequestHandler):
    """Answers /health with the status it is told."""

    status = 200

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    stand_in = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=stand_in.serve_forever)
    thread.start()
    yield stand_in.server_port
    stand_in.shutdown()
    thread.join()
    stand_in.server_close()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_check_is_the_status_of_health(
    server: int, status: int, is_healthy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Health, "status", status)
    assert (healthy(server).returncode == 0) == is_healthy


# The example beside it.


def test_compose_gives_the_service_no_right_that_it_does_not_need() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert "privileged" not in service, name
    model = COMPOSE["services"]["model"]
    assert model["ports"] == [f"127.0.0.1:{only(FINAL, 'EXPOSE')}:{only(FINAL, 'EXPOSE')}"]
    assert model["volumes"] == ["predictions:/var/log/model"]
    image = json.loads(only(FINAL, "CMD"))
    assert model["command"] == [*image, "--log", "/var/log/model"]
    assert any("/var/log/model" in argument and "65532" in argument for word, argument in FINAL if word == "RUN")
    assert set(COMPOSE["volumes"]) == {"predictions", "measured"}


def test_compose_builds_this_dockerfile_and_mounts_files_that_are_there() -> None:
    build = COMPOSE["services"]["model"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT / "data/package"
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    mounts = [volume for volume in COMPOSE["services"]["prometheus"]["volumes"] if volume.startswith("./")]
    assert all((DEPLOY / mount.split(":")[0]).is_file() and mount.endswith(":ro") for mount in mounts)


def test_prometheus_asks_the_service_and_its_alerts_name_what_the_service_counts() -> None:
    told = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    [job] = told["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"model:{only(FINAL, 'EXPOSE')}"]}]
    assert all((DEPLOY / file).is_file() for file in told["rule_files"])
    [group] = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    assert all(set(rule) >= {"alert", "expr", "for", "annotations"} for rule in group["rules"])
    named = set(re.findall(r"\bmodel_\w+", " ".join(rule["expr"] for rule in group["rules"])))
    metrics = ROOT / "stages/runtime/serving/metrics.py"
    if not metrics.is_file():
        pytest.skip("this model has no service yet")
    assert named <= set(re.findall(r'"(model_\w+)"', metrics.read_text()))
