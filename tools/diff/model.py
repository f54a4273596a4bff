"""The model section of tools.diff: what it is, its size, and how long one answer takes, measured here on both."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tools.diff.markdown import plain, table
from tools.diff.revision import Revision

if TYPE_CHECKING:
    from stages.runtime.model import Model

WHAT = {  # row: report, key
    "wheel, bytes": ("reports/package/summary.json", "wheel_bytes"),
    "trees": ("reports/train/summary.json", "trees"),
    "features": ("reports/featurize/summary.json", "features"),
    "training rows": ("reports/train/summary.json", "rows"),
    "validation loss": ("reports/train/summary.json", "validation_loss"),
    "threshold": ("reports/train/summary.json", "threshold"),
}
ROUNDS = 60  # one answer of each model in turn; the middle of them counts
NO_FIT_TIMES = "Fit times are in no report, since equal inputs give equal bytes."


def compare(base: Revision, head: Revision) -> dict[str, Any]:
    """Return sizes of both, and microseconds of one answer from features, or why they were not measured."""
    names = [(revision.yaml("params.yaml") or {}).get("model") for revision in (base, head)]
    sizes = {
        what: [(revision.json(report) or {}).get(key) for revision in (base, head)]
        for what, (report, key) in WHAT.items()
    }
    found: dict[str, Any] = {
        "model": names,
        "sizes": {what: pair for what, pair in sizes.items() if pair != [None] * 2},
    }
    times = _times(base, head)
    return {**found, **({"no_times": times} if isinstance(times, str) else {"predict_microseconds": times})}


def _times(base: Revision, head: Revision) -> list[float] | str:
    """Return the median time of one answer of each model, asked in turns, or why there is none."""
    folders = [revision.data_folder("data/train") for revision in (base, head)]
    if folders[0] is None or folders[1] is None:
        return "the models are neither here, in the DVC cache, nor on a remote"
    try:
        models = [_loaded(folder) for folder in folders if folder]
    except (KeyError, TypeError, ValueError, OSError, ImportError) as error:
        return f"this version's code cannot load both models ({type(error).__name__}: {' '.join(str(error).split())})"
    taken: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for side, (model, row) in enumerate(models):
            started = time.perf_counter()
            model.score_row(row)
            taken[side].append(time.perf_counter() - started)
    return [1e6 * median(side) for side in taken]


def _loaded(folder: Path) -> tuple[Model, list[float]]:
    """Return a model and a row that it answers: the usual one that explanations start from."""
    from stages.runtime.model import Model

    model = Model(folder)
    row = [float(value) for value in model.meta["reference"]]
    model.score_row(row)
    return model, row


def markdown(found: dict[str, Any]) -> list[str]:
    """Return the lines of what `compare` found."""
    rows = [["model", *(plain(str(name)) for name in found["model"]), ""]]
    for what, (before, after) in found["sizes"].items():
        rows.append([what, _shown(before), _shown(after), _share(before, after)])
    if "predict_microseconds" in found:
        before, after = found["predict_microseconds"]
        rows.append(["one answer, µs", f"{before:,.1f}", f"{after:,.1f}", _share(before, after)])
        said = f"One answer: from features, measured on this machine in turns, median of {ROUNDS}. {NO_FIT_TIMES}"
    else:
        said = f"Predict times are not measured: {plain(found['no_times'])}. {NO_FIT_TIMES}"
    return [*table(["", "before", "after", "change"], rows), "", said]


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def _share(before: float | None, after: float | None) -> str:
    return f"{after / before - 1:+.0%}" if before and after is not None and before != after else ""
