"""stages/shared/packaging: the wheel is installed by itself and asked what evaluate asked, before it goes out."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from altered import altered

from stages.shared.errors import InputError
from stages.shared.packaging.environment import clean_environment
from stages.shared.packaging.replay import check_latency, replay
from stages.shared.packaging.requirements import Pin, packages_of, read_lock, served_by
from stages.shared.packaging.served import batches

NEEDED = served_by(read_lock(), packages_of(["lightgbm"], has_zones=False))
Examples = tuple[list[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture
def wheel(small: Path) -> Path:
    [path] = (small / "data/package").glob("*.whl")
    return path


@pytest.fixture
def examples(wheel: Path) -> Examples:
    with zipfile.ZipFile(wheel) as archive:
        found = json.loads(archive.read("toy_model/model/examples.json"))
    return [example["record"] for example in found], [example["answer"] for example in found]


def test_wheel_that_says_what_was_expected_passes(wheel: Path, examples: Examples) -> None:
    ratio = replay(wheel, "toy_model", NEEDED, *examples, n_alone=3)
    assert 0 < ratio < 1000


def test_environment_holds_the_wheel_and_what_it_needs_only(wheel: Path, tmp_path: Path) -> None:
    python = clean_environment(tmp_path / "env", wheel, NEEDED)
    code = "import importlib.util as u; print([n for n in ('toy_model', 'numpy', 'scipy', 'stages') if u.find_spec(n)])"
    assert subprocess.check_output([python, "-c", code], text=True, cwd=tmp_path).strip() == "['toy_model', 'numpy']"


def test_other_answer_of_the_wheel_is_told_with_its_row(wheel: Path, examples: Examples) -> None:
    records, expected = examples
    other = [*expected[:2], {**expected[2], "prediction": "neither"}, *expected[3:]]
    with pytest.raises(RuntimeError, match=r"test row 3: evaluate saw .*neither.*, the wheel answers"):
        replay(wheel, "toy_model", NEEDED, records, other, n_alone=0)


@pytest.mark.parametrize(
    ("member", "old", "new", "who"),
    [
        ("serving/routes.py", "content = {**answer,", 'content = {**answer, "prediction": "?",', "the service answers"),
        ("serving/routes.py", '{"answers": answers}', '{"answers": answers[::-1]}', "the service, asked together"),
        ("serving/worker.py", "on_ready()", "raise SystemExit(3)", "the packaged service did not start"),
        ("serving/routes.py", "return _told(service", "raise KeyError; return _told(service", "refuses .* with 500"),
    ],
)  # fmt: skip
def test_fault_of_the_service_is_seen(
    wheel: Path, examples: Examples, tmp_path: Path, member: str, old: str, new: str, who: str
) -> None:
    copy = altered(wheel, tmp_path, f"runtime/{member}", old, new)
    with pytest.raises(RuntimeError, match=who):
        replay(copy, "toy_model", NEEDED, *examples, n_alone=2)


def test_missing_distribution_is_named(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no-such-thing, which the wheel needs, is not installed"):
        clean_environment(tmp_path / "env", wheel, [Pin("no-such-thing", "1.0", "", [], [])])


def test_latency_beyond_the_budget_stops_the_stage() -> None:
    check_latency(19.0, 20.0, "conf/packaging/strict.yaml")
    check_latency(900.0, None, "conf/packaging/standard.yaml")
    with pytest.raises(InputError, match=r"max_latency_ratio is 20, but one row over HTTP takes 21\.5 times"):
        check_latency(21.5, 20.0, "conf/packaging/strict.yaml")


def test_batches_hold_every_text_once_in_order() -> None:
    bodies = ["a" * 3_000_000, "b" * 3_000_000, *["c"] * 1200, "d" * 9_000_000, "e"]
    found = [list(batch) for batch in batches(bodies)]
    assert [text for batch in found for text in batch] == bodies
    assert all(len(batch) <= 500 for batch in found)
    assert all(len(batch) == 1 or sum(map(len, batch)) <= 4_000_000 for batch in found)
    assert list(batches([])) == []
