"""Builds the wheel and asks it every test row again: its answers must be what evaluate saw, bit for bit.

data/{prepare,featurize,train,evaluate}, reports/{prepare,train,evaluate} -> data/package/NAME-VERSION-py3-none-any.whl;
reports/package/{card,data_card}.md, {summary,sources,wheel}.json. By hand: python -m stages.package packaging=standard

The wheel holds stages/runtime as it stands; it needs no Git, DVC, pandas or Hydra, and scikit-learn only where the
model cannot be compiled or the features name a transformer.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import keyword
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stages.runtime
from stages.runtime.contract import Contract
from stages.runtime.predictor import answer
from stages.runtime.transformer import FILE as TRANSFORMERS
from stages.shared.cards.compiled import compile_cards
from stages.shared.cards.declared import CardText
from stages.shared.config import compose
from stages.shared.errors import InputError, run
from stages.shared.files import json_bytes, read_json, replacing, write_json
from stages.shared.lineage import dvc_hash
from stages.shared.progress import Progress
from stages.shared.records import read_records
from stages.shared.tables import connect, parquet
from stages.shared.wheel import build_wheel

PREPARED, FEATURES, MODEL, EVALUATED = (Path("data", stage) for stage in ("prepare", "featurize", "train", "evaluate"))
DATA, REPORTS = Path("data/package"), Path("reports/package")
RUNTIME = Path(stages.runtime.__file__ or "").parent
MODEL_FILES = {"lightgbm": "model.txt", "skops": "model.skops", "xgboost": "model.xgboost.json"}
REQUIRES = {"lightgbm": ["lightgbm"], "skops": ["scikit-learn", "skops"]}  # by kind, pinned to what trained it
BATCH = 500  # records asked together while replaying
REPLAY = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
model, alone, batch = importlib.import_module(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
records = [json.loads(line) for line in sys.stdin]
for start in range(0, len(records), batch):
    print(json.dumps(model.predict_many(records[start:start + batch])), flush=True)
for record in records[:alone]:
    print(json.dumps([model.predict(record)]), flush=True)
"""


@dataclass(frozen=True)
class PackagingConf:
    """The schema of conf/packaging/NAME.yaml."""

    name: str
    version: str
    replay_alone: int | None = field(metadata={"min": 0})
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
    lineage = make_lineage(name)
    cards, sources = compile_cards(lineage, Path(f"conf/packaging/{choice}.yaml"), conf.tables)
    texts = {file: card.encode() for file, card in cards.items()}
    examples = [{"record": r, "answer": a} for r, a in list(zip(records, expected, strict=True))[: conf.examples]]
    with replacing(DATA, REPORTS) as (data, written):
        wheel = make_wheel(
            data,
            conf,
            name,
            texts | {"lineage.json": json_bytes(lineage), "examples.json": json_bytes(examples)},
        )
        n_alone = len(records) if conf.replay_alone is None else min(conf.replay_alone, len(records))
        replay(wheel, name, records, expected, n_alone)
        for file, content in {**texts, "sources.json": sources}.items():
            (written / file).write_bytes(content)
        write_json(written / "wheel.json", lineage | named(wheel))
        summary = {"wheel_bytes": wheel.stat().st_size, "replayed": len(records), "replayed_alone": n_alone}
        write_json(written / "summary.json", summary)
    print(
        f"package: {DATA}/{wheel.name}  {summary['wheel_bytes']} bytes; "
        f"{len(records)} test rows replayed, {n_alone} also alone, all equal"
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


def make_lineage(name: str) -> dict[str, Any]:
    """Return what the model was made from, as hashes, and what fitted it."""
    meta = read_json(MODEL / "model.json")
    model = {"estimator": meta["estimator"], "kind": meta["kind"], "requires": requirements()}
    made_from = {path.as_posix(): dvc_hash(path) for path in (PREPARED, FEATURES, MODEL, EVALUATED)}
    return {"name": name, "made_from": made_from, "model": model}


def model_folders() -> list[Path]:
    """Return the folder of the model and, for an ensemble, those of its parts."""
    return [MODEL, *(MODEL / part["folder"] for part in read_json(MODEL / "model.json").get("parts", []))]


def requirements() -> list[str]:
    """Return what the wheel needs: NumPy, and exactly the libraries whose files it loads."""
    contract = Contract.from_json(read_json(PREPARED / "contract.json"))
    zones = ["tzdata"] if any(column.timezone for column in contract.columns.values()) else []
    kinds = {read_json(folder / "model.json")["kind"] for folder in model_folders()}
    kinds |= {"skops"} if transformer_files() else set()
    needed = dict.fromkeys(package for kind in sorted(kinds) for package in REQUIRES.get(kind, []))
    return ["numpy>=2", *(f"{package}=={importlib.metadata.version(package)}" for package in [*needed, *zones])]


def model_files() -> dict[str, bytes]:
    """Return the files of the model by their path in its folder."""
    files = {}
    for folder in model_folders():
        kind = read_json(folder / "model.json")["kind"]
        for name in ["model.json", *([MODEL_FILES[kind]] if kind in MODEL_FILES else [])]:
            files[(folder / name).relative_to(MODEL).as_posix()] = (folder / name).read_bytes()
    return files


def transformer_files() -> dict[str, bytes]:
    """Return the archives of the transformers that the feature plan asks, and what is said of them; mostly nothing."""
    if not (FEATURES / TRANSFORMERS).is_file():
        return {}
    names = [TRANSFORMERS, *(each["file"] for each in read_json(FEATURES / TRANSFORMERS))]
    return {name: (FEATURES / name).read_bytes() for name in names}


def make_wheel(folder: Path, conf: PackagingConf, name: str, own: dict[str, bytes]) -> Path:
    """Build the wheel; its version carries a hash of all that decides its answers."""
    sources = [PREPARED / "contract.json", FEATURES / "plan.json"]
    model = own | {source.name: source.read_bytes() for source in sources} | transformer_files() | model_files()
    manifest = {member: hashlib.sha256(content).hexdigest() for member, content in sorted(model.items())}
    members = {
        f"{name}/model/{member}": content
        for member, content in (model | {"manifest.json": json_bytes(manifest)}).items()
    }
    members |= {
        f"{name}/runtime/{source.relative_to(RUNTIME).as_posix()}": source.read_bytes()
        for source in sorted(RUNTIME.rglob("*.py"))
    }
    content = hashlib.sha256(
        b"".join(path.encode() + hashlib.sha256(members[path]).digest() for path in sorted(members))
    )
    version = f"{conf.version}+{content.hexdigest()[:12]}"
    exported = "from .runtime.api import BrokenContract, explain, info, predict, predict_many, verify"
    members[f"{name}/__init__.py"] = (
        f'"""A model packaged by Plumbline: predict(record), predict_many, explain, info, verify."""\n\n'
        f'{exported}\n\n__version__ = "{version}"\n'
        f'__all__ = ["BrokenContract", "explain", "info", "predict", "predict_many", "verify"]\n'
    ).encode()
    summary = "A packaged model with its contract, evidence and lineage"
    return build_wheel(folder, name, version, summary, requirements(), f"{name}.runtime.cli:main", members)


def replay(wheel: Path, name: str, records: list[dict[str, Any]], expected: list[dict[str, Any]], n_alone: int) -> None:
    """Ask the unpacked wheel, in a process that sees nothing of this repository, for every record.

    Raises RuntimeError where an answer is not the expected one: the packaged model would not be the evaluated one.
    """
    answers = []
    progress = Progress("package", "rows replayed", len(records) + n_alone)
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        for batch in ask(folder, name, records, n_alone):
            answers += json.loads(batch)
            progress.update(len(answers))
    progress.close()
    for number, (given, right) in enumerate(zip(answers, expected + expected[:n_alone], strict=True)):
        if given != right:
            raise RuntimeError(
                f"test row {number % len(expected) + 1}: evaluate saw {right}, the wheel answers {given}"
            )


def ask(folder: str, name: str, records: list[dict[str, Any]], n_alone: int) -> Iterator[str]:
    """Yield lines of answers: batches of all records, then the first `n_alone` one by one."""
    command = [sys.executable, "-I", "-c", REPLAY, folder, name, str(n_alone), str(BATCH)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as requests:
        requests.writelines(json.dumps(record) + "\n" for record in records)
        requests.seek(0)
        with subprocess.Popen(command, stdin=requests, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
            assert process.stdout is not None
            yield from process.stdout
    if process.returncode != 0:
        raise RuntimeError(f"the wheel failed while answering, exit status {process.returncode}")


if __name__ == "__main__":
    run("package", main)
