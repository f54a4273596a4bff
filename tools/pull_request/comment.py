"""Posts a report that others wrote as one comment of a pull request, through GitHub's interface.

The report and the number come from code that nobody has reviewed. So the number is held against the event, which
GitHub itself wrote; the text is bounded, notifies nobody, and can only replace a comment that this job wrote. Needs
Python's standard library alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from stages.shared.errors import InputError
from tools.pull_request.github import ask, given

MARK = "<!-- plumbline: the report of tools.diff -->"
AUTHOR = "github-actions[bot]"  # who owns comments made with a job's own token
LIMIT = 65_000  # characters
PER_PAGE = 100
CUT = "\n\n(The report is longer than a comment may be; the artifact of the job has all of it.)"


def post(report: Path, number: Path) -> str:
    """Post the report, or put it in place of the last one; return what was done. Raises InputError where it must not.

    A run that wrote no report, and a pull request that has moved on since, are no faults: nothing is posted.
    """
    if not report.is_file():
        return "no report to post: the run ended before"
    event = json.loads(Path(given("GITHUB_EVENT_PATH")).read_text(encoding="utf-8"))
    run, repository = event["workflow_run"], event["repository"]["full_name"]
    wanted = _number(number)
    pull = ask("GET", f"/repos/{repository}/pulls/{wanted}")
    whence = (pull["head"].get("repo") or {}).get("full_name"), pull["head"]["ref"]
    if whence != (run["head_repository"]["full_name"], run["head_branch"]):
        raise InputError(f"{number}: pull request {wanted} does not come from the branch that this run was of")
    if pull["head"]["sha"] != run["head_sha"] or pull["state"] != "open":
        return f"nothing posted: pull request {wanted} has newer commits or is closed"
    text = body(report.read_text(encoding="utf-8", errors="replace"))
    own = _own_comment(repository, wanted)
    if own is None:
        ask("POST", f"/repos/{repository}/issues/{wanted}/comments", {"body": text})
        return f"commented on pull request {wanted}"
    ask("PATCH", f"/repos/{repository}/issues/comments/{own}", {"body": text})
    return f"updated the comment on pull request {wanted}"


def body(report: str) -> str:
    """Return the comment: marked as ours, bounded, and naming nobody: a word joiner follows each @."""
    text = report.replace("\x00", "").replace(MARK, "").replace("@", "@\u2060")
    room = LIMIT - len(MARK) - len(CUT) - 1
    return f"{MARK}\n{text if len(text) <= room else text[:room] + CUT}"


def _number(path: Path) -> int:
    text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"{path}: should be the number of a pull request, got {text[:40]!r}")
    return int(text)


def _own_comment(repository: str, number: int) -> int | None:
    page = 1
    while True:
        found = ask("GET", f"/repos/{repository}/issues/{number}/comments?per_page={PER_PAGE}&page={page}")
        for comment in found:
            if comment["user"]["login"] == AUTHOR and comment["body"].startswith(MARK):
                return int(comment["id"])
        if len(found) < PER_PAGE:
            return None
        page += 1
