"""Builds the wheel and asks it every test row again: its answers must be what evaluate saw, bit for bit.

data/{prepare,featurize,train,evaluate}, reports/{prepare,train,evaluate} -> data/package/NAME-VERSION-py3-none-any.whl;
reports/package/card.md, summary.json. By hand: python -m stages.package packaging=standard

The wheel holds stages/runtime as it stands; it needs no Git, DVC, pandas or Hydra, and scikit-learn only where the
model cannot be compiled or the features name a transformer.
"""

from __future__ import annotations

import keyword
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.runtime.contract import Contract
from stages.runtime.predictor import answer
from stages.shared.card import model_card
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.files import json_bytes, read_json, read_table, replacing, write_json
from stages.shared.lineage import dvc_hash
from stages.shared.packaging.members import kinds_of, model_files, package_members, transformer_files
from stages.shared.packaging.replay import replay
from stages.shared.packaging.requirements import extras, packages_of, read_lock, requirements_files, requires
from stages.shared.packaging.sbom import FILE as BILL
from stages.shared.packaging.sbom import bill_of_materials
from stages.shared.packaging.wheel import Distribution, build_wheel
from stages.shared.records import read_records
from stages.shared.tables import connect, parquet

PREPARED, FEATURES, MODEL, EVALUATED = (Path("data", stage) for stage in ("prepare", "featurize", "train", "evaluate"))
DATA, REPORTS = Path("data/package"), Path("reports/package")
REPORT_FILES = {"prepare": "summary.json", "train": "decisions.json", "evaluate": "intervals.json"}
IMPORTANCE = Path("reports/train/plots/importance.csv")
GATES, SLICES = Path("reports/evaluate/gates.json"), Path("reports/evaluate/slices.json")
SUMMARY = "A packaged model with its contract, evidence and lineage"


@dataclass(frozen=True)
class PackagingConf:
    """The schema of conf/packaging/NAME.yaml."""

    name: str
    version: str
    replay_alone: int | None = field(metadata={"min": 0})
    examples: int = field(metadata={"min": 1})


def main() -> None:
    """Collect, build, replay, write."""
    conf, choice, _ = compose("packaging", PackagingConf)
    contract = Contract.from_json(read_json(PREPARED / "contract.json"))
    name = conf.name.replace("{data}", contract.name)
    if not name.isidentifier() or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise InputError(f"conf/packaging/{choice}.yaml: name should be a free Python module name, got {name!r}")
    records, scores = test_rows(contract)
    meta = read_json(MODEL / "model.json")
    expected = [answer(meta, row) for row in scores]
    examples = [{"record": r, "answer": a} for r, a in list(zip(records, expected, strict=True))[: conf.examples]]
    with replacing(DATA, REPORTS) as (data, written):
        wheel, card = make_wheel(data, conf, name, contract, examples)
        n_alone = len(records) if conf.replay_alone is None else min(conf.replay_alone, len(records))
        replay(wheel, name, records, expected, n_alone)
        (written / "card.md").write_text(card, encoding="utf-8")
        summary = {"wheel_bytes": wheel.stat().st_size, "replayed": len(records), "replayed_alone": n_alone}
        write_json(written / "summary.json", summary)
    print(
        f"package: {DATA}/{wheel.name}  {summary['wheel_bytes']} bytes; "
        f"{len(records)} test rows replayed, {n_alone} also alone, all equal"
    )


def test_rows(contract: Contract) -> tuple[list[dict[str, Any]], list[list[float]]]:
    """Return the test rows as JSON records of the input columns, and the scores that evaluate gave them."""
    evaluated = parquet(EVALUATED / "predictions.parquet")
    source = f"{parquet(PREPARED / 'kept.parquet')} WHERE _row IN (SELECT _row FROM {evaluated})"
    scores = connect().execute(f"SELECT COLUMNS('score_.*') FROM {evaluated} ORDER BY _row").fetchall()
    return read_records(contract, source), [list(row) for row in scores]


def make_lineage(name: str, needed: list[str]) -> dict[str, Any]:
    """Return what the model was made from, as hashes, what fitted it and what it requires."""
    meta = read_json(MODEL / "model.json")
    model = {"estimator": meta["estimator"], "kind": meta["kind"], "requires": needed}
    made_from = {path.as_posix(): dvc_hash(path) for path in (PREPARED, FEATURES, MODEL, EVALUATED)}
    return {"name": name, "made_from": made_from, "model": model}


def make_card(name: str, contract: Contract, lineage: dict[str, Any]) -> str:
    """Return the model card."""
    reports = {stage: read_json(Path("reports", stage, file)) for stage, file in REPORT_FILES.items()}
    reports["importance"] = read_table(IMPORTANCE)
    reports |= {"gates": read_json(GATES)["gates"], "slices": read_json(SLICES)}
    return model_card(name, contract, reports, lineage)


def make_wheel(
    folder: Path, conf: PackagingConf, name: str, contract: Contract, examples: list[dict[str, Any]]
) -> tuple[Path, str]:
    """Build the wheel; return its path and the card in it."""
    pins = read_lock()
    has_zones = any(column.timezone for column in contract.columns.values())
    packages = packages_of(kinds_of(MODEL, FEATURES), has_zones)
    needed = requires(pins, packages)
    lineage = make_lineage(name, needed)
    card = make_card(name, contract, lineage)
    sources = [PREPARED / "contract.json", FEATURES / "plan.json"]
    own = {"card.md": card.encode(), "lineage.json": json_bytes(lineage), "examples.json": json_bytes(examples)}
    own |= {source.name: source.read_bytes() for source in sources} | transformer_files(FEATURES) | model_files(MODEL)
    own |= requirements_files(pins, packages, name)
    version, members = package_members(name, conf.version, own)
    bill = bill_of_materials(name, version, pins, packages, members)
    about = Distribution(name, version, SUMMARY, needed, extras(pins), f"{name}.runtime.cli:main")
    return build_wheel(folder, about, members, {BILL: bill}), card


if __name__ == "__main__":
    run("package", main)
