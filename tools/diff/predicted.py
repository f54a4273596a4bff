"""What a revision's model says of its test rows, and the rows that two revisions have in common."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier
from stages.shared.metrics import Cut
from stages.shared.rows import Rows
from stages.shared.tables import parquet
from tools.diff.data import CONTRACT, KEPT, stored_contract
from tools.diff.revision import Revision
from tools.diff.rows import forms_alike

if TYPE_CHECKING:
    import duckdb

PREDICTIONS, MODEL = "data/evaluate/predictions.parquet", "data/train/model.json"
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Predicted:
    """The test rows of one revision, in the source's order."""

    contract: Contract
    kept: Path
    meta: dict[str, Any]  # of the model: threshold or factors
    number: Array  # (n_rows,), the record's number in the source
    target: Array  # (n_rows,), labels or values
    scores: Array  # (n_rows, n_outputs)

    @property
    def cut(self) -> Cut:
        """What calls a class."""
        return self.meta["factors"] if self.contract.task == "multiclass" else self.meta["threshold"]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Paired:
    """The test rows that both have; `rows` and `classes` are the head's."""

    rows: Rows
    base: Array  # (n_rows, n_outputs), scores
    head: Array
    cuts: tuple[Cut, Cut]
    contract: Contract
    kept: Path  # the head's rows with all their columns
    found: dict[str, Any]  # how they were matched, and how many


def load(connection: duckdb.DuckDBPyConnection, revision: Revision) -> Predicted | str:
    """Return what the model of a revision said of its test rows, or why that is not to be had."""
    paths = {path: revision.data(path) for path in (PREDICTIONS, MODEL, KEPT, CONTRACT)}
    for path, place in paths.items():
        if place is None:
            return f"{path} is neither here, in the DVC cache, nor on a remote ({revision.why_no_data.get(path)})"
    places = {path: place for path, place in paths.items() if place is not None}
    contract = stored_contract(json.loads(places[CONTRACT].read_text(encoding="utf-8")))
    meta = json.loads(places[MODEL].read_text(encoding="utf-8"))
    fetched = connection.execute(f"SELECT * FROM {parquet(places[PREDICTIONS])} ORDER BY _row").fetchnumpy()
    names = sorted((name for name in fetched if name.startswith("score_")), key=lambda name: int(name[6:]))
    scores = np.column_stack([np.asarray(fetched[name], dtype=float) for name in names])
    return Predicted(contract, places[KEPT], meta, np.asarray(fetched["_row"]), np.asarray(fetched["target"]), scores)


def pair(connection: duckdb.DuckDBPyConnection, base: Predicted, head: Predicted, is_same_source: bool) -> Paired | str:
    """Return the test rows that both have, or why there are none."""
    numbers, matched_by = _matched(connection, base, head, is_same_source)
    if not len(numbers[0]):
        return f"the two have no test row in common (matched by {matched_by})"
    places = [np.searchsorted(side.number, found) for side, found in zip((base, head), numbers, strict=True)]
    contract = head.contract
    before, after = base.target[places[0]], head.target[places[1]]
    found = {
        "matched_by": matched_by,
        "rows": {"both": len(places[0]), "base": len(base.number), "head": len(head.number)},
        "relabelled": int((before != after).sum()),
    }
    order = [base.contract.classes.index(label) for label in contract.classes] if contract.task == "multiclass" else [0]
    cuts = [base.cut, head.cut]
    if isinstance(cuts[0], list):
        cuts[0] = [cuts[0][place] for place in order]
    carried = _carried(connection, head, numbers[1])
    rows = Rows(np.empty((len(after), 0)), _numbered(after, contract), numbers[1], *carried)
    scores = base.scores[places[0]][:, order], head.scores[places[1]]
    return Paired(rows, *scores, (cuts[0], cuts[1]), contract, head.kept, found)


def _numbered(target: Array, contract: Contract) -> Array:
    """Return class numbers in the contract's order, or values."""
    if contract.task == "regression":
        return target.astype(float)
    numbers = {label: number for number, label in enumerate(contract.classes)}
    return np.array([numbers[label] for label in target.tolist()])


def _matched(
    connection: duckdb.DuckDBPyConnection, base: Predicted, head: Predicted, is_same_source: bool
) -> tuple[tuple[Array, Array], str]:
    """Return the record numbers of the rows that both have, in the head's order, and what they were matched by.

    Of one and the same source that is the record's number; else the key; without one, all values but the target's.
    Rows whose key or values stand in more than one row are left out.
    """
    forms = forms_alike(connection, base.kept, head.kept)
    keys = head.contract.with_role("key")
    if is_same_source:
        matched_by, identity = "record, since the source is the same", "_row"
    elif keys and keys == base.contract.with_role("key") and all(forms.get(key) for key in keys):
        matched_by = f"key ({', '.join(keys)})"
        identity = f"ROW({', '.join(forms[key].format(identifier(key)) for key in keys)})"
    else:
        matched_by = "all values but the target's, since they have no common key"
        values = [f.format(identifier(n)) for n, f in forms.items() if f and n[0] != "_" and n != head.contract.target]
        identity = f"hash({', '.join(values) or 'NULL'})"
    for name, side in (("base_rows", base), ("head_rows", head)):
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE {name} AS SELECT _row, {identity} AS who FROM {parquet(side.kept)}
                WHERE _split = 'test' QUALIFY count(*) OVER (PARTITION BY who) = 1"""
        )
    query = (
        """SELECT b._row AS base, h._row AS head FROM base_rows AS b JOIN head_rows AS h USING (who) ORDER BY head"""
    )
    fetched = connection.execute(query).fetchnumpy()
    numbers = np.asarray(fetched["base"]), np.asarray(fetched["head"])
    is_scored = np.isin(numbers[0], base.number) & np.isin(numbers[1], head.number)
    return (numbers[0][is_scored], numbers[1][is_scored]), matched_by


def _carried(
    connection: duckdb.DuckDBPyConnection, side: Predicted, numbers: Array
) -> tuple[Array | None, Array | None]:
    """Return weights and groups of the rows, each None where the contract has none."""
    parts: dict[str, Array] = {}
    for role, kind in (("weight", "DOUBLE"), ("group", "VARCHAR")):
        for name in side.contract.with_role(role):
            parts[role] = of_rows(connection, side.kept, numbers, f"coalesce({identifier(name)}::{kind}::VARCHAR, '')")
    weight = parts["weight"].astype(float) if "weight" in parts else None
    return weight, parts.get("group")


def of_rows(connection: duckdb.DuckDBPyConnection, kept: Path, numbers: Array, expression: str) -> Array:
    """Return an expression's value, as text, for each row, in the order of `numbers`, which ascend."""
    query = f"SELECT _row, ({expression})::VARCHAR AS found FROM {parquet(kept)} WHERE _split = 'test' ORDER BY _row"
    fetched = connection.execute(query).fetchnumpy()
    found = np.asarray(fetched["found"], dtype=object)
    if isinstance(fetched["found"], np.ma.MaskedArray):
        found[np.ma.getmaskarray(fetched["found"])] = None
    return np.asarray(found[np.searchsorted(np.asarray(fetched["_row"]), numbers)])
