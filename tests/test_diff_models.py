"""tools.diff: two models on the same test rows, and what the sections say of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_diff import CONTRACT, rows_of, store, with_column

from stages.runtime.contract import Column, Contract
from stages.shared.tables import connect
from tools.diff import flips_report, gates, metrics_report, parameters, report
from tools.diff.change import Classes, Errors
from tools.diff.inference import POWER, holm, mcnemar, paired_shares, smallest_seen
from tools.diff.markdown import plain
from tools.diff.metrics import corrected, difference, unpaired
from tools.diff.predicted import Paired, Predicted, pair
from tools.diff.slices import keys_of, slices

HEAD: Any = type("NoFiles", (), {"yaml": lambda self, path: None, "text": lambda self, path: None})()


def predicted(
    path: Path, rows: list[Any], scores: list[float], contract: Contract = CONTRACT, cut: float = 0.5
) -> Predicted:
    """Predictions for the test rows of a table: its rows as (side, id, size, colour, bought), scores in their order."""
    kept = store(path, rows, contract)
    places = [place for place, row in enumerate(rows, 1) if row[0] == "test"]
    target = np.array([rows[place - 1][4] for place in places])
    meta = {"threshold": cut, "factors": [1.0, 1.0]}
    return Predicted(
        contract, kept, meta, np.array(places), target, np.array(scores, dtype=float).reshape(len(places), -1)
    )


def two(tmp_path: Path, before: list[Any], after: list[Any], same: bool = False, **more: Any) -> Paired | str:
    tables = [
        predicted(tmp_path / f"{name}.parquet", rows, [row[1] / 1000 for row in rows if row[0] == "test"], **more)
        for name, rows in (("a", before), ("b", after))
    ]
    return pair(connect(), *tables, same)


def test_rows_are_matched_by_key_wherever_they_stand_and_the_rest_is_counted(tmp_path: Path) -> None:
    before = rows_of(300)
    after = [*before[10:], ("test", 900, 1.0, "red", "yes")][::-1]
    paired = two(tmp_path, before, after)
    assert isinstance(paired, Paired)
    assert paired.found["matched_by"] == "key (id)"
    assert paired.found["rows"] == {"both": 58, "base": 60, "head": 59}
    assert np.array_equal(paired.base, paired.head)  # scores are made of the key
    assert [["no", "yes"][number] for number in paired.rows.y] == [row[4] for row in after if row[0] == "test"][1:]


def test_of_one_source_rows_are_matched_by_record_even_with_a_key_that_repeats(tmp_path: Path) -> None:
    rows = [*rows_of(300), rows_of(300)[9]]
    paired = two(tmp_path, rows, rows, same=True)
    assert isinstance(paired, Paired)
    assert paired.found["rows"]["both"] == 61
    assert two(tmp_path, rows, rows).found["rows"]["both"] == 59  # type: ignore[union-attr]


def test_a_target_that_changed_is_counted_and_the_new_one_holds(tmp_path: Path) -> None:
    before = rows_of(300)
    flipped = {"yes": "no", "no": "yes"}
    after = [(*row[:4], flipped[row[4]]) if row[1] in (8, 9, 10) else row for row in before]  # 8 and 9 are test rows
    paired = two(tmp_path, before, after)
    assert isinstance(paired, Paired)
    assert paired.found["relabelled"] == 2
    assert paired.rows.y[0] == (after[8][4] == "yes")


def test_without_a_key_rows_are_matched_by_all_values_but_the_target(tmp_path: Path) -> None:
    keyless = with_column(CONTRACT, "id", role="feature")
    before = rows_of(300)
    after = [*before[::-1], before[9], ("test", 18, 1.0, "red", "no")]
    paired = two(tmp_path, before, after, contract=keyless)
    assert isinstance(paired, Paired)
    assert "all values but the target's" in paired.found["matched_by"]
    assert paired.found["rows"] == {"both": 59, "base": 60, "head": 62}


def test_no_common_row_is_said(tmp_path: Path) -> None:
    after = [(row[0], row[1] + 1000, *row[2:]) for row in rows_of(300)]
    assert two(tmp_path, rows_of(300), after) == "the two have no test row in common (matched by key (id))"


def test_classes_in_another_order_are_brought_into_the_heads(tmp_path: Path) -> None:
    first = dataclasses.replace(with_column(CONTRACT, "bought", values=["no", "yes"]), task="multiclass", positive=None)
    second = with_column(first, "bought", values=["yes", "no"])
    rows = [("test", 1, 1.0, "red", "no"), ("test", 2, 1.0, "red", "yes")]
    base = predicted(tmp_path / "a.parquet", rows, [0.9, 0.1, 0.2, 0.8], first)
    base.meta["factors"] = [1.0, 2.0]
    paired = pair(connect(), base, predicted(tmp_path / "b.parquet", rows, [0.1, 0.9, 0.8, 0.2], second), False)
    assert isinstance(paired, Paired)
    assert np.array_equal(paired.base, paired.head)
    assert paired.cuts == ([2.0, 1.0], [1.0, 1.0])
    assert paired.rows.y.tolist() == [1, 0]


def binary(tmp_path: Path, before: list[float], after: list[float], actual: str, **more: Any) -> Paired:
    rows = [("test", i, float(i), "rb"[i % 2], {"1": "yes", "0": "no"}[one]) for i, one in enumerate(actual)]
    sides = [predicted(tmp_path / f"{n}.parquet", rows, s, **more) for n, s in (("a", before), ("b", after))]
    paired = pair(connect(), *sides, True)
    assert isinstance(paired, Paired)
    return paired


def test_flips_are_counted_and_the_strongest_come_first(tmp_path: Path) -> None:
    change = Classes.of(binary(tmp_path, [0.1, 0.9, 0.4, 0.6, 0.7], [0.9, 0.2, 0.6, 0.7, 0.6], "11101"))
    found = change.measure(None)
    assert {key: found[key] for key in ("rows", "now_right", "now_wrong", "recalled")} == {
        "rows": 5, "now_right": 2, "now_wrong": 1, "recalled": 3,
    }  # fmt: skip
    assert found["difference"] == pytest.approx(0.2)
    assert change.examples(5) == {"now wrong": [1], "now right": [0, 2]}
    assert change.sides(0) == ("yes", "no (0.900)", "yes (0.900)")
    assert change.measure(np.array([0, 1, 0, 0, 0], bool))["now_wrong"] == 1


def test_of_a_number_the_errors_are_compared(tmp_path: Path) -> None:
    columns = {**CONTRACT.columns, "bought": Column("number", role="target")}
    contract = dataclasses.replace(CONTRACT, task="regression", positive=None, columns=columns)
    rows = [("test", i, 1.0, "red", float(i)) for i in range(4)]
    sides = [
        predicted(tmp_path / f"{n}.parquet", rows, s, contract) for n, s in (("a", [1, 1, 5, 3]), ("b", [0, 3, 1, 3]))
    ]
    paired = pair(connect(), *sides, True)
    assert isinstance(paired, Paired)
    found = Errors.of(paired).measure(None)
    moved = np.array([-1, 2, -2, 0])
    assert (found["closer"], found["farther"], found["difference"]) == (2, 1, pytest.approx(-0.25))
    assert found["high"] - found["low"] == pytest.approx(2 * 1.959964 * moved.std(ddof=1) / 2)
    assert Errors.of(paired).examples(2) == {"farther": [1], "closer": [2, 0]}


def test_slices_are_values_of_sensitive_columns_bands_of_sensitive_numbers_and_declared(tmp_path: Path) -> None:
    contract = with_column(with_column(CONTRACT, "colour", sensitive=True), "size", sensitive=True)
    scores = [i / 100 for i in range(100)]
    paired = binary(tmp_path, scores, scores, "01" * 50, contract=contract)
    conf = {"tables": {"made": {"slices": {"small": "size < 50", "typo": "sise < 1"}}}}
    head: Any = type("Conf", (), {"yaml": lambda self, path: conf, "text": lambda self, path: None})()
    found, notes = slices(head, connect(), paired)
    assert {name: int(member.sum()) for name, member in found.items()} == {
        "small": 50, "size 0 to below 24.75": 25, "size 24.75 to below 49.5": 25, "size 49.5 to below 74.25": 25,
        "size 74.25 to 99": 25, "colour = b": 50, "colour = r": 50,
    }  # fmt: skip
    assert found["small"].tolist() == [i < 50 for i in range(100)]
    assert len(notes) == 1
    assert notes[0].startswith("Slice typo is left out: ")


def test_keys_name_rows_unless_they_are_sensitive(tmp_path: Path) -> None:
    scores = [0.1] * 30
    assert keys_of(connect(), binary(tmp_path, scores, scores, "0" * 30), [3, 7]) == {3: "3", 7: "7"}
    hidden = with_column(CONTRACT, "id", sensitive=True)
    assert keys_of(connect(), binary(tmp_path, scores, scores, "0" * 30, contract=hidden), [3]) == {}
    keyless = with_column(CONTRACT, "id", role="feature")
    assert keys_of(connect(), binary(tmp_path, scores, scores, "0" * 30, contract=keyless), [3]) == {3: "record 4"}


def test_corrections_and_tests_are_the_published_ones() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    for right, wrong in ((5, 1), (0, 0), (12, 12), (40, 21), (700, 640)):
        expected = stats.binomtest(right, right + wrong).pvalue if right + wrong else 1.0
        assert mcnemar(right, wrong) == pytest.approx(expected, rel=0.01)


def test_intervals_of_paired_shares_hold_what_they_promise() -> None:
    source, inside = np.random.default_rng(3), 0
    draws = source.multinomial(100, [0.1, 0.04, 0.86], size=2000)
    for right, wrong, _ in draws:
        low, high = paired_shares(int(right), int(wrong), 100)
        inside += low <= 0.06 <= high
    assert 0.935 <= inside / 2000 <= 0.975


def test_the_smallest_difference_is_seen_as_often_as_promised() -> None:
    effect = smallest_seen(2.0, 5)
    drawn = np.random.default_rng(1).normal(effect, 2.0, 20_000)
    seen = (2 * stats.norm.sf(np.abs(drawn) / 2.0) <= 0.05 / 5).mean()
    assert seen == pytest.approx(POWER, abs=0.01)


def test_two_equal_models_are_rarely_told_apart_and_two_different_ones_are(tmp_path: Path) -> None:
    from stages.shared.bootstrap import measure
    from stages.shared.rows import Rows

    source, alarms, n = np.random.default_rng(4), 0, 200
    for seed in range(60):
        truth = source.uniform(size=n)
        y = (source.uniform(size=n) < truth).astype(int)
        noisy = [np.clip(truth + source.normal(0, 0.2, n), 0.01, 0.99).reshape(-1, 1) for _ in range(2)]
        rows = Rows(np.empty((n, 0)), y, np.arange(n), None, None)
        measured = measure("binary", rows, {"a": (noisy[0], 0.5), "b": (noisy[1], 0.5)}, 1000, seed)
        found = corrected({name: difference(measured["a"][name], measured["b"][name]) for name in measured["a"]})
        alarms += any(row["verdict"] in ("better", "worse") for row in found.values())
    assert alarms <= 7  # 5% of 60 are 3; 8 and more have a chance of 1%
    worse = measure("binary", rows, {"a": (noisy[0], 0.5), "b": (1 - noisy[0], 0.5)}, 1000, 1)
    found = corrected({name: difference(worse["a"][name], worse["b"][name]) for name in worse["a"]})
    assert {row["verdict"] for row in found.values()} == {"worse"}
    same = corrected({name: difference(worse["a"][name], worse["a"][name]) for name in worse["a"]})
    assert {row["verdict"] for row in same.values()} == {"equal"}


def test_reports_alone_give_unpaired_intervals() -> None:
    first = {
        "metrics": {"roc_auc": {"value": 0.7, "low": 0.65, "high": 0.74}, "gone": {"value": 1, "low": 0, "high": 2}}
    }
    second = {"metrics": {"roc_auc": {"value": 0.8, "low": 0.77, "high": 0.82}}}
    [row] = unpaired(first, second).values()
    assert (row["low"], row["high"]) == pytest.approx((0.1 - 0.05, 0.1 + (0.02**2 + 0.05**2) ** 0.5))
    assert (row["difference"], row["verdict"]) == (pytest.approx(0.1), "better")


def row_of(**more: Any) -> dict[str, Any]:
    plain_row = {
        "base": 0.7,
        "head": 0.8,
        "difference": 0.1,
        "low": 0.05,
        "high": 0.15,
        "p": 0.001,
        "p_corrected": 0.01,
    }
    return {**plain_row, "smallest_seen": 0.04, "verdict": "better", **more}


def test_the_picture_points_right_where_it_is_better() -> None:
    assert metrics_report.picture("roc_auc", row_of(difference=0.05, low=0, high=0.1)) == "··········┿━━━●━━━━··"
    assert metrics_report.picture("log_loss", row_of(difference=0.05, low=0, high=0.1)) == "··━━━━●━━━┿··········"
    assert metrics_report.picture("roc_auc", row_of(difference=0, low=0, high=0)) == "··········●··········"


def test_a_gate_that_turned_is_loud_and_one_with_another_value_is_folded() -> None:
    def gate(name: str, passed: bool, value: float) -> dict[str, Any]:
        return {"name": name, "metric": "f1", "limit": 0.5, "value": value, "passed": passed, "why": "a | b"}

    states = [
        [gate("floor", True, 0.6), gate("other", True, 0.7)],
        [gate("floor", False, 0.4), gate("other", True, 0.8)],
    ]
    revisions = [type("State", (), {"json": lambda self, path, found=found: found})() for found in states]
    found = gates.compare(*revisions)  # type: ignore[arg-type]
    assert (found["failing"], found["newly_failing"]) == (["floor"], ["floor"])
    told = "\n".join(gates.markdown(found))
    assert "**1 of 2 gates fail**, 1 of them newly" in told
    assert "| `floor` | passed: 0.6000, limit 0.5000 | **failed**: 0.4000, limit 0.5000 | a \\\\| b |" in told
    assert told.index("`floor`") < told.index("<details>") < told.index("`other`")


def test_parameters_are_compared_in_the_files_that_were_chosen() -> None:
    files = {
        "a": {"params.yaml": {"model": "big", "seed": 1}, "conf/model/big.yaml": {"trees": {"n": 5}, "rate": 0.1}},
        "b": {"params.yaml": {"model": "big", "seed": 2}, "conf/model/big.yaml": {"trees": {"n": 9}, "rate": 0.1}},
    }
    revisions = [type("State", (), {"yaml": lambda self, path, f=f: f.get(path)})() for f in files.values()]
    found = parameters.compare(*revisions)  # type: ignore[arg-type]
    assert found["params"] == {"seed": [1, 2]}
    assert found["files"] == {"model": {"trees.n": [5, 9]}}
    assert parameters.verdict(found) == "seed `1` -> `2`, 1 parameter changed"
    assert "| `conf/model/big.yaml: trees.n` | `5` | `9` |" in "\n".join(parameters.markdown(found))


def test_another_choice_is_one_change_and_its_file_is_folded() -> None:
    files = {
        "a": {"params.yaml": {"model": "big"}, "conf/model/big.yaml": {"trees": {"n": 5}, "rate": 0.1}},
        "b": {"params.yaml": {"model": "small"}, "conf/model/small.yaml": {"rate": 0.2}},
    }
    revisions = [type("State", (), {"yaml": lambda self, path, f=f: f.get(path)})() for f in files.values()]
    found = parameters.compare(*revisions)  # type: ignore[arg-type]
    assert parameters.verdict(found) == "model `big` -> `small`"
    told = "\n".join(parameters.markdown(found))
    assert told.index("| `params.yaml: model` | `big` | `small` |") < told.index("<details>")
    assert "conf/model/small.yaml instead of big.yaml: 2 values" in told
    assert told.index("<details>") < told.index("| `rate` | `0.1` | `0.2` |")


def test_a_gate_that_waits_for_another_revision_has_not_failed() -> None:
    waiting = {"name": "no_drop", "metric": "f1", "limit": -0.02, "value": None, "passed": None, "why": "pending"}
    passed = {"name": "floor", "metric": "f1", "limit": 0.5, "value": 0.6, "passed": True, "why": ""}
    revisions = [type("State", (), {"json": lambda self, path: {"gates": [waiting, passed]}})() for _ in range(2)]
    found = gates.compare(*revisions)  # type: ignore[arg-type]
    assert (found["failing"], found["pending"], found["changed"]) == ([], ["no_drop"], {})
    assert gates.verdict(found) == "all 1 gates pass, 1 pending (`make gates`)"


def test_a_section_that_is_too_long_is_cut_and_closed() -> None:
    lines = ["before", "<details><summary>x</summary>", *["line " * 10] * 100, "</details>"]
    kept = report.cut(lines, 1000)
    assert len("\n".join(kept)) <= 1000
    assert kept.count("</details>") == 1
    assert kept[-1] == report.CUT
    assert report.cut(lines, 100_000) == lines


def test_texts_of_others_are_no_markdown() -> None:
    assert plain("<img src=x>\n# @all [a](b)") == r"\<img src=x\> \# \@all \[a\](b)"


def test_flips_without_predictions_say_so() -> None:
    assert flips_report.lines({"why_not": "none"}) == ["Not known: none."]
    assert flips_report.verdict({"why_not": "none"}) is None
