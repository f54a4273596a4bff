"""package: a wheel that installs alone, answers as evaluate saw it, and refuses what was changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import run_stage


def wheel(folder: Path) -> Path:
    [path] = (folder / "data/package").glob("*.whl")
    return path


@pytest.fixture
def unpacked(small: Path, tmp_path: Path) -> Path:
    """The wheel of the toy table, unpacked."""
    with zipfile.ZipFile(wheel(small)) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def ask(site: Path, code: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python that sees nothing of this repository but the unpacked wheel."""
    lines = f"import sys; sys.path.insert(0, {str(site)!r}); import json, toy_model\n{code}"
    return subprocess.run([sys.executable, "-I", "-c", lines], cwd=site, text=True, capture_output=True, check=check)


def example(site: Path) -> dict[str, Any]:
    return json.loads((site / "toy_model/model/examples.json").read_text())[0]


def test_two_builds_give_the_same_bytes(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    first = wheel(folder).read_bytes()
    run_stage(folder, "package", "packaging=standard")
    assert wheel(folder).read_bytes() == first


def test_predict_needs_neither_scikit_learn_nor_pandas(unpacked: Path) -> None:
    record = example(unpacked)["record"]
    code = f"print(json.dumps(toy_model.predict(json.loads({json.dumps(record)!r}))))"
    heavy = "assert not {'lightgbm', 'sklearn', 'pandas', 'scipy', 'duckdb', 'stages'} & set(sys.modules)"
    assert json.loads(ask(unpacked, f"{code}\n{heavy}").stdout) == example(unpacked)["answer"]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: {**record, "size": str(record["size"])},
        lambda record: {**record, "size": float(record["size"])},
        lambda record: {**record, "size": f"  {record['size']} "},
        lambda record: dict(reversed(record.items())),
        lambda record: {**record, "day": f"{record['day']}T00:00:00"},
        lambda record: {**record, "note": ""} if record["note"] is None else record,
        lambda record: {key: value for key, value in record.items() if value is not None},
        lambda record: {**record, "id": 5, "bought": None},
    ],
)
def test_the_same_record_written_otherwise_has_the_same_answer(unpacked: Path, change: Any) -> None:
    found = example(unpacked)
    record = change(found["record"])
    assert json.loads(ask(unpacked, f"print(json.dumps(toy_model.predict({record!r})))").stdout) == found["answer"]


def test_a_broken_record_is_refused_with_all_its_faults(unpacked: Path) -> None:
    record = {**example(unpacked)["record"], "size": 500, "colour": "mauve", "sise": 3}
    code = f"""
try: toy_model.predict({record!r})
except toy_model.BrokenContract as error: print(sorted((v.column, v.rule, v.value) for v in error.violations))"""
    expected = [("colour", "values", "mauve"), ("sise", "unknown", "3"), ("size", "max", "500")]
    assert ask(unpacked, code).stdout.strip() == str(expected)


@pytest.mark.parametrize("member", ["model.txt", "plan.json", "contract.json", "card.md"])
def test_a_changed_byte_is_refused_before_anything_is_read(unpacked: Path, member: str) -> None:
    path = unpacked / "toy_model/model" / member
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = ask(unpacked, "toy_model.predict({})", check=False)
    assert done.returncode != 0
    assert f"{member}: SHA-256 should be" in done.stderr


def test_the_command_line_verifies_predicts_and_informs(unpacked: Path) -> None:
    found = example(unpacked)
    code = "from toy_model.runtime.cli import main; main(sys.argv[1:])"

    def command(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        lines = f"import sys; sys.path.insert(0, {str(unpacked)!r}); {code}"
        return subprocess.run([sys.executable, "-I", "-c", lines, *words], text=True, capture_output=True, input=given)

    assert command("verify").stdout.endswith(" files as packaged; 5 example records answered exactly as packaged\n")
    done = command("predict", given=json.dumps(found["record"]) + "\n[1]\n{not json\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0] == found["answer"]
    assert [answer["violations"][0]["rule"] for answer in answers[1:]] == ["object", "json"]
    assert done.returncode == 1
    assert json.loads(command("info").stdout)["task"] == "binary"


def test_the_replay_notices_a_model_that_is_not_the_evaluated_one(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    run_stage(folder, "train", "model=boosting", "seed=2")  # and evaluate is not run again
    done = run_stage(folder, "package", "packaging=standard", check=False)
    assert done.returncode != 0
    assert "evaluate saw" in done.stderr


@pytest.mark.slow
def test_the_wheel_installs_into_an_empty_environment_and_answers(small: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    bin_folder = tmp_path / "venv/bin"
    subprocess.run([bin_folder / "pip", "install", "-q", wheel(small)], check=True, capture_output=True)
    done = subprocess.run(
        [bin_folder / "toy_model", "verify"], text=True, capture_output=True, check=True, cwd=tmp_path
    )
    assert done.stdout.endswith("; 5 example records answered exactly as packaged\n")
    [record] = [json.dumps(row["record"]) for row in json.loads(zipfile.ZipFile(wheel(small)).read(
        "toy_model/model/examples.json"))[:1]]  # fmt: skip
    answer = subprocess.run(
        [bin_folder / "toy_model", "predict"], input=record, text=True, capture_output=True, check=True
    )
    assert "probabilities" in json.loads(answer.stdout)
    listed = subprocess.run([bin_folder / "pip", "list", "--format=json"], text=True, capture_output=True, check=True)
    assert len(json.loads(listed.stdout)) <= 8
