"""Curves as small tables for `dvc plots` and as PNG pictures of fixed bytes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BINS = 10


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV, numbers to 6 decimals."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([[round(cell, 6) if isinstance(cell, float) else cell for cell in row] for row in rows])


def thin(points: Array, most: int) -> Array:
    """Return at most `most` of the points, shape (n, 2), evenly by position, ends kept."""
    if len(points) <= most:
        return points
    return points[np.unique(np.linspace(0, len(points) - 1, most).round().astype(int))]


def roc(actual: Array, score: Array) -> Array:
    """Return (false positive rate, true positive rate) at each distinct score, from (0, 0) to (1, 1)."""
    hits, called = _steps(actual, score)
    misses = called - hits
    return np.column_stack([misses / max(1, misses[-1]), hits / max(1, hits[-1])])


def precision_recall(actual: Array, score: Array) -> Array:
    """Return (recall, precision) at each distinct score, highest score first."""
    hits, called = _steps(actual, score)
    return np.column_stack([hits[1:] / max(1, hits[-1]), hits[1:] / called[1:]])


def _steps(actual: Array, score: Array) -> tuple[Array, Array]:
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    hits = np.append(0, np.cumsum(actual[order])[ends])
    return hits, np.append(0, ends + 1)


def calibration(predicted: Array, observed: Array) -> Array:
    """Return (mean predicted, mean observed, rows) in up to ten bins of equal count, by predicted value."""
    order = np.argsort(predicted, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    return np.array([[predicted[part].mean(), observed[part].mean(), len(part)] for part in bins])


def draw_curve(path: Path, points: Array, x: str, y: str, title: str, *, with_diagonal: bool, marker: str = "") -> None:
    """Draw one curve, shape (n, 2 or more), to a PNG."""
    figure = _figure()
    axes = figure.add_subplot()
    if with_diagonal:
        low, high = float(points[:, :2].min()), float(points[:, :2].max())
        axes.plot([low, high], [low, high], color="0.7", linewidth=1, linestyle="--")
    axes.plot(points[:, 0], points[:, 1], linewidth=1.5, marker=marker)
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    _save(figure, path)


def draw_points(path: Path, x_values: Array, y_values: Array, x: str, y: str, title: str) -> None:
    """Draw a cloud of points with the diagonal to a PNG."""
    figure = _figure()
    axes = figure.add_subplot()
    low, high = float(min(x_values.min(), y_values.min())), float(max(x_values.max(), y_values.max()))
    axes.plot([low, high], [low, high], color="0.7", linewidth=1, linestyle="--")
    axes.scatter(x_values, y_values, s=4, alpha=0.4, linewidths=0)
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    _save(figure, path)


def draw_confusion(path: Path, counts: Array, labels: list[str], title: str) -> None:
    """Draw a confusion matrix, shape (n_classes, n_classes), rows actual, columns predicted, to a PNG."""
    figure = _figure()
    axes = figure.add_subplot()
    axes.imshow(counts / np.maximum(1, counts.sum(1, keepdims=True)), cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="actual", title=title)
    axes.set_xticks(range(len(labels)), labels, rotation=45 if len(labels) > 5 else 0)
    axes.set_yticks(range(len(labels)), labels)
    for (row, column), n in np.ndenumerate(counts):
        is_dark = n > 0.6 * max(1, counts[row].sum())
        axes.text(column, row, f"{n:,}", ha="center", va="center", fontsize=8, color="white" if is_dark else "black")
    _save(figure, path)


def draw_intervals(path: Path, rows: list[tuple[str, float, float, float]], title: str) -> None:
    """Draw (name, value, low, high) one below the other to a PNG."""
    figure = _figure()
    axes = figure.add_subplot()
    for place, (_, value, low, high) in enumerate(rows):
        axes.plot([low, high], [place, place], color="C0", linewidth=2)
        axes.plot(value, place, "o", color="C0")
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.invert_yaxis()
    axes.set_title(title)
    axes.grid(alpha=0.3, axis="x")
    _save(figure, path)


def _figure() -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(5.5, 4.2), dpi=100, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Software": None})
