"""tools.promote, on a real repository of DVC's: what it refuses, in a line each, and tags that GTO and Git read."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import gto.api
import pytest
import yaml
from conftest import ROOT, run_in

from stages.shared.errors import InputError
from tools.promote import __main__ as promote
from tools.promote.evidence import read
from tools.promote.registry import Registry

# A pipeline of one stage that packages a file as if it were a model, and judges it by what another file says.
MAKE = """
import hashlib, json, shutil
from pathlib import Path
conf, model = json.loads(Path("conf/packaging/standard.yaml").read_text()), Path("model.txt").read_bytes()
roc_auc = json.loads(Path("roc_auc.json").read_text())
shutil.rmtree("data/package", ignore_errors=True)
for folder in ("data/package", "reports/evaluate"):
    Path(folder).mkdir(parents=True, exist_ok=True)
name = f"toy_model-{conf['version']}+{hashlib.sha256(model).hexdigest()[:12]}-py3-none-any.whl"
Path("data/package", name).write_bytes(model)
value = {"value": roc_auc, "low": roc_auc - 0.1, "high": roc_auc + 0.1}
Path("reports/evaluate/intervals.json").write_text(json.dumps({"metrics": {"brier": value, "roc_auc": value}}))
gate = {"metric": "roc_auc", "bound": "point", "reason": None}
floor = gate | value | {"name": "ranks", "kind": "floor", "limit": 0.7, "why": "", "passed": roc_auc >= 0.7}
none = {"value": None, "low": None, "high": None, "passed": None, "why": "pending: tools.gates decides"}
drop = gate | none | {"name": "no_drop", "kind": "revision", "limit": -0.02}
Path("reports/evaluate/gates.json").write_text(json.dumps({"gates": [floor, drop]}))
"""
PIPELINE = """
stages:
  package:
    cmd: python make.py
    deps: [make.py, model.txt, roc_auc.json]
    params:
      - conf/packaging/${packaging}.yaml:
    outs:
      - data/package
      - reports/evaluate/gates.json: {cache: false}
      - reports/evaluate/intervals.json: {cache: false}
artifacts:
  ${data}: {path: data/package, type: model}
"""


MODELS = {  # branch: version, model, ROC AUC; each begins where the one before ends
    "first": ("0.1.0", "first", 0.8),
    "main": ("0.2.0", "second", 0.9),
    "third": ("0.3.0", "third", 0.9),
    "poor": ("0.4.0", "poor", 0.6),
    "taken": ("0.2.0", "another", 0.9),
    "unjudged": ("0.5.0", "unjudged", 0.9),
    "odd": ("1.0", "odd", 0.9),
}
NOT_RUN = ("unjudged", "odd")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A branch for each model, on main; nothing is released."""
    folder = tmp_path_factory.mktemp("made") / "work"
    (folder / "conf/packaging").mkdir(parents=True)
    run_in(folder, "git", "init", "-q", "-b", "main")
    run_in(folder, "dvc", "init", "-q")
    (folder / "make.py").write_text(MAKE)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text("data: toy\npackaging: standard\n")
    for branch, (version, model, roc_auc) in MODELS.items():
        (folder / "conf/packaging/standard.yaml").write_text(json.dumps({"version": version}))
        (folder / "model.txt").write_text(model)
        (folder / "roc_auc.json").write_text(json.dumps(roc_auc))
        run_in(folder, "git", "checkout", "-qB", branch)
        if branch in NOT_RUN:
            (folder / "reports/evaluate/gates.json").write_text('{"gates": []}')
        else:
            run_in(folder, "dvc", "repro", "-q")
        run_in(folder, "git", "add", "-A")
        run_in(folder, "git", "commit", "-qm", f"Model {version}")
    switch(folder, "main")
    return folder


@pytest.fixture(scope="module")
def released(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """There, v0.1.0 went through staging into prod, then v0.2.0 into staging."""
    folder = shutil.copytree(made, tmp_path_factory.mktemp("released") / "work", symlinks=True)
    for arguments in (("staging", "--rev", "first"), ("prod",), ("staging",)):
        run_in(folder, sys.executable, "-m", "tools.promote", *arguments, PYTHONPATH=str(ROOT))
    return folder


def switch(folder: Path, branch: str) -> None:
    run_in(folder, "git", "checkout", "-q", branch)
    run_in(folder, "dvc", "checkout", "-q")


@pytest.fixture
def work(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `released`, or of what a test says, in which we are."""
    folder = shutil.copytree(request.getfixturevalue(getattr(request, "param", "released")), tmp_path / "work")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Operator")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "operator@example.org")
    monkeypatch.chdir(folder)
    return folder


UNRELEASED = pytest.mark.parametrize("work", ["made"], indirect=True)


@pytest.fixture
def go(work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run one command in the copy and return what it printed."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["promote", *arguments])
        promote.main()
        return capsys.readouterr().out

    return run


def tags(folder: Path) -> list[str]:
    return run_in(folder, "git", "tag", "--sort=taggerdate").stdout.split()


def in_stage(stage: str) -> str:
    """What GTO itself says is in a stage."""
    [shown] = gto.api.show(".", f"toy#{stage}")
    return str(shown["version"])


def test_a_release_goes_through_the_stages_and_back(work: Path, go: Callable[..., str]) -> None:
    assert "promote: toy v0.2.0 is in prod, after v0.1.0" in go("prod")
    assert (in_stage("staging"), in_stage("prod")) == ("v0.2.0", "v0.2.0")
    assert "toy v0.1.0 is back in prod, after v0.2.0" in go("rollback", "prod", "--because", "too many complaints")
    assert in_stage("prod") == "v0.1.0"
    told = read("toy#prod#5")
    assert (told["rollback"], told["before"], told["because"]) == (True, "v0.2.0", "too many complaints")
    assert "toy v0.2.0 is back in prod, after v0.1.0" in go("prod", "--version", "v0.2.0")
    assert tags(work) == ["toy@v0.1.0", "toy#staging#1", "toy#prod#2", "toy@v0.2.0", "toy#staging#3", "toy#prod#4",
                          "toy#prod#5", "toy#prod#6"]  # fmt: skip


def test_gto_reads_the_tags(work: Path, go: Callable[..., str]) -> None:
    go("prod")
    go("rollback", "prod")
    shown = json.loads(run_in(work, "gto", "show", "--json").stdout)
    assert shown["toy"]["stage"] == {"prod": "v0.1.0", "staging": "v0.2.0"}
    assert shown["toy"]["version"] == "v0.2.0"
    history = json.loads(run_in(work, "gto", "history", "toy", "--json").stdout)
    assert [(event["event"], event["version"], event["stage"]) for event in history][:3] == [
        ("assignment", "v0.1.0", "prod"),
        ("assignment", "v0.2.0", "prod"),
        ("assignment", "v0.2.0", "staging"),
    ]


def test_one_rollback_after_another_walks_back_to_the_first(work: Path, go: Callable[..., str]) -> None:
    go("staging", "--rev", "third")
    for wanted in ("v0.2.0", "v0.1.0"):
        go("rollback", "staging")
        assert in_stage("staging") == wanted
    with pytest.raises(InputError, match=r"toy: v0.1.0 was the first in staging: name a version"):
        go("rollback", "staging")
    with pytest.raises(InputError, match="toy: nothing is in dev: name a version"):
        go("rollback", "dev")


def test_the_evidence_is_for_people_and_programs(work: Path, go: Callable[..., str]) -> None:
    message = run_in(work, "git", "for-each-ref", "--format=%(contents)", "refs/tags/toy@v0.2.0").stdout
    title, _, rest = message.partition("\n\n")
    assert title == "toy v0.2.0: roc_auc 0.9000 [0.8000, 1.0000]; 2 of 2 gates passed"
    told = yaml.safe_load(rest)
    [wheel] = (work / "data/package").glob("*.whl")
    assert told["wheel"]["sha256"] == run_in(work, "sha256sum", str(wheel)).stdout.split()[0]
    assert told["wheel"]["version"] == wheel.name.split("-")[1]
    assert told["commit"] == run_in(work, "git", "rev-parse", "HEAD").stdout.strip()
    assert told["params"] == {"data": "toy", "packaging": "standard"}
    lock = yaml.safe_load((work / "dvc.lock").read_text())["stages"]["package"]["outs"]
    assert told["hashes"] == {"data/package": lock[0]["md5"]}
    assert list(told["metrics"]) == ["roc_auc", "brier"]  # the headline first
    assert [(gate["name"], gate["passed"]) for gate in told["gates"]] == [("ranks", True), ("no_drop", True)]
    assert read("toy@v0.1.0")["gates"][1]["why"] == "pending: nothing else to hold it against"
    assert yaml.safe_load(go("show", "staging"))["stage"] == "staging"
    assert yaml.safe_load(go("show", "v0.2.0")) == told


def test_a_gate_about_another_revision_is_held_against_what_is_in_prod(work: Path, go: Callable[..., str]) -> None:
    assert read("toy#staging#3")["held_against"] == "v0.1.0"
    [drop] = [gate for gate in read("toy@v0.2.0")["gates"] if gate["name"] == "no_drop"]
    assert (drop["passed"], drop["value"]) == (True, 0.1)
    with pytest.raises(InputError) as refused:
        go("staging", "--rev", "poor")
    own, drop = refused.value.faults
    assert own == "gate ranks fails: roc_auc 0.6 [0.5, 0.7], by its point against 0.7"
    assert drop.startswith("gate no_drop fails: roc_auc -0.2 [")
    go("prod")
    go("staging", "--version", "v0.1.0")  # worse than what is in prod, but it was there before


@UNRELEASED
@pytest.mark.parametrize("stage", ["staging", "prod"])
def test_every_fault_is_one_line(work: Path, go: Callable[..., str], stage: str) -> None:
    switch(work, "poor")
    (work / "notes.txt").write_text("not committed")
    (work / "model.txt").write_text("another")
    run_in(work, "git", "commit", "-qam", "Forget to run it")
    shutil.rmtree(work / ".dvc/cache")
    with pytest.raises(InputError) as refused:
        go(stage, *(["--rev", "HEAD"] if stage == "prod" else []))
    assert refused.value.what == f"toy v0.4.0 does not go into {stage}"
    unclean, order = ["not committed: notes.txt"], ["it was never in staging: python -m tools.promote staging"]
    head = run_in(work, "git", "rev-parse", "--short=10", "HEAD").stdout.strip()
    assert refused.value.faults == [
        *(order if stage == "prod" else unclean),
        f"stage package was not run on the files of HEAD ({head}): `dvc repro`, then commit",
        f"data/package of HEAD ({head}) is neither in the cache nor in a remote: no remote is set",
        "gate ranks fails: roc_auc 0.6 [0.5, 0.7], by its point against 0.7",
    ]
    assert tags(work) == []


def test_gates_edited_by_hand_are_noticed(work: Path, go: Callable[..., str]) -> None:
    switch(work, "poor")
    gates = work / "reports/evaluate/gates.json"
    gates.write_text(gates.read_text().replace("false", "true"))
    run_in(work, "git", "commit", "-qam", "Cheat")
    with pytest.raises(InputError, match="stage package was not run on the files of"):
        go("staging")


@pytest.mark.parametrize(
    ("branch", "said"),
    [
        ("unjudged", r"gates.json of unjudged \(.*\) holds no gate: nothing vouches for this model"),
        (
            "taken",
            r"toy@v0.2.0 is another wheel, of commit \w{10}: raise `version` in conf/packaging/standard.yaml, `d",
        ),
        ("odd", r"standard.yaml of odd \(.*\): version should be MAJOR.MINOR.PATCH, got '1.0'"),
        ("mian", r"'mian': no such commit, branch or tag; did you mean 'main'"),
    ],
)
def test_a_commit_that_cannot_be_a_release_is_refused(
    work: Path, go: Callable[..., str], branch: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        go("staging", "--rev", branch)


def test_a_wheel_of_other_bytes_is_refused(work: Path, go: Callable[..., str]) -> None:
    lock = yaml.safe_load((work / "dvc.lock").read_text())["stages"]["package"]["outs"][0]["md5"]
    listing = work / ".dvc/cache/files/md5" / lock[:2] / lock[2:]
    [entry] = json.loads(listing.read_text())
    cached = work / ".dvc/cache/files/md5" / entry["md5"][:2] / entry["md5"][2:]
    cached.chmod(0o644)
    cached.write_text("evil")
    with pytest.raises(InputError, match=r"data/package of .* has other bytes than its dvc.lock names"):
        go("prod")


def test_the_same_wheel_of_a_later_commit_is_the_version_that_is_there(work: Path, go: Callable[..., str]) -> None:
    (work / "README.md").write_text("more words")
    run_in(work, "git", "add", "-A")
    run_in(work, "git", "commit", "-qm", "Same model")
    go("dev")
    assert read("toy#dev#4")["commit"] == run_in(work, "git", "rev-parse", "HEAD~1").stdout.strip()


@UNRELEASED
def test_prod_takes_only_what_was_in_staging(work: Path, go: Callable[..., str]) -> None:
    with pytest.raises(InputError, match=r"nothing of toy is in staging: python -m tools.promote staging"):
        go("prod")
    go("dev")
    with pytest.raises(InputError, match=r"it was never in staging: python -m tools.promote staging --version v0.2.0"):
        go("prod", "--version", "v0.2.0")
    go("staging")
    with pytest.raises(InputError, match="it is in staging already"):
        go("staging", "--version", "v0.2.0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prod", "--version", "v0.2.9"], "toy has no version 'v0.2.9'; did you mean 'v0.2.0'"),
        (["prod", "--version", "1"], "toy has no version '1'; there are v0.1.0, v0.2.0"),
        (["show", "dev"], "nothing of toy is in dev"),
        (["show", "toy@v9.9.9"], "no tag 'toy@v9.9.9' here: git fetch origin --tags"),
        (["show", "toy@v0.8.0"], "toy@v0.8.0 carries no evidence: it was not made by tools.promote"),
        (["show", "toy@v0.9.0"], "toy@v0.9.0 is not an annotated tag here, so it says nothing"),
        (["staging", "--artifact", "other"], "declares no artifact 'other' with path data/package; it is about toy"),
    ],
)
def test_a_slip_is_answered_in_one_line(work: Path, go: Callable[..., str], arguments: list[str], said: str) -> None:
    run_in(work, "git", "tag", "-am", "by hand", "toy@v0.8.0", "third")
    run_in(work, "git", "tag", "toy@v0.9.0")
    with pytest.raises(InputError) as refused:
        go(*arguments)
    assert said in str(refused.value)


def test_a_version_registered_by_hand_is_shown_but_not_released(work: Path, go: Callable[..., str]) -> None:
    run_in(work, "gto", "register", "toy", "third", "--version", "v0.8.0")
    assert "toy@v0.8.0 carries no evidence: it was not made by tools.promote" in go("status")
    with pytest.raises(InputError, match=r"toy@v0.8.0 carries no evidence"):
        go("staging", "--version", "v0.8.0")


def test_a_clock_that_went_ahead_does_not_hide_a_later_release(
    work: Path, go: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GTO takes the tag with the latest time; a colleague's clock may be a year ahead, and seconds are coarse."""
    with monkeypatch.context() as ahead:
        clock = time.time
        ahead.setattr(time, "time", lambda: clock() + 365 * 86400)
        go("dev", "--version", "v0.1.0")
    go("dev")
    assert in_stage("dev") == "v0.2.0"


def test_two_at_once_make_one_tag(work: Path, go: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = Registry("toy"), Registry("toy")
    names = [registry.next_stage_tag("prod") for registry in (own, other)]  # both have looked
    errors: list[str] = []

    def make(registry: Registry, name: str) -> None:
        try:
            registry.make_tag(name, "HEAD", "text")
        except InputError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=make, args=pair) for pair in zip((own, other), names, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == ["someone has just made toy#prod#4: see `python -m tools.promote status`, then try again"]


def test_origin_knows_more_or_less_and_that_is_told(work: Path, go: Callable[..., str], tmp_path: Path) -> None:
    run_in(tmp_path, "git", "init", "-q", "--bare", "origin.git")
    run_in(work, "git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    five = "toy@v0.1.0 toy#staging#1 toy#prod#2 toy@v0.2.0 toy#staging#3"
    assert go("status").splitlines()[-1] == f"next: git push origin {five}"
    run_in(work, "git", "push", "-q", "origin", *five.split())
    assert go("status").splitlines()[-1].startswith("  version  v0.1.0")
    assert go("dev").splitlines()[-1] == "next: git push origin toy#dev#4"
    run_in(work, "git", "tag", "-d", "toy#staging#3")
    with pytest.raises(InputError, match="toy#staging#3: origin has it: git fetch origin --tags"):
        go("prod", "--version", "v0.2.0")
    run_in(work, "git", "tag", "-am", "mine", "toy#staging#3")
    with pytest.raises(InputError, match="toy#staging#3: origin has another one: git fetch origin --tags"):
        go("prod")
    shutil.rmtree(tmp_path / "origin.git")
    with pytest.raises(InputError, match=r"origin: fatal: .*origin.git"):
        go("prod")


def test_what_is_not_in_the_remote_is_not_released(work: Path, go: Callable[..., str], tmp_path: Path) -> None:
    run_in(work, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    run_in(work, "git", "commit", "-qam", "Add a remote")
    with pytest.raises(InputError, match=r"data/package is not in the remote, .*: dvc push"):
        go("prod")
    run_in(work, "dvc", "push", "-q")
    shutil.rmtree(work / ".dvc/cache")  # it comes from the remote
    go("prod")


def test_a_signed_tag_is_read_without_its_signature(work: Path, go: Callable[..., str]) -> None:
    """SSH signs as well as GPG; the signature stands behind the message."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen")
    run_in(work, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "../key")
    for key, value in {"gpg.format": "ssh", "user.signingkey": "../key.pub", "tag.gpgSign": "true"}.items():
        run_in(work, "git", "config", key, value)
    go("prod")
    assert "BEGIN SSH SIGNATURE" in run_in(work, "git", "cat-file", "-p", "toy#prod#4").stdout
    assert read("toy#prod#4")["version"] == "v0.2.0"


def test_check_holds_the_wheel_here_against_the_tag(work: Path, go: Callable[..., str], tmp_path: Path) -> None:
    said = go("check", "toy@v0.2.0", "--into", str(tmp_path / "out"))
    [wheel] = (tmp_path / "out").glob("*.whl")
    assert f"{wheel.name}  sha256 " in said
    assert run_in(tmp_path / "out", "sha256sum", "--check", "SHA256SUMS").stdout == f"{wheel.name}: OK\n"
    assert (tmp_path / "out/evidence.txt").read_text().startswith("toy v0.2.0: roc_auc 0.9000")
    wheel.write_text("evil")
    with pytest.raises(InputError, match="sha256: the tag says") as refused:
        go("check", "toy@v0.2.0", "--wheel", str(tmp_path / "out"))
    assert len(refused.value.faults) == 1
    run_in(work, "git", "checkout", "-q", "third")
    with pytest.raises(InputError, match="HEAD: the tag says"):
        go("check", "toy@v0.2.0")


@UNRELEASED
def test_without_a_repository_or_a_version_there_is_one_line(
    tmp_path: Path, work: Path, go: Callable[..., str]
) -> None:
    assert go("status") == "promote: toy has no version yet: python -m tools.promote staging\n"
    command = [sys.executable, "-m", "tools.promote", "staging"]
    done = run_in(tmp_path, *command, check=False, PYTHONPATH=str(ROOT))
    assert done.stderr == "promote: this folder is not in a Git repository\n"
    assert done.returncode == 1
