"""CI on a pull request: workflows that hold no more rights than they need, and the report that becomes a comment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, clone, environment, run_in, toy_rows, write_toy

from tools.pull_request.comment import LIMIT, MARK, body

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GITLAB = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def parsed(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text())  # type: ignore[no-any-return]


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_the_three_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["comment.yml", "pull-request.yml", "release.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_run_is_a_make_target_and_every_action_a_commit(path: Path) -> None:
    for step in steps(parsed(path)):
        if "run" in step:
            assert step["run"].removeprefix("make ") in TARGETS, step["run"]
        else:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
    for line in path.read_text().splitlines():
        assert "uses:" not in line or re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_are_stated_and_no_checkout_keeps_a_token(path: Path) -> None:
    workflow = parsed(path)
    assert "permissions" in workflow
    assert "concurrency" in workflow
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_what_runs_the_pull_requests_code_may_only_read_and_holds_no_secret() -> None:
    text = (ROOT / ".github/workflows/pull-request.yml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow[True] == {"pull_request": None}  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    assert "secrets." not in text
    assert "github.token" not in text


def test_what_may_write_never_checks_out_the_pull_requests_code() -> None:
    text = (ROOT / ".github/workflows/comment.yml").read_text()
    workflow = yaml.safe_load(text)
    assert list(workflow[True]) == ["workflow_run"]
    assert workflow["permissions"] == {}
    [job] = workflow["jobs"].values()
    assert job["permissions"] == {"actions": "read", "contents": "read", "pull-requests": "write"}
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert set(step["with"]) == {"persist-credentials"}  # the default branch, as the event has it
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make ci-comment"]


def test_no_expression_is_pasted_into_a_command() -> None:
    assert not [step["run"] for path in WORKFLOWS for step in steps(parsed(path)) if "${{" in step.get("run", "")]
    assert not any("pull_request_target" in path.read_text() for path in WORKFLOWS)


def test_gitlab_calls_the_same_targets() -> None:
    run = {name: job["script"] for name, job in GITLAB.items() if "script" in job}
    assert {line.removeprefix("make ") for lines in run.values() for line in lines} <= TARGETS
    on_github = [step["run"] for step in steps(parsed(ROOT / ".github/workflows/pull-request.yml")) if "run" in step]
    assert [*run["check"], *run["report"]] == [line for line in on_github if line != "make ci-summary"]


# A stand-in for GitHub's interface.


class GitHub(BaseHTTPRequestHandler):
    """Answers as GitHub does for the few addresses that `post` asks; keeps what was written."""

    pull: dict[str, Any]
    comments: list[dict[str, Any]]
    asked: list[tuple[str, str, Any]]

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = json.loads(self.rfile.read(length)) if length else None
        type(self).asked.append((self.command, self.path, content))
        pages = {"/repos/us/it/pulls/7": self.pull, "/repos/us/it/issues/7/comments?per_page=100&page=1": self.comments}
        found = {"id": 1} if self.command != "GET" else pages.get(self.path)
        is_refused = self.headers["Authorization"] != "Bearer token" or found is None
        self.send_response(404 if is_refused else 200)
        self.end_headers()
        self.wfile.write(json.dumps({} if is_refused else found).encode())

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def github(tmp_path: Path) -> Iterator[str]:
    head = {"sha": "abc", "ref": "change", "repo": {"full_name": "them/it"}}
    GitHub.pull, GitHub.comments, GitHub.asked = {"head": head, "state": "open"}, [], []
    event = {
        "repository": {"full_name": "us/it"},
        "workflow_run": {"head_sha": "abc", "head_branch": "change", "head_repository": {"full_name": "them/it"}},
    }
    (tmp_path / "event.json").write_text(json.dumps(event))
    (tmp_path / "report.md").write_text("# Report by @someone\n")
    (tmp_path / "number").write_text("7")
    server = HTTPServer(("127.0.0.1", 0), GitHub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def post(folder: Path, address: str, **extra: str) -> subprocess.CompletedProcess[str]:
    told = {
        "GITHUB_API_URL": address,
        "GITHUB_TOKEN": "token",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        **extra,
    }
    command = ["make", "-s", "-C", str(ROOT), "ci-comment", f"REPORT={folder}", "PYTHON=/usr/bin/env python3 -S"]
    return subprocess.run(command, env=environment(**told), text=True, capture_output=True, check=False)


def written() -> list[tuple[str, str, Any]]:
    return [asked for asked in GitHub.asked if asked[0] != "GET"]


def test_the_report_becomes_a_comment_that_notifies_nobody(tmp_path: Path, github: str) -> None:
    done = post(tmp_path, github)
    assert (done.stdout, done.stderr) == ("pull_request: commented on pull request 7\n", "")
    [(method, path, content)] = written()
    assert (method, path) == ("POST", "/repos/us/it/issues/7/comments")
    assert content == {"body": f"{MARK}\n# Report by @\u2060someone\n"}


def test_only_our_own_comment_is_updated(tmp_path: Path, github: str) -> None:
    GitHub.comments = [
        {"id": 4, "user": {"login": "stranger"}, "body": f"{MARK}\nforged"},
        {"id": 5, "user": {"login": "github-actions[bot]"}, "body": "another job's"},
        {"id": 6, "user": {"login": "github-actions[bot]"}, "body": f"{MARK}\nthe last one"},
    ]
    assert post(tmp_path, github).stdout == "pull_request: updated the comment on pull request 7\n"
    assert [asked[:2] for asked in written()] == [("PATCH", "/repos/us/it/issues/comments/6")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ref": "other"}, "pull request 7 does not come from the branch that this run was of"),
        ({"repo": {"full_name": "others/it"}}, "pull request 7 does not come from the branch"),
        ({"repo": None}, "pull request 7 does not come from the branch"),
    ],
)
def test_a_number_of_another_pull_request_is_refused(
    tmp_path: Path, github: str, change: dict[str, Any], said: str
) -> None:
    GitHub.pull["head"] |= change
    done = post(tmp_path, github)
    assert said in done.stderr
    assert done.returncode != 0
    assert written() == []


@pytest.mark.parametrize("number", ["", "7; rm -rf /", "../7", "-7", "７", "1234567890"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, github: str, number: str) -> None:
    (tmp_path / "number").write_text(number)
    assert "should be the number of a pull request, got" in post(tmp_path, github).stderr
    assert GitHub.asked == []


def test_a_report_of_an_older_commit_or_of_none_is_not_posted(tmp_path: Path, github: str) -> None:
    GitHub.pull["head"]["sha"] = "def"
    assert "nothing posted: pull request 7 has newer commits or is closed" in post(tmp_path, github).stdout
    (tmp_path / "report.md").unlink()
    done = post(tmp_path, github)
    assert (done.returncode, done.stdout) == (0, "pull_request: no report to post: the run ended before\n")
    assert written() == []


def test_what_github_refuses_is_one_line_without_the_token(tmp_path: Path, github: str) -> None:
    done = post(tmp_path, github, GITHUB_TOKEN="wrong")
    assert done.stderr.startswith("pull_request: GET /repos/us/it/pulls/7: 404 Not Found\n")
    assert "wrong" not in done.stderr


def test_a_comment_is_bounded_and_cannot_pass_for_another() -> None:
    text = body("x" * 100_000)
    assert len(text) <= LIMIT
    assert text.endswith("has all of it.)")
    assert body(f"{MARK}{MARK}a\x00").count(MARK) == 1


# A pull request, from a bare repository to the report.


@pytest.mark.slow
def test_the_targets_report_on_a_simulated_pull_request(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    work, checkout = clone(tmp_path / "work"), tmp_path / "checkout"
    write_toy(work, toy_rows())
    for old, new in (("data: rides", "data: toy"), ("evaluation: standard", "evaluation: quick")):
        run_in(work, "sed", "-i", f"s/^{old}/{new}/", "params.yaml")
    run_in(work, "dvc", "repro", "-q")
    run_in(work, "git", "add", "-A")
    run_in(work, "git", "commit", "-qm", "Toy")
    run_in(tmp_path, "git", "clone", "-q", "--bare", str(work), "hub.git")
    run_in(work, "git", "checkout", "-qb", "change")
    run_in(work, "sed", "-i", "s/^model: boosting/model: linear/", "params.yaml")
    run_in(work, "git", "commit", "-qam", "Try linear")  # and forgets `dvc repro`
    run_in(work, "git", "push", "-q", str(tmp_path / "hub.git"), "change:refs/pull/3/head")

    run_in(tmp_path, "git", "clone", "-q", str(tmp_path / "hub.git"), "checkout")
    run_in(checkout, "git", "fetch", "-q", "origin", "refs/pull/3/head")
    run_in(checkout, "git", "checkout", "-q", "--detach", "FETCH_HEAD")
    summary = tmp_path / "summary.md"
    told = {"DIFF_BASE": "origin/main", "PULL_REQUEST": "3", "GITHUB_STEP_SUMMARY": str(summary)}
    workflow = steps(parsed(ROOT / ".github/workflows/pull-request.yml"))
    targets = [step["run"].removeprefix("make ") for step in workflow if "run" in step]
    for target in [target for target in targets if target.startswith("ci-")]:
        run_in(checkout, "make", "-o", ".venv/installed", target, **told)
    report = (checkout / "dist/pull-request/report.md").read_text()
    assert (checkout / "dist/pull-request/number").read_text() == "3"
    assert summary.read_text() == report
    assert "`roc_auc`" in report.splitlines()[2]
    assert "| `params.yaml: model` | `boosting` | `linear` |" in report
    assert "Both models on the same" in report  # the base's predictions were nowhere: it was run again
    assert run_in(checkout, "git", "status", "--porcelain", "dist").stdout == ""


def test_writing_without_a_common_commit_is_one_line(tmp_path: Path) -> None:
    run_in(tmp_path, "git", "init", "-q", "-b", "main")
    run_in(tmp_path, "git", "commit", "-qm", "One", "--allow-empty")
    command = [sys.executable, "-m", "tools.pull_request", "write", "out"]
    done = run_in(tmp_path, *command, check=False, PYTHONPATH=str(ROOT), DIFF_BASE="origin/mian")
    assert done.stderr == "pull_request: 'origin/mian': no such commit, branch or tag\n"
