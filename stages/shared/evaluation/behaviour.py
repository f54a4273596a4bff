"""Behaviour tests: how the model answers when a column is changed, or when it is given rows (Ribeiro et al. 2020).

Changed rows go the way of a request: the contract, the feature plan, the model. A changed row that the contract
refuses is counted and left out. What breaks a test is listed by `_row`; values of sensitive and private columns are
not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract, Violation, check_row, parse
from stages.runtime.forms import MOMENTS, NUMBERS, text_of
from stages.runtime.model import Model
from stages.runtime.plan import compile_row
from stages.runtime.predictor import answer
from stages.runtime.transformer import RefusedValues, load_transformers
from stages.shared.errors import did_you_mean
from stages.shared.evaluation.demands import BehaviourTest, Case
from stages.shared.evaluation.members import KEPT, condition_sql, expression_faults, read_masks
from stages.shared.files import read_json
from stages.shared.records import Record, of_rows, read_records
from stages.shared.table.reasons import PRIVATE

Array = np.ndarray[Any, Any]
PLAN = Path("data/featurize/plan.json")
SHOWN = 10  # rows that break a test, those that break it most first
HIDDEN = "(not shown)"


class Asked:
    """The model as a request meets it, from records to scores."""

    def __init__(self, contract: Contract, model: Model) -> None:
        self.contract, self.model = contract, model
        self._compiled = compile_row(read_json(PLAN), load_transformers(PLAN.parent))

    def score(self, records: Iterable[Record]) -> tuple[Array, Array]:
        """Return (which records the contract takes, the scores of those, shape (n, n_outputs))."""
        rows, taken = [], []
        for record in records:
            values, refusing = self.check(record)
            row = None if refusing else self._featurize(values)
            taken.append(row is not None)
            if row is not None:
                rows.append(row)
        scores = self.model.score_matrix(np.array(rows)) if rows else np.empty((0, self.model.n_outputs))
        return np.array(taken, dtype=bool), scores

    def _featurize(self, values: dict[str, Any]) -> list[float] | None:
        """Return the features of typed values; None where a transformer refuses them."""
        try:
            return self._compiled(values)
        except RefusedValues:
            return None

    def check(self, record: Record) -> tuple[dict[str, Any], list[Violation]]:
        """Return the typed values of a record, and why the contract refuses it."""
        values, violations = check_row(self.contract, record, self.contract.inputs)
        return values, [violation for violation in violations if violation.action != "null"]

    def of_class(self, scores: Array, label: str | None) -> Array:
        """Return what is watched, shape (n_rows, n): the number, one class's probability, or all of them."""
        classes = self.contract.classes
        if self.contract.task == "binary":
            return 1.0 - scores if label == classes[0] else scores
        return scores[:, [classes.index(label)]] if label else scores


def behaviour_faults(tests: Mapping[str, BehaviourTest], contract: Contract, where: str) -> list[str]:
    """Return what is wrong with the tests of a table."""
    return [fault for name, test in tests.items() for fault in _test_faults(test, contract, f"{where}.{name}")]


def _test_faults(test: BehaviourTest, contract: Contract, where: str) -> list[str]:
    found = _class_faults(test.of, contract, f"{where}.of")
    if test.kind == "direction" and contract.task == "multiclass" and test.of is None:
        found.append(f"{where}.of: missing: of several classes, say whose probability")
    if test.where is not None:
        found += expression_faults(test.where, contract, f"{where}.where")
    for nth, case in enumerate(test.cases):
        found += _case_faults(case, contract, f"{where}.cases[{nth}]")
    if test.kind == "minimum":
        return found
    if test.column not in contract.inputs:
        return [
            *found,
            f"{where}.column: no input column {test.column!r}{did_you_mean(str(test.column), contract.inputs)}",
        ]
    column = contract.columns[test.column]
    if test.add is not None and column.type not in (*NUMBERS, *MOMENTS):
        found.append(f"{where}.add: a {column.type} cannot be added to")
    missing = frozenset([*contract.missing, *column.missing])
    for nth, value in enumerate(test.to or []):
        rule = parse(column, text_of(column, value), missing)[1]
        found += [f"{where}.to[{nth}]: {value!r} breaks the contract: {test.column} {rule}"] if rule else []
    return found


def _case_faults(case: Case, contract: Contract, where: str) -> list[str]:
    found = _class_faults(case.of, contract, f"{where}.of")
    if case.label is not None and case.label not in contract.classes:
        known = f"one of {', '.join(contract.classes)}" if contract.classes else "low and high: the target is a number"
        found.append(f"{where}.label: should be {known}, got {case.label!r}")
    if contract.task == "multiclass" and case.of is None and (case.low, case.high) != (None, None):
        found.append(f"{where}.of: missing: of several classes, say whose probability")
    _, violations = check_row(contract, case.row, contract.inputs)
    return found + [f"{where}.row: {each}" for each in violations if each.action != "null"]


def _class_faults(label: str | None, contract: Contract, where: str) -> list[str]:
    if label is None or label in contract.classes:
        return []
    known = f"one of {', '.join(contract.classes)}" if contract.classes else "left out: the target is a number"
    return [f"{where}: should be {known}, got {label!r}"]


def run_tests(
    tests: Mapping[str, BehaviourTest], contract: Contract, model: Model, numbers: Array, seed: int
) -> dict[str, Any]:
    """Return {name: {"kind", "passed", "rows", "broken", "share", "allowed", "refused", "failing"}}."""
    asked = Asked(contract, model) if tests else None
    return {name: _run(test, asked, numbers, seed) for name, test in tests.items() if asked is not None}


def _run(test: BehaviourTest, asked: Asked, numbers: Array, seed: int) -> dict[str, Any]:
    if test.kind == "minimum":
        return _run_cases(test, asked)
    chosen = _sample(test, asked.contract, numbers, seed)
    records = read_records(asked.contract, of_rows(KEPT, chosen))
    _, before = asked.score(records)  # the contract took them once
    is_tried, n_refused = np.zeros(len(records), bool), 0
    worst: dict[int, tuple[float, dict[str, Any]]] = {}  # of each row that breaks the test: by how much, and how
    for changed in _changes(test, asked.contract, records, seed):
        is_taken, after = asked.score(changed)
        is_tried |= is_taken
        n_refused += int((~is_taken).sum())
        places = np.flatnonzero(is_taken)
        pair = asked.of_class(before[places], test.of), asked.of_class(after, test.of)
        beyond = _beyond(test, *pair)
        for nth in np.flatnonzero(beyond > 0).tolist():
            place = int(places[nth])
            if beyond[nth] > worst.get(place, (0.0,))[0]:
                shown = _example(test, asked.contract, chosen[place], records[place], changed[place])
                scores = {"score": _rounded(pair[0][nth]), "changed_score": _rounded(pair[1][nth])}
                worst[place] = beyond[nth], shown | scores
    ranked = [shown for _, shown in sorted(worst.values(), key=lambda pair: (-pair[0], pair[1]["_row"]))]
    return _told(test, int(is_tried.sum()), n_refused, ranked, _why(int(is_tried.sum()), len(records)))


def _told(
    test: BehaviourTest, n_rows: int, n_refused: int, failing: list[dict[str, Any]], why: str | None = None
) -> dict[str, Any]:
    share = round(len(failing) / n_rows, 6) if n_rows else None
    return {
        "kind": test.kind,
        "passed": share is not None and len(failing) <= test.allowed * n_rows,
        "rows": n_rows,
        "broken": len(failing),
        "share": share,
        "allowed": test.allowed,
        "refused": n_refused,
        "why": why,
        "failing": failing[:SHOWN],
    }


def _rounded(scores: Array) -> list[float]:
    return [round(score, 6) for score in scores.tolist()]


def _why(n_tried: int, n_rows: int) -> str | None:
    """Return why nothing could be tested, None where something was."""
    if n_tried:
        return None
    return "the contract refuses every changed row" if n_rows else "no test row to try it on"


def _sample(test: BehaviourTest, contract: Contract, numbers: Array, seed: int) -> list[int]:
    """Return the numbers of the rows to try, at most `rows` of those `where` holds for, in their own order."""
    if test.where is not None:
        numbers = numbers[read_masks({"where": condition_sql(test.where, contract)}, numbers)["where"]]
    if len(numbers) > test.rows:
        numbers = np.random.default_rng(seed).choice(numbers, test.rows, replace=False)
    return sorted(numbers.tolist())


def _changes(test: BehaviourTest, contract: Contract, records: list[Record], seed: int) -> list[list[Record]]:
    """Return the records once for each change of the column."""
    name = str(test.column)
    if test.to is not None:
        return [[{**record, name: value} for record in records] for value in test.to]
    if test.permute:
        order = np.random.default_rng([seed, 1]).permutation(len(records)).tolist()
        return [[{**record, name: records[place][name]} for record, place in zip(records, order, strict=True)]]
    kind = contract.columns[name].type
    return [[{**record, name: _added(record[name], float(test.add or 0), kind)} for record in records]]


def _added(value: Any, amount: float, kind: str) -> Any:
    """Return a number and more, a moment some days later, missing as it is; a date beyond the calendar is refused."""
    if value is None:
        return None
    if kind not in MOMENTS:
        return value + (int(amount) if kind == "integer" and amount.is_integer() else amount)
    try:
        later = datetime.fromisoformat(value) + timedelta(days=amount)
    except OverflowError:
        return "beyond the calendar"
    return str(later.date()) if kind == "date" else str(later.replace(tzinfo=None)) + "Z" * value.endswith("Z")


def _beyond(test: BehaviourTest, before: Array, after: Array) -> Array:
    """Return by how much each row breaks the test, shape (n_rows,); 0 and below: it does not."""
    moved = after - before
    if test.kind == "invariance":
        moved = np.abs(moved)
    elif test.expect == "not_lower":
        moved = -moved
    return np.asarray(moved.max(1) - test.tolerance)


def _example(test: BehaviourTest, contract: Contract, number: int, before: Record, after: Record) -> dict[str, Any]:
    name = str(test.column)
    column = contract.columns[name]
    is_hidden = column.sensitive or column.role in PRIVATE
    values = [HIDDEN if is_hidden else record[name] for record in (before, after)]
    return {"_row": number, "column": name, "from": values[0], "to": values[1]}


def _run_cases(test: BehaviourTest, asked: Asked) -> dict[str, Any]:
    _, scores = asked.score([case.row for case in test.cases])
    failing = []
    for nth, case in enumerate(test.cases):
        given = answer(asked.model.meta, scores[nth].tolist())["prediction"]
        score = float(asked.of_class(scores[nth : nth + 1], case.of)[0][0])
        if (case.label is not None and given != case.label) or not _is_within(case, score):
            failing.append({"case": nth, "prediction": given, "score": round(score, 6)})
    return _told(test, len(test.cases), 0, failing)


def _is_within(case: Case, score: float) -> bool:
    return (case.low is None or score >= case.low) and (case.high is None or score <= case.high)
