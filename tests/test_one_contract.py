"""One contract from the raw file to the live request: what the source writes is what a request may write."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import PIPELINE, make_workspace, run_stage

CONTRACT = """
task: binary
positive: "yes"
source:
  path: data/raw/toy/orders-*.csv
  delimiter: ";"
  encoding: cp1252
  decimal: ","
  thousands: "."
  missing: ["k. A."]
columns:
  order: {type: text, role: key, nullable: false, unique: true, pattern: "[A-Z]-[0-9]+"}
  ordered: {type: timestamp, role: time, timezone: Europe/Berlin, formats: ["%d.%m.%Y %H:%M"]}
  shipped: {type: date, formats: ["%d.%m.%Y"]}
  price: {type: money, min: 0}
  discount: {type: percent, min: 0, max: 100, on_violation: "null"}
  weight_kg: {type: number, missing: ["-1"]}
  pieces: {type: integer, min: 1}
  gift: {type: boolean}
  town: {type: category, max_length: 20}
  bought: {type: category, role: target, values: ["no", "yes"]}
rules:
  ships_after: {check: "shipped >= '2024-01-01' and days(ordered, shipped) > -2"}
split: {by: time, validation: "2024-06-01", test: "2024-09-01"}
limits: {quarantine: 0.02, nulled: 0.05}
"""


def order(i: int, n: int) -> list[str]:
    """Row i of n: prices such as 1.234,50 EUR, towns with umlauts, days of 2024 in order."""
    month, day = i * 12 // n + 1, i % 28 + 1
    cents = 99_950 + (i * 7919) % 300_000
    price = f"{cents // 100:,}".replace(",", ".") + f",{cents % 100:02d} €"
    weight = "-1" if i % 9 == 0 else f"{i % 40},{i % 10}"
    bought = "yes" if cents > 250_000 or i % 5 == 0 else "no"
    town = ("Köln", "Zürich", "k. A.", "São Paulo")[i % 4]
    ordered = f"{day:02d}.{month:02d}.2024 {i % 24:02d}:30"
    shipped = f"{day:02d}.{month:02d}.2024"
    return [
        f"A-{i}",
        ordered,
        shipped,
        price,
        f"{i % 30},5 %",
        weight,
        str(i % 7 + 1),
        "yes" if i % 2 else "no",
        town,
        bought,
    ]


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the table of orders went through all stages. It lies in two files."""
    folder = make_workspace(tmp_path_factory.mktemp("orders") / "workspace")
    header = ["order", "ordered", "shipped", "price", "discount", "weight_kg", "pieces", "gift", "town", "bought"]
    rows = [order(i, 600) for i in range(600)]
    rows[17][4] = "150 %"  # made missing
    rows[400][2] = "01.01.2024"  # shipped long before it was ordered
    rows[450][8] = "a town whose name is longer than twenty"
    for number, part in enumerate((rows[:350], rows[350:]), start=1):
        text = io.StringIO()
        csv.writer(text, delimiter=";", lineterminator="\r\n").writerows([header, *part])
        (folder / f"data/raw/toy/orders-{number}.csv").write_bytes(text.getvalue().encode("cp1252"))
    (folder / "conf/data/toy.yaml").write_text(CONTRACT)
    for stage, arguments in PIPELINE.items():
        run_stage(folder, stage, *arguments)
    return folder


def test_every_row_has_its_fate_and_every_fault_its_place(orders: Path) -> None:
    summary = json.loads((orders / "reports/prepare/summary.json").read_text())
    assert summary["rows"] == {"in": 600, "kept": 598, "merged": 0, "quarantined": 2}
    found = duckdb.execute(
        f"""SELECT source, line, "column", rule, value, action
        FROM '{orders}/data/prepare/quarantine.parquet' ORDER BY source, line"""
    ).fetchall()
    assert found == [
        ("data/raw/toy/orders-1.csv", 19, "discount", "max", "150 %", "null"),
        ("data/raw/toy/orders-2.csv", 52, "ships_after", "check", "shipped=01.01.2024, ordered=09.09.2024 16:30",
         "quarantine"),
        ("data/raw/toy/orders-2.csv", 102, "town", "max_length", "a town whose name is longer than twenty",
         "quarantine"),
    ]  # fmt: skip


def test_values_are_what_the_source_means(orders: Path) -> None:
    kept = f"'{orders}/data/prepare/kept.parquet'"
    [row] = duckdb.execute(f"SELECT * EXCLUDE (_row, _split) FROM {kept} WHERE \"order\" = 'A-1'").fetchall()
    # 107.869 cents; 02.01.2024 01:30 in Berlin is half past midnight in UTC
    assert (str(row[1]), str(row[2])) == ("2024-01-02 00:30:00", "2024-01-02")
    assert row[3:] == (1078.69, 1.5, 1.1, 2, True, "Zürich", "no")


def test_a_request_may_write_what_the_source_writes(orders: Path, tmp_path: Path) -> None:
    [wheel] = (orders / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    names = ["ordered", "shipped", "price", "discount", "weight_kg", "pieces", "gift", "town"]
    raw = [dict(zip(["order", *names], order(i, 600), strict=False)) for i in range(450, 600)]
    raw = [{name: record[name] for name in names} for record in raw[1:]]
    predicted = duckdb.execute(
        f"""SELECT "order", * EXCLUDE (_row, target, "order") FROM '{orders}/data/evaluate/predictions.parquet'
        JOIN (SELECT _row, "order" FROM '{orders}/data/prepare/kept.parquet') USING (_row) ORDER BY _row"""
    ).fetchall()
    expected = {row[0]: row[1] for row in predicted}
    answers = ask(tmp_path, raw)
    for i, answer in zip(range(451, 600), answers, strict=True):
        assert answer["probabilities"]["yes"] == expected[f"A-{i}"]


def ask(site: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    code = f"""import sys, json; sys.path.insert(0, {str(site)!r}); import toy_model
print(json.dumps([toy_model.predict(record) for record in json.load(sys.stdin)]))"""
    done = subprocess.run([sys.executable, "-I", "-c", code], input=json.dumps(records), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_request_that_breaks_a_rule_between_columns_is_refused_and_a_nulled_value_is_not(
    orders: Path, tmp_path: Path
) -> None:
    [wheel] = (orders / "data/package").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    good = {"ordered": "2024-09-09T16:30", "shipped": "2024-09-10", "price": 1234.5, "discount": 400, "pieces": 2}
    assert ask(tmp_path, [good]) == ask(tmp_path, [good | {"discount": None}])
    code = f"""import sys; sys.path.insert(0, {str(tmp_path)!r}); import toy_model
try: toy_model.predict({good | {"shipped": "2023-01-01"}!r})
except toy_model.BrokenContract as error: print(error)"""
    done = subprocess.run([sys.executable, "-I", "-c", code], text=True, capture_output=True)
    assert done.stdout.strip() == "ships_after: check, got 'shipped=2023-01-01, ordered=2024-09-09T16:30'"
