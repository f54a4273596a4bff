"""What Hugging Face reads at the top of a card: YAML between two lines of dashes.

https://github.com/huggingface/hub-docs/blob/main/modelcard.md, datasetcard.md
"""

from __future__ import annotations

from typing import Any

from stages.runtime.contract import Contract
from stages.shared.cards.facts import Fact
from stages.shared.cards.files import INTERVALS, SUMMARY, WHEEL, Report
from stages.shared.cards.forms import quoted

TASKS = {"regression": "tabular-regression"}  # all others classify
LICENCES = {  # SPDX identifiers that Hugging Face knows by their lower case; all others are `other` with a name
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0",
    "GPL-3.0", "LGPL-3.0", "MPL-2.0", "ODbL", "PDDL", "Unlicense",
}  # fmt: skip


class Written(str):
    """YAML as it stands."""


def model_metadata(report: Report, contract: Contract) -> list[str]:
    """Return the metadata of the model card, with the headline metrics of the test rows as a model-index."""
    lineage, table = report.of(WHEEL), report.table
    task = TASKS.get(contract.task, "tabular-classification")
    metrics = report.of(INTERVALS)["metrics"].items()
    measured = [
        {"type": name, "name": name, "value": row["value"]} for name, row in metrics if row["value"].value is not None
    ]
    result = {
        "task": {"type": task},
        "dataset": {"type": table, "name": table, "split": "test"},
        "metrics": measured,
    }
    return front_matter({
        **_licence(report.texts),
        "library_name": Written(f"{lineage['model']['estimator']:library}"),
        "pipeline_tag": task,
        "tags": ["tabular", "plumbline", contract.task],
        "metrics": [entry["name"] for entry in measured],
        "model-index": [{"name": lineage["name"], "results": [result]}],
    })  # fmt: skip


def data_metadata(report: Report, contract: Contract) -> list[str]:
    """Return the metadata of the data card."""
    return front_matter({
        **_licence(report.texts["data"]),
        "pretty_name": report.table,
        "task_categories": [TASKS.get(contract.task, "tabular-classification")],
        "size_categories": [Written(f"{report.of(SUMMARY)['rows']['kept']:size}")],
        "tags": ["tabular", "plumbline"],
    })  # fmt: skip


def _licence(texts: Fact) -> dict[str, Any]:
    """Return the keys that name a licence; `unknown` where nobody stated one."""
    found, link = texts.get("licence"), texts.get("licence_link")
    if found is None:
        return {"license": "unknown"}
    if found.value in LICENCES:
        return {"license": Written(f"{found:lower}")}
    return {"license": "other", "license_name": Written(f"{found:lower}"), **({"license_link": link} if link else {})}


def front_matter(content: dict[str, Any]) -> list[str]:
    """Return a mapping as YAML between dashes. Texts are quoted, but those that are `Written`."""
    return ["---", *_lines(content, ""), "---", ""]


def _lines(content: Any, indent: str) -> list[str]:
    """Return the lines of a mapping or a list."""
    lines = []
    entries = content.items() if isinstance(content, dict) else (("-", item) for item in content)
    for key, item in entries:
        begin = f"{indent}{key}:" if isinstance(content, dict) else f"{indent}-"
        if not isinstance(item, dict | list):
            lines.append(f"{begin} {_scalar(item)}")
        elif isinstance(content, dict):
            lines += [begin, *_lines(item, f"{indent}  " if isinstance(item, dict) else indent)]
        else:  # the first key stands behind the dash
            inner = _lines(item, f"{indent}  ")
            lines += [f"{indent}- {inner[0].strip()}", *inner[1:]]
    return lines


def _scalar(item: Any) -> str:
    if isinstance(item, Fact):
        return f"{item:quoted}"
    return item if isinstance(item, Written) else quoted(item) if " " in item else str(item)
