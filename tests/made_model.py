"""A model folder as a wheel holds it, made in a second: a contract with columns of every type, and small trees."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from conftest import ROOT

from stages.runtime.contract import Column, Contract
from stages.runtime.expression import Rule
from stages.runtime.predictor import Predictor
from stages.shared.models.store import store

CLASSES = {"binary": ["no", "yes"], "multiclass": ["a<b", "b & c", 'c"'], "regression": None}
COLUMNS = {
    "id": Column("integer", "key", nullable=False, unique=True),
    "rooms": Column("integer", min=0, max=50, unit="rooms", description="rooms of the house"),
    "size": Column("number", nullable=False, min=0, max=1e6, unit="m2"),
    "share": Column("number", decimal=","),
    "price": Column("money", min=0),
    "rate": Column("percent"),
    "sold": Column("boolean", nullable=False),
    "colour": Column("category", nullable=False, values=["red", "green", "1", 'a "b" <c>']),
    "code": Column("category"),
    "note": Column("text", max_length=40),
    "built": Column("date", min="1900-01-01"),
    "listed": Column("timestamp"),
    "seen": Column("timestamp", "time", timezone="Europe/Rome"),
}
RULES = {"enough": Rule("size >= rooms", description="a room has a square metre"), "order": Rule("listed >= built")}
PARTS = [("built", "weekday"), ("listed", "month"), ("listed", "hour"), ("seen", "day"), ("seen", "hour")]
PLAN = [
    *({"name": n, "op": "number", "column": n} for n in ("rooms", "size", "share", "price", "rate")),
    {"name": "sold", "op": "number", "column": "sold"},
    {"name": "colour", "op": "category", "column": "colour", "levels": ["red", "1"]},
    {"name": "code", "op": "category", "column": "code", "levels": ["7", "x"]},
    {"name": "note", "op": "missing", "column": "note"},
    *({"name": f"{n} {p}", "op": "part", "part": p, "column": n} for n, p in PARTS),
]  # fmt: skip
RECORDS: list[dict[str, Any]] = [
    {"rooms": 3, "size": 81.5, "share": 0.25, "price": 1250.5, "rate": 12, "sold": True, "colour": 'a "b" <c>',
     "code": "7", "note": "by the sea, </script><b>", "built": "1987-03-01", "listed": "2020-02-29 12:30:05",
     "seen": "2020-03-01 08:00:00Z"},
    {"rooms": None, "size": 40, "share": None, "price": None, "rate": None, "sold": False, "colour": "1", "code": None,
     "note": None, "built": None, "listed": None, "seen": None},
]  # fmt: skip


def made_contract(task: str) -> Contract:
    """Return a contract with columns of every type, and rules over several."""
    kind = "number" if task == "regression" else "category"
    target = Column(kind, "target", values=CLASSES[task], description="what becomes of it")
    columns = {**COLUMNS, "outcome": target}
    return Contract("made", task, "yes" if task == "binary" else None, columns, ["", "NA"], RULES)


def make_model(folder: Path, task: str) -> Predictor:
    """Write a model folder and the records that it is tried with, and return what is loaded from it."""
    random = np.random.default_rng(7)
    X = random.normal(20, 30, (400, len(PLAN)))
    X[random.random(X.shape) < 0.1] = np.nan
    signal = np.nan_to_num(X).sum(axis=1)
    cuts = {"binary": [0.5], "multiclass": [0.3, 0.7]}
    options = {"n_estimators": 20, "min_child_samples": 5, "verbose": -1, "n_jobs": 1}
    if task == "regression":
        estimator: Any = lightgbm.LGBMRegressor(**options).fit(X, signal)
    else:
        estimator = lightgbm.LGBMClassifier(**options).fit(X, np.searchsorted(np.quantile(signal, cuts[task]), signal))
    meta = {"task": task, "classes": CLASSES[task] or [], "dense": None, "threshold": 0.5, "factors": [1.0] * 3}
    if task == "regression":
        meta["interval"] = {"quantile": 3.5, "x": [], "y": []}
    store(folder, estimator, meta)
    (folder / "contract.json").write_text(json.dumps(made_contract(task).to_json()))
    (folder / "plan.json").write_text(json.dumps(PLAN))
    predictor = Predictor(folder)
    examples = [{"record": record, "answer": predictor.predict(record)} for record in RECORDS]
    (folder / "examples.json").write_text(json.dumps(examples))
    return predictor


SERVE = """
import json, sys
from pathlib import Path
from stages.runtime.predictor import Predictor
from stages.runtime.serving.assembly import assemble
from stages.runtime.serving.command import address, bind
from stages.runtime.serving.counters import shared_memory
from stages.runtime.serving.settings import Limits
from stages.runtime.serving.worker import work
folder, keys = Path(sys.argv[1]), [key.encode() for key in sys.argv[2:]]
examples, listening = json.loads((folder / "examples.json").read_text()), bind("127.0.0.1", 0)
service = assemble(Predictor(folder), examples, "made", "1+a", Limits(), keys, shared_memory(1), 0)
work(service, listening, None, lambda: print(address(listening), flush=True))
"""


@contextmanager
def serving_made(folder: Path, *keys: str) -> Iterator[str]:
    """Serve a made model folder in a process of its own, with API keys where there are any; yields its address."""
    command = [sys.executable, "-c", SERVE, str(folder), *keys]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address
            yield address
        finally:
            process.terminate()
    assert process.returncode == 0
