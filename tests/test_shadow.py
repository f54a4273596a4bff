"""tools.shadow: two models answer the same log, and every difference is told."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from altered import altered
from conftest import run_in

from stages.runtime.journal.compact import compact
from stages.runtime.journal.log import PredictionLog
from stages.shared.errors import InputError
from tools.promote.wheel import wheel_in
from tools.shadow.asked import Asked, write_records
from tools.shadow.compared import compare, difference
from tools.shadow.text import markdown


@pytest.fixture
def wheel(small: Path) -> Path:
    [path] = (small / "data/package").glob("*.whl")
    return path


def examples(wheel: Path, name: str = "toy_model") -> list[dict[str, Any]]:
    with zipfile.ZipFile(wheel) as archive:
        return json.loads(archive.read(f"{name}/model/examples.json"))


def logged(folder: Path, wheel: Path, name: str = "toy_model", redact: tuple[str, ...] = ()) -> Path:
    """Return a log with each of the wheel's examples, written by its own version."""
    folder.mkdir()
    log = PredictionLog(folder, wheel.name.split("-")[1], redact)
    for number, example in enumerate(examples(wheel, name)):
        log.append({
            "time": time.time(), "request_id": f"r{number}", "route": "/predict", "seconds": 0.001,
            "n_bytes": 300, "records": [example["record"]], "answers": [example["answer"]],
        })  # fmt: skip
    log.close()
    return folder


def shadow(tmp_path: Path, log: Path, a: Path, b: Path) -> dict[str, Any]:
    asked = []
    for side, path in (("a", a), ("b", b)):
        (tmp_path / side).mkdir()
        shutil.copy(path, tmp_path / side)
        asked.append(Asked(side, wheel_in(tmp_path / side), tmp_path / f"{side}-unpacked"))
    n_records = write_records(log, tmp_path / "records.jsonl")
    return compare((asked[0], asked[1]), tmp_path / "records.jsonl", n_records, 3)


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_model_beside_itself_answers_as_it_did(wheel: Path, tmp_path: Path, is_compacted: bool) -> None:
    log = logged(tmp_path / "log", wheel)
    if is_compacted:
        assert compact(log)[0] == 1
    found = shadow(tmp_path, log, wheel, wheel)
    assert found["records"] == found["equal"] == len(examples(wheel)) > 0
    assert found["as_logged"]["a"] == found["as_logged"]["b"] == {"records": 5, "equal": 5}
    assert found["changed_predictions"]["records"] == 0
    assert found["difference"]["largest"] == 0
    assert found["examples"] == []
    assert "**Both give the same answer to all 5 records of the log.**" in markdown(found)


def test_other_decision_is_counted_with_its_interval_and_shown(wheel: Path, tmp_path: Path) -> None:
    log = logged(tmp_path / "log", wheel)
    with zipfile.ZipFile(wheel) as archive:
        [threshold] = [line for line in archive.read("toy_model/model/model.json").decode().splitlines()
                       if '"threshold"' in line]  # fmt: skip
    (tmp_path / "other").mkdir()
    never = altered(wheel, tmp_path / "other", "model/model.json", threshold.rstrip(","), ' "threshold": 1.5')
    found = shadow(tmp_path, log, wheel, never)
    positive = sum(example["answer"]["prediction"] == "yes" for example in examples(wheel))
    assert found["changed_predictions"]["records"] == positive > 0
    assert found["changes"] == [{"a": "yes", "b": "no", "records": positive}]
    assert found["difference"]["largest"] == 0
    share = found["changed_predictions"]
    assert 0 <= share["low"] < share["share"] == positive / 5 <= share["high"] <= 1
    assert found["as_logged"] == {"a": {"records": 5, "equal": 5}, "b": {"records": 0, "equal": 0}}
    text = "\n".join(markdown(found))
    assert f"{positive} of 5 answers differ; {positive} call another class" in text
    assert "| `yes` | `no` |" in text


def test_stricter_contract_is_told_as_refusals(wheel: Path, tmp_path: Path) -> None:
    log = logged(tmp_path / "log", wheel)
    (tmp_path / "other").mkdir()
    strict = altered(wheel, tmp_path / "other", "model/contract.json", '"max": 100', '"max": -1000')
    found = shadow(tmp_path, log, wheel, strict)
    assert found["refused_by"] == {"a": 0, "b": 5, "both": 0}
    assert found["refusals"] == {"a": {}, "b": {"size: max": 5}}
    assert "5 refused by B only" in "\n".join(markdown(found))


def test_what_the_log_does_not_keep_is_said(wheel: Path, tmp_path: Path) -> None:
    found = shadow(tmp_path, logged(tmp_path / "log", wheel, redact=("colour",)), wheel, wheel)
    assert found["redacted"] == {"colour": sum(bool(e["record"].get("colour")) for e in examples(wheel))}
    assert "the log does not keep it" in "\n".join(markdown(found))
    assert found["as_logged"]["a"]["records"] == 5 - found["redacted"]["colour"]


def test_differences_by_task() -> None:
    assert difference({"prediction": 3.0}, {"prediction": 2.5}) == -0.5
    p, q = {"no": 0.75, "yes": 0.25}, {"no": 0.5, "yes": 0.5}
    assert difference({"prediction": "no", "probabilities": p}, {"prediction": "no", "probabilities": q}) == 0.25
    p, q = {"a": 0.5, "b": 0.25, "c": 0.25}, {"a": 0.25, "b": 0.75, "d": 0.0}
    assert difference({"prediction": "a", "probabilities": p}, {"prediction": "b", "probabilities": q}) == 0.5


def test_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prediction log there"):
        write_records(tmp_path, tmp_path / "records.jsonl")


@pytest.mark.slow
def test_another_model_in_the_workspace_is_held_against_a_commit(reproduced: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(reproduced, workspace, symlinks=True)
    wheel = wheel_in(workspace / "data/package").path
    log = logged(tmp_path / "log", wheel, "rides_model")
    run_in(workspace, "dvc", "exp", "run", "-S", "model=linear", "package")
    told = run_in(workspace, "python", "-m", "tools.shadow", "HEAD", "--replay", str(log), "--json").stdout
    found = json.loads(told)
    assert found["a"]["version"] == wheel.name.split("-")[1] != found["b"]["version"]
    assert found["as_logged"]["a"] == {"records": 5, "equal": 5}
    assert found["equal"] == 0
    assert found["difference"]["largest"] > 0
    text = run_in(workspace, "python", "-m", "tools.shadow", "HEAD", "--replay", str(log)).stdout
    assert "5 of 5 answers differ" in text
