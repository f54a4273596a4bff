"""The model card, compiled from the reports: no number in it is typed by hand. After Mitchell et al. 2019."""

from __future__ import annotations

from stages.runtime.contract import Contract
from stages.shared.cards.columns import Column, columns_of, described
from stages.shared.cards.data import sides
from stages.shared.cards.decided import decided, importance
from stages.shared.cards.facts import Fact
from stages.shared.cards.files import DECISIONS, GATES, IMPORTANCE, INTERVALS, PROFILE, SLICES, SUMMARY, WHEEL, Report
from stages.shared.cards.measured import gates, groups, measured
from stages.shared.cards.metadata import model_metadata
from stages.shared.cards.parts import licence, section, stated


def model_card(report: Report, contract: Contract) -> str:
    """Return the draft of the card as Markdown with Hugging Face's metadata."""
    lineage, evaluated, trained = (report.of(path) for path in (WHEEL, INTERVALS, DECISIONS))
    texts, table, model = report.texts, report.table, lineage["model"]
    columns, rows = columns_of(report), report.of(SUMMARY)["rows"]
    target, moments = columns[contract.target], contract.with_role("time")
    n_features = format(report.of(PROFILE)["columns"], 'count role="feature"')
    when = f" and the time {columns[moments[0]].name:code}" if moments else ""
    return "\n".join([
        *model_metadata(report, contract),
        f"# {lineage['name']}",
        "",
        f"Predicts {target.name:code} ({contract.task}) from {n_features} features{when} of the table {table:code}, "
        f"with {model['estimator']}.",
        "",
        *section("Intended use", [
            *stated("Purpose", texts, "purpose", table),
            *stated("Users", texts, "users", table),
            *stated("Out of scope", texts, "out_of_scope", table),
            *stated("Owner", texts, "owner", table),
            *stated("Contact", texts, "contact", table),
            *licence(texts, table),
        ]),
        *measured(evaluated),
        *gates(report.of(GATES)["gates"]),
        *groups(report.of(SLICES)),
        *decided(trained, evaluated, labels(contract, target)),
        *importance(report.of(IMPORTANCE), trained),
        *section("Training and test data", [
            f"{rows['in']} rows, of which {rows['kept']} were kept; the data card, `data_card.md`, tells the rest.",
            "",
            *sides(report.of(SUMMARY)["split"]),
        ]),
        *section("Limits", stated("Known limits", texts, "limits", table)),
        *section("Ethical considerations", stated("Considered", texts, "ethics", table)),
        *section("Inputs", described(columns, contract.inputs)),
        *made_from(lineage),
    ])  # fmt: skip


def labels(contract: Contract, target: Column) -> list[Fact]:
    """Return the classes in the order of the model's scores."""
    by_label = {label.value: label for label in target.says["values"]} if contract.classes else {}
    return [by_label[label] for label in contract.classes]


def made_from(lineage: Fact) -> list[str]:
    """Return the hashes of the data that the model was made of."""
    hashes = [f"- {name:code}: {found:code}" for name, found in lineage["made_from"].items()]
    return section("Lineage", [
        "MD5 as in `dvc.lock`; `python -m tools.trace HASH` finds the commits, parameters, environment and gates.",
        "",
        *hashes,
        "",
    ])  # fmt: skip
