"""Draws the tables of `plots.py` as PNG pictures of fixed bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.shared.plots import Table

TITLES = {
    "calibration": "Calibration, bins of equal count",
    "confusion": "Confusion, test rows",
    "roc": "ROC",
    "precision_recall": "Precision and recall",
    "predicted": "Predicted and actual, test rows at even ranks",
    "lift": "Lift, rows by score",
    "residuals": "Residuals, test rows at even ranks",
    "baselines": "Model and baselines",
    "periods": "By period, model and linear baseline",
    "deciles": "Mean absolute error by decile of the target",
}

LEVEL = {"lift": 1.0, "residuals": 0.0}  # where a model that knows nothing, or all, would be


def draw(folder: Path, tables: dict[str, Table], classes: list[str]) -> None:
    """Write one PNG for each table; `classes` in the order that the confusion shows them."""
    for name, table in tables.items():
        figure, axes = _figure(TITLES[name])
        if name == "confusion":
            _draw_confusion(axes, table, classes)
        elif name == "baselines":
            _draw_intervals(axes, table)
        elif name in ("periods", "deciles"):
            _draw_series(axes, table)
        else:
            _draw_points(axes, table, name)
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})  # the version would be the only change


def _draw_points(axes: Any, table: Table, name: str) -> None:
    x, y = ([row[place] for row in table.rows] for place in (0, 1))
    if name in LEVEL:
        axes.axhline(LEVEL[name], color="0.7", linewidth=1, linestyle="--")
    elif name != "precision_recall":
        ends = [min(*x, *y), max(*x, *y)]
        axes.plot(ends, ends, color="0.7", linewidth=1, linestyle="--")
    style = {"calibration": "o-", "predicted": ".", "residuals": "."}.get(name, "-")
    axes.plot(x, y, style, linewidth=1.5, markersize=4)
    axes.set(xlabel=table.header[0].replace("_", " "), ylabel=table.header[1].replace("_", " "))
    axes.grid(alpha=0.3)


def _draw_confusion(axes: Any, table: Table, labels: list[str]) -> None:
    """Rows are actual classes, columns predicted ones; the shade is the share of the row."""
    counts = [[0] * len(labels) for _ in labels]
    for actual, predicted in table.rows:
        counts[labels.index(actual)][labels.index(predicted)] += 1
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(counts):
        for x, n in enumerate(row):
            axes.text(x, y, f"{n:,}", ha="center", va="center", fontsize=8, color="w" if shares[y][x] > 0.6 else "k")
    axes.set(xlabel="predicted", ylabel="actual")
    axes.set_xticks(range(len(labels)), labels, rotation=45 if len(labels) > 5 else 0)
    axes.set_yticks(range(len(labels)), labels)


def _draw_intervals(axes: Any, table: Table) -> None:
    for place, (_, value, low, high) in enumerate(table.rows):
        axes.plot([low, high], [place, place], color="C0", linewidth=2)
        axes.plot(value, place, "o", color="C0")
    axes.set_yticks(range(len(table.rows)), [row[0] for row in table.rows])
    axes.set_ylim(len(table.rows) - 0.5, -0.5)
    axes.set(xlabel=table.header[1].replace("_", " "))
    axes.grid(alpha=0.3, axis="x")


def _draw_series(axes: Any, table: Table) -> None:
    """Draw a value with its interval by period or decile, the linear baseline's beside it where there is one."""
    place_of = {name: place for place, name in enumerate(table.header)}
    names = [str(row[0]) for row in table.rows]
    label, metric = ("model", table.rows[0][2]) if "model" in place_of else ("mae", "mae")
    for name, low, high, shift in ((label, "low", "high", 0.0), ("linear", "linear_low", "linear_high", 0.15)):
        if name not in place_of:
            continue
        columns = [[row[place_of[key]] for row in table.rows] for key in (name, low, high)]
        known = [(x, *found) for x, found in enumerate(zip(*columns, strict=True)) if None not in found]
        colour = "C0" if name == label else "0.6"
        for x, _, bottom, top in known:
            axes.plot([x + shift] * 2, [bottom, top], color=colour, linewidth=1.5)
        axes.plot([row[0] + shift for row in known], [row[1] for row in known], "o-", color=colour, label=name)
    shown = range(0, len(names), -(-len(names) // 8))
    axes.set_xticks(list(shown), [names[place] for place in shown], rotation=20, fontsize=7)
    axes.set(xlabel=table.header[0], ylabel=metric.replace("_", " "))
    axes.grid(alpha=0.3)
    if "linear" in place_of:
        axes.legend()


def _figure(title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4.2), dpi=100)
    figure.subplots_adjust(left=0.16, right=0.96, bottom=0.13, top=0.92)
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes
