"""Tries a drafted contract on the whole table with the real prepare, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.runtime.contract_sql import literal
from stages.shared.errors import InputError
from stages.shared.files import read_json
from stages.shared.tables import connect

CODE = Path(__file__).parent.parent.parent
EXAMPLES, LONGEST = 3, 60  # values shown of each broken rule, and characters of each


@dataclass
class Outcome:
    """What prepare made of a draft; `complaint` is what it said where it refused."""

    rows: dict[str, int] = field(default_factory=dict)
    sides: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: dict[str, dict[str, int]] = field(default_factory=dict)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    complaint: str = ""


def attempt(name: str, contract: str, files: dict[str, Path], scratch: Path) -> Outcome:
    """Return the outcome of prepare with a contract (YAML) on the table's files, by their place in data/raw/NAME/."""
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        folder = Path(temporary)
        (folder / "conf/data").mkdir(parents=True)
        (folder / "conf/data" / f"{name}.yaml").write_text(contract, encoding="utf-8")
        for place, file in files.items():
            link = folder / "data/raw" / name / place
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
        command = [sys.executable, "-m", "stages.prepare", f"data={name}"]
        environment = {**os.environ, "PYTHONPATH": str(CODE), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
        if done.returncode:
            if "Traceback" in done.stderr:
                raise RuntimeError(f"prepare broke down on the draft:\n{done.stderr}\n{contract}")
            return Outcome(complaint=done.stderr.strip())
        summary = read_json(folder / "reports/prepare/summary.json")
        examples = _examples(folder / "data/prepare/quarantine.parquet")
        return Outcome(summary["rows"], summary["split"], summary["broken"]["quarantine"], examples)


def _examples(quarantine: Path) -> dict[tuple[str, str], list[str]]:
    """Return {(column, rule): the most frequent values that broke it}."""
    query = f"""SELECT "column", rule, value FROM {literal(str(quarantine))}
        WHERE "column" IS NOT NULL AND value IS NOT NULL GROUP BY ALL ORDER BY "column", rule, count(*) DESC, value"""
    found: dict[tuple[str, str], list[str]] = {}
    for column, rule, value in connect().execute(query).fetchall():
        found.setdefault((column, rule), []).append(value[:LONGEST])
    return {place: values[:EXAMPLES] for place, values in found.items()}


def require(outcome: Outcome) -> None:
    """Raise InputError where prepare refused the draft."""
    if outcome.complaint:
        first, *rest = outcome.complaint.splitlines()
        raise InputError(
            f"prepare refuses the draft: {first.removeprefix('prepare: ')}", [line.strip() for line in rest]
        )
