"""stages/shared/models/faithful.py: a compiled form that answers otherwise than the library is not used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier

from stages.runtime import linear, network
from stages.runtime.model import Model
from stages.shared.models.faithful import difference, store_faithful
from stages.shared.models.fit import Fitted, Task

X = np.random.default_rng(5).normal(size=(200, 3))
Y = {"binary": (X[:, 0] + X[:, 1] > 0).astype(int), "regression": X @ [1.0, -2.0, 0.5]}
MODELS = {
    "logistic": ("binary", LogisticRegression(), linear.Linear, "linear"),
    "ridge": ("regression", Ridge(), linear.Linear, "linear"),
    "network": ("binary", MLPClassifier((4,), max_iter=5, random_state=1), network.Network, "network"),
}


def fitted(name: str) -> tuple[Fitted, dict]:
    task, estimator, *_ = MODELS[name]
    if name == "network":
        with pytest.warns(match="Maximum iterations"):
            estimator.fit(X, Y[task])
    else:
        estimator.fit(X, Y[task])
    shared = {"task": task, "classes": ["no", "yes"] if task == "binary" else [], "threshold": 0.5}
    return Fitted(estimator, None, X.mean(axis=0).tolist()), shared


@pytest.mark.parametrize("name", MODELS)
def test_compiled_form_that_agrees_is_kept(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, shared = fitted(name)
    assert store_faithful(tmp_path, model, shared, X)["kind"] == MODELS[name][3]
    assert "off by" not in capsys.readouterr().err


@pytest.mark.parametrize("name", MODELS)
def test_compiled_form_that_is_off_gives_way_to_the_library(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, shared = fitted(name)
    form = MODELS[name][2]
    right = form.raw_matrix
    monkeypatch.setattr(form, "raw_matrix", lambda self, X: [[value + 1e-9 for value in row] for row in right(self, X)])
    assert store_faithful(tmp_path, model, shared, X)["kind"] == "skops"
    assert "compiled is off by" in capsys.readouterr().err
    task = Task(shared["task"], shared["classes"])
    assert difference(Model(tmp_path), model, task, X) < 1e-15
