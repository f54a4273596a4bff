"""The page of a profile: well-formed, labelled, escaped, the same bytes twice, small with many columns."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markup import Reader
from test_profile import EVERY, every_kind, profiled

from stages.runtime.contract import Column
from stages.shared.profile.measure import profile_bytes
from stages.shared.profile.page import page


def made(n_rows: int = 500, **columns: Column) -> dict[str, Any]:
    values = every_kind(n_rows)
    renamed = {name: list(values["c"]) for name in columns}
    return profiled({**EVERY, **columns}, {**values, **renamed})


def test_the_page_is_well_formed_and_every_picture_and_region_has_a_label() -> None:
    html = Reader(page(made()))
    pictures = html.named("svg")
    assert len(pictures) == 5  # n, i, t, d, m
    assert all(picture["role"] == "img" and "median" in str(picture["aria-label"]) for picture in pictures)
    regions = html.named("div")
    assert all(region["role"] == "region" and region["tabindex"] == "0" and region["aria-label"] for region in regions)
    assert len(html.named("caption")) == len(html.named("table"))
    assert all(cell["scope"] in ("col", "row") for cell in html.named("th"))
    assert html.named("html")[0]["lang"] == "en"


def test_ids_are_unique_and_every_link_and_label_finds_its_own() -> None:
    html = Reader(page(made()))
    ids = [attributes["id"] for _, attributes in html.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    pointed = [str(link["href"]).removeprefix("#") for link in html.named("a")]
    pointed += [str(attributes["aria-labelledby"]) for _, attributes in html.tags if "aria-labelledby" in attributes]
    assert set(pointed) <= set(ids)


def test_headings_step_down_one_level_at_a_time() -> None:
    levels = [int(tag[1]) for tag, _ in Reader(page(made())).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_names_values_units_and_descriptions_are_escaped() -> None:
    evil = "<script>alert(1)</script>&\"'"
    values = {"x": [*range(10)], evil: [evil] * 10}
    columns = {"x": Column("integer", unit=evil), evil: Column("category", description=evil)}
    html = Reader(page(profiled(columns, values)))
    assert not html.named("script")
    assert html.text.count(evil) >= 5  # index, heading, unit, description, value
    assert any(evil in str(region["aria-label"]) for region in html.named("div"))


def test_it_needs_nothing_but_itself() -> None:
    html = page(made())
    assert not re.search(r"<script|<link|<img|https?:|url\(|@import|src=", html)


def test_the_stored_profile_gives_the_same_page_as_the_fresh_one() -> None:
    fresh = made()
    stored = json.loads(profile_bytes(fresh))
    assert page(fresh) == page(stored) == page(stored)


def test_sides_are_in_their_order_and_columns_in_the_contracts() -> None:
    html = page(json.loads(profile_bytes(made())))
    assert re.search(r"train\d.*validation\d.*test\d", Reader(html).text, re.DOTALL)
    assert re.findall(r'<h3 id="c(\d+)">(.*?)</h3>', html) == [
        (str(n), name) for n, name in enumerate([*EVERY, "y"], 1)
    ]
    assert re.findall(r'<li><a href="#c\d+">(.*?)</a>', html) == [*EVERY, "y"]


def test_fates_and_the_sample_are_said() -> None:
    found = made()
    found["fates"] = {"in": 1234, "kept": 1200, "merged": 4, "quarantined": 30}
    text = Reader(page(found)).text
    assert "1,234 in the source; 1,200 kept; 30 quarantined; 4 merged as duplicates." in text
    assert "sample of" not in text
    found["sample"] = {"every": 3, "rows": {"train": 100, "validation": 33, "test": 33}}
    assert "from a sample of 166 rows, one in 3" in Reader(page(found)).text


def test_a_side_that_differs_is_marked_in_the_index_and_on_its_card() -> None:
    sizes = [(0 if i % 10 < 8 else 50) + i % 7 for i in range(2000)]
    html = Reader(page(profiled({"size": Column("integer")}, {"size": sizes})))
    assert "size differs" in html.text
    assert "test differs from training: 100% of its rows" in html.text


@pytest.mark.parametrize("kind", ["integer", "date", "category", "text", "boolean"])
def test_empty_sensitive_and_constant_columns_have_a_card(kind: Any) -> None:
    values = {"empty": [None] * 10, "hidden": [None] * 9 + every_kind(1)[{"integer": "i", "date": "d"}.get(kind, "c")]}
    if kind == "boolean":
        values["hidden"][9] = True
    columns = {"empty": Column(kind), "hidden": Column(kind, sensitive=True)}
    html = Reader(page(profiled(columns, values)))
    assert len(html.named("article")) == 3
    assert "nan" not in html.text.lower()


def test_the_target_of_a_regression_has_mean_and_deviation() -> None:
    y = [1.0, 2, 3, 4, 5, 6, 10, 20, 7, 9]
    text = Reader(page(profiled({"x": Column("integer")}, {"x": [1] * 10, "y": y}, "regression"))).text
    assert "3.5" in text
    assert "1.87083" in text


def test_a_hundred_and_fifty_columns_stay_below_a_megabyte() -> None:
    values = every_kind(2000)
    columns = {f"{name}{i}": kind for i in range(19) for name, kind in EVERY.items()}
    html = page(profiled(columns, {f"{name}{i}": list(values[name]) for i in range(19) for name in EVERY}))
    assert len(html.encode()) < 1_000_000


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_nothing_is_wider_than_a_narrow_screen(tmp_path: Path) -> None:
    """A frame of 360 pixels says how much wider its content is: only tables may scroll sideways."""
    measure = "document.title = document.documentElement.scrollWidth - document.documentElement.clientWidth"
    html = page(made()).replace("</body>", f"<script>{measure}</script></body>")
    (tmp_path / "page.html").write_text(html)
    frame = """<iframe id="f" src="page.html" style="width:360px;height:800px;border:0"></iframe><p id="found"></p>
        <script>f.onload = () => { found.textContent = "width " + f.contentDocument.title }</script>"""
    (tmp_path / "frame.html").write_text(frame)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += [f"--user-data-dir={tmp_path}/user", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run([*command, f"file://{tmp_path}/frame.html"], capture_output=True, text=True, timeout=60)
    assert '<p id="found">width 0</p>' in done.stdout, done.stdout[-500:]
