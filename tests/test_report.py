"""The report for people: every section from the reports, one page that needs nothing but itself, in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import run_in, run_stage
from markup import Reader

from stages.shared.report.charts import Scale, Series, bars, chart, forest, ticks
from stages.shared.report.page import page
from stages.shared.report.parts import Html, cell, interval, number, section, table

HEADINGS = [
    "Verdict", "Metrics", "Curves", "Slices", "Decisions", "Importance", "Worst rows", "Data",
    "Model card", "Data card", "Lineage",
]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.12, 0.31, [-0.2, -0.1, 0, 0.1, 0.2, 0.3, 0.4]),
        (3, 3.0001, None),
        (-1e9, 5e9, [-1e9, 0, 1e9, 2e9, 3e9, 4e9, 5e9]),
    ],
)
def test_ticks_are_round_and_cover_the_span(low: float, high: float, expected: list[float] | None) -> None:
    found = ticks(low, high)
    assert found[0] <= low + 1e-12 * abs(low)
    assert found[-1] >= high - 1e-12 * abs(high)
    assert 2 <= len(found) <= 8
    assert expected is None or found == pytest.approx(expected)


def test_a_scale_of_one_value_has_room_on_both_sides() -> None:
    scale = Scale([4.0, 4.0], 0, 100)
    assert 0 < scale(4.0) < 100


def test_what_has_no_points_is_no_picture() -> None:
    assert chart("ROC", "x", "y", [Series("ROC", [])]) == ""
    assert bars("Importance", "x", []) == forest("Differences", "x", [], 0.0) == ""
    assert section("a", "A", [Html("")]) == ""


def test_pictures_say_in_words_what_they_show() -> None:
    svg = chart("ROC", "false positives", "true positives", [Series("ROC", [(0, 0), (0.25, 0.5), (1, 1)])])
    [figure] = Reader(svg).named("svg")
    assert figure["role"] == "img"
    assert figure["aria-label"] == "ROC: true positives against false positives. ROC: 0 at 0, 0.5 at 0.25, 1 at 1."


def test_nothing_in_the_data_is_taken_for_markup() -> None:
    evil = '<script>alert("x")</script>&'
    html = "".join([
        table(evil, [evil, evil], [[evil, evil]]),
        bars(evil, evil, [(evil, 1.0, 0.5, 1.5)]),
        page(evil, evil, []),
    ])  # fmt: skip
    assert html.count("<script>") == 1
    assert evil in Reader(html).text


def test_cells_sort_as_numbers_and_missing_values_are_dashes() -> None:
    assert cell(1234) == '<td data-v="1234">1,234</td>'
    assert number(-123456.7) == "-123,500"
    assert number(0.5, "+") == "+0.5"
    assert cell(0.123456) == '<td data-v="0.123456">0.1235</td>'
    assert cell(None) == interval(None) == interval({"value": None}) == "<td>–</td>"
    assert interval({"value": 0.5, "low": 0.25, "high": 0.75}, signed=True) == (
        '<td data-v="0.5">+0.5 <small>[+0.25, +0.75]</small></td>'
    )
    assert number(True) == "True"


@pytest.fixture
def reported(small: Path, tmp_path: Path) -> Path:
    """A workspace with the reports of all stages."""
    return shutil.copytree(small, tmp_path / "workspace")


def test_the_page_has_every_section_and_asks_the_network_for_nothing(reported: Path) -> None:
    html = (reported / "reports/index.html").read_text()
    found = Reader(html)
    assert re.findall(r'<h2 id="\w+">([^<]+)</h2>', html) == HEADINGS
    assert [link["href"] for link in found.named("a") if "data:" not in str(link["href"])][-1] == "prepare/profile.html"
    assert not re.search(r"(src|href)=\"(https?:)?//", html)
    assert "@import" not in html
    metrics = json.loads((reported / "reports/evaluate/metrics.json").read_text())
    for name, value in metrics.items():
        assert f">{name}</th>" in html, name
        assert f"{value:.4g}" in html, name
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    before = (reported / "reports/index.html").read_bytes()
    run_stage(reported, "report")
    assert (reported / "reports/index.html").read_bytes() == before


def test_sensitive_values_are_not_shown(reported: Path) -> None:
    contract = json.loads((reported / "data/prepare/contract.json").read_text())
    [colour] = [column for name, column in contract["columns"] if name == "colour"]
    colour["sensitive"] = True
    (reported / "data/prepare/contract.json").write_text(json.dumps(contract))
    run_stage(reported, "report")
    worst = (reported / "reports/index.html").read_text().split('id="worst"')[1].split("<section")[0]
    assert "sensitive" in worst
    assert not re.search(r"\b(red|green|blue)\b", worst)


def test_without_an_earlier_stage_it_says_which(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "workspace")
    (folder / "reports/evaluate/intervals.json").unlink()
    before = (folder / "reports/index.html").read_bytes()
    done = run_stage(folder, "report", check=False)
    assert done.returncode == 1
    assert done.stderr == "report: reports/evaluate/intervals.json: no such file; `dvc repro` makes it\n"
    assert (folder / "reports/index.html").read_bytes() == before


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHECK = """
<script>
const said = [];
for (const picture of document.querySelectorAll("svg, img")) {
  const box = picture.getBoundingClientRect();
  if (!picture.closest("details") && (box.width < 50 || box.height < 30)) said.push("hidden picture");
}
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0], column = row => row.cells[0].textContent;
  const button = table.tHead.rows[0].cells[0].firstElementChild;
  button.click();
  const up = [...body.rows].map(column);
  button.click();
  const down = [...body.rows].map(column);
  if (up.join() !== down.reverse().join()) said.push("not sorted: " + table.caption.textContent);
  if (table.tHead.rows[0].cells[0].ariaSort !== "descending") said.push("no aria-sort");
}
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.title = JSON.stringify({said, wide, tables: document.querySelectorAll("table.sorts").length,
  pictures: document.querySelectorAll("svg").length});
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [360, 1200])
def test_in_a_browser_pictures_show_tables_sort_and_nothing_is_wider_than_the_screen(
    reported: Path, tmp_path: Path, width: int
) -> None:
    html = (reported / "reports/index.html").read_text().replace("</body>", f"{CHECK}</body>")
    (tmp_path / "page.html").write_text(html)
    frame = f"""<iframe id="f" src="page.html" style="width:{width}px;height:800px;border:0"></iframe><p id="found"></p>
        <script>f.onload = () => {{ found.textContent = f.contentDocument.title }}</script>"""
    (tmp_path / "frame.html").write_text(frame)
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += [
        f"--user-data-dir={tmp_path}/user",
        "--virtual-time-budget=5000",
        "--enable-logging=stderr",
        "--dump-dom",
    ]
    done = subprocess.run([*command, f"file://{tmp_path}/frame.html"], capture_output=True, text=True, timeout=120)
    [told] = re.findall(r'<p id="found">(.*?)</p>', done.stdout)
    found = json.loads(told)
    assert found["said"] == []
    assert found["wide"] <= 0
    assert found["tables"] >= 8
    assert found["pictures"] >= 5
    assert "CONSOLE" not in done.stderr, done.stderr


@pytest.mark.slow
def test_the_report_is_part_of_dvc_repro(reproduced: Path) -> None:
    assert "<h1>rides: report</h1>" in (reproduced / "reports/index.html").read_text()
    assert run_in(reproduced, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."
