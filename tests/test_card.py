"""The model card: what is decided and what counts, as the reports say it, and only what there is."""

from __future__ import annotations

from typing import Any

import pytest

from stages.runtime.contract import Column, Contract
from stages.shared.card import MOST_COLUMNS, model_card

CONTRACT = Contract("t", "regression", None, {"a": Column("number"), "y": Column("number", "target")}, [], {})
PREPARED = {"rows": {"in": 9, "kept": 9, "quarantined": 0, "merged": 0}, "broken": {}, "split": {}, "leakage": {}}
EVALUATED = {"rows": 5, "confidence": 0.95, "metrics": {}}
LINEAGE = {"model": {"estimator": "lib.Thing"}, "made_from": {}}


def card(
    trained: dict[str, Any], importance: list[dict[str, str]] | None = None, evaluated: dict[str, Any] | None = None
) -> str:
    reports = {"prepare": PREPARED, "train": trained, "evaluate": EVALUATED | (evaluated or {})}
    return model_card("t", CONTRACT, {**reports, "importance": importance or []}, LINEAGE)


def test_what_there_is_not_is_not_shown() -> None:
    found = card({"rows": 3, "validation_loss": 0.1})
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
    assert f"\n{line}\n" in card({"calibration": calibration})


def test_the_threshold_stands_between_its_neighbours() -> None:
    near = {"called": 0.1, "precision": 0.5, "recall": 0.25, "cost": 7.0}
    sides = {"10_percent_lower": {**near, "cost": 8.0}, "at": near, "10_percent_higher": {**near, "cost": 9.0}}
    assert (
        "\n| threshold | called | cost | precision | recall |\n|---|---|---|---|---|\n"
        "| 10% lower | 0.1 | 8 | 0.5 | 0.25 |\n| **0.3** | 0.1 | 7 | 0.5 | 0.25 |\n"
        "| 10% higher | 0.1 | 9 | 0.5 | 0.25 |\n"
    ) in card({"threshold": 0.3, "threshold_sensitivity": sides})


def test_factors_of_the_classes_are_told() -> None:
    values = {"y": Column("category", "target", values=["a", "b", "c"])}
    contract = Contract("t", "multiclass", None, {"a": Column("number"), **values}, [], {})

    def card_of(trained: dict[str, Any]) -> str:
        reports = {"prepare": PREPARED, "train": trained, "evaluate": EVALUATED, "importance": []}
        return model_card("t", contract, reports, LINEAGE)

    found = card_of({"factors": [0.5, 2.0, 1.0], "left_out_macro_f1": {"plain": 0.4, "factors": 0.5}})
    assert "multiplying: `a` 0.5, `b` 2, `c` 1; macro F1 on rows left out: 0.4 without factors, 0.5 with." in found
    found = card_of({"factors": [1.0, 1.0, 1.0], "left_out_macro_f1": {"plain": 0.5, "factors": 0.4}})
    assert "The likeliest class is called; macro F1" in found


def test_the_interval_is_told_with_its_coverage_of_test_rows() -> None:
    measured = {
        "coverage": {"value": 0.85, "low": 0.8, "high": 0.9},
        "interval_width": {"value": 3, "low": 2, "high": 4},
    }
    found = card(
        {"interval": {"level": 0.9, "quantile": 2.0}},
        evaluated={"prediction_interval": {"level": 0.9, "measured": measured}},
    )
    assert "a share of 0.9; of the test rows they cover 0.85 [0.8, 0.9], with a mean width of 3 [2, 4]." in found
    assert "No prediction interval: too few validation rows for a level of 0.9." in card(
        {"interval": {"level": 0.9, "quantile": None}}
    )


def at(value: float | None) -> dict[str, Any]:
    return {"value": value, "low": value, "high": value}


def test_classes_deciles_and_periods_are_shown_where_there_are_any() -> None:
    classes = {"a": {"rows": 4, "precision": at(0.5), "recall": at(0.25), "f1": at(None)}}
    deciles = [{"decile": 1, "rows": 3, "from": 1.0, "to": 2.5, "mae": at(0.1), "mean_error": at(-0.1)}]
    period = {"period": "2013-10", "rows": 7, "metrics": {"r2": at(0.9)}, "linear": {"r2": at(0.8)}}
    periods = {"unit": "month", "headline": "r2", "list": [period | {"minus_linear": {"r2": {"verdict": "better"}}}]}
    found = card({}, evaluated={"classes": classes, "deciles": deciles, "periods": periods})
    assert "\n| a | 4 | 0.5 [0.5, 0.5] | 0.25 [0.25, 0.25] | no value |\n" in found
    assert "\n| 1 to 2.5 | 3 | 0.1 [0.1, 0.1] | -0.1 [-0.1, -0.1] |\n" in found
    assert "\nr2 by month:\n" in found
    assert "\n| 2013-10 | 7 | 0.9 [0.9, 0.9] | 0.8 [0.8, 0.8] | better |\n" in found
    assert "By class" not in card({})


def test_the_columns_that_count_most_are_shown_and_the_rest_counted() -> None:
    rows = [
        {"column": f"c{i}", "loss_increase": f"{1 / (i + 1):.6f}", "spread": "0.1"} for i in range(MOST_COLUMNS + 3)
    ]
    found = card({}, rows)
    assert "| `c0` | 1.000000 | 0.1 |\n| `c1` | 0.500000 | 0.1 |" in found
    assert f"`c{MOST_COLUMNS - 1}`" in found
    assert f"`c{MOST_COLUMNS}`" not in found
    assert "\n3 more columns: less.\n" in found


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


def test_gates_and_fairness_are_told_in_a_few_lines() -> None:
    gates = [
        GATE | {"passed": True, "why": "", "reason": None},
        GATE | {"name": "bad", "passed": False, "why": "winter", "reason": "known"},
        GATE | {"name": "later", "low": None, "passed": None, "why": "pending: no Git", "reason": None},
    ]
    sex = {"metrics": {"equal_opportunity_ratio": PARITY}, "groups": {"f": 1, "m": 2}, "left_out": ["sex = x"]}
    age = {"metrics": {}, "groups": {}, "left_out": ["age < 30"]}
    reports = {"prepare": PREPARED, "train": {}, "evaluate": EVALUATED, "importance": []}
    evaluated = {"gates": gates, "slices": {"fairness": {"sex": sex, "age": age}}}
    found = model_card("t", CONTRACT, reports | evaluated, LINEAGE)
    assert (
        "\n## Gates\n\n1 of 3 gates passed; `reports/evaluate/gates.json` has the numbers.\n\n"
        "- `bad` failed: r2 0.4, limit 0.5 (winter)\n- `later` pending: r2 (pending: no Git)\n- `bad`: known\n"
    ) in found
    assert (
        "\n## Fairness\n\n| column | groups | equal opportunity ratio | too few rows |\n|---|---|---|---|\n"
        "| `sex` | 2 | 0.25 [0.125, 0.5] | sex = x |\n| `age` | 0 |  | age < 30 |\n"
    ) in found
