"""Charts as SVG of fixed bytes: they follow the page's colours, and say in words what they show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from stages.shared.report.parts import Html

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 44  # margins
BAR, NAMES = 22, 190  # height of a bar's row, room for its name
Points = Sequence[tuple[float, float]]


class Series(NamedTuple):
    """Points of one colour."""

    name: str
    points: Points
    style: str = "line"  # or dots


class Scale:
    """From values to pixels."""

    def __init__(self, values: Sequence[float], start: float, stop: float) -> None:
        low, high = min(values), max(values)
        if low == high:
            low, high = low - 0.5, high + 0.5
        self.ticks = ticks(low, high)
        self.low, self.high = min(low, self.ticks[0]), max(high, self.ticks[-1])
        self.start, self.stop = start, stop

    def __call__(self, value: float) -> float:
        """Return the place of a value, in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.stop - self.start), 2)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round values that cover a span, at most `most` steps apart."""
    span = (high - low) / most
    power = 10.0 ** math.floor(math.log10(span))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= span * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 12) + 0.0 for place in range(first, last + 1)]


def chart(title: str, x_name: str, y_name: str, series: Sequence[Series], reference: Points = ()) -> Html:
    """Return a chart of lines or dots, with a dashed reference line where one is given; empty without points."""
    every = [point for one in series for point in one.points] + list(reference)
    if not any(one.points for one in series):
        return Html("")
    x = Scale([point[0] for point in every], LEFT, WIDTH - RIGHT)
    y = Scale([point[1] for point in every], HEIGHT - BOTTOM, TOP)
    parts = [*_x_axis(x, x_name), *_y_axis(y, y_name)]
    if reference:
        parts.append(f'<path class="reference" d="{_path(reference, x, y)}"/>')
    for place, one in enumerate(series):
        if one.style == "dots":
            dots = "".join(f'<circle cx="{x(a)}" cy="{y(b)}" r="2"/>' for a, b in one.points)
            parts.append(f'<g class="s{place} dots">{dots}</g>')
        else:
            parts.append(f'<path class="s{place} line" d="{_path(one.points, x, y)}"/>')
    said = f"{title}: {y_name} against {x_name}. " + " ".join(_described(one) for one in series)
    return _figure(title, said, f"0 0 {WIDTH} {HEIGHT}", parts, [one.name for one in series])


def bars(title: str, x_name: str, rows: Sequence[tuple[str, float, float, float]]) -> Html:
    """Return a bar for each (name, value, low, high), with its interval; empty without rows."""
    if not rows:
        return Html("")
    height = TOP + BAR * len(rows) + BOTTOM
    x = Scale([0.0, *(end for row in rows for end in row[1:])], NAMES, WIDTH - RIGHT)
    parts = _x_axis(x, x_name, height)
    for place, (name, value, low, high) in enumerate(rows):
        top = TOP + place * BAR
        shown = name if len(name) <= 26 else f"{name[:25]}…"
        start, width = min(x(0.0), x(value)), abs(x(value) - x(0.0))
        parts.append(f'<text x="{NAMES - 8}" y="{top + 15}" text-anchor="end">{escape(shown)}</text>')
        parts.append(f'<rect class="s0" x="{start}" y="{top + 4}" width="{width:.2f}" height="{BAR - 8}"/>')
        parts.append(f'<path class="interval" d="M{x(low)} {top + BAR / 2}H{x(high)}"/>')
    said = f"{title}. " + "; ".join(f"{name} {value:.4g}" for name, value, _, _ in rows[:10])
    return _figure(title, said, f"0 0 {WIDTH} {height}", parts, [])


def forest(title: str, x_name: str, rows: Sequence[tuple[str, float, float, float]], zero: float | None) -> Html:
    """Return a dot with its interval for each (name, value, low, high), and a line at `zero`; empty without rows."""
    if not rows:
        return Html("")
    height = TOP + BAR * len(rows) + BOTTOM
    x = Scale([*([] if zero is None else [zero]), *(end for row in rows for end in row[1:])], NAMES, WIDTH - RIGHT)
    parts = _x_axis(x, x_name, height)
    if zero is not None:
        parts.append(f'<path class="reference" d="M{x(zero)} {TOP}V{height - BOTTOM}"/>')
    for place, (name, value, low, high) in enumerate(rows):
        middle = TOP + place * BAR + BAR / 2
        shown = name if len(name) <= 26 else f"{name[:25]}…"
        parts.append(f'<text x="{NAMES - 8}" y="{middle + 4}" text-anchor="end">{escape(shown)}</text>')
        parts.append(f'<path class="s0 line" d="M{x(low)} {middle}H{x(high)}"/>')
        parts.append(f'<circle class="s0" cx="{x(value)}" cy="{middle}" r="4"/>')
    said = f"{title}. " + "; ".join(
        f"{name} {value:.4g} from {low:.4g} to {high:.4g}" for name, value, low, high in rows
    )
    return _figure(title, said, f"0 0 {WIDTH} {height}", parts, [])


def _figure(title: str, said: str, view: str, parts: list[str], names: list[str]) -> Html:
    keys = "".join(f'<span class="key s{place}"></span>{escape(name)} ' for place, name in enumerate(names))
    legend = f'<span class="legend">{keys}</span>' if len(names) > 1 else ""
    return Html(
        f'<figure><figcaption>{escape(title)} {legend}</figcaption><svg viewBox="{view}" role="img" '
        f'aria-label="{escape(said)}">{"".join(parts)}</svg></figure>\n'
    )


def _described(one: Series) -> str:
    """Return what somebody who does not see the picture is told of a series."""
    if not one.points:
        return f"{one.name}: nothing."
    first, last = one.points[0], one.points[-1]
    between = one.points[len(one.points) // 2]
    told = ", ".join(f"{b:.3g} at {a:.3g}" for a, b in (first, between, last))
    return f"{one.name}: {told}."


def _path(points: Points, x: Scale, y: Scale) -> str:
    return "M" + "L".join(f"{x(a)} {y(b)}" for a, b in points)


def _x_axis(x: Scale, name: str, height: int = HEIGHT) -> list[str]:
    bottom = height - BOTTOM
    lines = "".join(f"M{x(tick)} {TOP}V{bottom}" for tick in x.ticks)
    labels = [f'<text x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{_short(tick)}</text>' for tick in x.ticks]
    middle = (x.start + x.stop) / 2
    named = f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">{escape(name)}</text>'
    return [f'<path class="grid" d="{lines}"/>', *labels, named]


def _y_axis(y: Scale, name: str) -> list[str]:
    lines = "".join(f"M{LEFT} {y(tick)}H{WIDTH - RIGHT}" for tick in y.ticks)
    labels = [f'<text x="{LEFT - 6}" y="{y(tick) + 4}" text-anchor="end">{_short(tick)}</text>' for tick in y.ticks]
    middle = (y.start + y.stop) / 2
    named = f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{escape(name)}</text>'
    return [f'<path class="grid" d="{lines}"/>', *labels, named]


def _short(value: float) -> str:
    """Return a tick's label: 12,500 or 0.25 or 2.5M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g}{unit}"
    return f"{value:.4g}"
