"""Scores one table: opens it, claims the folder of its parts, has them answered, joins them."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from .. import api
from ..archive import TREES
from ..contract import Contract
from ..dialect import Dialect
from ..model import Model
from ..predictor import Predictor
from ..transformer import FILE as TRANSFORMERS
from .answers import output_columns
from .faults import BadTable
from .job import claimed, finish, mark_of, parts_folder, parts_of, resume, score_parts
from .part import Job, connect
from .table import OUTPUTS, check_columns, form_of, kept_columns, open_table, rows_of_part


def score(
    source: Path, out: Path, keep: str | None, workers: int | None, delimiter: str | None, encoding: str | None
) -> tuple[dict[str, Any], Path]:
    """Write both files; return the counts and the path of the rejected rows. Raises BadTable."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the trees, before their library reads it: parts are what runs side by side
    predictor = api.predictor()
    say_what_is_slow(predictor)
    form, folder = form_of(out, OUTPUTS), parts_folder(out)
    rejected = rejected_path(out)
    if workers is not None and workers < 1:
        raise BadTable(f"--workers should be 1 or more, got {workers}")
    if not out.parent.is_dir():
        raise BadTable(f"{out.parent}: no such folder")
    dialect = dialect_of(predictor.contract, delimiter, encoding)
    n_part = rows_of_part(len(predictor.features))
    opened = open_table(connect(folder), source, dialect, predictor.contract, n_part)
    found = list(opened.kinds)
    kept = kept_columns(predictor.contract, found, keep)
    own = ["row", *output_columns(predictor.model.meta), "version"]
    check_columns(source, predictor.contract, found, kept, own)
    if opened.n_rows == 0:
        raise BadTable(f"{source}: no rows")
    job = Job(
        str(source.resolve()), opened.kinds, kept, form, str(folder.resolve()), version(),
        dialect if opened.text else None,
    )  # fmt: skip
    with claimed(folder):
        check_free(out, rejected, folder)
        mark = mark_of(job, n_part)
        resume(folder, mark)
        n_parts = score_parts(job, parts_of(job, opened, n_part), n_workers(workers, opened.n_rows, n_part))
        if not n_parts:
            raise BadTable(f"{source}: no rows")
        if mark_of(job, n_part) != mark:
            raise BadTable(f"{source}: changed while it was read")
        counts = finish(job, n_parts, out, rejected)
        clear(folder)
    return counts, rejected


def dialect_of(contract: Contract, delimiter: str | None, encoding: str | None) -> Dialect:
    """Return the training source's dialect but for what is asked. Raises BadTable where that makes no sense."""
    found = contract.dialect
    if delimiter is not None:
        mark = "\t" if delimiter in ("\\t", "tab") else delimiter
        if len(mark) != 1 or mark in ("\n", "\r", found.quote):
            raise BadTable(f"--delimiter should be one character (tab for a tab), got {delimiter!r}")
        found = dataclasses.replace(found, delimiter=mark)
    if encoding is not None:
        try:
            "".encode(encoding)
        except LookupError:
            raise BadTable(f"--encoding should be one that Python knows, such as cp1252, got {encoding!r}") from None
        found = dataclasses.replace(found, encoding=encoding)
    return found


def version() -> str:
    """Return the content version of the packaged model, which every row of OUT carries."""
    return str(importlib.import_module(__package__.split(".")[0]).__version__)


def say_what_is_slow(predictor: Predictor) -> None:
    """Say which parts of the model have no form for tables: they answer row by row."""
    names = by_rows(predictor.model)
    if (api.FOLDER / TRANSFORMERS).is_file():
        names += [each["name"] for each in api.read(TRANSFORMERS)]
    if names:
        print(f"score: {', '.join(names)}: asked row by row, there is no form for tables", file=sys.stderr)


def by_rows(model: Model) -> list[str]:
    """Return the estimators of a model that score a row otherwise than a matrix, on the last bit."""
    if model.kind == "ensemble":
        return [name for _, _, part in model.ensemble.parts for name in by_rows(part)]
    name = type(model.archive.estimator).__name__ if model.kind == "skops" else ""
    return [] if not name or name.startswith(TREES) else [name]


def n_workers(asked: int | None, n_rows: int | None, n_part: int) -> int:
    """Return the number of processes: one a processor unless told, and none without a part to work on."""
    wanted = asked or len(os.sched_getaffinity(0))
    return wanted if n_rows is None else min(wanted, -(-n_rows // n_part))


def rejected_path(out: Path) -> Path:
    """Return the path of the rejected rows: `a.rejected.csv.gz` beside `a.csv.gz`."""
    suffix = next(each for forms in OUTPUTS.values() for each in reversed(forms) if out.name.lower().endswith(each))
    return out.with_name(f"{out.name[: -len(suffix)]}.rejected{out.name[-len(suffix) :]}")


def check_free(out: Path, rejected: Path, folder: Path) -> None:
    """Raise BadTable where OUT is there already; parts left behind it go. Rejected rows without OUT are of a run
    that did not end."""
    if out.exists():
        clear(folder)
        raise BadTable(f"{out}: there is such a file already; remove it, or name another")
    if rejected.exists() and not (folder / "job.json").is_file():
        clear(folder)
        raise BadTable(f"{rejected}: there is such a file already; remove it, or name another OUT")


def clear(folder: Path) -> None:
    """Remove the parts."""
    shutil.rmtree(folder)
