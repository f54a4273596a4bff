"""tools.trace finds in real Git repositories which commits made what, and says plainly where none did."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ROOT, run_in
from gto.tag import parse_name

from stages.shared.lineage import dvc_hash
from tools.trace.history import TAG, Tag, meaning
from tools.trace.text import leaves

GATES = {"gates": [
    {"name": "ranks", "metric": "roc_auc", "bound": "low", "limit": 0.7, "value": 0.8, "low": 0.75, "high": 0.9,
     "passed": True, "why": "", "reason": None},
    {"name": "no_drop", "metric": "roc_auc", "bound": "point", "limit": -0.02, "value": None, "low": None,
     "high": None, "passed": None, "why": "pending", "reason": None},
]}  # fmt: skip
INTERVALS = {"metrics": {"roc_auc": {"value": 0.8125, "low": 0.75, "high": 0.875}}}
LOCKED = "numpy==2.0.0 \\\n    --hash=sha256:1\nscipy==1.0 \\\n    --hash=sha256:2\n"
MODEL, OTHER, THIRD = "a" * 32 + ".dir", "b" * 32 + ".dir", "c" * 32 + ".dir"
VERSION, DIGEST = "0.1.0+0123456789ab", "d" * 64


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def git(folder: Path, *words: str) -> str:
    return run_in(folder, "git", *words).stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def lock(model: str, note: str = "x") -> str:
    """Return a dvc.lock as DVC writes it, with the reports that it names."""
    reports = {"gates": json.dumps(GATES), "intervals": json.dumps(INTERVALS)}
    outs = "".join(
        f"\n    - path: reports/evaluate/{name}.json\n      md5: {md5(text)}" for name, text in reports.items()
    )
    return f"""schema: '2.0'
stages:
  train:
    cmd: {note}
    deps:
    - path: data/raw/toy
      md5: {"e" * 32}.dir
    - path: requirements.txt
      md5: {md5(LOCKED)}
    params:
      conf/model/linear.yaml:
        estimator:
          alpha: 0.5
      params.yaml:
        seed: 7
    outs:
    - path: data/train
      md5: {model}{outs}
"""


def commit(folder: Path, model: str, subject: str, version: str | None = None, note: str = "x") -> str:
    """Commit a run that made `model`; return the commit."""
    digest = DIGEST if version == VERSION else "1" * 64
    wheel = {"name": "toy_model", "version": version, "sha256": digest, "model": {"estimator": "lib.Thing"}}
    files = {
        "dvc.lock": lock(model, note),
        "params.yaml": "data: toy\nmodel: linear\nseed: 7\n",
        "dvc.yaml": "stages: {}\n",
        "conf/data/toy.yaml": f"source: {{path: data/raw/toy, sha256: {'f' * 64}}}\n",
        "pyproject.toml": '[project]\nname = "p"\nversion = "1"\ndependencies = ["numpy>=1", "duckdb"]\n',
        "requirements.txt": LOCKED,
        "reports/evaluate/gates.json": json.dumps(GATES),
        "reports/evaluate/intervals.json": json.dumps(INTERVALS),
    }
    write(folder, files | ({"reports/package/wheel.json": json.dumps(wheel)} if version else {}))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", subject)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def ask(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run_in(folder, "python", "-m", "tools.trace", *words, check=check, PYTHONPATH=str(ROOT))


def found(folder: Path, *words: str) -> Any:
    return json.loads(ask(folder, *words, "--json").stdout)


def commits(folder: Path, *words: str) -> list[str]:
    return [each["commit"] for each in found(folder, *words)["commits"]]


def test_every_commit_that_made_the_bytes_is_listed_and_no_other(repository: Path) -> None:
    first = commit(repository, MODEL, "First")
    commit(repository, MODEL, "Same bytes, other code", note="y")
    commit(repository, OTHER, "Other")
    back = commit(repository, MODEL, "Back again")
    assert commits(repository, MODEL) == [first, back]
    assert commits(repository, "data/train") == [first, back]


def test_a_branch_that_was_merged_away_and_a_merge_that_made_bytes_are_found(repository: Path) -> None:
    commit(repository, MODEL, "First")
    git(repository, "checkout", "-qb", "side")
    side = commit(repository, OTHER, "On the side")
    git(repository, "checkout", "-q", "main")
    commit(repository, MODEL, "Meanwhile", note="y")
    git(repository, "merge", "-q", "--no-commit", "-s", "ours", "side")
    git(repository, "commit", "-qm", "Keep ours")
    git(repository, "branch", "-D", "side")
    assert commits(repository, OTHER) == [side]
    git(repository, "checkout", "-qb", "again", "HEAD~1")
    commit(repository, MODEL, "Again", note="z")
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-commit", "-s", "ours", "again")
    merge = commit(repository, THIRD, "Merge and reproduce")
    assert commits(repository, THIRD) == [merge]


def test_tags_branches_and_experiments_are_asked(repository: Path) -> None:
    commit(repository, MODEL, "First")
    git(repository, "checkout", "-q", "--detach")
    tagged = commit(repository, OTHER, "Only a tag leads here")
    git(repository, "tag", "-a", "toy_model@v1.0.0", "-m", "Release")
    git(repository, "tag", "-a", "toy_model#prod#1", "-m", "To prod")
    git(repository, "checkout", "-q", "main")
    experiment = commit(repository, THIRD, "An experiment")
    git(repository, "update-ref", "refs/exps/12/34/shy-cat", "HEAD")
    git(repository, "reset", "-q", "--hard", "HEAD~1")
    answer = found(repository, OTHER)
    assert [each["commit"] for each in answer["commits"]] == [tagged]
    assert {tag["name"]: tag["meaning"] for tag in answer["tags"]} == {
        "toy_model@v1.0.0": "version v1.0.0", "toy_model#prod#1": "stage prod, now",
    }  # fmt: skip
    assert answer["branches"] == []
    assert "  now in no branch\n" in ask(repository, OTHER).stdout
    assert commits(repository, THIRD) == [experiment]
    assert found(repository, MODEL)["branches"] == ["main"]


@pytest.mark.parametrize(
    "name", ["m@v1.2.3", "m#prod", "m#prod#12", "m#prod!#3", "m@v1.2.3!", "models=m@v1.2.3", "m@v1.0.0!#2"]
)
def test_tags_are_read_as_gto_reads_them(name: str) -> None:
    ours, theirs = TAG.fullmatch(name), parse_name(name)
    assert ours is not None
    assert (ours["version"], ours["stage"]) == (theirs.get("version"), theirs.get("stage"))
    assert bool(ours["back"]) == (theirs["action"].value in ("unassign", "deregister"))


def test_a_stage_is_held_until_a_later_tag() -> None:
    every = [Tag(name, "1", "d", "") for name in ("m@v1.0.0", "m#prod#1", "m#dev#2", "m#prod#3", "m@v1.0.0!", "v1")]
    assert [meaning(tag, every) for tag in every] == [
        "version v1.0.0, taken back later", "stage prod, until a later tag", "stage dev, now", "stage prod, now",
        "takes back v1.0.0", "",
    ]  # fmt: skip


def test_it_says_data_parameters_environment_gates_and_metrics_of_that_commit(repository: Path) -> None:
    commit(repository, MODEL, "First", VERSION)
    later = "numpy==3.0.0\n"
    write(repository, {"requirements.txt": later, "params.yaml": "data: toy\nmodel: forest\nseed: 8\n"})
    git(repository, "commit", "-qam", "Later")
    made = found(repository, VERSION)["made"]
    assert made["data"]["hashes"] == {"data/raw/toy": "e" * 32 + ".dir", "data/train": MODEL}
    assert made["data"]["pin"] == "f" * 64
    assert made["parameters"]["choices"] == {"data": "toy", "model": "linear", "seed": 7}
    assert made["parameters"]["files"] == {"conf/model/linear.yaml": {"estimator": {"alpha": 0.5}}}
    assert made["environment"] == {"requirements": md5(LOCKED), "packages": {"numpy": "2.0.0"}}
    assert made["not_of_this_run"] == []
    text = ask(repository, VERSION).stdout
    for line in (
        "  toy_model 0.1.0+0123456789ab  lib.Thing",
        "  data=toy, model=linear, seed=7",
        "    estimator.alpha=0.5",
        f"  requirements.txt  {md5(LOCKED)}",
        "  numpy 2.0.0",
        "gates: 1 of 2 passed",
        "  | passed | ranks | roc_auc | 0.8 | 0.7 | low |  |",
        "  | pending | no_drop | roc_auc | none | -0.02 | point | pending |",
        "  roc_auc  0.8125 [0.75, 0.875]",
    ):
        assert f"{line}\n" in text


def test_reports_that_are_not_of_the_run_are_called_so(repository: Path) -> None:
    commit(repository, MODEL, "First")
    write(repository, {"reports/evaluate/gates.json": '{"gates": []}', "dvc.lock": lock(OTHER)})
    git(repository, "commit", "-qam", "Forget to run")
    line = "  reports/evaluate/gates.json of this commit is not the one that its dvc.lock names\n"
    assert line in ask(repository, OTHER).stdout


@pytest.mark.parametrize(
    "what", [VERSION, f"toy_model=={VERSION}", f"data/package/m-{VERSION}-py3-none-any.whl", DIGEST]
)
def test_a_version_or_hash_of_a_wheel_leads_to_its_commit(repository: Path, what: str) -> None:
    commit(repository, OTHER, "Before", "0.1.0+ffffffffffff")
    assert commits(repository, f"0.1.0+{'f' * 12}")
    wanted = commit(repository, MODEL, "Release", VERSION)
    commit(repository, MODEL, "After", "0.1.0+eeeeeeeeeeee")
    assert commits(repository, what) == [wanted]


def test_what_nothing_made_is_one_line(repository: Path) -> None:
    commit(repository, MODEL, "First")
    write(repository, {"elsewhere.txt": "x"})
    for what, fault in (
        (OTHER, f"the hash {OTHER}: no commit of this repository made it"),
        ("nonsense", "'nonsense': no wheel, file or folder here, nothing that dvc.lock names, no hash, no installed "
                     "model; a request id wants --log FOLDER"),
        ("elsewhere.txt", f"elsewhere.txt, MD5 {md5('x')}: no commit of this repository made it"),
        ("missing.whl", "'missing.whl': no wheel, file"),
        (f"9.9.9+{'0' * 12}", f"the wheel of version 9.9.9+{'0' * 12}: no commit of this repository made it"),
    ):  # fmt: skip
        done = ask(repository, what, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"trace: {fault}")
        assert done.stderr.count("\n") == 1


def test_a_workspace_that_differs_from_the_lock_is_called_so(repository: Path) -> None:
    commit(repository, MODEL, "First")
    write(repository, {"data/train/model.json": "{}"})
    done = ask(repository, "data/train/model.json", check=False)
    lies = dvc_hash(repository / "data/train")
    assert done.stderr == (
        f"trace: data/train/model.json, which is tracked as data/train, MD5 {lies}: no commit of this repository made "
        f"it; data/train as it lies here is not that of dvc.lock ({MODEL})\n"
    )
    done = ask(repository, "data/train/other", check=False)
    assert done.stderr == "trace: data/train/other: no such file in data/train\n"


def test_a_file_within_a_folder_is_found_by_the_listings_of_the_cache(repository: Path) -> None:
    entry = {"md5": "9" * 32, "relpath": "model.json"}
    first = commit(repository, MODEL, "First")
    write(repository, {f".dvc/cache/files/md5/{MODEL[:2]}/{MODEL[2:]}": json.dumps([entry])})
    answer = found(repository, "9" * 32)
    assert [each["commit"] for each in answer["commits"]] == [first]
    assert answer["notes"] == [f"it is in the folder {MODEL}"]


def test_a_shallow_clone_says_so(repository: Path, tmp_path: Path) -> None:
    commit(repository, MODEL, "First")
    commit(repository, MODEL, "Second", note="y")
    run_in(tmp_path, "git", "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    note = "this clone is shallow: earlier commits are not looked at"
    assert found(tmp_path / "shallow", MODEL)["notes"] == [note]


def test_outside_a_repository_it_is_one_line(tmp_path: Path) -> None:
    done = ask(
        tmp_path,
        MODEL,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "trace: this folder is not in a Git repository\n")


def entry(request_id: str, version: str, row: int = 1) -> dict[str, Any]:
    return {"request_id": request_id, "version": version, "time": "2026-11-23T10:00:00Z", "inputs": {"a": row},
            "output": {"prediction": row}}  # fmt: skip


def test_a_request_leads_by_its_version_to_the_commit(repository: Path, tmp_path: Path) -> None:
    wanted = commit(repository, MODEL, "Release", VERSION)
    log = tmp_path / "log"
    lines = [
        entry("other", "0.1.0+ffffffffffff"),
        entry("r-1", VERSION),
        entry("r-1", VERSION, 2),
        entry("r-12", VERSION),
    ]
    write(log, {"predictions-1.jsonl": "".join(json.dumps(line) + "\n" for line in lines) + '{"request_id": "cut'})
    answer = found(repository, "r-1", "--log", str(log))
    assert [each["commit"] for each in answer["commits"]] == [wanted]
    assert answer["requests"] == lines[1:3]
    assert answer["asked"] == "request r-1, 2 rows"
    text = ask(repository, "r-1", "--log", str(log)).stdout
    assert f'  answered at 2026-11-23T10:00:00Z by version {VERSION}: {{"prediction": 1}}\n' in text


def test_a_request_is_found_in_compacted_parquet(repository: Path, tmp_path: Path) -> None:
    wanted = commit(repository, MODEL, "Release", VERSION)
    (tmp_path / "log").mkdir()
    row = f"'r-1' AS request_id, '{VERSION}' AS version, now() AS time, {{'a': 1}} AS inputs, {{'p': 2}} AS output"
    duckdb.execute(f"COPY (SELECT {row}) TO '{tmp_path}/log/predictions-1.parquet' (FORMAT parquet)")
    assert commits(repository, "r-1", "--log", str(tmp_path / "log")) == [wanted]


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({}, "log: no prediction log there: no *.jsonl or *.parquet file"),
        ({"predictions-1.jsonl": json.dumps(entry("a", VERSION))}, "log: no request 'r-1' in 1 files of the log"),
        ({"predictions-1.jsonl": '\n{"request_id": "r-1", "ver'}, "log/predictions-1.jsonl:2: names the request, but"),
        ({"predictions-1.jsonl": '{"request_id": "r-1"}'}, "log/predictions-1.jsonl:1: no entry of a prediction log"),
        ({"predictions-1.parquet": "PAR1"}, "log/predictions-1.parquet: damaged: "),
        (
            {"predictions-1.jsonl": "\n".join(json.dumps(entry("r-1", version)) for version in ("1", "2"))},
            "request 'r-1' was answered by 1 and 2: trace each of them",
        ),
    ],
)  # fmt: skip
def test_a_log_without_the_request_or_damaged_is_one_line(repository: Path, files: dict[str, str], fault: str) -> None:
    commit(repository, MODEL, "Release", VERSION)
    (repository / "log").mkdir()
    write(repository / "log", files)
    done = ask(repository, "r-1", "--log", "log", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"trace: {fault}")
    assert done.stderr.count("\n") == 1


def test_a_damaged_wheel_is_named(repository: Path) -> None:
    commit(repository, MODEL, "First")
    write(repository, {"m.whl": "no zip"})
    assert ask(repository, "m.whl", check=False).stderr == "trace: m.whl: no wheel of a packaged model, or damaged\n"


def test_leaves_are_dotted() -> None:
    assert leaves({"a": {"b": 1, "c": [1, 2]}, "d": None}) == {"a.b": 1, "a.c": [1, 2], "d": None}


@pytest.mark.slow
def test_a_real_wheel_is_traced_in_a_clone_without_data(reproduced: Path, tmp_path: Path) -> None:
    run_in(tmp_path, "git", "clone", "-q", str(reproduced), "clone")
    # The last commit of `reproduced` is empty where the lock was up to date before.
    clone, made = tmp_path / "clone", git(reproduced, "log", "-1", "--format=%H", "dvc.lock")
    [wheel] = (reproduced / "data/package").glob("*.whl")
    changed = tmp_path / wheel.name
    changed.write_bytes(wheel.read_bytes())
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("more", "x")
    assert made in commits(clone, str(wheel))
    note = "a commit has this version, but with other bytes: this file was changed"
    assert found(clone, str(changed))["notes"] == [note]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    python_path = f"{ROOT}:{tmp_path / 'site'}"
    done = run_in(clone, "python", "-m", "tools.trace", "rides_model", "--json", PYTHONPATH=python_path)
    assert made in [each["commit"] for each in json.loads(done.stdout)["commits"]]
    answer = found(clone, "data/featurize/features.parquet")
    assert answer["notes"] == ["data/featurize is not here: taken as dvc.lock has it"]
    assert answer["made"]["not_of_this_run"] == []
    assert answer["made"]["gates"]
    assert commits(clone, "reports/evaluate/plots/roc.csv")
    assert "each as its report has it" in ask(reproduced, "check").stdout


@pytest.mark.slow
def test_a_trace_is_fast_where_a_thousand_runs_were_committed(repository: Path) -> None:
    commit(repository, MODEL, "First")
    stream = []
    for n in range(1000):
        text = lock(f"{n:032x}.dir") + "# a line of padding\n" * 2500  # 50 kB, as dvc.lock of this repository
        start = "from refs/heads/main^0\n" if n == 0 else ""
        stream.append(f"commit refs/heads/main\ncommitter T <t@e> {1_700_000_000 + n} +0000\ndata 1\nx\n{start}"
                      f"M 100644 inline dvc.lock\ndata {len(text)}\n{text}\n")  # fmt: skip
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository, input="".join(stream).encode(), check=True)
    begin = time.perf_counter()
    assert len(commits(repository, f"{500:032x}.dir")) == 1
    assert time.perf_counter() - begin < 10
