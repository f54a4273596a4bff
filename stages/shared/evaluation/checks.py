"""All that conf/evaluation asks beyond metrics, in one place: what is wrong with it, and what comes out of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from stages.runtime.model import Model
from stages.shared.errors import InputError
from stages.shared.evaluation.behaviour import behaviour_faults, run_tests
from stages.shared.evaluation.cells import single_cells
from stages.shared.evaluation.declared import EvaluationConf
from stages.shared.evaluation.fairness import measure_fairness
from stages.shared.evaluation.gates import Evidence, gate_faults, judge
from stages.shared.evaluation.members import find_members, sensitive_columns, slice_faults
from stages.shared.evaluation.resampled import Sample
from stages.shared.evaluation.search import find_weak
from stages.shared.evaluation.slices import measure_slices
from stages.shared.losses import row_loss
from stages.shared.metrics import compute


def check_demands(conf: EvaluationConf, choice: str, sample: Sample, more_metrics: list[str]) -> None:
    """Raise InputError naming every slice, test and gate that names what is not there.

    `more_metrics` are those that metrics.json has besides the task's own.
    """
    contract, table = sample.contract, conf.of_table(sample.contract.name)
    where = f"tables.{contract.name}"
    faults = slice_faults(table, contract, where) + behaviour_faults(table.behaviour, contract, f"{where}.behaviour")
    if not faults:  # or the slices' names are not known
        ones = np.ones((1, len(sample.rows.y)))
        metrics = [*compute(contract.task, sample.rows.y, sample.scores, sample.cut, ones), *more_metrics]
        names = {
            "slice": [each.name for each in find_members(contract, table, sample.rows.number)],
            "column": sensitive_columns(contract),
            "test": list(table.behaviour),
        }
        for gates, at in ((conf.gates, "gates"), (table.gates, f"{where}.gates")):
            faults += gate_faults(gates, contract.task, metrics, names, at)
    if faults:
        raise InputError(f"conf/evaluation/{choice}.yaml is not valid", faults)


def run_checks(
    conf: EvaluationConf, sample: Sample, model: Model, measured: dict[str, Any], compared: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of reports/evaluate/{slices,behaviour,gates}.json, by file.

    `measured` are the rows of metrics.json, `compared` has the differences from the baselines.
    """
    contract, rows = sample.contract, sample.rows
    table = conf.of_table(contract.name)
    members = find_members(contract, table, rows.number)
    slices = measure_slices(sample, members, conf.slices.min_rows)
    slices["fairness"] = measure_fairness(sample, members, conf.slices.min_rows)
    if conf.slices.search:
        loss = row_loss(contract.task, rows.y, sample.scores)
        slices["weak"] = find_weak(single_cells(contract, rows.number), loss, rows.weight, rows.group, conf.slices)
    tested = run_tests(table.behaviour, contract, model, rows.number, sample.seed)
    minus = {name: compared[f"minus_{name}"] for name in ("linear", "constant")}
    spread = float(np.std(rows.y)) if contract.task == "regression" else 1.0
    evidence = Evidence(contract.task, measured, minus, slices, slices["fairness"], tested, spread)
    return {
        "slices.json": slices,
        "behaviour.json": tested,
        "gates.json": {"gates": judge(conf.gates_of(contract.name), evidence)},
    }


def gates_line(gates: list[dict[str, Any]]) -> str:
    """Return how many gates passed, and which failed."""
    if not gates:
        return "no gates"
    failed = [gate["name"] for gate in gates if gate["passed"] is False]
    n_pending = sum(gate["passed"] is None for gate in gates)
    told = f"{sum(gate['passed'] is True for gate in gates)} of {len(gates)} gates passed"
    pending = f", {n_pending} pending" if n_pending else ""
    return f"{told}{pending}" + (f", failed: {', '.join(failed)}" if failed else "")
