"""Every input fault is one clear message, exit status 1, no traceback, and the last good outputs stay as they were."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PIPELINE, TOY, run_stage, toy_rows, write_toy

from stages.shared.lineage import dvc_hash

Break = Callable[[Path], object]


def replace(name: str, old: str, new: str) -> Break:
    """Return the change of one text in one file."""

    def change(folder: Path) -> None:
        path = folder / name
        assert old in path.read_text(), "the fault must really be made"
        path.write_text(path.read_text().replace(old, new))

    return change


def toy(old: str, new: str) -> Break:
    return replace("conf/data/toy.yaml", old, new)


def table(change: Callable[[list[list[str]]], object]) -> Break:
    """Return the change of the toy table's rows, header first."""

    def apply(folder: Path) -> None:
        rows = toy_rows()
        change(rows)
        write_toy(folder, rows)

    return apply


def raw(content: bytes, name: str = "toy.csv") -> Break:
    return lambda folder: (folder / "data/raw/toy" / name).write_bytes(content)


def corrupt_gzip(folder: Path) -> None:
    content = gzip.compress("\n".join(",".join(row) for row in toy_rows()).encode())
    raw(content[: len(content) // 2], "toy.csv.gz")(folder)
    toy("toy.csv", "toy.csv.gz")(folder)


def corrupt_parquet(folder: Path) -> None:
    raw(b"PAR1 is how it begins", "toy.parquet")(folder)
    toy("toy.csv", "toy.parquet\n  format: parquet")(folder)


def source(path: str, **files: bytes) -> Break:
    """Return the change of source.path, beside files whose names begin with a part of theirs."""

    def change(folder: Path) -> None:
        (folder / "data/raw/toy/more").mkdir()
        for name, content in files.items():
            (folder / f"data/raw/toy/more/{name}.csv").write_bytes(content)
        toy("data/raw/toy/toy.csv", f"data/raw/toy/{path}")(folder)

    return change


def both(*changes: Break) -> Break:
    return lambda folder: [change(folder) for change in changes]


def every(column: int, value: Callable[[list[str]], str]) -> Break:
    """Return the change of a column's values in all rows."""
    return table(lambda rows: [row.__setitem__(column, value(row)) for row in rows[1:]])


def toy_bytes() -> bytes:
    return "".join(",".join(row) + "\n" for row in toy_rows()).encode()


def every_size_apart(folder: Path) -> None:
    """Make the sizes fine enough for a copied row to be no coincidence."""
    path = folder / "data/raw/toy/toy.csv"
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    for row in rows:
        row[2] = f"{int(row[0]) % 400 * 0.37 + int(row[2]):.4f}"
    path.write_text("".join(",".join(row) + "\n" for row in [header, *rows]))


def without_xgboost(folder: Path) -> None:
    """Name xgboost as the estimator and hide it from the stage, which looks into its folder first."""
    replace(MODEL, "lightgbm.LGBMClassifier", "xgboost.XGBClassifier")(folder)
    (folder / "xgboost.py").write_text("raise ModuleNotFoundError(\"No module named 'xgboost'\")\n")


HASHED = toy('{by: time, validation: "2024-07-01", test: "2024-09-01"}', "{by: hash, validation: 0.2, test: 0.2}")
MODEL = "conf/model/boosting.yaml"
CASES: dict[str, tuple[str, Break, list[str]]] = {
    "missing table": (
        "prepare",
        lambda folder: (folder / "data/raw/toy/toy.csv").unlink(),
        ["data/raw/toy/toy.csv: no such file (source.path)"],
    ),
    "empty file": ("prepare", raw(b""), ["data/raw/toy/toy.csv: the file is empty"]),
    "blank file": ("prepare", raw(b"\n\n"), ["data/raw/toy/toy.csv: the file is empty"]),
    "header only": ("prepare", raw(b"id,day,size,colour,note,bought\n"), ["a header and no rows"]),
    "no target": ("prepare", toy("role: target, ", ""), ["exactly one should have role: target, got none"]),
    "target not in file": (
        "prepare",
        toy("bought: {", "bougt: {"),
        ["columns.bougt: not in the file; did you mean 'bought'?", "'bought': in the file, not in columns"],
    ),
    "typo in a key": (
        "prepare",
        toy("limits: {quarantine: 0.05}", "limits: {quarantin: 0.05}"),
        ["conf/data/toy.yaml is not valid", "limits.quarantin: unknown key; did you mean 'quarantine'?"],
    ),
    "wrong type": (
        "prepare",
        toy("quarantine: 0.05", "quarantine: little"),
        ["limits.quarantine: should be a number, got 'little'"],
    ),
    "two faults at once": (
        "prepare",
        lambda folder: (
            toy("max: 100", "max: zero")(folder),
            toy("values: [red", "pattern: '(', values: [red")(folder),
        ),
        ["columns.size.max: should be a number, got 'zero'", "columns.colour.pattern: not a regular expression"],
    ),
    "unknown column type": (
        "prepare",
        toy("size: {type: number", "size: {type: numbr"),
        ["columns.size.type: should be one of integer, number", "did you mean 'number'?"],
    ),
    "broken YAML": ("prepare", toy("columns:", "columns: ["), ["conf/data/toy.yaml, line", "not valid YAML"]),
    "path out of sight": ("prepare", toy("data/raw/toy/toy.csv", "data/toy.csv"), ["should lie in data/raw/toy/"]),
    "too many broken rows": (
        "prepare",
        table(lambda rows: [row.__setitem__(2, "200") for row in rows[1:41]]),
        ["40 of 400 rows (10.0%) break the contract, limit 5.0%", "size: 40 x max 100", "first at line 2: '200'"],
    ),
    "unterminated quote": (
        "prepare",
        table(lambda rows: rows[9].__setitem__(4, '"never closed')),
        ["data/raw/toy/toy.csv, record after line 9", "source.quote"],
    ),
    "wrong encoding": (
        "prepare",
        raw("id,day,size,colour,note,bought\n1,2024-01-01,1,red,caf\u00e9,no\n".encode("latin-1")),
        ["1 of 1 rows", "row: 1 x unreadable: invalid encoding    first at line 2"],
    ),
    "duplicate header": (
        "prepare",
        table(lambda rows: rows[0].append("size")),
        ["'size_2': in the file, not in columns", "a name that stands twice gets _2"],
    ),
    "half a gzip file": ("prepare", corrupt_gzip, ["data/raw/toy/toy.csv.gz, after line", "the file is damaged"]),
    "not a Parquet file": ("prepare", corrupt_parquet, ["toy.parquet: not readable as parquet: No magic bytes"]),
    "empty side": ("prepare", toy("2024-09-01", "2025-09-01"), ["the split leaves no rows for test"]),
    "split without order": ("prepare", toy("2024-09-01", "2024-06-01"), ["validation should begin before test"]),
    "other content than pinned": (
        "prepare",
        toy("path: data/raw/toy/toy.csv", f"path: data/raw/toy/toy.csv\n  sha256: {'a' * 64}"),
        [f"data/raw/toy/toy.csv: not what it is pinned to: source.sha256 is {'a' * 64}, the content has "],
    ),
    "folder without files": ("prepare", source("more"), ["data/raw/toy/more: no file ending in .csv, .tsv"]),
    "glob that fits no file": (
        "prepare",
        source("more/*.csv"),
        ["data/raw/toy/more/*.csv: no file has such a name (source.path)"],
    ),
    "file whose header differs": (
        "prepare",
        source("more", a=toy_bytes(), b=toy_bytes().replace(b"size", b"Size", 1)),
        ["more/b.csv: its columns are not those of data/raw/toy/more/a.csv: id, day, Size, colour, note, bought"],
    ),
    "one of several files empty": (
        "prepare",
        source("more", a=toy_bytes(), b=b""),
        ["data/raw/toy/more/b.csv: the file is empty"],
    ),
    "rule that allows no breach": (
        "prepare",
        both(
            table(lambda rows: rows[9].__setitem__(3, "mauve")),
            toy("values: [red, green, blue]", "values: [red, green, blue], on_violation: fail"),
        ),
        [
            "data/raw/toy/toy.csv: rows break rules that allow none (on_violation: fail)",
            "colour: 1 x values ['red', 'green', 'blue']    first at line 10: 'mauve'",
        ],
    ),
    "rule between columns that allows no breach": (
        "prepare",
        toy("limits:", "rules:\n  small: {check: size <= 90, on_violation: fail}\nlimits:"),
        ["small: 39 x check size <= 90    first at line "],
    ),
    "too many values made missing": (
        "prepare",
        both(
            every(2, lambda row: "huge" if int(row[0]) % 5 == 0 else row[2]),
            toy("max: 100", "max: 100, on_violation: 'null'"),
        ),
        ["make more than 10.0% of a column missing (limits.nulled)", "size: 80 of 400 values"],
    ),
    "rule that names no column": (
        "prepare",
        toy("limits:", "rules:\n  r: {check: siz > 1}\nlimits:"),
        ["rules.r.check: ", "did you mean 'size'?"],
    ),
    "encoding that does not exist": (
        "prepare",
        toy("data/raw/toy/toy.csv", "data/raw/toy/toy.csv\n  encoding: utf8mb4"),
        ["source.encoding: should be one that Python knows, such as utf-8, cp1252, got 'utf8mb4'"],
    ),
    "not in its encoding": (
        "prepare",
        both(raw(b"\x81" + toy_bytes()), toy("data/raw/toy/toy.csv", "data/raw/toy/toy.csv\n  encoding: cp1252")),
        ["data/raw/toy/toy.csv, after line 0: not cp1252: ", "(source.encoding)"],
    ),
    "UTF-16 that is none": (
        "prepare",
        both(raw(b"\xff\xfe" + toy_bytes()), toy("data/raw/toy/toy.csv", "data/raw/toy/toy.csv\n  encoding: utf-16")),
        ["data/raw/toy/toy.csv"],
    ),
    "UTF-16 said to be UTF-8": (
        "prepare",
        raw(toy_bytes().decode().encode("utf-16")),
        ["data/raw/toy/toy.csv does not have the columns of conf/data/toy.yaml"],
    ),
    "wrong delimiter": (
        "prepare",
        toy("data/raw/toy/toy.csv", "data/raw/toy/toy.csv\n  delimiter: ;"),
        ["data/raw/toy/toy.csv does not have the columns", "'id,day,size,colour,note,bought': in the file, not in"],
    ),
    "a column more in every row": (
        "prepare",
        table(lambda rows: [row.append("more") for row in rows[1:]]),
        ["data/raw/toy/toy.csv, line 2: 7 fields for 6 columns, and none of the next has fewer"],
    ),
    "a line with half a million fields": (
        "prepare",
        table(lambda rows: rows.insert(7, ["x"] * 500_000)),
        ["data/raw/toy/toy.csv, line 8: 500000 fields for 6 columns (source.quote, source.delimiter)"],
    ),
    "truncated within quotes": (
        "prepare",
        raw(toy_bytes() + b'400,2024-12-28,3,red,"cut off he'),
        ["data/raw/toy/toy.csv, record after line 401: a quote is opened and never closed"],
    ),
    "quote in a header never closed": (
        "prepare",
        raw(toy_bytes().replace(b"note", b'"note', 1)),
        ["data/raw/toy/toy.csv, record after line 0: a quote is opened and never closed"],
    ),
    "format that it is not": (
        "prepare",
        toy("data/raw/toy/toy.csv", "data/raw/toy/toy.csv\n  format: jsonl"),
        ["data/raw/toy/toy.csv: no line holds a JSON object"],
    ),
    "waiver of an unknown check": (
        "prepare",
        toy("limits:", "waive: {future_in_trainin: why}\nlimits:"),
        ["waive.future_in_trainin: no such check; did you mean 'future_in_training'?"],
    ),
    "leak: a group on two sides": (
        "prepare",
        both(every(4, lambda row: f"g{int(row[0]) % 7}"), toy("note: {type: text", "note: {type: text, role: group")),
        ["conf/data/toy.yaml: the data leaks across the split", "group_on_both_sides: "],
    ),
    "leak: rows copied to another side": (
        "prepare",
        both(
            table(
                lambda rows: [
                    rows.append([str(400 + i), f"2024-12-{i % 28 + 1:02d}", *rows[i + 1][2:]]) for i in range(90)
                ]
            ),
            toy("size: {type: number, min: 0, max: 100}", "size: {type: number}"),
            every_size_apart,
        ),
        ["the data leaks across the split", "duplicates_across_sides: "],
    ),
    "leak: a feature that is the answer": (
        "prepare",
        every(4, lambda row: f"was {row[5]}"),
        ["the data leaks across the split", "feature_gives_the_answer: ", "note"],
    ),
    "leak: training on the future": (
        "prepare",
        HASHED,
        ["the data leaks across the split", "future_in_training: "],
    ),
    "features typo": (
        "featurize",
        replace("conf/features/standard.yaml", "min_rows", "min_row"),
        ["conf/features/standard.yaml is not valid", "categories.min_row: unknown key; did you mean 'min_rows'?"],
    ),
    "unknown date part": (
        "featurize",
        replace("conf/features/standard.yaml", "weekday", "weekdy"),
        ["dates.parts[1]: should be one of hour, weekday, day, month, year, got 'weekdy'; did you mean 'weekday'?"],
    ),
    "model typo": (
        "train",
        replace(MODEL, "inputs: native", "input: native"),
        ["conf/model/boosting.yaml is not valid", "input: unknown key; did you mean 'inputs'?", "inputs: missing"],
    ),
    "estimator that does not exist": (
        "train",
        replace(MODEL, "lightgbm.LGBMClassifier", "lightgbm.LGBMClasifier"),
        ["conf/model/boosting.yaml: lightgbm.LGBMClasifier cannot be made", "LGBMClasifier"],
    ),
    "argument that LightGBM would ignore": (
        "train",
        replace(MODEL, "num_leaves: 15", "num_leafs: 15"),
        ["conf/model/boosting.yaml is not valid", "estimator.num_leafs: unknown key; did you mean 'num_leaf"],
    ),
    "argument that scikit-learn does not know": (
        "train",
        lambda folder: replace(MODEL, "lightgbm.LGBMClassifier", "sklearn.ensemble.RandomForestClassifier")(folder),
        ["conf/model/boosting.yaml: sklearn.ensemble.RandomForestClassifier cannot be made", "learning_rate"],
    ),
    "estimator that refuses its arguments": (
        "train",
        replace(MODEL, "num_leaves: 15", "num_leaves: 1"),
        ["conf/model/boosting.yaml: ", "num_leaves"],
    ),
    "regressor for classes": (
        "train",
        replace(MODEL, "lightgbm.LGBMClassifier", "lightgbm.LGBMRegressor"),
        ["the target has classes, and LGBMRegressor gives no probabilities"],
    ),
    "library that is not installed": (
        "train",
        without_xgboost,
        ["xgboost.XGBClassifier cannot be made: No module named 'xgboost'; pip install "],
    ),
    "value that YAML reads as another": ("prepare", toy('values: ["no", "yes"]', "values: [no, yes]"), ["quote it"]),
    "two-character delimiter": (
        "prepare",
        toy("data/raw/toy/toy.csv", "data/raw/toy/toy.csv\n  delimiter: '||'"),
        ["source.delimiter: should be one character"],
    ),
    "column without a name": (
        "prepare",
        table(lambda rows: rows[0].__setitem__(4, "")),
        ["columns.note: not in the file", "'column_5': in the file", "a field without a name is column_N"],
    ),
    "share above one": (
        "evaluate",
        replace("conf/evaluation/quick.yaml", "confidence: 0.95", "confidence: 95"),
        ["confidence: should be in [0.5, 0.999], got 95"],
    ),
    "weight below zero": (
        "prepare",
        toy("size: {type: number, min: 0", "size: {type: number, role: weight, min: -1"),
        ["columns.size.min: a weight should not be below 0, got -1"],
    ),
    "evaluation typo": (
        "evaluate",
        replace("conf/evaluation/quick.yaml", "resamples", "resample"),
        ["conf/evaluation/quick.yaml is not valid", "resample: unknown key; did you mean 'resamples'?"],
    ),
    "package name": (
        "package",
        replace("conf/packaging/standard.yaml", '"{data}_model"', '"{data}-model"'),
        ["name should be a free Python module name, got 'toy-model'"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_one_clear_message_and_loses_nothing(case: str, small: Path, tmp_path: Path) -> None:
    stage, make_fault, messages = CASES[case]
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    before = {name: dvc_hash(folder / name / stage) for name in ("data", "reports")}
    make_fault(folder)
    done = run_stage(folder, stage, *PIPELINE[stage], check=False)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith(f"{stage}: ") or f"\n{stage}: " in done.stderr
    assert "Traceback" not in done.stderr
    for message in messages:
        assert message in done.stderr
    assert {name: dvc_hash(folder / name / stage) for name in ("data", "reports")} == before
    assert not list((folder / "data").glob(".*"))


@pytest.mark.parametrize(
    ("stage", "argument", "message"),
    [
        ("prepare", "data=tou", "data should be one of houses, jobs, loans, rides, survival, toy, got 'tou'"),
        (
            "train",
            "model=forrest",
            "model should be one of boosting, boosting_sklearn, ensemble, forest, linear, neural, xgboost, got 'forr",
        ),
        ("train", "modle=forest", "say which file of conf/model/ to use: model=NAME"),
        ("train", "model=forest seed=seven", "seed should be a whole number from 0 to 2^32 - 1, got 'seven'"),
        ("evaluate", "evaluation=standard evaluation.resample=3", "resample"),
    ],
)
def test_an_unknown_choice_or_argument_is_refused(small: Path, stage: str, argument: str, message: str) -> None:
    done = run_stage(small, stage, *argument.split(), check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("stage", "path", "content", "message"),
    [
        (
            "featurize",
            "data/prepare/contract.json",
            None,
            "data/prepare/contract.json: no such file; `dvc repro` makes it",
        ),
        ("package", "reports/train/plots/importance.csv", None, "plots/importance.csv: no such file; `dvc repro`"),
        ("train", "data/featurize/plan.json", "[{", "data/featurize/plan.json: damaged: "),
        ("package", "reports/evaluate/intervals.json", None, "reports/evaluate/intervals.json: no such file"),
    ],
)
def test_an_earlier_output_that_is_absent_or_damaged_is_named(
    small: Path, tmp_path: Path, stage: str, path: str, content: str | None, message: str
) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(small, folder)
    (folder / path).unlink() if content is None else (folder / path).write_text(content)
    done = run_stage(folder, stage, *PIPELINE[stage], check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_class_without_training_rows_is_named(workspace: Path) -> None:
    rows = toy_rows()
    for row in rows[1:]:
        row[5] = "no" if row[1] < "2024-07" else row[5]
    write_toy(workspace, rows)
    (workspace / "conf/data/toy.yaml").write_text(TOY)
    done = run_stage(workspace, "prepare", *PIPELINE["prepare"], check=False)
    assert done.returncode == 1
    assert "prepare: conf/data/toy.yaml: no training rows of class 'yes' of bought: change split" in done.stderr
