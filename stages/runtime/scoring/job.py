"""Scores a table part by part, and joins the parts: what is finished is kept, so that a killed run goes on.

Beside OUT a folder `.OUT.parts` holds `job.json`, which says of what, and three files a part: answers, rejected rows
and, last, its counts. OUT and OUT.rejected appear whole, when all parts are there; then the folder goes.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import queue
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .faults import BadTable
from .join import join
from .part import Job, Part
from .progress import Progress
from .table import Opened
from .worker import Worker, make_scorer, score_part

EDGE = 1 << 16  # bytes at both ends of a table that its mark is made from, besides its size and time


def parts_folder(out: Path) -> Path:
    """Return the folder that holds the parts of OUT."""
    return out.with_name(f".{out.name}.parts")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder of parts. Raises BadTable where another run does."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadTable(f"{folder}: another run is writing this") from None
        yield


def mark_of(job: Job, n_part: int) -> dict[str, Any]:
    """Return what must not have changed for finished parts to hold: the table, the model, what is asked."""
    source = Path(job.source)
    found = source.stat()
    with source.open("rb") as file:
        edges = file.read(EDGE)
        file.seek(max(0, found.st_size - EDGE))
        edges += file.read(EDGE)
    stamp = {"size": found.st_size, "changed": found.st_mtime_ns, "edges": hashlib.sha256(edges).hexdigest()}
    return {**dataclasses.asdict(job), **stamp, "rows_of_part": n_part}


def resume(folder: Path, mark: dict[str, Any]) -> None:
    """Leave in the folder only parts that were made from the same; say so where others go."""
    path = folder / "job.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    if known == json.loads(json.dumps(mark)):
        return
    if known is not None:
        changed = ", ".join(sorted(key for key in mark if known.get(key) != json.loads(json.dumps(mark[key]))))
        print(f"score: starting over, not what the parts in {folder} were made from: {changed}", file=sys.stderr)
    for file in folder.iterdir():
        if file.name != "lock":
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    draft = folder / "job.draft"
    draft.write_text(json.dumps(mark), encoding="utf-8")
    draft.replace(path)


def parts_of(job: Job, opened: Opened, n_part: int) -> Iterator[tuple[Part, float]]:
    """Yield the parts and the share of the table up to each; the text of a CSV's part, unless it is finished, lies in
    a file that `finish` removes."""
    if opened.text is None:
        for number, (start, n_rows) in enumerate(opened.ranges(n_part)):
            yield Part(number, start, n_rows), (start + n_rows) / (opened.n_rows or 1)
        return
    size = Path(job.source).stat().st_size
    for number, piece in enumerate(opened.pieces()):
        text = job.file(number, "text")
        if not job.file(number, "counts").is_file():
            text.write_bytes(piece.text)
        yield Part(number, piece.start, piece.n_rows, str(text)), min(1.0, piece.n_bytes / size)


def score_parts(job: Job, parts: Iterator[tuple[Part, float]], n_workers: int) -> int:
    """Score all parts that are not finished and return the number of parts."""
    progress, totals = Progress(), [0, 0]
    lock, stopped, results = threading.Lock(), threading.Event(), queue.SimpleQueue[Any]()

    def next_part() -> tuple[Part, float] | None:
        with lock:  # what lies behind is one iterator
            for part, share in () if stopped.is_set() else parts:
                totals[0] += 1
                if not job.file(part.number, "counts").is_file():
                    return part, share
                totals[1] += part.n_rows
                progress.skip(share)
            return None

    def work(score: Callable[[Part], Any]) -> None:
        try:
            while found := next_part():
                score(found[0])
                if found[0].text is not None:
                    Path(found[0].text).unlink()
                results.put(found)
            results.put(None)
        except BaseException as error:
            results.put(error)

    with ExitStack() as stack:
        stack.callback(progress.close)
        workers = [Worker(job) for _ in range(n_workers - 1)]  # this process is one too
        scorer = make_scorer(job)
        scores = [lambda part: score_part(scorer, part), *(worker.score for worker in workers)]
        for score in scores:
            thread = threading.Thread(target=work, args=[score])
            stack.callback(thread.join)  # the process may not end while one of them is in DuckDB
            thread.start()
        stack.callback(scorer.connection.interrupt)
        for worker in workers:
            stack.callback(worker.close)
        stack.callback(stopped.set)
        _follow(results, len(scores), progress, totals)
    return totals[0]


def _follow(results: queue.SimpleQueue[Any], n_threads: int, progress: Progress, totals: list[int]) -> None:
    """Show what is finished until every thread is. Raises what one of them raised."""
    share = 0.0
    while n_threads:
        found = results.get()
        if isinstance(found, BaseException):
            raise found
        if found is None:
            n_threads -= 1
            continue
        part, done = found
        totals[1] += part.n_rows
        share = max(share, done)
        progress.update(totals[1], share)


def finish(job: Job, n_parts: int, out: Path, rejected: Path) -> dict[str, Any]:
    """Join the parts into both files and return the counts of all of them."""
    join([job.file(number, "rejected") for number in range(n_parts)], rejected, job.form, Path(job.folder))
    join([job.file(number, "answers") for number in range(n_parts)], out, job.form, Path(job.folder))
    return added([json.loads(job.file(number, "counts").read_bytes()) for number in range(n_parts)])


def added(counts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of the parts' counts."""
    total: dict[str, Any] = {key: sum(each[key] for each in counts) for key in ("rows", "n_rejected")}
    for key in ("rejected", "nulled"):
        total[key] = {}
        for each in counts:
            for column, rules in each[key].items():
                own = total[key].setdefault(column, {})
                for rule, n in rules.items():
                    own[rule] = own.get(rule, 0) + n
    return total
