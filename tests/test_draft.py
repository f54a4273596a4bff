"""The command: any table in, a contract that prepare accepts out, in a workspace of its own."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from omegaconf import OmegaConf

from tests.conftest import PIPELINE, ROOT, make_workspace, run_in, run_stage
from tools.draft.__main__ import name_of
from tools.draft.render import key_text, scalar

N = 240


def rows_of(n: int = N) -> list[list[str]]:
    """Rows of a small table: x and colour tell y, in part."""
    draw = random.Random(1)
    made = []
    for _ in range(n):
        x, colour = draw.random() * 100, draw.choice(["red", "green", "blue"])
        y = "yes" if x + 30 * (colour == "red") + draw.gauss(0, 25) > 60 else "no"
        made.append([f"{x:.2f}", colour, y])
    return made


def csv_of(rows: list[list[str]], header: str = "x,colour,y", delimiter: str = ",") -> str:
    return "\n".join([header, *(delimiter.join(row) for row in rows)]) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "workspace")


def draft(folder: Path, *arguments: str, check: bool = True) -> Any:
    return run_in(folder, sys.executable, "-m", "tools.draft", *arguments, check=check, PYTHONPATH=str(ROOT))


def drafted(folder: Path, content: str | bytes, target: str, file: str = "t.csv") -> dict[str, Any]:
    """The contract drafted from a file's content; prepare runs on it as it stands."""
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    draft(folder, file, "--target", target, "--name", "t")
    run_stage(folder, "prepare", "data=t")
    return dict(yaml.safe_load((folder / "conf/data/t.yaml").read_text(encoding="utf-8")))


def kept(folder: Path) -> int:
    return int(json.loads((folder / "reports/prepare/summary.json").read_text())["rows"]["kept"])


def test_a_plain_table_becomes_a_model_without_an_edit(folder: Path) -> None:
    (folder / "My table-2.csv").write_text(csv_of(rows_of()))
    done = draft(folder, "My table-2.csv", "--target", "y")
    assert "draft: conf/data/my_table_2.yaml  240 rows = 240 kept + 0 quarantined + 0 merged; binary" in done.stdout
    assert "dvc exp run -S data=my_table_2" in done.stdout
    assert (folder / "data/raw/my_table_2/My table-2.csv").is_file()
    run_stage(folder, "prepare", "data=my_table_2")
    for stage in ("featurize", "train", "evaluate"):
        run_stage(folder, stage, *PIPELINE[stage])


def test_the_same_table_gives_the_same_bytes(folder: Path) -> None:
    (folder / "t.csv").write_text(csv_of(rows_of()))
    draft(folder, "t.csv", "--target", "y")
    first = (folder / "conf/data/t.yaml").read_bytes()
    draft(folder, "t.csv", "--target", "y", "--force")
    assert (folder / "conf/data/t.yaml").read_bytes() == first


def test_a_draft_is_not_overwritten_unless_forced(folder: Path) -> None:
    (folder / "t.csv").write_text(csv_of(rows_of()))
    draft(folder, "t.csv", "--target", "y")
    done = draft(folder, "t.csv", "--target", "y", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "draft: conf/data/t.yaml is there already; --force replaces it, --name NAME drafts beside it\n",
    )


def test_another_file_in_the_raw_folder_is_not_overwritten(folder: Path) -> None:
    (folder / "t.csv").write_text(csv_of(rows_of()))
    (folder / "data/raw/t").mkdir()
    (folder / "data/raw/t/t.csv").write_text("precious")
    done = draft(folder, "t.csv", "--target", "y", check=False)
    assert "data/raw/t/t.csv is there already and differs" in done.stderr
    assert (folder / "data/raw/t/t.csv").read_text() == "precious"


def test_a_table_that_lies_in_its_place_is_not_copied(folder: Path) -> None:
    path = folder / "data/raw/t/deep/t.csv"
    path.parent.mkdir(parents=True)
    path.write_text(csv_of(rows_of()))
    draft(folder, "data/raw/t/deep/t.csv", "--target", "y")
    assert yaml.safe_load((folder / "conf/data/t.yaml").read_text())["source"]["path"] == "data/raw/t/deep/t.csv"
    assert [file.name for file in (folder / "data/raw/t").rglob("*.csv")] == ["t.csv"]


@pytest.mark.parametrize(
    ("file", "content", "target", "message"),
    [
        ("none.csv", None, "y", "none.csv: no such file"),
        ("t.csv", b"", "y", "t.csv: the file is empty"),
        ("t.csv", b"x,y\n", "y", "a header and no rows"),
        (
            "t.csv",
            csv_of(rows_of()).encode(),
            "yy",
            "t.csv has no column 'yy'; did you mean 'y'?\n  columns: x, colour, y",
        ),
        ("t.csv", csv_of([[*row[:2], "no"] for row in rows_of()]).encode(), "y", "y is 'no' in every row"),
        ("t.csv", csv_of(rows_of(15)).encode(), "y", "y has a value in 15 rows; fewer than 20"),
        ("t.xlsx", b"PK\x03\x04 and so on", "y", "t.xlsx: not a table but a zip archive or spreadsheet"),
        ("t.csv", bytes(range(256)) * 50, "y", "t.csv: not a table of text, its bytes are binary"),
        ("t.csv", b"y\n" + b"1\n0\n" * 50, "y", "one column only ('y')"),
        ("t.csv.gz", gzip.compress(csv_of(rows_of()).encode())[:-200], "y", "the file is damaged"),
        ("t.csv", b"Sales of May\n\n" + csv_of(rows_of()).encode(), "y", "its first line has 1 fields, most others 3"),
        ("t.csv", csv_of(rows_of(), "x,y").encode(), "y", "its first line has 2 fields, most others 3"),
        ("t.csv", b"<!DOCTYPE html><html>", "y", "not a table but a web page"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(
    folder: Path, file: str, content: bytes | None, target: str, message: str
) -> None:
    if content is not None:
        (folder / file).write_bytes(content)
    done = draft(folder, file, "--target", target, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("draft: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "conf/data/t.yaml").exists()


def test_semicolons_decimal_commas_and_quoted_newlines(folder: Path) -> None:
    rows = [[x.replace(".", ","), f'"{colour};\nand more"', y] for x, colour, y in rows_of()]
    conf = drafted(folder, csv_of(rows, "x;colour;y", ";"), "y")
    assert {"delimiter": ";", "decimal": ","}.items() <= conf["source"].items()
    assert conf["columns"]["x"]["type"] == "number"
    assert kept(folder) == N


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_other_encodings(folder: Path, encoding: str) -> None:
    rows = [[x, colour.replace("e", "é"), y] for x, colour, y in rows_of()]
    conf = drafted(folder, csv_of(rows).encode(encoding), "y")
    assert conf["columns"]["colour"]["values"] == ["blué", "gréén", "réd"]


def test_without_a_header_columns_are_named_by_place(folder: Path) -> None:
    conf = drafted(folder, "\n".join(",".join(row) for row in rows_of()), "2")
    assert conf["source"]["header"] is False
    assert list(conf["columns"]) == ["0", "1", "2"]
    assert conf["columns"]["2"]["role"] == "target"


def test_column_names_of_every_kind(folder: Path) -> None:
    header = 'select,"a, b",,x,x,_id,target y,é 😀,yes,1.5,"say ""hi""",${oops}'
    rows = [[str(i % 17 + place) for place in range(11)] for i in range(N)]
    lines = [",".join([*row[:6], y, *row[6:]]) for row, (_, _, y) in zip(rows, rows_of(), strict=True)]
    conf = drafted(folder, "\n".join([header, *lines]), "target y")
    names = list(conf["columns"])
    assert names[:2] == ["select", "a, b"]
    assert names[2:6] == ["column_3", "x", "x_2", "_id"]
    assert names[6:] == ["target y", "é 😀", "yes", "1.5", 'say "hi"', "${oops}"]


@pytest.mark.slow
def test_a_wide_table(folder: Path) -> None:
    draw = random.Random(2)
    header = ",".join([*(f"v{i}" for i in range(400)), "y"])
    rows = [[*(f"{draw.random():.3f}" for _ in range(400)), y] for _, _, y in rows_of()]
    assert len(drafted(folder, csv_of(rows, header), "y")["columns"]) == 401


def test_a_table_of_texts_alone(folder: Path) -> None:
    draw = random.Random(3)
    words = [
        "the",
        "model",
        "of",
        "this",
        "pipe",
        "line",
        "reads",
        "many",
        "texts",
        "and",
        "some",
        "of",
        "them",
        "say",
        "spam",
    ]
    rows = [[" ".join(draw.choices(words, k=12)), y] for _, _, y in rows_of()]
    conf = drafted(folder, csv_of(rows, "message,y"), "y")
    assert conf["columns"]["message"]["type"] == "text"


def test_rows_without_a_target_go_to_quarantine_and_the_limit_allows_them(folder: Path) -> None:
    rows = [[x, y if i % 10 else "", colour] for i, (x, colour, y) in enumerate(rows_of())]
    conf = drafted(folder, csv_of(rows, "x,y,colour"), "y")
    assert conf["limits"]["quarantine"] == pytest.approx(0.12)
    assert kept(folder) == N - N // 10


def test_offsets_and_month_first_dates_order_the_rows(folder: Path) -> None:
    rows = [[f"{i // 20 + 1}/{i % 28 + 1}/2023 9:05 PM", *row] for i, row in enumerate(rows_of())]
    conf = drafted(folder, csv_of(rows, "booked,x,colour,y"), "y")
    assert conf["columns"]["booked"] == {"type": "timestamp", "role": "time", "formats": ["%m/%d/%Y %I:%M %p"]}
    assert conf["split"]["by"] == "time"


def test_json_lines_with_nested_values(folder: Path) -> None:
    lines = [json.dumps({"x": float(x), "more": {"colour": c, "n": [1, 2]}, "y": y}) for x, c, y in rows_of()]
    conf = drafted(folder, "\n".join(lines), "y", "t.jsonl")
    assert conf["source"]["format"] == "jsonl"
    assert {name: column["type"] for name, column in conf["columns"].items()} == {
        "more": "text",
        "x": "number",
        "y": "category",
    }


def test_a_folder_of_parquet_files_is_one_table(folder: Path) -> None:
    (folder / "parts").mkdir()
    for part in range(3):
        duckdb.execute(
            f"""COPY (SELECT range + {part * 100} AS id, (range * 7919 % 101) / 3.0 AS x,
                CASE WHEN range * 31 % 10 < 4 THEN 'a' ELSE 'b' END AS y FROM range(100))
                TO '{folder}/parts/part-{part}.parquet'"""
        )
    draft(folder, "parts", "--target", "y")
    run_stage(folder, "prepare", "data=parts")
    conf = yaml.safe_load((folder / "conf/data/parts.yaml").read_text())
    assert conf["source"] == {"path": "data/raw/parts", "format": "parquet"}
    assert conf["columns"]["id"]["role"] == "key"
    assert kept(folder) == 300


def test_a_value_that_the_sample_did_not_show_is_mended_by_the_trial(folder: Path, monkeypatch: Any) -> None:
    """The trial sees every row: a broken one in a feature costs the value, not the row."""
    import tools.draft.sample

    monkeypatch.setattr(tools.draft.sample, "SAMPLE_ROWS", 100)
    monkeypatch.chdir(folder)
    rows = [[*row[:1], row[1], row[2]] for row in rows_of(1000)]
    rows[777][0] = "broken"
    (folder / "t.csv").write_text(csv_of(rows))
    monkeypatch.setattr(sys, "argv", ["draft", "t.csv", "--target", "y"])
    from tools.draft.__main__ import main

    main()
    column = yaml.safe_load((folder / "conf/data/t.yaml").read_text())["columns"]["x"]
    assert column["on_violation"] == "null"


def test_a_fetched_table_keeps_its_source_and_pin(folder: Path) -> None:
    text = csv_of(rows_of(300))
    (folder / "data/raw/t").mkdir(parents=True)
    (folder / "data/raw/t/t.csv").write_text(text)
    source = {
        "path": "data/raw/t/t.csv",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "fetch": {"query": 'SELECT *\nFROM t ORDER BY "x"', "connection": "SHOP"},
    }
    path = folder / "conf/data/t.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"source": source}))
    draft(folder, "data/raw/t/t.csv", "--target", "y", "--name", "t")
    assert yaml.safe_load(path.read_text())["source"] == source
    written = path.read_bytes()
    again = draft(folder, "data/raw/t/t.csv", "--target", "y", "--name", "t", check=False)
    assert again.returncode == 1
    assert "--force replaces it" in again.stderr
    draft(folder, "data/raw/t/t.csv", "--target", "y", "--name", "t", "--force")
    assert path.read_bytes() == written
    (folder / "other.csv").write_text(text)
    other = draft(folder, "other.csv", "--target", "y", "--name", "t", "--force", check=False)
    assert other.returncode == 1
    assert "fetches data/raw/t/t.csv, but the table is data/raw/t/other.csv" in other.stderr
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("given", "name"),
    [("adult.csv.gz", "adult"), ("My table (2).csv", "my_table_2"), ("2020.csv", "table_2020"), ("ÜBER.csv", "uber"),
     ("class.csv", "table_class"), ("data.v2.parquet", "data")],
)  # fmt: skip
def test_the_name_is_an_identifier(given: str, name: str) -> None:
    assert name_of(Path(given), Path()) == name


@pytest.mark.parametrize(
    "text",
    ["no", "a: b", "a#b", "é 😀", "x ", "-5", "?", "{a}", "a,b", "2020-01-01", "a\nb", "\u2028", ".5", "1e5", "null",
     "<=50K", "a'b", 'a"b', "\\", "=", "1_000", "0x1f", "12:30", "~", "- x", "\x85", "\U000e0001"],
)  # fmt: skip
def test_every_text_comes_back_from_the_yaml(text: str) -> None:
    assert yaml.safe_load(f"{{{key_text(text)}: [{scalar(text)}]}}") == {text: [text]}


@pytest.mark.parametrize("text", ["${x}", "a ${b.c} d", "\\", "$5"])
def test_no_text_is_an_interpolation(text: str) -> None:
    read = OmegaConf.create(f"values: [{scalar(text)}]")
    assert OmegaConf.to_container(read, resolve=True) == {"values": [text]}


def test_a_lone_feature_that_gives_the_answer_is_kept_and_waived(folder: Path) -> None:
    conf = drafted(
        folder, "\n".join(["a,y", *(f"{i * 37 % 1009},{2 * (i * 37 % 1009) + i % 3}" for i in range(N))]), "y"
    )
    assert conf["columns"]["a"]["type"] == "integer"
    assert list(conf["waive"]) == ["feature_gives_the_answer"]


def test_a_column_may_be_called_rowid_or_h(folder: Path) -> None:
    rows = ["h,rowid,y", *(f"{i % 10},{i % 7},{i * 37 % 2}" for i in range(N))]
    assert list(drafted(folder, "\n".join(rows), "y")["columns"]) == ["h", "rowid", "y"]


def test_numbers_near_the_largest_have_bounds(folder: Path) -> None:
    rows = ["a,x,y", *(f"{i / N * 1.7e308!r},{i * 37 % 101},{i % 2}" for i in range(N))]
    assert drafted(folder, "\n".join(rows), "y")["columns"]["a"]["max"] > 1e308


def test_classes_that_differ_in_case_are_said(folder: Path) -> None:
    labels = ["Yes", "yes", "YES", "No", "no"]
    rows = ["x,z,y", *(f"{i * 37 % 101},{i % 9},{labels[i % 5]}" for i in range(N))]
    drafted(folder, "\n".join(rows), "y")
    assert "classes spelled in two ways" in (folder / "conf/data/t.yaml").read_text()


def test_a_small_table_keeps_its_small_classes(folder: Path) -> None:
    rows = ["x,z,y", *(f"{i * 37 % 101},{i % 9},{'c' if i < 6 else 'ab'[i % 2]}" for i in range(118))]
    assert drafted(folder, "\n".join(rows), "y")["columns"]["y"]["values"] == ["a", "b", "c"]
