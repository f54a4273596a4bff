"""What was decided on rows not fitted on: calibration, threshold or factors, interval; and which columns count."""

from __future__ import annotations

from stages.shared.cards.facts import Fact
from stages.shared.cards.parts import interval, section, table

MOST_COLUMNS = 10  # whose importance is shown


def decided(trained: Fact, evaluated: Fact, classes: list[Fact]) -> list[str]:
    """Return the decisions that there are; `classes` are the labels in the order of the factors."""
    parts = [
        *_calibration(trained),
        *_threshold(trained),
        *_factors(trained, classes),
        *_prediction_interval(trained, evaluated),
    ]
    return section(f"Decided on {_deciding(trained)}", parts)


def _deciding(trained: Fact) -> str:
    found = trained.get("decided_on")
    return "validation rows" if found is None else f"{found}"


def _calibration(trained: Fact) -> list[str]:
    found = trained.get("calibration")
    if found is None:
        return []
    method = found["method"]
    how = "Not calibrated" if method.value == "none" else f"Calibrated by {method:code}"
    compared = found.get("left_out_log_loss")
    losses = [f"{name:code} {loss:.6g}" for name, loss in sorted(compared.items(), key=by_name)] if compared else []
    why = f"; log loss on rows left out: {', '.join(losses)}" if losses else ""
    reason = found.get("reason")
    return [f"{how}{why}{'' if reason is None else f': {reason}'}.", ""]


def by_name(item: tuple[Fact, Fact]) -> str:
    """Return the key of an item of a mapping."""
    return str(item[0].value)


def _threshold(trained: Fact) -> list[str]:
    """Return the threshold, and what it gives beside lower and higher ones."""
    cut = trained.get("threshold")
    if cut is None:
        return []
    near = trained["threshold_sensitivity"]
    names = [name for name, _ in sorted(near["at"].items(), key=by_name)]
    labels = {"at": f"**{cut:.6g}**"} | {key.value: f"{key:words}" for key, _ in near.items() if key.value != "at"}
    rows = [
        [labels[key], *(f"{near[key][name.value]:.6g}" for name in names)]
        for key in ("10_percent_lower", "at", "10_percent_higher")
    ]
    return [
        f"Called positive from a probability of {cut:.6g} on. On the {_deciding(trained)}:",
        "",
        *table(["threshold", *(f"{name:words}" for name in names)], rows),
    ]


def _factors(trained: Fact, classes: list[Fact]) -> list[str]:
    factors = trained.get("factors")
    if factors is None:
        return []
    losses = trained["left_out_macro_f1"]
    told = f"macro F1 on rows left out: {losses['plain']:.6g} without factors, {losses['factors']:.6g} with"
    if all(factor.value == 1 for factor in factors):
        return [f"The likeliest class is called; {told}.", ""]
    each = ", ".join(f"{label:code} {factor:.6g}" for label, factor in zip(classes, factors, strict=True))
    return [f"The class is called whose probability is largest after multiplying: {each}; {told}.", ""]


def _prediction_interval(trained: Fact, evaluated: Fact) -> list[str]:
    if trained.get("interval") is None:
        return []
    found, level = evaluated.get("prediction_interval"), trained["interval"]["level"]
    if found is None:
        return [f"No prediction interval: too few {_deciding(trained)} for a level of {level:.6g}.", ""]
    coverage, width = (interval(found["measured"][name]) for name in ("coverage", "interval_width"))
    return [
        f"Prediction intervals should cover a share of {found['level']:.6g}; of the test rows they cover {coverage}, "
        f"with a mean width of {width}.",
        "",
    ]


def importance(listed: Fact, trained: Fact) -> list[str]:
    """Return the columns that count most, with the spread over repeats, and how many there are."""
    if not listed:
        return []
    shown = list(listed)[:MOST_COLUMNS]
    rows = [[f"{row['column']:code}", f"{row['loss_increase']}", f"{row['spread']}"] for row in shown]
    found = trained.get("decided_on")
    loss = "validation loss" if found is None else f"loss on {found},"
    return section("Importance", [
        f"How much the {loss} grows when a column is dealt out anew, mean and standard deviation over repeats.",
        "",
        *table(["column", "growth", "spread"], rows),
        *([f"The strongest of {listed:count} columns.", ""] if len(listed) > len(shown) else []),
    ])  # fmt: skip
