"""Builds the wheel and asks it every test row again: its answers must be what evaluate saw, bit for bit.

data/{prepare,featurize,train,evaluate}, reports/{prepare,train,evaluate} -> data/package/NAME-VERSION-py3-none-any.whl;
reports/package/{card,data_card}.md, {summary,sources,wheel}.json. By hand: python -m stages.package packaging=standard

The wheel holds stages/runtime as it stands; it needs no Git, DVC, pandas or Hydra, and scikit-learn only where the
model cannot be compiled or the features name a transformer.
"""

from __future__ import annotations

import hashlib
import keyword
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.runtime.contract import Contract
from stages.runtime.predictor import answer
from stages.shared.cards.compiled import compile_cards
from stages.shared.cards.declared import CardText
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.files import json_bytes, read_json, replacing, write_json
from stages.shared.lineage import dvc_hash
from stages.shared.packaging.members import kinds_of, model_files, package_members, transformer_files
from stages.shared.packaging.replay import check_latency, replay
from stages.shared.packaging.requirements import (
    Pin,
    extras,
    packages_of,
    read_lock,
    requirements_files,
    requires,
    served_by,
)
from stages.shared.packaging.sbom import FILE as BILL
from stages.shared.packaging.sbom import bill_of_materials
from stages.shared.packaging.wheel import Distribution, build_wheel
from stages.shared.records import read_records
from stages.shared.tables import connect, parquet

PREPARED, FEATURES, MODEL, EVALUATED = (Path("data", stage) for stage in ("prepare", "featurize", "train", "evaluate"))
DATA, REPORTS = Path("data/package"), Path("reports/package")
SUMMARY = "A packaged model with its contract, evidence and lineage"


@dataclass(frozen=True)
class PackagingConf:
    """The schema of conf/packaging/NAME.yaml."""

    name: str
    version: str
    replay_alone: int | None = field(metadata={"min": 0})
    max_latency_ratio: float | None = field(metadata={"min": 1})
    examples: int = field(metadata={"min": 1})
    tables: dict[str, CardText] = field(default_factory=dict)


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
    pins, needing = read_lock(), packages(contract)
    lineage = make_lineage(name, requires(pins, needing))
    cards, sources = compile_cards(lineage, Path(f"conf/packaging/{choice}.yaml"), conf.tables)
    texts = {file: card.encode() for file, card in cards.items()}
    examples = [{"record": r, "answer": a} for r, a in list(zip(records, expected, strict=True))[: conf.examples]]
    own = texts | {"lineage.json": json_bytes(lineage), "examples.json": json_bytes(examples)}
    with replacing(DATA, REPORTS) as (data, written):
        wheel = make_wheel(data, conf, name, own, pins, needing)
        n_alone = len(records) if conf.replay_alone is None else min(conf.replay_alone, len(records))
        ratio = replay(wheel, name, served_by(pins, needing), records, expected, n_alone)
        check_latency(ratio, conf.max_latency_ratio, f"conf/packaging/{choice}.yaml")
        for file, content in {**texts, "sources.json": sources}.items():
            (written / file).write_bytes(content)
        write_json(written / "wheel.json", lineage | named(wheel))
        summary = {"wheel_bytes": wheel.stat().st_size, "replayed": len(records), "replayed_alone": n_alone}
        write_json(written / "summary.json", summary)
    print(
        f"package: {DATA}/{wheel.name}  {summary['wheel_bytes']} bytes; "
        f"{len(records)} test rows replayed in process and over HTTP, {n_alone} also alone, all equal; "
        f"one row takes {ratio:.1f} times an empty answer"
    )


def named(wheel: Path) -> dict[str, str]:
    """Return the wheel's version and SHA-256, by which Git leads from it to the commit."""
    return {"version": wheel.name.split("-")[1], "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}


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


def packages(contract: Contract) -> list[str]:
    """Return the packages that the model calls for."""
    has_zones = any(column.timezone for column in contract.columns.values())
    return packages_of(kinds_of(MODEL, FEATURES), has_zones)


def make_wheel(
    folder: Path, conf: PackagingConf, name: str, own: dict[str, bytes], pins: list[Pin], needing: list[str]
) -> Path:
    """Build the wheel in a folder and return its path; `own` are its files that no other stage made."""
    sources = [PREPARED / "contract.json", FEATURES / "plan.json"]
    made = {source.name: source.read_bytes() for source in sources} | transformer_files(FEATURES) | model_files(MODEL)
    version, members = package_members(name, conf.version, own | made | requirements_files(pins, needing, name))
    bill = bill_of_materials(name, version, pins, needing, members)
    about = Distribution(name, version, SUMMARY, requires(pins, needing), extras(pins), f"{name}.runtime.cli:main")
    return build_wheel(folder, about, members, {BILL: bill})


if __name__ == "__main__":
    run("package", main)
