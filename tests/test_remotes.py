"""A model travels: `dvc push` from one clone and `dvc pull` into another, through a folder and through real SSH."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import run_in

pytestmark = pytest.mark.slow

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
PRIVILEGE_FOLDER = Path("/run/sshd")  # OpenSSH refuses to start as root without it; the system's own service makes it
SECONDS_TO_START = 20


@dataclass(frozen=True)
class Server:
    """A running sshd, the key that it lets in, and a key that it does not know."""

    port: int
    key: Path
    strange_key: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An SSH server of this user on a free local port, ended with the tests of this module."""
    if SSHD is None:
        pytest.skip("no sshd on PATH or in /usr/sbin (Debian and Ubuntu: apt-get install openssh-server)")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user", "stranger"):
        run_in(folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    port = free_port()
    (folder / "config").write_text(server_config(folder, port))
    if os.geteuid() == 0:
        PRIVILEGE_FOLDER.mkdir(mode=0o755, exist_ok=True)
    with (folder / "log").open("w") as log, subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=log
    ) as process:  # fmt: skip
        try:
            wait_for_greeting(port, process, folder / "log")
            yield Server(port, folder / "user", folder / "stranger")
        finally:
            process.terminate()


def server_config(folder: Path, port: int) -> str:
    return f"""
        Port {port}
        ListenAddress 127.0.0.1
        HostKey {folder}/host
        AuthorizedKeysFile {folder}/authorized_keys
        PidFile none
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        Subsystem sftp internal-sftp
    """


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_greeting(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return as soon as the server says its version."""
    give_up = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < give_up:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"sshd did not start\n{log.read_text()}")


@pytest.fixture
def first(reproduced: Path, tmp_path: Path) -> Path:
    """A clone in which the model was made."""
    return shutil.copytree(reproduced, tmp_path / "first")


def add_remote(folder: Path, url: str, **options: object) -> None:
    """Make `url` the default remote, and commit that: every later clone knows it."""
    run_in(folder, "dvc", "remote", "add", "--default", "store", url)
    for option, value in options.items():
        run_in(folder, "dvc", "remote", "modify", "store", option, str(value))
    run_in(folder, "git", "commit", "-qam", "Add a remote")


def use_key(folder: Path, key: Path) -> None:
    """Say which key opens the remote; this is each person's own and stays out of Git."""
    run_in(folder, "dvc", "remote", "modify", "--local", "store", "keyfile", str(key))


def git_clone(first: Path) -> Path:
    second = first.with_name("second")
    run_in(first.parent, "git", "clone", "-q", str(first), str(second))
    assert not (second / "data/package").exists()
    return second


def check_same_model(first: Path, second: Path) -> None:
    """The second clone has the first one's wheel, and nothing is left to run, to fetch or to commit."""
    [made], [pulled] = ([*(folder / "data/package").glob("*.whl")] for folder in (first, second))
    assert pulled.name == made.name
    assert pulled.read_bytes() == made.read_bytes()
    assert "up to date" in run_in(second, "dvc", "status").stdout
    assert "in sync" in run_in(second, "dvc", "status", "--cloud").stdout
    assert run_in(second, "git", "status", "--porcelain").stdout == ""


def test_model_travels_through_a_folder(first: Path, tmp_path: Path):
    add_remote(first, str(tmp_path / "store"))
    run_in(first, "dvc", "push")
    second = git_clone(first)
    run_in(second, "dvc", "pull")
    check_same_model(first, second)


def test_model_travels_through_ssh(first: Path, tmp_path: Path, server: Server):
    add_remote(first, f"ssh://127.0.0.1{tmp_path}/store", port=server.port, user=getpass.getuser())
    use_key(first, server.key)
    run_in(first, "dvc", "push")
    second = git_clone(first)
    use_key(second, server.key)
    run_in(second, "dvc", "pull")
    check_same_model(first, second)


def test_unknown_key_is_refused_by_the_server(first: Path, tmp_path: Path, server: Server):
    add_remote(first, f"ssh://127.0.0.1{tmp_path}/store", port=server.port, user=getpass.getuser())
    use_key(first, server.strange_key)
    done = run_in(first, "dvc", "push", check=False)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr
    assert not (tmp_path / "store").exists()


def test_second_push_has_nothing_to_send(first: Path, tmp_path: Path):
    add_remote(first, str(tmp_path / "store"))
    assert "pushed" in run_in(first, "dvc", "push").stdout
    assert "Everything is up to date" in run_in(first, "dvc", "push").stdout


def test_pull_before_any_push_fails_and_names_the_missing_data(first: Path, tmp_path: Path):
    add_remote(first, str(tmp_path / "store"))
    done = run_in(git_clone(first), "dvc", "pull", check=False)
    assert done.returncode != 0
    assert "data/package" in done.stderr


def test_pull_of_one_stage_brings_that_stage_alone(first: Path, tmp_path: Path):
    add_remote(first, str(tmp_path / "store"))
    run_in(first, "dvc", "push")
    second = git_clone(first)
    run_in(second, "dvc", "pull", "package")
    made = {path.name for path in (first / "data/package").iterdir()}
    assert {path.name for path in (second / "data/package").iterdir()} == made
    assert not (second / "data/train").exists()
