"""Slices hold the rows they say, their numbers are those of their rows alone, and only weak slices are called weak."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from benchmarks.weak_slices import losses, made_cells, share_with_findings
from conftest import PIPELINE, run_stage
from made import made_slices, make_sample
from scipy import stats
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

from stages.shared.bootstrap import interval, measure, resample
from stages.shared.evaluation.cells import level_cells, number_cells
from stages.shared.evaluation.demands import SlicesConf
from stages.shared.evaluation.resampled import summary, units_within
from stages.shared.evaluation.search import Sums, benjamini_hochberg, find_weak, student_above
from stages.shared.evaluation.slices import measure_slices

QUICK = "resamples: 50\nconfidence: 0.95\nplot_points: 20\n"


def evaluate(
    small: Path, folder: Path, conf: str, sensitive: str | None = None, check: bool = True
) -> tuple[Path, str, dict[str, Any]]:
    """Run evaluate on a copy of the toy workspace; return it, what was said, and slices.json."""
    shutil.copytree(small, folder)
    (folder / "conf/evaluation/quick.yaml").write_text(QUICK + conf)
    if sensitive:
        contract = folder / "data/prepare/contract.json"
        stored = json.loads(contract.read_text())
        next(column for name, column in stored["columns"] if name == sensitive)["sensitive"] = True
        contract.write_text(json.dumps(stored))
    done = run_stage(folder, "evaluate", *PIPELINE["evaluate"], check=False)
    assert (done.returncode == 0) == check, done.stderr
    path = folder / "reports/evaluate/slices.json"
    return folder, done.stdout + done.stderr, json.loads(path.read_text()) if check else {}


def count(folder: Path, condition: str) -> int:
    query = f"SELECT count(*) FROM '{folder}/data/prepare/kept.parquet' WHERE _split = 'test' AND {condition}"
    [(n,)] = duckdb.execute(query).fetchall()
    return int(n)


def test_declared_and_sensitive_slices_and_their_pairs_hold_the_rows_they_say(small: Path, tmp_path: Path) -> None:
    conf = "slices: {min_rows: 40}\ntables: {toy: {slices: {big: size > 50, late: \"day >= '2024-11-01'\"}}}\n"
    folder, _, found = evaluate(small, tmp_path / "w", conf, "colour")
    told = {name: part["rows"] for name, part in found["slices"].items()} | found["too_small"]
    assert told["big"] == count(folder, "size > 50")
    assert told["late"] == count(folder, "day >= DATE '2024-11-01'")
    assert told["colour = red"] == count(folder, "colour = 'red'")
    assert told["big & colour = red"] == count(folder, "size > 50 AND colour = 'red'")
    assert set(told) == {
        *("big", "late", "big & late"),
        *(f"{before}colour = {c}" for before in ("", "big & ", "late & ") for c in ("red", "green", "blue")),
    }
    assert all(part["rows"] >= 40 for part in found["slices"].values())
    assert found["too_small"], "the test means nothing where every slice is large"


def test_numbers_are_cut_at_quartiles_of_the_training_rows_or_at_edges(small: Path, tmp_path: Path) -> None:
    folder, _, found = evaluate(small, tmp_path / "quartiles", "", "size")
    query = f"SELECT quantile_disc(size, [0.25, 0.5, 0.75]) FROM '{folder}/data/prepare/kept.parquet'"
    [(edges,)] = duckdb.execute(f"{query} WHERE _split = 'train'").fetchall()
    names = {*found["slices"], *found["too_small"]}
    assert names == {
        f"size < {edges[0]:g}", f"{edges[0]:g} <= size < {edges[1]:g}",
        f"{edges[1]:g} <= size < {edges[2]:g}", f"size >= {edges[2]:g}",
    }  # fmt: skip
    folder, _, found = evaluate(small, tmp_path / "edges", "tables: {toy: {edges: {size: [20]}}}\n", "size")
    told = {name: part["rows"] for name, part in found["slices"].items()} | found["too_small"]
    assert told == {"size < 20": count(folder, "size < 20"), "size >= 20": count(folder, "size >= 20")}


def test_a_slice_of_no_rows_is_listed_and_an_all_missing_column_is_a_slice(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    shutil.copytree(small, folder)
    path = folder / "data/prepare/kept.parquet"
    query = f"SELECT * REPLACE (NULL::VARCHAR AS colour) FROM '{path}' ORDER BY _row"
    duckdb.execute(f"COPY ({query}) TO '{path}.new' (FORMAT parquet)")
    Path(f"{path}.new").replace(path)
    conf = "tables: {toy: {slices: {none: size > 1000, odd: 1 / (size - size) > 0}}}\n"
    _, _, found = evaluate(folder, tmp_path / "again", conf, "colour")
    assert found["too_small"]["none"] == found["too_small"]["odd"] == 0
    assert found["slices"]["colour is missing"]["rows"] == count(folder, "true")
    assert found["too_small"]["colour = red"] == "fewer than 10"  # of a sensitive column few are only said to be few
    assert found["fairness"]["colour"]["metrics"] == {}


def test_slices_that_cannot_be_are_refused_by_name(small: Path, tmp_path: Path) -> None:
    slices = "{typo: sise > 3, number: size + 1, cut: size >, mixed: colour > 3}"
    _, said, _ = evaluate(
        small, tmp_path / "w", f"tables: {{toy: {{slices: {slices}, edges: {{size: [3]}}}}}}\n", check=False
    )
    assert said == (
        "evaluate: conf/evaluation/quick.yaml is not valid\n"
        "  tables.toy.slices.typo: no column 'sise'; did you mean 'size'?\n"
        "  tables.toy.slices.number: size + 1 is a number, not a condition\n"
        "  tables.toy.slices.cut: is not an expression\n"
        "  tables.toy.slices.mixed: colour is a text, 3 a number: they cannot be compared\n"
        "  tables.toy.edges.size: no sensitive column\n"
    )


@pytest.mark.parametrize(
    ("task", "metric", "right"),
    [
        ("binary", "roc_auc", lambda y, s: roc_auc_score(y, s[:, 0])),
        ("multiclass", "accuracy", lambda y, s: accuracy_score(y, s.argmax(1))),
        ("regression", "mae", lambda y, s: mean_absolute_error(y, s[:, 0])),
    ],
)
def test_metrics_of_a_slice_are_those_of_its_rows(task: str, metric: str, right: Any) -> None:
    sample = make_sample(task)
    inside = np.arange(600) % 3 == 0
    found = measure_slices(sample, made_slices(inside.astype(int), "third", "declared"), 30)["slices"]["third = 1"]
    y, scores = sample.rows.y, sample.scores
    own, rest, everyone = (right(y[at], scores[at]) for at in (inside, ~inside, np.ones(600, bool)))
    assert found["metrics"][metric]["value"] == pytest.approx(own, abs=1e-6)
    assert found["minus_rest"][metric]["value"] == pytest.approx(own - rest, abs=2e-6)
    assert found["minus_all"][metric]["value"] == pytest.approx(own - everyone, abs=2e-6)
    predicted = {"yes": scores[:, 0], "regression": scores[:, 0]}
    if task != "multiclass":
        assert found["gap"]["score"]["value"] == pytest.approx((predicted["yes"] - y)[inside].mean(), abs=1e-6)
    else:
        assert found["gap"]["b"]["value"] == pytest.approx((scores[:, 1] - (y == 1))[inside].mean(), abs=1e-6)


def test_the_difference_from_the_rest_is_paired_over_the_same_resamples() -> None:
    sample = make_sample("regression", resamples=200)
    inside = np.arange(600) < 100
    found = measure_slices(sample, made_slices(inside.astype(int), "third", "declared"), 30)["slices"]["third = 1"]
    error = np.abs(sample.rows.y - sample.scores[:, 0])
    drawn = np.vstack([W.rows for W in resample(sample.rows, 200, 0)])
    values = [
        W[inside] @ error[inside] / W[inside].sum() - W[~inside] @ error[~inside] / W[~inside].sum() for W in drawn
    ]
    expected = interval(np.array(values), 0.95, 100)
    assert found["minus_rest"]["mae"] == pytest.approx(expected | {"verdict": "cannot tell"}, abs=1e-6)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_slice_of_one_class_or_value_has_no_value_where_the_metric_has_none(task: str) -> None:
    sample = make_sample(task)
    inside = np.arange(600) < 50
    sample.rows.y[inside] = 0
    found = measure_slices(sample, made_slices(inside.astype(int), "first", "declared"), 30)["slices"]["first = 1"]
    without = {"binary": {"roc_auc", "average_precision", "recall", "f1"}, "multiclass": set(), "regression": {"r2"}}[
        task
    ]
    assert {name for name, row in found["metrics"].items() if row["value"] is None} >= without
    assert found["metrics"]["mae" if task == "regression" else "log_loss"]["value"] is not None
    json.dumps(found, allow_nan=False)


def test_a_slice_of_all_rows_has_no_rest() -> None:
    found = measure_slices(make_sample("binary"), made_slices(np.ones(600, int), "all", "declared"), 30)["slices"]
    assert found["all = 1"]["minus_rest"] == {}
    assert found["all = 1"]["minus_all"]["roc_auc"] == {"value": 0, "low": 0, "high": 0, "verdict": "cannot tell"}


def test_student_and_benjamini_hochberg_are_scipys() -> None:
    for freedom in (9, 30, 1000):
        for t in (-3.0, 0.0, 1.5, 3.0, 5.0):
            assert student_above(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=0.05)
    p = np.random.default_rng(0).uniform(0, 1, 200) ** 3
    right = stats.false_discovery_control(p) <= 0.05
    assert right.any()
    assert ((p <= benjamini_hochberg(p, 0.05)) == right).all()
    assert benjamini_hochberg(np.array([0.9, 0.8]), 0.05) == benjamini_hochberg(np.array([]), 0.05) == -1


def test_the_variance_is_over_groups() -> None:
    """Against the sum over groups written out: each group's part of the difference of the two means."""
    random = np.random.default_rng(1)
    group, inside = random.integers(0, 40, 400), random.random(400) < 0.3
    loss = random.exponential(1, 400) + np.repeat(random.normal(0, 1, 40), 10)[group * 10]
    part = np.where(
        inside, (loss - loss[inside].mean()) / inside.sum(), -(loss - loss[~inside].mean()) / (~inside).sum()
    )
    n_inside = len(set(group[inside]))
    variance = sum(part[group == g].sum() ** 2 for g in range(40)) * n_inside / (n_inside - 1)
    t = (loss[inside].mean() - loss[~inside].mean()) / variance**0.5
    assert Sums(loss, None, group).p_of(inside) == pytest.approx(student_above(t, n_inside - 1))
    cells = level_cells("c", "c", np.where(inside, "in", None), 1)
    found = {each.name: each.p for each in Sums(loss, None, group).measure(cells, 1, 30)}
    assert found["c = in"] == pytest.approx(Sums(loss, None, group).p_of(inside))
    assert found["c is missing"] == pytest.approx(Sums(loss, None, group).p_of(~inside))


def test_repeated_rows_of_one_group_are_no_evidence() -> None:
    """The same 600 rows ten times each: as rows they would be ten times as many."""
    loss, columns = losses(3, "binary"), made_cells(3)
    group = np.repeat(np.arange(len(loss)), 10)
    repeated = [type(each)(each.source, np.repeat(each.code, 10), each.names) for each in columns]
    alone = find_weak(columns, loss, None, None, SlicesConf())
    assert (
        find_weak(repeated, np.repeat(loss, 10), None, group, SlicesConf(min_rows=300))["found"] == alone["found"] == 0
    )
    assert find_weak(repeated, np.repeat(loss, 10), None, None, SlicesConf(min_rows=300))["found"] > 0


def test_a_planted_weak_slice_is_found_and_told_once() -> None:
    columns = made_cells(5)
    loss = losses(5, "binary")
    planted = columns[0].code == 1
    found = find_weak(columns, loss + 1.5 * planted, None, None, SlicesConf())
    assert [row["name"] for row in found["slices"]] == ["c0 = 1"]
    assert found["slices"][0]["rows"] == planted.sum()
    assert found["slices"][0]["alike"] > 0
    assert find_weak(columns, loss + 1.5 * planted, None, None, SlicesConf()) == found


def test_a_weak_pair_is_told_beside_a_weak_column_that_does_not_explain_it() -> None:
    columns = made_cells(5)
    pair = (columns[1].code == 0) & (columns[4].code == 2)
    loss = losses(5, "binary") + 1.0 * (columns[0].code == 1) + 3.0 * pair
    names = [row["name"] for row in find_weak(columns, loss, None, None, SlicesConf())["slices"]]
    assert "c0 = 1" in names
    assert any(name.startswith("c1 = 0 & ") and "n0" in name for name in names) or "c1 = 0" in names


def test_a_small_effect_and_a_small_slice_are_not_told() -> None:
    columns = made_cells(5)
    loss = losses(5, "binary") + 1.5 * (columns[0].code == 1)
    assert find_weak(columns, loss, None, None, SlicesConf(min_effect=50.0))["found"] == 0
    assert find_weak(columns, loss, None, None, SlicesConf(min_rows=599))["candidates"] == 0


def test_cells_of_numbers_are_quarters_with_missing_apart() -> None:
    values = np.array([*range(100), *[np.nan] * 20], dtype=float)
    cells = number_cells("n", values)
    assert cells.names == ["n < 25", "25 <= n < 50", "50 <= n < 75", "n >= 75", "n is missing"]
    assert np.bincount(cells.code).tolist() == [25, 25, 25, 25, 20]
    assert np.unique(number_cells("n", np.full(9, np.nan)).code).tolist() == [1]
    assert number_cells("n", np.full(9, 3.0)).names == ["n is present", "n is missing"]


def test_the_search_runs_in_the_stage(small: Path, tmp_path: Path) -> None:
    conf = "slices: {min_rows: 10}\ntables: {boats: {slices: {long: length > 3}}}\n"  # of another table: not read
    _, _, found = evaluate(small, tmp_path / "w", conf)
    assert found["weak"]["candidates"] > 10
    assert found["slices"] == {}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "found"), [("binary", 0.9), ("regression", 0.7), ("grouped", 0.3)])
def test_where_nothing_is_weak_reports_say_so_and_what_is_weak_is_found(kind: str, found: float) -> None:
    """At the declared rate of 5% at most 5% of reports have any finding; 150 seeds allow for 3.5 standard errors."""
    assert share_with_findings(kind, 150) <= 0.05 + 3.5 * (0.05 * 0.95 / 150) ** 0.5
    assert share_with_findings(kind, 30, planted=True) >= found


def test_a_small_slice_is_bounded_as_widely_as_a_table_of_its_rows() -> None:
    sample = make_sample("regression", resamples=400)
    predictions = {"model": (sample.scores, sample.cut)}
    values = measure("regression", sample.rows, predictions, 400, 0)["model"]["mae"]
    few, many = (summary(values, 0.95, units) for units in (30, 600))
    assert few["high"] - few["low"] > 1.03 * (many["high"] - many["low"])
    groups = replace(sample, rows=replace(sample.rows, group=np.arange(600) // 10))
    assert units_within(sample, np.arange(600) < 100) == 100
    assert units_within(groups, np.arange(600) < 100) == 10
