"""The glossary: its page is the one that the code gives, and no reported number is without entry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import sklearn.metrics
from conftest import ROOT

from stages.shared.evaluation.glossary import GLOSSARY
from tools import glossary

PARTS = ("value", "low", "high")


def test_the_page_is_what_the_code_gives() -> None:
    assert (ROOT / glossary.PAGE).read_text(encoding="utf-8") == glossary.page(), "run python -m tools.glossary"


@pytest.mark.parametrize("name", GLOSSARY)
def test_an_entry_is_whole_and_names_a_function_that_there_is(name: str) -> None:
    entry = GLOSSARY[name]
    assert all((entry.title, entry.formula, entry.span, entry.source))
    assert set(entry.tasks.split(", ")) <= {"binary", "multiclass", "regression"}
    if entry.scikit_learn:
        assert callable(getattr(sklearn.metrics, re.split(r"\(", entry.scikit_learn)[0]))


def reported(found: Any, name: str = "") -> set[str]:
    """Return the names under which values with an interval stand, anywhere in a report."""
    if isinstance(found, dict):
        own = {name} if set(PARTS) <= set(found) else set()
        return own.union(*(reported(part, key) for key, part in found.items()))
    return set().union(*(reported(part) for part in found)) if isinstance(found, list) else set()


def test_every_number_of_the_reports_is_explained(small: Path) -> None:
    evaluated = small / "reports/evaluate"
    intervals = reported(json.loads((evaluated / "intervals.json").read_text()))
    assert {"roc_auc", "ece"} <= intervals
    assert intervals | set(json.loads((evaluated / "metrics.json").read_text())) <= set(GLOSSARY)
