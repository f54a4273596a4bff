"""CI on a version's tag: which rights each job holds, what it runs, and how files become a release on GitHub."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from conftest import ROOT, environment

TEXT = (ROOT / ".github/workflows/release.yml").read_text()
WORKFLOW = yaml.safe_load(TEXT)
GITLAB = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
BUILD, ATTACH = WORKFLOW["jobs"]["build"], WORKFLOW["jobs"]["attach"]


def runs(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize(
    ("tag", "starts"),
    [
        ("rides@v0.1.0", True),
        ("my-model@v12.0.30", True),
        ("rides#prod#2", False),
        ("rides@v0.1.0!", False),  # GTO's word for a version that is withdrawn
        ("v1", False),
    ],
)
def test_only_a_versions_tag_starts_it(tag: str, starts: bool) -> None:
    [pattern] = WORKFLOW[True]["push"]["tags"]  # YAML 1.1 reads `on` as true
    assert list(WORKFLOW[True]) == ["push"]
    number = "[0-9]+"
    assert pattern.count(number) == 3
    as_regex = "".join(re.escape(part) + number for part in pattern.split(number)[:-1]).replace(r"\*", "[^/]*")
    assert bool(re.fullmatch(as_regex, tag)) == starts
    on_gitlab = GITLAB["workflow"]["rules"][-1]["if"].partition("=~ ")[2].strip("/")
    assert bool(re.search(on_gitlab, tag)) == starts


def test_what_runs_the_pipeline_may_only_read_and_what_may_write_installs_nothing() -> None:
    assert WORKFLOW["permissions"] == {}
    assert BUILD["permissions"] == {"contents": "read"}
    assert ATTACH["permissions"] == {"contents": "write"}
    assert runs(ATTACH) == ["make release-attach"]
    assert not any("setup-python" in step.get("uses", "") for step in ATTACH["steps"])
    assert "secrets." not in TEXT
    holders = [step for job in (BUILD, ATTACH) for step in job["steps"] if "GITHUB_TOKEN" in step.get("env", {})]
    assert [step["run"] for step in holders] == ["make release-attach"]


def test_the_tags_are_fetched_with_what_they_say() -> None:
    [checkout] = [step for step in BUILD["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"]["fetch-depth"] == 0
    assert GITLAB["release"]["variables"]["GIT_DEPTH"] == 0


def test_gitlab_runs_the_same_and_nothing_of_it_on_a_merge_request() -> None:
    both = [*GITLAB["release"]["script"], *GITLAB["release-image"]["script"]]
    assert both == runs(BUILD)
    for name in ("release", "release-image"):
        assert GITLAB[name]["rules"] == [{"if": "$CI_COMMIT_TAG"}]
        assert GITLAB[name]["variables"]["TAG"] == "$CI_COMMIT_TAG"
    assert all(GITLAB[name]["rules"] == [{"if": "$CI_MERGE_REQUEST_IID"}] for name in ("check", "report"))


# A stand-in for GitHub's releases.


class GitHub(BaseHTTPRequestHandler):
    """Keeps releases and their files; renames what it is told to, as GitHub does with some names."""

    releases: dict[str, dict[str, Any]]
    files: dict[str, bytes]
    renames: bool
    url: str

    def _content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _say(self, status: int, found: Any) -> None:
        is_known = self.headers["Authorization"] == "Bearer token"
        self.send_response(status if is_known else 401)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def do_GET(self) -> None:
        """Return a release by its tag."""
        tag = unquote(self.path.removeprefix("/repos/us/it/releases/tags/"))
        self._say(200 if tag in self.releases else 404, self.releases.get(tag, {}))

    def do_POST(self) -> None:
        """Make a release, or keep a file of it."""
        content, asked = self._content(), urlsplit(self.path)
        if asked.path == "/repos/us/it/releases":
            told = json.loads(content)
            made = told | {"assets": [], "upload_url": f"{self.url}/upload/1{{?name,label}}"}
            self.releases[told["tag_name"]] = made
            self._say(201, made)
            return
        if not asked.path.startswith("/upload/"):
            self._say(404, {})
            return
        [name] = parse_qs(asked.query)["name"]
        name = name.replace("+", ".") if self.renames else name
        self.files[name] = content
        for release in self.releases.values():
            release["assets"].append({"name": name, "size": len(content)})
        self._say(201, {"name": name})

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


WHEEL = "toy_model-0.1.0+abc-py3-none-any.whl"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[str]:
    (tmp_path / WHEEL).write_bytes(b"a wheel")
    (tmp_path / "evidence.txt").write_text("toy v0.1.0: roc_auc 0.9\n\nversion: v0.1.0\n")
    server = HTTPServer(("127.0.0.1", 0), GitHub)
    url = f"http://127.0.0.1:{server.server_port}"
    GitHub.releases, GitHub.files, GitHub.renames, GitHub.url = {}, {}, False, url
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def attach(folder: Path, address: str, **extra: str) -> subprocess.CompletedProcess[str]:
    told = {
        "GITHUB_API_URL": address,
        "GITHUB_TOKEN": "token",
        "GITHUB_REPOSITORY": "us/it",
        "TAG": "toy@v0.1.0",
    } | extra
    command = ["make", "-s", "-C", str(ROOT), "release-attach", f"RELEASE={folder}", "PYTHON=/usr/bin/env python3 -S"]
    return subprocess.run(command, env=environment(**told | extra), text=True, capture_output=True, check=False)


def test_wheel_and_evidence_become_a_release_once(tmp_path: Path, github: str) -> None:
    done = attach(tmp_path, github)
    assert (done.stdout, done.stderr) == (f"attach: evidence.txt  41 bytes\nattach: {WHEEL}  7 bytes\n", "")
    assert GitHub.files[WHEEL] == b"a wheel"
    release = GitHub.releases["toy@v0.1.0"]
    assert release["name"] == "toy v0.1.0: roc_auc 0.9"
    assert release["body"] == "```yaml\nversion: v0.1.0\n```\n"
    assert attach(tmp_path, github).stdout == f"attach: evidence.txt was there\nattach: {WHEEL} was there\n"
    (tmp_path / WHEEL).write_bytes(b"another wheel")
    done = attach(tmp_path, github)
    assert done.returncode != 0
    assert f"attach: {WHEEL} is attached with another size: delete it there, then try again\n" in done.stderr


def test_a_wheel_that_github_renames_is_told(tmp_path: Path, github: str) -> None:
    GitHub.renames = True
    assert f"{WHEEL} was attached as toy_model-0.1.0.abc-py3-none-any.whl: pip" in attach(tmp_path, github).stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"GITHUB_TOKEN": "wrong"}, "attach: GET /repos/us/it/releases/tags/toy%40v0.1.0: 401 Unauthorized\n"),
        ({"GITHUB_TOKEN": ""}, "attach: GITHUB_TOKEN is not set: this runs in a job of GitHub Actions\n"),
        ({"GITHUB_REPOSITORY": "us/other"}, "attach: POST /repos/us/other/releases: 404 Not Found\n"),
    ],
)
def test_what_github_refuses_is_one_line(tmp_path: Path, github: str, change: dict[str, str], said: str) -> None:
    done = attach(tmp_path, github, **change)
    assert done.stderr.startswith(said)
    assert done.returncode != 0
    assert GitHub.files == {}


def test_without_evidence_nothing_is_attached(tmp_path: Path, github: str) -> None:
    (tmp_path / "evidence.txt").unlink()
    assert "evidence.txt is not there: make release-check" in attach(tmp_path, github).stderr
    assert GitHub.releases == {}
