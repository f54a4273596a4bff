"""The comparison with rivals: same rows and columns, paired differences, ranks that ties share, absent rivals."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import lightgbm
import numpy as np
import pandas as pd
import pytest

from stages.runtime.contract import Column, Contract
from stages.shared.rows import Rows
from tests.benchmarks.draft_tables import choose
from tests.benchmarks.versus import export, run_rival
from tests.benchmarks.versus_rival import RIVALS, plain, scores_of
from tests.benchmarks.versus_rival import read as read_frame
from tests.benchmarks.versus_score import Answer, Outcome, closing, line, losses, places, ranks, score, summary

COLUMNS = {
    "id": Column("integer", "key"),
    "size (cm)": Column("number"),
    "colour": Column("category"),
    "is new": Column("boolean"),
    "day": Column("date", "time"),
    "empty": Column("number"),
    "owner": Column("category", "group"),
    "bought": Column("category", "target", values=["yes", "no"]),
}
CONTRACT = Contract("made", "binary", "yes", COLUMNS, [])
SIDES = ["train", "train", "validation", "test", "train"]


def rows() -> list[tuple[Any, ...]]:
    """Return 300 rows as prepare leaves them: the big and red ones are bought, with exceptions."""
    made = []
    for i in range(300):
        size, colour = i * 37 % 101, [None, "red", "green", "blue"][i % 4]
        bought = "yes" if size + 30 * (colour == "red") + i * 13 % 29 > 75 else "no"
        is_new = [True, False, None][i % 3]
        day = f"2024-{i // 30 + 1:02d}-{i % 28 + 1:02d}"
        made.append((i, SIDES[i % 5], i, float(size), colour, is_new, day, None, f"o{i % 50}", bought))
    return made


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A folder with the 300 rows as a rival gets them."""
    connection = duckdb.connect()
    types = ["BIGINT", "VARCHAR", "BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN", "DATE", "DOUBLE", "VARCHAR", "VARCHAR"]
    names = ["_row", "_split", *COLUMNS]
    declared = ", ".join(f'"{name}" {kind}' for name, kind in zip(names, types, strict=True))
    connection.execute(f"CREATE TABLE kept ({declared})")
    connection.executemany(f"INSERT INTO kept VALUES ({', '.join('?' * len(types))})", rows())
    connection.execute(f"COPY kept TO '{tmp_path}/kept.parquet' (FORMAT parquet)")
    export(tmp_path / "kept.parquet", CONTRACT, tmp_path)
    return tmp_path


def read(path: Path) -> list[tuple[Any, ...]]:
    return duckdb.execute(f"SELECT * FROM '{path}'").fetchall()


def outcome(values: dict[str, list[float]], task: str = "regression", notes: dict[str, str] | None = None) -> Outcome:
    """An outcome with the headline metric given: the sample's value, then the resamples'."""
    answers = {system: Answer(np.zeros((1, 1)), 2.0, 0.5) for system in values}
    answers |= {system: Answer(note=note) for system, note in (notes or {}).items()}
    found = {system: np.array(column) for system, column in values.items()}
    return Outcome("made", task, {"train": 3, "validation": 1, "test": 1}, 20.0, answers, found)


def test_a_rival_gets_training_and_validation_rows_and_what_a_prediction_may_read(exported: Path) -> None:
    train, test = read(exported / "train.parquet"), read(exported / "test.parquet")
    kept = [row for row in rows() if row[1] != "test"]
    assert [row[:3] for row in train] == [(row[3], row[4], row[5]) for row in kept]
    assert [row[-1] for row in train] == [int(row[-1] == "yes") for row in kept]
    assert [(row[0], str(row[3])) for row in test] == [(row[3], row[6]) for row in rows() if row[1] == "test"]
    assert len(test[0]) == 5, "no key, no group, no target"
    kinds = json.loads((exported / "task.json").read_text())["kinds"]
    assert list(kinds.values()) == ["number", "label", "boolean", "moment", "number"]


def test_numbers_are_floats_and_booleans_not_of_pandas_own_type(tmp_path: Path) -> None:
    """AutoGluon says of those that it may misread them, and of a gap in whole numbers that it takes it for 0."""
    query = "SELECT * FROM (VALUES (1, true, 2, false, 'x'), (NULL, NULL, 3, true, 'y')) AS t(a, b, c, d, e)"
    duckdb.execute(f"COPY ({query}) TO '{tmp_path}/x.parquet' (FORMAT parquet)")
    kinds = {"a": "number", "b": "boolean", "c": "number", "d": "boolean", "e": "label"}
    found = read_frame(tmp_path / "x.parquet", kinds)
    assert [str(dtype) for dtype in found.dtypes][:4] == ["float64", "object", "float64", "bool"]
    assert found["b"].tolist() == [True, None]


def test_lightgbm_says_what_it_says_when_fitted_by_hand(exported: Path) -> None:
    answer = run_rival(sys.executable, "lightgbm", exported, budget=20, limit=100)
    columns = {side: [[], [], [], []] for side in ("train", "test")}
    for row in rows():
        side = columns["test" if row[1] == "test" else "train"]
        for column, value in zip(side, (row[3], row[4], row[5], row[6]), strict=True):
            column.append(value)
    colours, booleans = pd.CategoricalDtype(["red", "blue", "green"]), pd.CategoricalDtype([True, False])
    frames = {
        side: pd.DataFrame(
            {
                "size": sizes,
                "colour": pd.Series(labels, dtype=colours),
                "new": pd.Series(flags, dtype=booleans),
                "day": [pd.Timestamp(day).timestamp() for day in days],
            }
        )
        for side, (sizes, labels, flags, days) in columns.items()
    }
    y = [int(row[-1] == "yes") for row in rows() if row[1] != "test"]
    model = lightgbm.LGBMClassifier(n_jobs=2, verbosity=-1).fit(frames["train"], y)
    assert answer.scores is not None
    assert answer.scores[:, 0] == pytest.approx(model.predict_proba(frames["test"])[:, 1], abs=1e-12)
    assert answer.fit > 0


@pytest.mark.slow
def test_hist_gradient_boosting_survives_a_column_without_values(exported: Path) -> None:
    answer = run_rival(sys.executable, "hist_gradient_boosting", exported, budget=20, limit=100)
    y = np.array([int(row[-1] == "yes") for row in rows() if row[1] == "test"])
    assert answer.scores is not None
    assert answer.scores.shape == (60, 1)
    values, _ = score("binary", some_rows(y), {"it": answer})
    assert values["it"][0] > 0.9


def test_levels_past_the_most_frequent_and_new_ones_are_missing_ties_go_by_text() -> None:
    task = {"kinds": {"c0": "label"}}
    prepare = plain(task, pd.DataFrame({"c0": ["e", "c", "c", "c", "b", "a", "b", "e", None]}), max_levels=2)
    found = prepare(pd.DataFrame({"c0": ["a", "b", "c", "d", "e", None]}))["c0"]
    assert found.isna().tolist() == [True, False, False, True, True, True]
    assert found.cat.categories.tolist() == ["c", "b"]


def test_a_class_that_a_model_has_not_seen_gets_no_probability() -> None:
    class Model:
        classes_ = (0, 2)

        def predict_proba(self, X: Any) -> np.ndarray:
            return np.array([[0.25, 0.75]])

    found = scores_of({"kind": "multiclass", "n_classes": 3}, Model(), [0])
    assert found.tolist() == [[0.25, 0, 0.75]]


@pytest.mark.parametrize("name", ["flaml", "autogluon_good"])
def test_a_rival_that_is_not_installed_is_a_column_that_says_so(exported: Path, name: str) -> None:
    assert find_spec(RIVALS[name][0].split(".")[0]) is None, "this test wants an environment without it"
    answer = run_rival(sys.executable, name, exported, budget=20, limit=100)
    assert answer == Answer(note="not installed")
    found = outcome({"ours": [0.5, 0.5, 0.5]}, notes={name: answer.note})
    assert line(found, ["ours", name]).endswith("| **0.5000** | not installed |")
    assert [row["system"] for row in summary([found], ["ours", name])] == ["ours"]
    assert f"{name}: not installed." in closing([found], ["ours", name], "lightgbm")


def test_a_rival_that_fails_is_a_note_and_its_words_are_shown(
    exported: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (exported / "task.json").write_text("{}")
    assert run_rival(sys.executable, "lightgbm", exported, budget=20, limit=100).note == "failed"
    assert "KeyError: 'kinds'" in capfd.readouterr().err


def test_a_rival_is_stopped_at_the_limit(exported: Path) -> None:
    assert run_rival(sys.executable, "lightgbm", exported, budget=20, limit=0.01).note == "stopped after 0 s"
    assert not (exported / "lightgbm.parquet").exists()


def test_systems_that_no_interval_tells_apart_share_a_rank() -> None:
    """first - second and second - third hold 0; first - third does not: 1, 1, and 2 for the one that one beats."""
    first, third = [0.9, 0.9, 0.9, 0.9, 0.9], [0.7, 0.7, 0.7, 0.7, 0.7]
    found = outcome({"first": first, "second": [0.8, 0.6, 0.8, 0.85, 1.0], "third": third})
    assert ranks(found) == {"first": 1, "second": 1, "third": 2}
    assert places(found) == {"first": 1, "second": 2, "third": 3}
    assert line(found, ["second", "first", "third"]).endswith("| 0.8000 | **0.9000** = | 0.7000 = |")
    assert line(found, ["first", "second", "third"]).endswith("| **0.9000** | 0.8000 = | 0.7000 + |")
    assert line(found, ["third", "second", "first"]).endswith("| 0.7000 | 0.8000 = | **0.9000** - |")


def test_equal_scores_share_the_mean_of_their_places() -> None:
    assert places(outcome({"a": [0.5], "b": [0.7], "c": [0.7], "d": [0.9]})) == {"a": 4, "b": 2.5, "c": 2.5, "d": 1}


def test_who_failed_stands_last_where_it_failed() -> None:
    both = outcome({"ours": [0.9, 0.9, 0.9], "it": [0.8, 0.8, 0.8], "third": [0.7, 0.7, 0.7]})
    failed = outcome({"ours": [0.9, 0.9, 0.9], "third": [0.9, 0.9, 0.9]}, notes={"it": "failed"})
    ours, it, third = summary([both, failed, both], ["ours", "it", "third"])
    assert (ours["mean_rank"], ours["mean_place"], ours["fit"]) == (1, 3.5 / 3, 6)
    assert (it["mean_rank"], it["mean_place"]) == (7 / 3, 7 / 3)
    assert (it["better"], it["worse"], it["failed"], it["fit"], it["predict"]) == (2, 0, 1, 4, 1)
    assert (third["mean_rank"], third["mean_place"], third["cannot tell"]) == (7 / 3, 7.5 / 3, 1)


def test_seconds_that_were_not_measured_are_left_open() -> None:
    found = outcome({"ours": [0.9, 0.9, 0.9], "it": [0.8, 0.8, 0.8]})
    found.answers["ours"] = Answer(np.zeros((1, 1)), 4.0)
    assert "| ours | 1.00 | 1.00 |  |  |  |  | 4 |  |" in closing([found], ["ours", "it"], "it")
    assert "| it | 2.00 | 2.00 | 1 | 0 | 0 | 0 | 2 | 0.5 |" in closing([found], ["ours", "it"], "it")


def some_rows(y: np.ndarray, group: np.ndarray | None = None) -> Rows:
    return Rows(np.zeros((len(y), 1)), y, np.arange(len(y)), None, group)


def test_the_difference_is_paired() -> None:
    """Errors that are all 5% larger lower R2 in every resample, by much less than R2 itself moves."""
    random = np.random.default_rng(5)
    y, error = random.normal(size=200), random.normal(size=200)
    answers = {"near": Answer((y - error)[:, None]), "far": Answer((y - 1.05 * error)[:, None])}
    values, metrics = score("regression", some_rows(y), answers)
    found = Outcome("made", "regression", {}, 20.0, answers, values, metrics)
    row = found.verdict("near", "far")
    wanted = (1.05**2 - 1) * (error**2).sum() / ((y - y.mean()) ** 2).sum()
    assert row["value"] == pytest.approx(wanted, abs=1e-6)
    assert row["verdict"] == "better"
    assert 0 < row["low"] < wanted < row["high"]
    assert np.quantile(values["near"], 0.025) < values["far"][0], "alone, their intervals overlap"


def test_groups_are_drawn_whole() -> None:
    """Better on every row of two owners and worse on those of a third: sure by rows, a matter of luck by owners."""
    owner = np.repeat([0, 1, 2], 100)
    y = np.tile([0.0, 1.0], 150)
    errors = {"one": np.where(owner == 2, 0.4, 0.1), "other": np.where(owner == 2, 0.1, 0.35)}
    answers = {name: Answer((y + error)[:, None]) for name, error in errors.items()}
    verdicts = []
    for group in (None, owner):
        values, _ = score("regression", some_rows(y, group), answers)
        verdicts.append(Outcome("made", "regression", {}, 20.0, answers, values).verdict("one", "other")["verdict"])
    assert verdicts == ["better", "cannot tell"]


def test_only_losses_of_more_than_half_a_percent_are_listed() -> None:
    near = outcome({"ours": [0.8961, 0.8961, 0.8961], "lightgbm": [0.9, 0.9, 0.9]})
    far = outcome({"ours": [0.8954, 0.8954, 0.8954], "lightgbm": [0.9, 0.9, 0.9]})
    below = outcome({"ours": [-0.21, -0.21, -0.21], "lightgbm": [-0.2, -0.2, -0.2]})
    assert losses([near], "ours", "lightgbm") == []
    assert losses([far], "ours", "lightgbm") == [
        "made: r2 0.8954 against 0.9000, -0.5%; -0.0046 [-0.0046, -0.0046]",
    ]
    assert len(losses([near, far, below], "ours", "lightgbm")) == 2


def test_a_choice_is_named_in_params(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("data: rides   # x\nmodel: boosting  # model: y\n")
    choose(tmp_path, "model", "linear")
    assert (tmp_path / "params.yaml").read_text() == "data: rides   # x\nmodel: linear  # model: y\n"
