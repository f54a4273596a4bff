"""Both cards of a model, and the list of where each of their numbers comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stages.runtime.contract import Contract
from stages.shared.cards.data import data_card
from stages.shared.cards.declared import CardText
from stages.shared.cards.facts import Source
from stages.shared.cards.files import CONTRACT, read_report
from stages.shared.cards.model import model_card

MODEL_CARD, DATA_CARD, SOURCES = "card.md", "data_card.md", "sources.json"


def compile_cards(lineage: dict[str, Any], conf: Path, tables: dict[str, CardText]) -> tuple[dict[str, str], bytes]:
    """Return ({file name: card}, the content of sources.json); `conf` is the file that `tables` were read from.

    Raises InputError naming file and key where a report lacks what a card says.
    """
    report = read_report(lineage, conf, tables)
    contract = Contract.from_json(report.of(CONTRACT).value)
    made = {
        MODEL_CARD: report.finish(model_card(report, contract)),
        DATA_CARD: report.finish(data_card(report, contract)),
    }
    sources = sources_bytes({name: found for name, (_, found) in made.items()})
    return {name: card for name, (card, _) in made.items()}, sources


def sources_bytes(sources: dict[str, list[Source]]) -> bytes:
    """Return JSON of fixed bytes with one number a line, so that Git shows which of them changed."""
    cards = []
    for name, found in sorted(sources.items()):
        lines = ",\n".join(f"  {json.dumps(source, ensure_ascii=False)}" for source in found)
        cards.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    return ("{\n" + ",\n".join(cards) + "\n}\n").encode()
