"""The page where a person tries the model: in a real browser, with mouse, keyboard, phone, light and dark."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from browser import CHROMIUM, Browser, browser
from made_model import CLASSES, RECORDS, made_contract, make_model, serving_made
from markup import VOID, Reader

from stages.runtime.serving.page.form import hint
from stages.runtime.serving.page.page import page, policy

VOID.update(("input", "br"))
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


def made_page(task: str = "binary", locked: bool = False) -> str:
    shown = [] if locked else RECORDS
    return page(made_contract(task), {"task": task, "classes": CLASSES[task]}, "made", "1+a", shown, locked)


def test_every_column_the_model_reads_has_a_labelled_field() -> None:
    found = Reader(made_page())
    named = [tag for kind in ("input", "select", "textarea") for tag in found.named(kind)]
    labels = {label["for"] for label in found.named("label")}
    assert {tag["name"] for tag in named} == set(made_contract("binary").inputs)
    assert {tag["id"] for tag in named} == labels
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag in named:
        assert set(str(tag["aria-describedby"]).split()) <= set(ids)


def test_a_hint_says_type_limits_and_whether_a_value_may_be_missing() -> None:
    columns = made_contract("binary").columns
    assert hint(columns["rooms"]) == "rooms of the house; a whole number from 0 to 50; may be left empty"
    assert hint(columns["size"]) == "a number from 0 to 1000000; must be given"
    assert hint(columns["built"]) == "a date at least 1900-01-01; may be left empty"
    assert hint(columns["colour"]) == "must be given"
    assert hint(columns["seen"]) == "a date with a time in Europe/Rome unless it ends in an offset; may be left empty"


def test_nothing_in_contract_or_examples_is_taken_for_markup() -> None:
    html = made_page()
    assert html.count("<script") == 2
    assert "</script><b>" not in html.replace("&lt;/script&gt;&lt;b&gt;", "")
    assert [option["value"] for option in Reader(html).named("option")].count('a "b" <c>') == 1


def test_the_policy_allows_what_the_page_holds_and_nothing_else() -> None:
    assert "unsafe" not in policy()
    html = made_page()
    assert not re.search(r'style="|onclick|https?://|(src|href)="//', html)


def test_a_locked_page_shows_no_example_and_asks_for_the_key() -> None:
    html = made_page(locked=True)
    assert "by the sea" not in html
    assert [tag["type"] for tag in Reader(html).named("input") if tag["id"] == "key"] == ["password"]
    assert "metrics" not in html.split("</header>")[0]


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module", params=list(CLASSES))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    folder = tmp_path_factory.mktemp(request.param)
    make_model(folder, request.param)
    with serving_made(folder) as address:
        yield request.param, address + "/", folder


def answers(folder: Path) -> list[dict]:
    return [example["answer"] for example in json.loads((folder / "examples.json").read_text())]


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_an_example_is_answered_as_in_process_and_explained(made: tuple[str, str, Path], tab: Browser) -> None:
    task, url, folder = made
    tab.said.clear()
    tab.open(url)
    for number, expected in enumerate(answers(folder)):
        if number:
            tab.evaluate("find('next').click(); find('result').replaceChildren(); find('parts').replaceChildren()")
        sent = tab.evaluate("body()")
        assert {key: value for key, value in json.loads(sent).items() if value is not None}.keys() == {
            key for key, value in RECORDS[number].items() if value is not None
        }
        tab.evaluate("document.querySelector('button.main').click()")
        tab.wait("!!document.querySelector('#parts table')")
        shown = tab.evaluate("find('prediction').textContent")
        if task == "regression":
            assert float(shown.replace(",", "")) == pytest.approx(expected["prediction"], rel=1e-3)
            assert "between" in tab.evaluate("find('result').textContent")
        else:
            assert shown == expected["prediction"]
            rows = tab.evaluate("[...document.querySelectorAll('#result tr')].map(row => row.cells[1].textContent)")
            ordered = sorted(expected["probabilities"].values(), reverse=True)
            assert [float(text) for text in rows] == pytest.approx(ordered, rel=1e-3)
        widths = "[...document.querySelectorAll('#parts .fill')].map(bar => bar.getBoundingClientRect().width)"
        assert max(tab.evaluate(widths)) > 10
    if task == "multiclass":
        tab.evaluate(
            "const s = document.querySelector('#parts select'); s.value = 'c\"'; s.dispatchEvent(new Event('change'))"
        )
        assert 'of c"' in tab.evaluate("document.querySelector('#parts caption').textContent")
    assert tab.said == []


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_all_faults_stand_beside_their_fields_and_the_keyboard_reaches_them(
    made: tuple[str, str, Path], tab: Browser
) -> None:
    _, url, _ = made
    tab.open(url)
    tab.evaluate("inputs[0].focus()")
    tab.evaluate("inputs[0].select()")
    tab.type("51")
    tab.press("Tab")
    tab.evaluate("inputs[1].select()")
    tab.type("big")
    tab.press("Enter")
    tab.wait("!find('faults').hidden")
    said = tab.evaluate("inputs.map((input, at) => [input.name, input.ariaInvalid, find('e' + at).textContent])")
    assert [(name, text) for name, invalid, text in said if invalid == "true"] == [
        ("rooms", "should be at most 50"), ("size", "should be of type number"),
    ]  # fmt: skip
    assert [text for _, invalid, text in said if invalid != "true" and text] == []
    assert tab.evaluate("document.activeElement.id") == "faults"
    tab.press("Tab")
    tab.press("Enter")
    assert tab.evaluate("document.activeElement.name") == "rooms"
    tab.evaluate("find('next').click(); find('next').click(); inputs[1].value = '2'")
    tab.evaluate("document.querySelector('button.main').click()")
    tab.wait("find('count').textContent.startsWith('One') && !find('faults').hidden")
    assert (
        tab.evaluate("find('e0').textContent") == tab.evaluate("find('e1').textContent") == "should hold: size >= rooms"
    )


@pytest.mark.slow
@NEEDS_CHROMIUM
@pytest.mark.parametrize("width", [320, 390, 800, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_and_text_stands_out(
    made: tuple[str, str, Path], tab: Browser, width: int, scheme: str
) -> None:
    _, url, _ = made
    tab.open(url, width, scheme)
    tab.evaluate("document.querySelector('button.main').click()")
    tab.wait("!!document.querySelector('#parts table')")
    assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    small = "[...document.querySelectorAll('input,select,textarea,button')].filter(e => e.offsetHeight < 44).length"
    assert tab.evaluate(small) == 0
    assert tab.evaluate(CONTRAST) == []


CONTRAST = """(() => {
  const light = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = element => {
    const own = getComputedStyle(element).backgroundColor;
    return own === "rgba(0, 0, 0, 0)" ? back(element.parentElement) : own;
  };
  find("faults").hidden = false;
  find("count").textContent = find("e0").textContent = "wrong";
  const names = "p.hint label .unit .fault #count button.main #clear a #prediction caption input";
  return names.split(" ")
    .map(name => [name, document.querySelector(name)]).filter(([name, element]) => {
      const [a, b] = [light(getComputedStyle(element).color), light(back(element))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    }).map(([name]) => name);
})()"""


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_the_key_opens_a_locked_service(tmp_path: Path, tab: Browser) -> None:
    make_model(tmp_path, "binary")
    with serving_made(tmp_path, "secret") as address:
        assert urlopen(address + "/").status == 200
        tab.open(address + "/")
        values = json.dumps(["3", "81.5", "", "", "", "true", "red", *[""] * 5])
        tab.evaluate(f"fill({values}); find('key').value = 'wrong'; document.querySelector('button.main').click()")
        tab.wait("find('problems').textContent.includes('API key')")
        tab.evaluate("find('key').value = 'secret'; document.querySelector('button.main').click()")
        tab.wait("!!document.querySelector('#parts table')")
        assert tab.evaluate("find('prediction').textContent") in CLASSES["binary"]


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_a_service_that_is_gone_is_told(tmp_path: Path, tab: Browser) -> None:
    make_model(tmp_path, "regression")
    with serving_made(tmp_path) as address:
        tab.open(address + "/")
    tab.evaluate("document.querySelector('button.main').click()")
    assert tab.wait("find('problems').textContent") == "The service cannot be reached, or its answer is not complete."
