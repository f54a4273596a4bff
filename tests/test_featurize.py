"""featurize: fitted on training rows only, cross-fitted where it looks at the target, nothing useless kept."""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from conftest import ROOT, TOY, run_in, run_stage, toy_rows, write_toy

from stages.runtime.grams import grams_of
from stages.runtime.plan import compile_row
from stages.shared.features.public_holidays import holidays_by_year

README = (ROOT / "README.md").read_text()
ALL = {
    "numbers": {"missing": True, "clip": 0.05, "log": "skewed"},
    "categories": {"encode": ["code", "one_hot", "target", "frequency"], "encode_thin": ["target"], "min_rows": 3,
                   "missing": True},
    "dates": {"parts": ["hour", "weekday", "day", "month", "year"], "cycles": ["weekday", "day"],
              "since": ["2024-01-01"], "holidays": "IT"},
    "text": {"measures": ["length"], "grams": ["words", "pairs", "trigrams"], "min_rows": 2, "components": 3},
    "columns": {"colour": {"encode": ["code", "ordered", "target"]}},
    "interactions": [{"op": "ratio", "of": ["size", "size"]}],
}  # fmt: skip


def prepared(workspace: Path, rows: list[list[str]], contract: str = TOY) -> None:
    write_toy(workspace, rows)
    (workspace / "conf/data/toy.yaml").write_text(contract)
    run_stage(workspace, "prepare", "data=toy")


def featurized(
    workspace: Path, rows: list[list[str]], contract: str = TOY, conf: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    prepared(workspace, rows, contract)
    if conf is not None:
        (workspace / "conf/features/mine.yaml").write_text(yaml.safe_dump(conf))
    run_stage(workspace, "featurize", f"features={'standard' if conf is None else 'mine'}")
    return json.loads((workspace / "data/featurize/plan.json").read_text())


def column(workspace: Path, name: str, table: str = "featurize/features") -> dict[int, Any]:
    """Return {row: value} of one column."""
    return dict(duckdb.execute(f"SELECT _row, \"{name}\" FROM '{workspace}/data/{table}.parquet'").fetchall())


@pytest.mark.slow
@pytest.mark.parametrize("conf", [None, ALL], ids=["standard", "everything"])
def test_other_rows_do_not_touch_what_is_fitted(workspace: Path, conf: dict[str, Any] | None) -> None:
    rows = toy_rows()
    featurized(workspace, rows, conf=conf)
    fitted = (workspace / "data/featurize/plan.json").read_bytes()
    train = f"SELECT * FROM '{workspace}/data/featurize/features.parquet' WHERE _split = 'train'"
    values = duckdb.execute(train).fetchall()
    for row in rows[1:]:
        if row[1] >= "2024-07":
            row[2], row[3], row[4], row[5] = "1", "red", "quite another text", "yes" if int(row[0]) % 3 else "no"
    featurized(workspace, rows, conf=conf)
    assert (workspace / "data/featurize/plan.json").read_bytes() == fitted
    assert duckdb.execute(train).fetchall() == values


def wordy_rows() -> list[list[str]]:
    """Rows whose texts and many colours say something of the answer, with missing values."""
    rng, rows = random.Random(5), toy_rows()
    for row in rows[1:]:
        row[3] = "" if rng.random() < 0.05 else f"c{rng.randrange(60) // (1 + (row[5] == 'yes'))}"
        words = rng.choices(
            ["free", "win", "now"] if row[5] == "yes" else ["hello", "win", "later"], k=rng.randrange(4)
        )
        row[4] = " ".join(words)
    return rows


WORDY = TOY.replace("values: [red, green, blue]", "nullable: true")


def fold_of(key: int) -> int:
    return int(hashlib.md5(str(key).encode()).hexdigest()[-1], 16) % 8


def test_means_of_the_target_leave_out_a_training_rows_own_fold(workspace: Path) -> None:
    conf = {"categories": {"encode": ["target"], "encode_thin": ["target"], "min_rows": 5, "smoothing": 7}}
    [feature] = [f for f in featurized(workspace, wordy_rows(), WORDY, conf) if f["op"] == "target"]
    values, side = column(workspace, "colour.mean"), column(workspace, "_split")
    colours, ids = column(workspace, "colour", "prepare/kept"), column(workspace, "id", "prepare/kept")
    hits = {row: column_value == "yes" for row, column_value in column(workspace, "bought", "prepare/kept").items()}
    train = [row for row in side if side[row] == "train" and colours[row] is not None]
    n_rows: dict[str, int] = defaultdict(int)
    for row in train:
        n_rows[colours[row]] += 1
    known = {level for level, n in n_rows.items() if n >= 5}
    assert set(feature["levels"]) == known
    assert 0 < len(known) < len(n_rows)
    place = {level: level if level in known else "rare" for level in {*colours.values()}}

    def mean(level: str, without: int | None) -> float:
        seen = [row for row in train if fold_of(ids[row]) != without]
        alike = [row for row in seen if place[colours[row]] == place[level]]
        prior = sum(hits[row] for row in seen) / len(seen)
        return (sum(hits[row] for row in alike) + 7 * prior) / (len(alike) + 7)

    for row in side:
        if colours[row] is None:
            assert values[row] is None
        else:
            own = fold_of(ids[row]) if side[row] == "train" else None
            assert values[row] == pytest.approx(mean(colours[row], own), rel=1e-12)


def test_scores_of_texts_leave_out_a_training_rows_own_fold(workspace: Path) -> None:
    conf = {"text": {"grams": ["words"], "min_rows": 1}}
    rows = wordy_rows()
    featurized(workspace, rows, WORDY, conf)
    scores, side = column(workspace, "note.words_score"), column(workspace, "_split")
    texts = {row: rows[row][4] for row in side}
    is_yes, ids = {row: rows[row][5] == "yes" for row in side}, {row: int(rows[row][0]) for row in side}
    train = [row for row in side if side[row] == "train" and texts[row]]

    def weight(word: str, without: int | None) -> float:
        seen = [row for row in train if fold_of(ids[row]) != without]
        shares = []
        for answer in (True, False):
            own = [texts[row].split() for row in seen if is_yes[row] == answer]
            shares.append((sum(word in words for words in own) + 1) / (len(own) + 2))
        return math.log(shares[0] / shares[1])

    for row in side:
        if not texts[row]:
            assert scores[row] is None
            continue
        own = fold_of(ids[row]) if side[row] == "train" else None
        assert scores[row] == pytest.approx(sum(weight(word, own) for word in set(texts[row].split())), abs=1e-4)


def test_a_group_is_in_one_fold(workspace: Path) -> None:
    contract = WORDY.replace("id: {type: integer, role: key", "id: {type: integer, role: group")
    contract = contract.replace(", unique: true", "")
    conf = {"categories": {"encode": ["target"], "encode_thin": ["target"], "min_rows": 1, "smoothing": 0}}
    rows = wordy_rows()
    for row in rows[1:]:
        row[0] = str(int(row[0]) % 2)
    contract = contract.replace("split:", 'waive: {group_on_both_sides: "made so"}\nsplit:')
    featurized(workspace, rows, contract, conf)
    values, side = column(workspace, "colour.mean"), column(workspace, "_split")
    by_colour = defaultdict(set)
    for row in side:
        if side[row] == "train" and rows[row][3]:
            by_colour[rows[row][3], rows[row][0]].add(values[row])
    assert {len(found) for found in by_colour.values()} == {1}
    assert fold_of(0) != fold_of(1)


def test_buckets_and_moments_travel_with_the_features(workspace: Path) -> None:
    featurized(workspace, toy_rows())
    keys = column(workspace, "id", "prepare/kept")
    assert {row: fold_of(key) for row, key in keys.items()} == column(workspace, "_bucket")
    moments = duckdb.execute(f"SELECT _row, epoch(day) FROM '{workspace}/data/prepare/kept.parquet'").fetchall()
    assert dict(moments) == column(workspace, "_time")


@pytest.mark.parametrize("target", ["number", "classes"])
def test_every_kind_of_target_gets_means_and_scores(workspace: Path, target: str) -> None:
    rows = wordy_rows()
    for row in rows[1:]:
        row[5] = str(int(row[0]) * 7.25 % 31) if target == "number" else "xyz"[int(row[0]) % 3]
    kind = "{type: number, role: target}" if target == "number" else "{type: category, role: target, values: [x, y, z]}"
    contract = WORDY.replace('{type: category, role: target, values: ["no", "yes"]}', kind)
    contract = contract.replace("task: binary", f"task: {'regression' if target == 'number' else 'multiclass'}")
    plan = featurized(workspace, rows, contract.replace('positive: "yes"\n', ""), {**ALL, "columns": {}})
    names = {feature["name"] for feature in plan}
    suffixes = [""] if target == "number" else ["_0", "_1", "_2"]
    assert {f"colour.mean{suffix}" for suffix in suffixes} <= names
    assert {f"note.words_score{suffix}" for suffix in suffixes} <= names
    if target == "number":
        [feature] = [feature for feature in plan if feature["op"] == "target"]
        side = column(workspace, "_split")
        train = [row for row in side if side[row] == "train" and rows[row][3]]
        mean = sum(float(rows[row][5]) for row in train) / len(train)
        level = feature["levels"][0]
        own = [float(rows[row][5]) for row in train if rows[row][3] == level]
        assert feature["values"][0] == pytest.approx((sum(own) + 20 * mean) / (len(own) + 20), rel=1e-8)


def test_rows_not_trained_on_get_what_the_plan_gives_one_row(workspace: Path) -> None:
    rows = wordy_rows()
    plan = featurized(workspace, rows, WORDY, {**ALL, "columns": {}})
    names = ", ".join(f't."{feature["name"]}"' for feature in plan)
    source = f"""'{workspace}/data/prepare/kept.parquet' AS kept JOIN '{workspace}/data/featurize/features.parquet' AS t
        USING (_row) WHERE t._split <> 'train' ORDER BY _row"""
    given = duckdb.execute(f"SELECT kept.* FROM {source}").fetchall()
    columns = [item[0] for item in duckdb.execute(f"SELECT kept.* FROM {source}").description]
    evaluate = compile_row(plan)
    for values, features in zip(given, duckdb.execute(f"SELECT {names} FROM {source}").fetchall(), strict=True):
        expected = [None if math.isnan(value) else value for value in evaluate(dict(zip(columns, values, strict=True)))]
        assert list(features) == expected


THREADS = """
import sys
from stages import featurize
from stages.shared import tables
def with_threads(folder=None):
    connection = tables.connect(folder)
    connection.execute("SET threads = {threads}")
    return connection
featurize.connect = with_threads
sys.argv = ["featurize", "features=mine"]
featurize.run("featurize", featurize.main)
"""


@pytest.mark.slow
def test_the_number_of_threads_changes_no_byte(workspace: Path) -> None:
    """Enough rows for several of DuckDB's groups of rows, which threads share out among themselves."""
    rng, base = random.Random(1), wordy_rows()
    rows = [base[0], *([str(i), *rng.choice(base[1:])[1:]] for i in range(150_000))]
    contract = WORDY.replace("task: binary", "task: binary\nduplicates: keep")
    contract = contract.replace("split:", 'waive: {duplicates_across_sides: "made so"}\nsplit:')
    prepared(workspace, rows, contract)
    (workspace / "conf/features/mine.yaml").write_text(yaml.safe_dump({**ALL, "columns": {}}))
    found = []
    for threads in (1, 2, 4):
        run_in(workspace, sys.executable, "-c", THREADS.format(threads=threads), PYTHONPATH=str(ROOT))
        found.append([(workspace / "data/featurize" / name).read_bytes() for name in ("plan.json", "features.parquet")])
    assert found[0] == found[1] == found[2]


def test_texts_say_what_their_length_does_not(workspace: Path) -> None:
    """The default features tell the answers apart; the words of rows not trained on are asked."""
    rows = wordy_rows()
    featurized(workspace, rows, WORDY)
    scores, side = column(workspace, "note.words_score"), column(workspace, "_split")
    means = {}
    for answer in ("yes", "no"):
        own = [
            scores[row] for row in side if side[row] == "test" and rows[row][5] == answer and scores[row] is not None
        ]
        means[answer] = sum(own) / len(own)
    assert means["yes"] > means["no"] + 2


def test_holidays_of_training_years_and_ten_more_are_kept_and_no_others(workspace: Path) -> None:
    rows = toy_rows()
    for row, day in zip(rows[-4:], ["2034-12-31", "2035-01-01", "2023-12-31", "2034-12-26"], strict=True):
        row[1] = day
    plan = featurized(workspace, rows, conf={"dates": {"holidays": "IT"}})
    days = {feature["op"]: feature for feature in plan if feature["column"] == "day"}
    assert days.keys() == {"holiday", "days_to_holiday", "days_since_holiday"}
    assert {(feature["first_year"], feature["last_year"]) for feature in days.values()} == {(2023, 2034)}
    given = column(workspace, "day", "prepare/kept")
    values = {name: column(workspace, f"day.{name}") for name in days}
    by_day = {str(given[row]): tuple(values[name][row] for name in days) for row in given}
    assert by_day["2024-04-01"] == (1, 0, 0)  # Easter Monday
    assert by_day["2024-04-25"] == (1, 0, 0)  # the Liberation
    assert by_day["2024-04-24"] == (0, 1, 23)
    assert by_day["2034-12-26"] == (1, 0, 0)
    assert by_day["2034-12-31"] == (0, 1, 5)  # to the first day of a year beyond
    assert by_day["2035-01-01"] == (None, None, None)
    assert by_day["2023-12-31"] == (0, 1, 5)


def written_rows() -> list[list[str]]:
    """Rows whose texts are the lines of README: English as people write it."""
    lines = [" ".join(line.replace('"', " ").replace(",", " ").split()) for line in README.splitlines()]
    rows = toy_rows()
    for row, line in zip(rows[1:], [line for line in lines if len(grams_of(line, "words")) > 2], strict=False):
        row[4] = line
    return rows


@pytest.mark.slow
def test_components_are_scikit_learns_up_to_rounding(workspace: Path) -> None:
    """A weight is rounded to 1/65536, so a text of 20 words is off by at most 20 / 131072 / its norm, which is above
    the root of 20: less than 1e-4."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    plan = featurized(workspace, written_rows(), conf={"text": {"grams": ["words"], "min_rows": 2, "components": 6}})
    names = [f"note.words_component_{number}" for number in range(1, 7)]
    assert [feature["name"] for feature in plan if feature["op"] == "component"] == names
    tokens = next(feature["tokens"] for feature in plan if feature["op"] == "score")
    side, texts = column(workspace, "_split"), column(workspace, "note", "prepare/kept")
    train = [row for row in sorted(side) if side[row] == "train" and set(grams_of(texts[row], "words")) & set(tokens)]
    tfidf = TfidfVectorizer(analyzer=lambda text: grams_of(text, "words"), vocabulary=tokens, binary=True)
    reduced = TruncatedSVD(6, n_iter=7, random_state=0)
    reduced.fit(tfidf.fit_transform([texts[row] for row in train]))
    found = [column(workspace, name) for name in names]
    rows = [row for row in sorted(side) if texts[row] is not None]
    expected = reduced.transform(tfidf.transform([texts[row] for row in rows]))
    assert len(tokens) > 100
    assert len(rows) > 350
    assert abs(expected).max(axis=0).min() > 0.3
    for row, values in zip(rows, expected, strict=True):
        assert [component[row] for component in found] == pytest.approx(values, abs=1e-4)


@pytest.mark.slow
def test_components_are_the_same_bytes_again_and_on_two_threads(workspace: Path) -> None:
    rows, conf = written_rows(), {"text": {"grams": ["words", "trigrams"], "min_rows": 2, "components": 12}}
    featurized(workspace, rows, conf=conf)
    found = []
    for threads in ("1", "2", "2"):
        command = [sys.executable, "-m", "stages.featurize", "features=mine"]
        run_in(workspace, *command, PYTHONPATH=str(ROOT), OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads)
        found.append([(workspace / "data/featurize" / name).read_bytes() for name in ("plan.json", "features.parquet")])
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
@pytest.mark.parametrize(("texts", "n_components"), [(["", "b", "c d"], 0), (["a", "b", "a b"], 2), (["x"], 1)])
def test_components_are_no_more_than_there_are_grams(workspace: Path, texts: list[str], n_components: int) -> None:
    rows = toy_rows()
    for row in rows[1:]:
        row[4] = texts[int(row[0]) % len(texts)]
    conf = {"text": {"grams": ["words"], "min_rows": 200 if n_components == 0 else 5, "components": 32}}
    contract = TOY.replace("split:", 'waive: {duplicates_across_sides: "made so"}\nsplit:')
    plan = featurized(workspace, rows, contract, {**conf, "drop_constant": False})
    assert sum(feature["op"] == "component" for feature in plan) == n_components
    if n_components == 2:
        assert [feature["squares"] for feature in plan if feature["op"] == "component"][1] == "note.words_component_1"


@pytest.mark.slow
def test_components_of_very_many_texts_are_those_of_a_sample(workspace: Path) -> None:
    conf = {"text": {"grams": ["words"], "min_rows": 2, "components": 4}}
    whole = featurized(workspace, written_rows(), conf=conf)
    command = "from stages import featurize; from stages.shared.features import components; components.MOST = 1000; "
    command += "import sys; sys.argv = ['featurize', 'features=mine']; featurize.main()"
    done = run_in(workspace, sys.executable, "-c", command, PYTHONPATH=str(ROOT))
    assert re.search(r"components of the words of note are those of \d\d% of the training rows", done.stderr)
    sampled = json.loads((workspace / "data/featurize/plan.json").read_text())
    assert [feature["name"] for feature in sampled] == [feature["name"] for feature in whole]
    own, other = ([feature["squares"] for feature in plan if feature["op"] == "component"] for plan in (whole, sampled))
    assert own == other
    assert sampled != whole


def test_a_packaged_plan_needs_neither_holidays_nor_scikit_learn(workspace: Path) -> None:
    featurized(workspace, written_rows(), conf=ALL)
    command = """
import json, sys
from datetime import date
sys.modules.update(dict.fromkeys(["holidays", "sklearn", "scipy", "numpy"]))
from stages.runtime.plan import compile_row
plan = json.load(open("data/featurize/plan.json"))
row = {"day": date(2024, 12, 25), "size": 1.0, "colour": "red", "note": "the plan is data"}
print(dict(zip([feature["name"] for feature in plan], compile_row(plan)(row))))
"""
    done = run_in(workspace, sys.executable, "-c", command, PYTHONPATH=str(ROOT))
    assert "'day.holiday': 1.0" in done.stdout
    assert "'note.words_component_1': 0." in done.stdout


def test_years_that_the_library_does_not_know_are_left_out() -> None:
    """It warns of those of India beyond 2035, and covers Albania from 1993; a date of year 9999 costs nothing."""
    assert [*holidays_by_year("IN", 2033, 9999)] == [2033, 2034, 2035]
    assert [*holidays_by_year("AL", 1, 1994)] == [1993, 1994]
    [bavarian], [german] = (holidays_by_year(code, 2024, 2024).values() for code in ("DE-BY", "DE"))
    assert {str(day) for day in {*bavarian} - {*german}} == {"2024-01-06", "2024-05-30", "2024-11-01"}


def test_grams_fold_case_and_digits() -> None:
    assert grams_of("Call 0871-NOW, ÀÉ!", "words") == ("call", "0000", "now", "àé")
    assert grams_of("Ab 1", "trigrams") == ("ab ", "b 0")
    assert grams_of("a B c", "pairs") == ("a b", "b c")


def test_rare_and_unseen_levels_share_a_code_and_missing_stays_missing(workspace: Path) -> None:
    rows = toy_rows()
    for row in rows[1:6]:
        row[3] = "blue"
    for row in rows[6:]:
        row[3] = "red" if int(row[0]) % 2 else "green"
    rows[-1][3], rows[-2][3] = "", "blue"
    plan = featurized(workspace, rows)
    [colour] = [feature for feature in plan if feature["column"] == "colour"]
    assert colour["levels"] == ["red", "green"] or colour["levels"] == ["green", "red"]
    codes = column(workspace, "colour")
    assert codes[1] == 2
    assert codes[399] == 2
    assert codes[400] is None


def test_quantiles_clip_and_bin_by_training_rows(workspace: Path) -> None:
    conf = {"columns": {"size": {"clip": 0.1}}}
    rows = toy_rows()
    [feature] = [f for f in featurized(workspace, rows, conf=conf) if f["column"] == "size"]
    train = sorted(int(row[2]) for row in rows[1:] if row[1] < "2024-07")
    assert feature["clip"] == [train[math.ceil(len(train) * 0.1) - 1], train[math.ceil(len(train) * 0.9) - 1]]
    [feature] = [f for f in featurized(workspace, rows, conf={"numbers": {"bins": 2}}) if f["column"] == "size"]
    assert feature["edges"] == [train[math.ceil(len(train) * 0.5) - 1]]


def test_order_is_the_contracts(workspace: Path) -> None:
    conf = {"columns": {"colour": {"encode": ["ordered"]}}}
    featurized(workspace, toy_rows(), conf=conf)
    order, given = column(workspace, "colour.order"), column(workspace, "colour", "prepare/kept")
    assert {(given[row], order[row]) for row in given} == {("red", 0.0), ("green", 1.0), ("blue", 2.0)}


def test_a_column_with_one_value_in_training_rows_is_dropped_and_reported(workspace: Path) -> None:
    rows = toy_rows()
    for row in rows[1:]:
        row[3] = "red" if row[1] < "2024-07" else "blue"
    plan = featurized(workspace, rows)
    assert "colour" not in {feature["name"] for feature in plan}
    assert "colour" in json.loads((workspace / "reports/featurize/summary.json").read_text())["dropped_constant"]


def test_a_feature_that_repeats_another_is_dropped_and_reported(workspace: Path) -> None:
    conf = {"interactions": [{"op": "difference", "of": ["size", "again"]}]}
    contract = TOY.replace("  colour:", "  again: {type: number}\n  colour:")
    rows = [[*row[:3], row[2] if row[2] != "size" else "again", *row[3:]] for row in toy_rows()]
    plan = featurized(workspace, rows, contract, conf)
    summary = json.loads((workspace / "reports/featurize/summary.json").read_text())
    assert summary["dropped_duplicate"] == {"again": "size"}
    assert summary["dropped_constant"] == ["size.difference.again"]
    assert not {"again", "size.difference.again"} & {feature["name"] for feature in plan}
    described = duckdb.execute(f"DESCRIBE SELECT * FROM '{workspace}/data/featurize/features.parquet'").fetchall()
    assert "again" not in {name for name, *_ in described}


def test_names_are_safe_for_boosters_and_unique(workspace: Path) -> None:
    contract = TOY.replace("size: {", '"si,ze [%]": {').replace("note: {", '"si:ze {%}": {')
    rows = toy_rows()
    rows[0][2], rows[0][4] = '"si,ze [%]"', "si:ze {%}"
    names = [feature["name"] for feature in featurized(workspace, rows, contract)]
    assert "si_ze____" in names
    assert len({str(name).lower() for name in names}) == len(names)
    assert all(set('",:[]{} ').isdisjoint(str(name)) for name in names)


def test_minimal_features_have_no_dates_or_texts(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    run_stage(folder, "featurize", "features=minimal")
    plan = json.loads((folder / "data/featurize/plan.json").read_text())
    assert {feature["op"] for feature in plan} == {"number", "category"}


FAULTS = {
    "unknown column": (
        {"columns": {"colours": {"encode": ["code"]}}},
        "columns.colours: no column of toy; did you mean 'colour'?",
    ),
    "no feature": ({"columns": {"id": {"clip": 0.1}}}, "columns.id: has role key in toy"),
    "another type's key": (
        {"columns": {"colour": {"clip": 0.1}}},
        "columns.colour.clip: nothing for a column of type category, which takes encode, encode_thin",
    ),
    "near key": (
        {"columns": {"size": {"clp": 0.1}}},
        "columns.size.clp: nothing for a column of type number; did you mean 'clip'?",
    ),
    "value": ({"columns": {"size": {"clip": 0.9}}}, "columns.size.clip: should be in [0.0, 0.25], got 0.9"),
    "encoding": (
        {"columns": {"colour": {"encode": ["onehot"]}}},
        "columns.colour.encode[0]: should be one of code, one_hot",
    ),
    "no such pair": (
        {"interactions": [{"op": "ratio", "of": ["size", "sizes"]}]},
        "interactions[0].of: no input column 'sizes'; did you mean 'size'?",
    ),
    "pair of another type": (
        {"interactions": [{"op": "ratio", "of": ["size", "colour"]}]},
        "interactions[0].of: ratio is of numbers, colour is of type category",
    ),
    "one column": (
        {"interactions": [{"op": "cross", "of": ["colour"]}]},
        "interactions[0].of: should name two columns, got 1",
    ),
    "order of a cross": (
        {"categories": {"encode": ["ordered"]}, "interactions": [{"op": "cross", "of": ["colour", "colour"]}]},
        "interactions[0]: crossed categories have no order",
    ),
    "no such country": (
        {"dates": {"holidays": "Italy"}},
        "dates.holidays of day: should be a country such as IT, or a country and a part of it such as DE-BY, "
        "got 'Italy'; did you mean 'IT'?",
    ),
    "Norway without quotes": (
        {"dates": {"holidays": False}},
        "dates.holidays: should be a text, got False; quote it",
    ),
    "no such part": ({"columns": {"day": {"holidays": "DE-BYE"}}}, "got 'DE-BYE'; did you mean 'DE-BY'?"),
    "small letters": ({"dates": {"holidays": "de-by"}}, "got 'de-by'; did you mean 'DE-BY'?"),
    "components of nothing": ({"text": {"components": 8}}, "text.components of note: 8 components of no grams"),
    "too many components": ({"text": {"components": 501}}, "text.components: should be in [0, 500], got 501"),
    "no such moment": ({"dates": {"since": ["dy"]}}, "dates.since of day: should be `time`"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_does_not_fit_the_columns_is_one_clear_message(case: str, small: Path, tmp_path: Path) -> None:
    conf, message = FAULTS[case]
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    (folder / "conf/features/mine.yaml").write_text(yaml.safe_dump(conf))
    done = run_stage(folder, "featurize", "features=mine", check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_order_without_values_is_refused(workspace: Path) -> None:
    prepared(workspace, toy_rows(), TOY.replace(", values: [red, green, blue]", ""))
    (workspace / "conf/features/mine.yaml").write_text("columns: {colour: {encode: [ordered]}}\n")
    done = run_stage(workspace, "featurize", "features=mine", check=False)
    assert done.returncode == 1
    assert "columns.colour: ordered needs `values` in conf/data" in done.stderr


ODD = ("constant", "one category a row")


@pytest.mark.parametrize(
    "choice", ["mine", *(pytest.param(name, marks=pytest.mark.slow) for name in ("standard", "linear"))]
)
@pytest.mark.parametrize(
    "kind", ["all missing", "huge and tiny", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ODD)]
)
def test_odd_columns_give_a_result(workspace: Path, kind: str, choice: str) -> None:
    rows = toy_rows(200)
    for row in rows[1:]:
        i = int(row[0])
        if kind == "all missing":
            row[2] = row[3] = row[4] = ""
        elif kind == "constant":
            row[2], row[3], row[4] = "5", "red", "the same"
        elif kind == "one category a row":
            row[3], row[4] = f"c{i}", f"word{i}x"
        else:
            row[2] = ["1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "0", "-1e-300"][i % 5]
    contract = TOY.replace(", min: 0, max: 100", "").replace(", values: [red, green, blue]", "")
    contract = contract.replace("split:", 'waive: {duplicates_across_sides: "made so"}\nsplit:')
    prepared(workspace, rows, contract)
    (workspace / "conf/features/mine.yaml").write_text(yaml.safe_dump({**ALL, "columns": {}}))
    run_stage(workspace, "featurize", f"features={choice}")
    if kind != "huge and tiny":
        run_stage(workspace, "train", "model=linear", "seed=1")


@pytest.mark.slow
def test_1500_columns_of_300_rows(workspace: Path) -> None:
    rng = random.Random(2)
    kinds = ["number", "category", "text", "date"]
    columns = {f"x{i}": kinds[i % 4] for i in range(1500)}
    rows = [[*base, *_cells(rng, columns)] for base in toy_rows(300)[1:]]
    own = "".join(f"  {name}: {{type: {kind}}}\n" for name, kind in columns.items())
    contract = TOY.replace("  bought:", f"{own}  bought:", 1)
    header = [*toy_rows(1)[0][:5], *columns, "bought"]
    featurized(workspace, [header, *([*row[:5], *row[6:], row[5]] for row in rows)], contract)
    assert len(json.loads((workspace / "data/featurize/plan.json").read_text())) > 1500


def _cells(rng: random.Random, columns: dict[str, str]) -> list[str]:
    made = {
        "number": lambda: f"{rng.random():.4f}",
        "category": lambda: f"k{rng.randrange(5)}",
        "text": lambda: rng.choice(["good", "bad", "fine"]),
        "date": lambda: f"2023-0{rng.randint(1, 9)}-11",
    }
    return [made[kind]() for kind in columns.values()]
