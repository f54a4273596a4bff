"""The cards: as the reports say it, only what there is, and every number from a file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, run_in, run_stage

from stages.package import PackagingConf
from stages.runtime.contract import Column, Contract
from stages.shared.cards import decided as decided_module
from stages.shared.cards.data import data_card
from stages.shared.cards.declared import CardText, DataText
from stages.shared.cards.files import (
    CONTRACT,
    DECISIONS,
    DECLARED,
    GATES,
    IMPORTANCE,
    INTERVALS,
    PROFILE,
    SLICES,
    SUMMARY,
    WHEEL,
    Report,
)  # fmt: skip
from stages.shared.cards.forms import code, count, prose, size, words
from stages.shared.cards.metadata import front_matter
from stages.shared.cards.model import model_card
from stages.shared.config import build
from stages.shared.errors import InputError
from stages.shared.report.cards import rendered
from tools.trace.check import compare, unlisted

CONF = Path("conf/packaging/standard.yaml")
MOST_COLUMNS = decided_module.MOST_COLUMNS
COLUMNS = {"a": Column("number"), "y": Column("number", "target")}
PROFILED = {"columns": [{"name": "a", "role": "feature", "missing": {"train": 0}}], "rows": {}, "sample": {"rows": {}}}
SPLIT = {"by": "hash", "validation": 0.2, "test": 0.25, "gap_days": 0}
LINEAGE = {"name": "t", "model": {"estimator": "lib.Thing"}, "made_from": {"data/prepare": "1f.dir"}}
EVALUATED = {"rows": 5, "confidence": 0.95, "metrics": {}, "minus_linear": {}, "linear": {}, "constant": {}}


def make_report(contract: Contract | None = None, texts: dict[str, Any] | None = None, **reports: Any) -> Report:
    """Return the facts of a small model: what is given in place of what there always is."""
    given = contract or Contract("t", "regression", None, COLUMNS, [], {})
    files: dict[Path, Any] = {
        CONTRACT: json.loads(json.dumps(given.to_json())),
        DECLARED: {"source": {"path": "data/raw/t/t.csv", "format": "csv", "sha256": None}, "split": SPLIT,
                   "limits": {"quarantine": 0.01, "nulled": 0.1}},
        SUMMARY: {"rows": {"in": 9, "kept": 9, "quarantined": 0, "merged": 0}, "broken": {}, "split": {},
                  "leakage": {}},
        PROFILE: PROFILED,
        DECISIONS: reports.get("trained", {}),
        IMPORTANCE: reports.get("importance", []),
        INTERVALS: EVALUATED | reports.get("evaluated", {}),
        SLICES: reports.get("slices", {}),
        GATES: {"gates": reports.get("gates", [])},
        WHEEL: LINEAGE,
        CONF: {"tables": {given.name: {**empty_texts(), **(texts or {})}}},
    }  # fmt: skip
    return Report({path.as_posix(): content for path, content in files.items()}, CONF)


def empty_texts() -> dict[str, Any]:
    found = dict.fromkeys(CardText.__dataclass_fields__)
    return {**found, "data": dict.fromkeys(DataText.__dataclass_fields__)}


def card(contract: Contract | None = None, texts: dict[str, Any] | None = None, **reports: Any) -> str:
    report = make_report(contract, texts, **reports)
    made = Contract.from_json(report.of(CONTRACT).value)
    return report.finish(model_card(report, made))[0]


def test_what_there_is_not_is_not_shown() -> None:
    found = card(trained={"rows": 3, "validation_loss": 0.1})
    assert "## Decided" not in found
    assert "## Importance" not in found
    assert "\n\n\n" not in found


@pytest.mark.parametrize(
    ("calibration", "line"),
    [
        ({"method": "none"}, "Not calibrated."),
        (
            {"method": "none", "reason": "4 validation rows of the rarest class, 20 needed"},
            "Not calibrated: 4 validation rows of the rarest class, 20 needed.",
        ),
        (
            {"method": "platt", "left_out_log_loss": {"platt": 0.2, "none": 0.25}},
            "Calibrated by `platt`; log loss on rows left out: `none` 0.25, `platt` 0.2.",
        ),
    ],
)
def test_the_calibration_is_told_with_what_decided_it(calibration: dict[str, Any], line: str) -> None:
    assert f"\n{line}\n" in card(trained={"calibration": calibration})


def test_the_threshold_stands_between_its_neighbours() -> None:
    near = {"called": 0.1, "precision": 0.5, "recall": 0.25, "cost": 7.0}
    sides = {"10_percent_lower": {**near, "cost": 8.0}, "at": near, "10_percent_higher": {**near, "cost": 9.0}}
    assert (
        "\n| threshold | called | cost | precision | recall |\n| --- | --- | --- | --- | --- |\n"
        "| 10% lower | 0.1 | 8 | 0.5 | 0.25 |\n| **0.3** | 0.1 | 7 | 0.5 | 0.25 |\n"
        "| 10% higher | 0.1 | 9 | 0.5 | 0.25 |\n"
    ) in card(trained={"threshold": 0.3, "threshold_sensitivity": sides})


def test_factors_of_the_classes_are_told() -> None:
    values = {"y": Column("category", "target", values=["a", "b", "c"])}
    contract = Contract("t", "multiclass", None, {"a": Column("number"), **values}, [], {})
    trained = {"factors": [0.5, 2.0, 1.0], "left_out_macro_f1": {"plain": 0.4, "factors": 0.5}}
    found = card(contract, trained=trained)
    assert "multiplying: `a` 0.5, `b` 2, `c` 1; macro F1 on rows left out: 0.4 without factors, 0.5 with." in found
    found = card(contract, trained={**trained, "factors": [1.0, 1.0, 1.0]})
    assert "The likeliest class is called; macro F1" in found


def test_the_interval_is_told_with_its_coverage_of_test_rows() -> None:
    measured = {
        "coverage": {"value": 0.85, "low": 0.8, "high": 0.9},
        "interval_width": {"value": 3, "low": 2, "high": 4},
    }
    found = card(
        trained={"interval": {"level": 0.9, "quantile": 2.0}},
        evaluated={"prediction_interval": {"level": 0.9, "measured": measured}},
    )
    assert "a share of 0.9; of the test rows they cover 0.85 [0.8, 0.9], with a mean width of 3 [2, 4]." in found
    assert "No prediction interval: too few validation rows for a level of 0.9." in card(
        trained={"interval": {"level": 0.9, "quantile": None}}
    )


def at(value: float | None) -> dict[str, Any]:
    return {"value": value, "low": value, "high": value}


def test_classes_deciles_and_periods_are_shown_where_there_are_any() -> None:
    classes = {"a": {"rows": 4, "precision": at(0.5), "recall": at(0.25), "f1": at(None)}}
    deciles = [{"decile": 1, "rows": 3, "from": 1.0, "to": 2.5, "mae": at(0.1), "mean_error": at(-0.1)}]
    period = {"period": "2013-10", "rows": 7, "metrics": {"r2": at(0.9)}, "linear": {"r2": at(0.8)}}
    periods = {"unit": "month", "headline": "r2", "list": [period | {"minus_linear": {"r2": {"verdict": "better"}}}]}
    found = card(evaluated={"classes": classes, "deciles": deciles, "periods": periods})
    assert "\n| a | 4 | 0.5 [0.5, 0.5] | 0.25 [0.25, 0.25] | no value |\n" in found
    assert "\n| 1 to 2.5 | 3 | 0.1 [0.1, 0.1] | -0.1 [-0.1, -0.1] |\n" in found
    assert "\nr2 by month:\n" in found
    assert "\n| 2013-10 | 7 | 0.9 [0.9, 0.9] | 0.8 [0.8, 0.8] | better |\n" in found
    assert "By class" not in card()


def test_the_columns_that_count_most_are_shown_and_all_counted() -> None:
    rows = [
        {"column": f"c{i}", "loss_increase": f"{1 / (i + 1):.6f}", "spread": "0.1"} for i in range(MOST_COLUMNS + 3)
    ]
    found = card(importance=rows)
    assert "| `c0` | 1.000000 | 0.1 |\n| `c1` | 0.500000 | 0.1 |" in found
    assert f"`c{MOST_COLUMNS - 1}`" in found
    assert f"`c{MOST_COLUMNS}`" not in found
    assert f"\nThe strongest of {MOST_COLUMNS + 3} columns.\n" in found


GATE = {
    "name": "g",
    "kind": "floor",
    "metric": "r2",
    "bound": "low",
    "limit": 0.5,
    "value": 0.6,
    "low": 0.4,
    "high": 0.7,
}
PARITY = {"value": 0.25, "low": 0.125, "high": 0.5}


def test_gates_fairness_and_weak_slices_are_told_in_a_few_lines() -> None:
    gates = [
        GATE | {"passed": True, "why": "", "reason": None},
        GATE | {"name": "bad", "passed": False, "why": "winter", "reason": "known"},
        GATE | {"name": "later", "low": None, "passed": None, "why": "pending: no Git", "reason": None},
    ]
    sex = {"metrics": {"equal_opportunity_ratio": PARITY}, "groups": {"f": 1, "m": 2}, "left_out": ["sex = x"]}
    age = {"metrics": {}, "groups": {}, "left_out": ["age < 30"]}
    weak = {"candidates": 40, "slices": [{"name": "a | b", "rows": 7, "loss": 1.5, "rest": 0.5}]}
    found = card(gates=gates, slices={"fairness": {"sex": sex, "age": age}, "weak": weak})
    assert (
        "\n## Gates\n\n1 of 3 gates passed; `reports/evaluate/gates.json` has the numbers.\n\n"
        "- `bad` failed: r2 0.4, limit 0.5 (winter)\n- `later` pending: r2 (pending: no Git)\n- `bad`: known\n"
    ) in found
    assert (
        "| column | groups | equal opportunity ratio | too few rows |\n| --- | --- | --- | --- |\n"
        "| `sex` | 2 | 0.25 [0.125, 0.5] | sex = x |\n| `age` | 0 |  | age \\< 30 |\n"
    ) in found
    assert "Of 40 slices tried, 1 are surely worse than the other rows; the surest:" in found
    assert "| `a \\| b` | 7 | 1.5 | 0.5 |" in found


def test_what_nobody_stated_is_said_plainly_and_what_is_stated_is_shown() -> None:
    found = card(texts={"purpose": "To try.", "limits": ["Old `data`.", "Few | rows."]})
    assert "**Purpose.** To try.\n" in found
    assert "**Users.** Nobody has stated it: `users` of `t` under `tables` in conf/packaging.\n" in found
    assert "- Old \\`data\\`.\n- Few \\| rows.\n" in found
    assert "license: unknown\n" in found
    report = make_report()
    of_data = report.finish(data_card(report, Contract.from_json(report.of(CONTRACT).value)))[0]
    assert "**Retention.** Nobody has stated it: `data.retention` of `t`" in of_data
    assert "By hash, whatever the order of the rows: a share of 0.2 validates, 0.25 tests." in of_data


def test_a_declared_text_takes_its_numbers_from_reports() -> None:
    text = "Only {reports/evaluate/intervals.json#/rows} rows, {reports/evaluate/intervals.json#/confidence:.0%} sure."
    assert "- Only 5 rows, 95% sure.\n" in card(texts={"limits": [text]})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{reports/evaluate/intervals.json#/rovs}", r"limits/0: .*intervals.json#/rovs: nothing .*mean 'rows'"),
        ("{reports/evaluate/interval.json#/rows}", r"interval.json: no card is compiled from it; did you mean"),
        ("{reports/evaluate/intervals.json#/rows:.q}", r"intervals.json#/rows: Format specifier"),
    ],
)
def test_a_reference_that_leads_nowhere_names_file_and_key(text: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        card(texts={"limits": [text]})


def test_a_report_without_a_key_is_one_error_naming_both() -> None:
    report = make_report()
    del report.files[INTERVALS.as_posix()]["rows"]
    with pytest.raises(InputError, match=r"^reports/evaluate/intervals.json#/rows: nothing stands there; `dvc repro`"):
        model_card(report, Contract.from_json(report.of(CONTRACT).value))


def test_a_number_that_a_template_brings_along_stops_the_compiler() -> None:
    report = make_report()
    with pytest.raises(RuntimeError, match=r"a number of its own: '0\.76'"):
        report.finish(f"{report.table} has 0.76")
    assert report.finish("MD5 and SHA-256 are names")[1] == []


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"limits": ["Right in 76% of cases."]}, "tables.t.limits[0]: '76%' is typed by hand; name the report"),
        ({"purpose": "AUC of 0.76."}, "tables.t.purpose: '0.76' is typed by hand"),
        ({"ethics": ["In 18 percent."]}, "tables.t.ethics[0]: '18 percent' is typed by hand"),
        ({"licence": "MIT or so"}, "tables.t.licence: should be an SPDX identifier such as Apache-2.0, got"),
        ({"data": {"licence": "GPL 2"}}, "tables.t.data.licence: should be an SPDX identifier"),
        ({"purpos": "x"}, "tables.t.purpos: unknown key; did you mean 'purpose'?"),
        ({"data": {"retentoin": "x"}}, "tables.t.data.retentoin: unknown key; did you mean 'retention'?"),
    ],
)  # fmt: skip
def test_what_conf_states_wrongly_is_named(given: dict[str, Any], fault: str) -> None:
    conf = {"name": "m", "version": "1", "replay_alone": 1, "max_latency_ratio": None, "examples": 1}
    conf["tables"] = {"t": given}
    faults: list[str] = []
    build(PackagingConf, conf, "", faults)
    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_years_versions_and_references_are_no_measured_numbers() -> None:
    text = "Sold in 2013 by package dmba 0.2.4 to people of 50 years; {a.json#/b:.1%} of 3,000 bookings, Apache-2.0."
    assert CardText(purpose=text.replace("3,000", "3000")).faults([]) == []


def test_both_choices_state_the_same_of_every_demo_table() -> None:
    tables = [
        yaml.safe_load((ROOT / f"conf/packaging/{name}.yaml").read_text())["tables"] for name in ("standard", "strict")
    ]
    assert tables[0] == tables[1]
    assert set(tables[0]) == {path.stem for path in (ROOT / "conf/data").glob("*.yaml")}
    for stated in tables[0].values():
        assert set(stated) == set(CardText.__dataclass_fields__) - {"licence_link"}
        assert set(stated["data"]) == set(DataText.__dataclass_fields__) - {"licence_link"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (prose("a_b *c* <d> [e]|f\n g\\"), "a_b \\*c\\* \\<d> \\[e\\]\\|f g\\\\"),
        (prose(0.123456789), "0.123457"),
        (prose(10**7), "10000000"),
        (code("a`b|c"), "`` a`b\\|c ``"),
        (words("10_percent_lower"), "10% lower"),
        (size(999), "n<1K"),
        (size(1000), "1K<n<10K"),
        (size(5 * 10**9), "n>1B"),
        (count([{"a": None}, {"a": True}, {}], "a=true"), 1),
    ],
)
def test_forms(written: Any, expected: Any) -> None:
    assert written == expected


def test_metadata_is_yaml_whatever_texts_hold() -> None:
    report = make_report(Contract("t", "regression", None, {'a: "b" #c': Column("number"), **COLUMNS}, []))
    name = report.of(CONTRACT)["columns"][0][0]
    draft = "\n".join(front_matter({"a": [name, {"b": name, "c": [name]}], "d": {"e": [{"f": name}]}}))
    found = yaml.safe_load(report.finish(draft)[0].strip("-\n"))
    text = 'a: "b" #c'
    assert found == {"a": [text, {"b": text, "c": [text]}], "d": {"e": [{"f": text}]}}


def test_a_card_as_html_has_its_tables_and_takes_no_data_for_markup() -> None:
    html = rendered(
        "---\na: 1\n---\n\n# T\n\n## `S`\n\n| a\\|b | c |\n| --- | --- |\n| `x\\|y` | \\<b> & **z** |\n\n- p\n- q\n"
    )
    assert "a: 1" not in html
    assert "<h3><code>S</code></h3>" in html
    assert "<code>x|y</code>" in html
    assert "&lt;b&gt; &amp; <strong>z</strong>" in html
    assert "<ul><li>p</li><li>q</li></ul>" in html


@pytest.fixture
def packaged(small: Path, tmp_path: Path) -> Path:
    """A workspace with both cards."""
    return shutil.copytree(small, tmp_path / "workspace")


def cards(folder: Path) -> dict[str, str]:
    return {name: (folder / "reports/package" / name).read_text() for name in ("card.md", "data_card.md")}


def checked(folder: Path, status: int = 1) -> str:
    done = run_in(folder, "python", "-m", "tools.trace", "check", check=False, PYTHONPATH=str(ROOT))
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_every_number_of_both_cards_is_listed_and_right(packaged: Path) -> None:
    assert re.fullmatch(r"\d{3} numbers of 2 cards, each as its report has it\n", checked(packaged, status=0))
    for name, text in cards(packaged).items():
        metadata = yaml.safe_load(text.split("---\n")[1])
        assert metadata["license"] == "unknown"
        wheel = next((packaged / "data/package").glob("*.whl")).read_bytes()
        assert text.encode() in wheel, f"{name} is stored in the wheel as it stands"


def test_the_model_index_has_the_metrics_of_the_test_rows(packaged: Path) -> None:
    """The structure that https://github.com/huggingface/hub-docs/blob/main/modelcard.md prescribes."""
    metadata = yaml.safe_load(cards(packaged)["card.md"].split("---\n")[1])
    [entry] = metadata["model-index"]
    [result] = entry["results"]
    assert entry["name"] == "toy_model"
    assert (result["task"], metadata["pipeline_tag"]) == ({"type": "tabular-classification"}, "tabular-classification")
    assert result["dataset"] == {"type": "toy", "name": "toy", "split": "test"}
    measured = json.loads((packaged / "reports/evaluate/metrics.json").read_text())
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == measured
    assert metadata["metrics"] == list(measured)
    assert metadata["library_name"] == "lightgbm"
    of_data = yaml.safe_load(cards(packaged)["data_card.md"].split("---\n")[1])
    assert of_data["size_categories"] == ["n<1K"]
    assert of_data["task_categories"] == ["tabular-classification"]


def test_a_number_that_changes_in_a_report_changes_the_card(packaged: Path) -> None:
    path = packaged / "reports/evaluate/intervals.json"
    report = json.loads(path.read_text())
    report["metrics"]["roc_auc"]["value"] = 0.123456
    path.write_text(json.dumps(report))
    fault = "says '0.984375', reports/evaluate/intervals.json#/metrics/roc_auc/value says '0.123456'"
    old = re.search(r"\| roc_auc \| (\S+)", cards(packaged)["card.md"])
    assert old is not None
    assert fault.replace("0.984375", old[1]) in checked(packaged)
    run_stage(packaged, "package", "packaging=standard")
    assert "| roc_auc | 0.123456 [" in cards(packaged)["card.md"]
    checked(packaged, status=0)


def test_a_key_that_is_missing_is_named_by_stage_and_check(packaged: Path) -> None:
    path = packaged / "reports/prepare/summary.json"
    report = json.loads(path.read_text())
    del report["rows"]["merged"]
    path.write_text(json.dumps(report))
    fault = "reports/prepare/summary.json#/rows/merged: nothing stands there; `dvc repro` makes the file anew"
    assert fault in checked(packaged)
    done = run_stage(packaged, "package", "packaging=standard", check=False)
    assert (done.returncode, done.stderr) == (1, f"package: {fault}\n")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("## Limits", "## Limits\n\nBetter than 9 of 10.", "'9' comes from no report"),
        (" test rows\n", " test rows, 3 of them odd\n", "'3' comes from no report"),
        ("Intervals of 95%", "Intervals of 99%", "should be '95%' (reports/evaluate/intervals.json#/confidence)"),
    ],
)
def test_a_number_typed_into_a_card_is_found(packaged: Path, old: str, new: str, fault: str) -> None:
    path = packaged / "reports/package/card.md"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    assert fault in checked(packaged)


def test_a_source_taken_from_the_list_is_found() -> None:
    lines = ["rows 17, share 0.5"]
    source = {"line": 1, "column": 6, "text": "17", "from": "a.json#/rows", "as": ""}
    assert unlisted(lines, [source]) == ["1: '0.5' comes from no report"]
    assert compare(source, lines, {"a.json": {"rows": 17}}) == []
    assert compare(source, lines, {"a.json": {"rows": 18}}) == ["1: says '17', a.json#/rows says '18'"]
