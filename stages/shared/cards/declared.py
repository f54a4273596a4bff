"""What people state of a model and its data: the `tables` of conf/packaging/NAME.yaml.

A text may name a value of a report in place of a number, {FILE#POINTER:FORM}:
`{reports/prepare/summary.json#/split/test/classes/1/share:.0%} of the test rows`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from stages.shared.cards.facts import REFERENCE

MEASURED = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?\s?(?:%|percent\b)|(?<![\w.-])\d+[.,]\d+(?!\w|\.\w)")  # 18%, 0.76
SPDX = re.compile(r"[A-Za-z0-9.+-]+")  # of a licence: https://spdx.org/licenses/
LICENCE = "licence: should be an SPDX identifier such as Apache-2.0, got {!r}"


@dataclass(frozen=True)
class DataText:
    """What is stated of the data, after Pushkarna et al. 2022 (Data Cards) and Gebru et al. 2021 (Datasheets)."""

    origin: str | None = None  # who made the table, and where it was published
    collection: str | None = None  # how, when and from whom the rows came
    people: str | None = None  # whether rows are about people, and whether they consented
    licence: str | None = None  # SPDX identifier
    licence_link: str | None = None
    retention: str | None = None  # how long rows are kept, and how one is deleted

    def faults(self, _: Iterable[str]) -> list[str]:
        """Return what is wrong with the licence."""
        return licence_faults(self.licence)


@dataclass(frozen=True)
class CardText:
    """What is stated of the model of one table, after Mitchell et al. 2019 (Model Cards for Model Reporting)."""

    purpose: str | None = None
    users: str | None = None
    out_of_scope: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    ethics: list[str] = field(default_factory=list)
    owner: str | None = None
    contact: str | None = None
    licence: str | None = None  # of the model, SPDX identifier
    licence_link: str | None = None
    data: DataText = field(default_factory=DataText)

    def faults(self, _: Iterable[str]) -> list[str]:
        """Return what is wrong with the licence, and each measured number that was typed by hand."""
        texts = {"purpose": self.purpose, "users": self.users}
        for name in ("out_of_scope", "limits", "ethics"):
            texts |= {f"{name}[{i}]": text for i, text in enumerate(getattr(self, name))}
        typed = {name: MEASURED.search(REFERENCE.sub("", text)) for name, text in texts.items() if text}
        return licence_faults(self.licence) + [
            f"{name}: {found[0]!r} is typed by hand; name the report that has it: {{FILE#POINTER:FORM}}"
            for name, found in typed.items()
            if found
        ]


def licence_faults(licence: str | None) -> list[str]:
    """Return a fault where a licence is not one word."""
    return [] if licence is None or SPDX.fullmatch(licence) else [LICENCE.format(licence)]
