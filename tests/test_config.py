"""conf/ read strictly: every fault named with its key, all at once, in the file's order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from stages.shared.config import build, compose
from stages.shared.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Inner:
    share: float
    name: str = "none"


@dataclass(frozen=True)
class Conf:
    n_rows: int
    kind: Literal["first", "second"]
    inner: Inner
    is_on: bool = False
    ratio: float | str | None = None
    words: list[str] = field(default_factory=list)
    table: dict[str, Inner] = field(default_factory=dict)
    free: dict[str, Any] = field(default_factory=dict)


GOOD: dict[str, Any] = {"n_rows": 3, "kind": "first", "inner": {"share": 1}}
CONFIG = "defaults:\n  - data: null\n  - model: null\n  - _self_\nseed: null\n"
FILE = "n_rows: 3\nkind: first\ninner: {share: 0.5}\n"


def faults(**changes: Any) -> list[str]:
    found: list[str] = []
    build(Conf, {**GOOD, **changes}, "", found)
    return found


def test_good_values_become_the_dataclass():
    found: list[str] = []
    given = {**GOOD, "ratio": 0.5, "words": ["a"], "table": {1: {"share": 2, "name": "n"}}, "free": {"a": {"b": [1]}}}
    assert build(Conf, given, "", found) == Conf(
        3, "first", Inner(1), False, 0.5, ["a"], {"1": Inner(2, "n")}, {"a": {"b": [1]}}
    )
    assert found == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"n_row": 1}, "n_row: unknown key; did you mean 'n_rows'?"),
        ({"zzz": 1}, "zzz: unknown key"),
        ({"inner": {"share": 1, "nane": "x"}}, "inner.nane: unknown key; did you mean 'name'?"),
        ({"inner": {}}, "inner.share: missing"),
        ({"inner": None}, "inner: should be a mapping, got None"),
        ({"n_rows": True}, "n_rows: should be a whole number, got True"),
        ({"n_rows": "3"}, "n_rows: should be a whole number, got '3'"),
        ({"n_rows": 3.0}, "n_rows: should be a whole number, got 3.0"),
        ({"n_rows": None}, "n_rows: should be a whole number, got None"),
        ({"inner": {"share": "0.5"}}, "inner.share: should be a number, got '0.5'"),
        ({"inner": {"share": False}}, "inner.share: should be a number, got False"),
        ({"is_on": 1}, "is_on: should be true or false, got 1"),
        ({"is_on": "true"}, "is_on: should be true or false, got 'true'"),
        ({"kind": "frist"}, "kind: should be one of first, second, got 'frist'; did you mean 'first'?"),
        ({"kind": 1}, "kind: should be one of first, second, got 1"),
        ({"ratio": [1]}, "ratio: should be a number, or a text, got [1]"),
        ({"ratio": True}, "ratio: should be a number, or a text, got True"),
        ({"words": "a"}, "words: should be a list, got 'a'"),
        ({"words": ["a", 2]}, "words[1]: should be a text, got 2; quote it"),
        ({"table": [1]}, "table: should be a mapping, got [1]"),
        ({"table": {"a": {"share": "x"}}}, "table.a.share: should be a number, got 'x'"),
    ],
)
def test_fault_names_the_key_the_rule_and_what_was_given(changes, fault):
    assert faults(**changes) == [fault]


def test_all_faults_come_at_once_in_the_files_order():
    given = {"words": [1, "a", 2], "kidn": "first", "inner": {"name": 5}, "n_rows": "x"}
    found: list[str] = []
    assert build(Conf, given, "", found) is None
    assert found == ["words[0]: should be a text, got 1; quote it", "words[2]: should be a text, got 2; quote it",
                     "kidn: unknown key; did you mean 'kind'?", "inner.name: should be a text, got 5; quote it",
                     "inner.share: missing",
                     "n_rows: should be a whole number, got 'x'", "kind: missing"]  # fmt: skip


def test_file_that_is_no_mapping_is_said_so():
    found: list[str] = []
    build(Conf, None, "", found)
    assert found == ["the file: should be a mapping, got None"]


@pytest.mark.parametrize(
    ("given", "known", "hint"), [("forrest", ["forest", "linear"], "; did you mean 'forest'?"), ("x", ["forest"], "")]
)
def test_hint_is_given_only_for_a_near_name(given, known, hint):
    assert did_you_mean(given, known) == hint


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """A small conf/ in the current folder, with one good choice of one group."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "config.yaml").write_text(CONFIG)
    (tmp_path / "conf" / "model" / "forest.yaml").write_text(FILE)
    (tmp_path / "conf" / "model" / "linear.yaml").write_text(FILE)
    return tmp_path / "conf" / "model"


def test_choice_is_composed_with_seed_and_overrides(conf):
    assert compose("model", Conf, ["model=forest"]) == (Conf(3, "first", Inner(0.5)), "forest", -1)
    checked, choice, seed = compose(
        "model", Conf, ["model=linear", "seed=7", "model.inner.share=0.25", "model.n_rows=9"]
    )
    assert (checked.inner.share, checked.n_rows, choice, seed) == (0.25, 9, "linear", 7)


def test_overrides_come_from_the_command_line(conf, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "model=linear", "seed=2"])
    assert compose("model", Conf)[1:] == ("linear", 2)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["seed=7"], r"say which file of conf/model/ to use: model=NAME"),
        (["model=forrest"], r"model should be one of forest, linear, got 'forrest'; did you mean 'forest'\?$"),
        (["model=zzz"], r"^params.yaml: model should be one of forest, linear, got 'zzz'$"),
        (["model=forest",
        "model.nrows=3"], r"^conf/model/forest.yaml with model=forest model.nrows=3: .*model\.nrows"),
        (["model=forest", "seeed=3"], r"^conf/model/forest.yaml with model=forest seeed=3: .*seeed"),
        (["model=forest", "seed=1.5"], r"^params.yaml: seed should be a whole number from 0 to .*, got 1.5$"),
        (["model=forest", "seed=true"], r"^params.yaml: seed should be a whole number from 0 to .*, got True$"),
        (["model=forest", "model.n_rows=x", "model.kind=9"],
         r"is not valid\n  n_rows: should be a whole number, got 'x'\n  kind: should be one of .*, got 9$"),
    ],
)  # fmt: skip
def test_wrong_command_line_is_one_message(conf, argv, message):
    with pytest.raises(InputError, match=message):
        compose("model", Conf, argv)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_rows: 3\nkind: [first\ninner: {share: 1}\n", r"^conf/model/forest.yaml, line 3, column \d+: not valid "),
        ("n_rows: 3\n\tkind: first\n", r"^conf/model/forest.yaml, line 2, column 1: not valid YAML: "),
        ("n_rows: 3\nkind: first\nkind: second\ninner: {share: 1}\n", r"forest.yaml, line 3, .*duplicate key"),
        ("- n_rows\n", r"^conf/model/forest.yaml"),
        ("3\n", r"^conf/model/forest.yaml"),
        ("", r"^conf/model/forest.yaml"),
        ("n_rows: 3\nkind: first\ninner: {share: '${nowhere}'}\n", r"forest.yaml with model=forest: .*nowhere"),
        ("n_rows: yes\nkind: first\ninner: {share: 1}\n", r"n_rows: should be a whole number, got (True|'yes')$"),
        ("n_rows: 3\nkind: first\ninner: {share: '1'}\n", r"is not valid\n  inner.share: should be a number, got '1'$"),
        ("kind: first\nzzz: 1\n", r"is not valid\n  zzz: unknown key\n  n_rows: missing\n  inner: missing$"),
    ],
)  # fmt: skip
def test_broken_file_is_named_with_what_is_wrong(conf, text, message):
    (conf / "forest.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        compose("model", Conf, ["model=forest"])


def test_file_that_is_not_utf_8_is_named(conf):
    (conf / "forest.yaml").write_bytes(b"n_rows: 3 # \xff\n")
    with pytest.raises(InputError, match=r"^conf/model/forest.yaml"):
        compose("model", Conf, ["model=forest"])


def test_broken_root_is_named_itself(conf):
    (conf.parent / "config.yaml").write_text("defaults:\n  - model: [\n")
    with pytest.raises(InputError, match=r"^conf/config.yaml, line "):
        compose("model", Conf, ["model=forest", "model.n_rows=3"])
