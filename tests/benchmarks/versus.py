"""Our choices against LightGBM and HistGradientBoosting at their defaults, FLAML and AutoGluon, on the same test rows.

    python -m tests.benchmarks.versus [--python PATH] [--only TABLE,...] [--ours CHOICE,...] [--rivals NAME,...]
        [--limit S] [--json FILE]

Each table of ../shared/tables is drafted and run through `dvc repro` in a temporary clone, once for each choice: a
model, or a model and features, such as `boosting` or `linear/minimal`. The rivals are fitted on the training and the
validation rows, on the columns that ours may read as prepare left them; nobody sees groups or the test rows. FLAML and
AutoGluon may take as long as our slowest `dvc repro train` of the table did, 30 s at least, on two cores; a rival
that is not done after --limit seconds is stopped. They live in an environment of their own, with pandas and duckdb:

    python -m venv rivals
    rivals/bin/pip install duckdb pandas lightgbm scikit-learn 'flaml[automl]' 'autogluon.tabular[lightgbm,catboost]'
    rivals/bin/pip uninstall -y xgboost xgboost-cpu && rivals/bin/pip install xgboost-cpu    # they install both

What an environment lacks is a column that says so; without --python it is ours, with the first two. Marks after a
score: `+` ours (the first choice) is better, `-` worse, `=` the 95% interval of the paired difference holds 0 (1,000
resamples of test rows, of groups where there are any). Tables of more than 300,000 rows are left out. Exit status 1: a
table did not run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import identifier, literal
from stages.runtime.forms import MOMENTS, NUMBERS
from stages.shared.files import read_json, write_json
from stages.shared.rows import Rows, read_rows
from stages.shared.sides.split import SIDES
from stages.shared.tables import connect, copy_to_parquet, parquet, read_arrays
from tests.benchmarks.draft_tables import Case, cases, choose, draft, find_tables
from tests.benchmarks.versus_rival import CORES, NOT_INSTALLED, RIVALS
from tests.benchmarks.versus_score import ABSENT, Answer, Outcome, closing, header, line, ranks, score, summary
from tests.conftest import clone, environment, run_in

RIVAL = Path(__file__).with_name("versus_rival.py")
LEAST_BUDGET = 30.0  # seconds of FLAML and AutoGluon
LARGE = 300_000  # rows
# Of ours and the rivals. Waiting threads sleep: where other work runs, those that spin make minutes of seconds.
THREADS = {f"{library}_NUM_THREADS": str(CORES) for library in ("OMP", "OPENBLAS", "MKL")} | {
    "OMP_WAIT_POLICY": "PASSIVE"
}
DEFAULTS = "lightgbm"  # the rival that no table may be lost to


def main() -> None:
    """Print the table as it grows, then what it comes to."""
    options, chosen = arguments()
    systems = [*options.ours, *options.rivals]
    print(header(systems), flush=True)
    outcomes: list[Outcome] = []
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = clone(Path(temporary, "copy"))
        for case in chosen:
            try:
                found = try_table(case, folder, options)
            except AssertionError as error:
                failed.append(case.name)
                print(error, file=sys.stderr, flush=True)
                found = "did not run"
            if isinstance(found, Outcome):
                outcomes.append(found)
            print(line(found, systems) if isinstance(found, Outcome) else f"| {case.name} | {found} |", flush=True)
            if options.json:
                write_json(options.json, told(outcomes, systems))
    print(f"\n{closing(outcomes, systems, DEFAULTS)}")
    if failed:
        sys.exit(f"versus: {len(failed)} of {len(chosen)} did not run: {', '.join(failed)}")


def arguments() -> tuple[argparse.Namespace, list[Case]]:
    """Return the options, and the tables that they choose; exits for a table that there is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the rivals' environment")
    parser.add_argument("--only", type=names, help="tables, instead of all")
    parser.add_argument("--ours", type=names, default=["boosting"], help="MODEL or MODEL/FEATURES of ours")
    parser.add_argument("--rivals", type=names, default=list(RIVALS), help="rivals, instead of all")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a rival is stopped")
    parser.add_argument("--json", type=Path, help="where all that was measured goes, too")
    options = parser.parse_args()
    known = {case.name: case for case in cases(find_tables())}
    unknown = [name for name in options.only or [] if name not in known]
    if unknown:
        parser.error(f"--only: no table {', '.join(unknown)}; there are {', '.join(known)}")
    unknown = [name for name in options.rivals if name not in RIVALS]
    if unknown:
        parser.error(f"--rivals: no rival {', '.join(unknown)}; there are {', '.join(RIVALS)}")
    return options, [known[name] for name in options.only or known]


def names(text: str) -> list[str]:
    """Return the names in a list with commas."""
    return text.split(",")


def try_table(case: Case, folder: Path, options: argparse.Namespace) -> Outcome | str:
    """Return what came of one table, or why it is left out. Raises AssertionError where a command of ours fails."""
    draft(case, folder)
    run_in(folder, "dvc", "repro", "prepare")
    contract = Contract.from_json(read_json(folder / "data/prepare/contract.json"))
    sides = read_json(folder / "reports/prepare/summary.json")["split"]
    n_rows = {side: sides[side]["rows"] for side in SIDES}
    if sum(n_rows.values()) > LARGE:
        return f"left out: {sum(n_rows.values()):,} rows"
    if contract.with_role("weight"):
        return "left out: it has weights, which the rivals are not given"
    answers = {choice: run_ours(folder, choice) for choice in options.ours}
    budget = max(LEAST_BUDGET, *(answer.fit for answer in answers.values()))
    rows = test_rows(folder, contract)
    with tempfile.TemporaryDirectory() as temporary:
        export(folder / "data/prepare/kept.parquet", contract, Path(temporary))
        for name in options.rivals:
            answers[name] = run_rival(options.python, name, Path(temporary), budget, options.limit)
    return Outcome(case.name, contract.task, n_rows, budget, answers, *score(contract.task, rows, answers))


def run_ours(folder: Path, choice: str) -> Answer:
    """Return what one of our choices says of the test rows in a clone; the fit is `dvc repro train` as a whole."""
    model, _, features = choice.partition("/")
    choose(folder, "model", model)
    choose(folder, "features", features or "standard")
    run_in(folder, "dvc", "repro", "featurize")
    started = time.perf_counter()
    run_in(folder, "dvc", "repro", "train", **THREADS)
    seconds = time.perf_counter() - started
    run_in(folder, "dvc", "repro", "evaluate")
    factors = json.loads((folder / "data/train/model.json").read_text()).get("factors")
    return Answer(read_scores(folder / "data/evaluate/predictions.parquet"), seconds, factors=factors)


def test_rows(folder: Path, contract: Contract) -> Rows:
    """Return the test rows of a clone."""
    with contextlib.chdir(folder):
        return read_rows("test", contract)


test_rows.__test__ = False  # type: ignore[attr-defined]  # pytest, which collects by name


def read_scores(path: Path) -> np.ndarray[Any, Any]:
    """Return score_0, score_1, ... of a file, shape (n_rows, n_outputs), in its order."""
    arrays = read_arrays(parquet(path))
    n_outputs = sum(name.startswith("score_") for name in arrays)
    return np.column_stack([arrays[f"score_{i}"] for i in range(n_outputs)]).astype(float)


def export(kept: Path, contract: Contract, folder: Path) -> None:
    """Write task.json, train.parquet (training and validation rows) and test.parquet, in the source's order.

    Columns are c0, c1, ...: names that no library refuses. The target is the class's number, or the value.
    """
    target = f"{identifier(contract.target)}::DOUBLE"
    if contract.classes:
        listed = ", ".join(map(literal, contract.classes))
        target = f"list_position([{listed}], {identifier(contract.target)}) - 1"
    inputs = ", ".join(f"{identifier(name)} AS c{i}" for i, name in enumerate(contract.inputs))
    for side, where in {"train": "<>", "test": "="}.items():
        rows = f"{parquet(kept)} WHERE _split {where} 'test' ORDER BY _row"
        wanted = inputs if side == "test" else f"{inputs}, {target} AS target"
        copy_to_parquet(connect(), f"SELECT {wanted} FROM {rows}", folder / f"{side}.parquet")
    kinds = {f"c{i}": kind_of(contract.columns[name].type) for i, name in enumerate(contract.inputs)}
    write_json(folder / "task.json", {"kind": contract.task, "n_classes": len(contract.classes), "kinds": kinds})


def kind_of(column_type: str) -> str:
    """Return what a rival has to know of a column's type."""
    if column_type in NUMBERS:
        return "number"
    return "moment" if column_type in MOMENTS else "boolean" if column_type == "boolean" else "label"


def run_rival(python: str, name: str, folder: Path, budget: float, limit: float) -> Answer:
    """Return what one rival says of the exported test rows; a note where it is not there, fails or takes too long."""
    command = [python, str(RIVAL), name, str(folder), f"{budget:.1f}"]
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    with (folder / f"{name}.log").open("w+") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(**THREADS, **offline), stdout=log, stderr=log, start_new_session=True
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return Answer(note=f"stopped after {limit:.0f} s")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
                process.wait()
        log.seek(0)
        printed = log.read()
    if code == NOT_INSTALLED:
        return Answer(note=ABSENT)
    if code:
        print(f"versus: {name} exited {code}\n{printed}", file=sys.stderr, flush=True)
        return Answer(note="failed")
    return Answer(read_scores(folder / f"{name}.parquet"), **json.loads((folder / f"{name}.json").read_text()))


def told(outcomes: list[Outcome], systems: list[str]) -> dict[str, Any]:
    """Return all that was measured, as JSON holds it."""
    tables = []
    for outcome in outcomes:
        found = ranks(outcome)
        by_system = {
            system: {"fit": round(answer.fit, 3), "predict": answer.predict, "note": answer.note}
            | ({"rank": found[system]} if system in found else {})
            | (
                {"metrics": outcome.metrics[system], "ours_minus": outcome.verdict(systems[0], system)}
                if system in outcome.values
                else {}
            )
            for system, answer in outcome.answers.items()
        }
        tables.append(
            {"name": outcome.name, "task": outcome.task, "rows": outcome.n_rows, "budget": round(outcome.budget, 1)}
            | {"systems": by_system}
        )
    return {"systems": systems, "tables": tables, "summary": summary(outcomes, systems)}


if __name__ == "__main__":
    main()
