"""Numbers at the ends of float64: every choice of model trains on them and answers any number, and nothing warns."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run_stage

from stages.runtime.predictor import Predictor
from stages.shared.rows import check_size

CHOICES = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml"))
LARGEST = 1.7976931348623157e308
CONTRACT = """task: {task}
source: {{path: data/raw/huge/huge.csv}}
columns:
  id: {{type: integer, role: key, unique: true}}
  limit: {{type: number}}
  mixed: {{type: number}}
  tiny: {{type: number}}
  single: {{type: number}}
  size: {{type: number}}
  label: {{{label}, role: target}}
split: {{by: key, validation: 0.25, test: 0.2}}
"""
NEW = [
    {"limit": LARGEST, "mixed": -LARGEST, "tiny": LARGEST, "single": -LARGEST, "size": LARGEST},
    {"limit": -LARGEST, "mixed": 5e-324, "tiny": -1e308, "single": 3.5e38, "size": -LARGEST},
    {"limit": None, "mixed": None, "tiny": None, "single": None, "size": None},
    {"limit": 0, "mixed": 1e300, "tiny": 4e-300, "single": -0.0, "size": 50},
]


def write_table(folder: Path, task: str, unit: float = 1.0) -> Path:
    """A workspace with a table whose columns are huge, tiny, both, beyond float32, and ordinary."""
    random_, lines = random.Random(1), ["id,limit,mixed,tiny,single,size,label"]
    for i in range(260):
        limit = ["", f"{LARGEST}", f"-{LARGEST}"][i % 3] if i % 5 == 0 else repr(LARGEST * random_.uniform(-1, 1))
        mixed, single = (
            random_.choice(["1e300", "-1e300", "1e-300", "5e-324", "3"]),
            random_.choice(["3.5e38", "-1e39"]),
        )
        size = i * 37 % 101
        value = (size + 30 * random_.random()) * unit
        label = repr(value) if task == "regression" else "np"[value > 60]
        lines.append(f"{i},{limit},{mixed},{random_.random() * 1e-299},{single},{size},{label}")
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "data/raw/huge").mkdir(parents=True)
    (folder / "data/raw/huge/huge.csv").write_text("\n".join(lines) + "\n")
    target = "type: number" if task == "regression" else 'type: category, values: ["n", "p"]'
    contract = CONTRACT.format(task=task, label=target)
    (folder / "conf/data/huge.yaml").write_text(contract + ("positive: p\n" if task == "binary" else ""))
    run_stage(folder, "prepare", "data=huge")
    run_stage(folder, "featurize", "features=standard")
    return folder


@pytest.fixture(scope="module", params=["binary", "regression"])
def huge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("huge") / "workspace", str(request.param))


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [name if name in ("boosting", "linear") else pytest.param(name, marks=pytest.mark.slow) for name in CHOICES],
)
def test_every_choice_trains_on_them_and_answers_any_number(huge: Path, model: str) -> None:
    if model == "xgboost":
        pytest.importorskip("xgboost")
    done = run_stage(huge, "train", f"model={model}", "seed=1")
    assert "Warning" not in done.stderr
    for source in ("prepare/contract.json", "featurize/plan.json"):
        shutil.copy(huge / "data" / source, huge / "data/train")
    predictor = Predictor(huge / "data/train")
    together = predictor.predict_many(NEW)
    assert [predictor.predict(record) for record in NEW] == together
    assert json.dumps(together, allow_nan=False)
    for record in NEW:
        told = predictor.explain(record)
        assert json.dumps(told, allow_nan=False)
        if predictor.contract.task == "regression":
            assert told["base"] + sum(told["contributions"].values()) == pytest.approx(told["prediction"], rel=1e-6)


@pytest.mark.parametrize("unit", [1e150, 1e-300])
def test_a_target_that_cannot_be_squared_is_one_line(tmp_path: Path, unit: float) -> None:
    folder = write_table(tmp_path / "workspace", "regression", unit)
    done = run_stage(folder, "train", "model=linear", "seed=1", check=False)
    assert done.returncode == 1
    assert "train: label: the largest of its train numbers is 1.2" in done.stderr
    assert "it should lie between 1e-18 and 1e+18; use another unit" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, -1e18], [1e-18, 0.0], []])
def test_ordinary_sizes_pass(values: list[float]) -> None:
    check_size("label", np.array(values), "train")
