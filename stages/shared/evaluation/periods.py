"""Metrics by period of the test rows, where the split is by time: does the model hold as time goes on?"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from stages.shared.bootstrap import compare, measure, units_of
from stages.shared.evaluation.asked import Asked
from stages.shared.evaluation.declared import EvaluationConf, Unit
from stages.shared.losses import Cut
from stages.shared.metrics import HEADLINE
from stages.shared.plots import Table
from stages.shared.progress import muted
from stages.shared.rows import Rows

Array = np.ndarray[Any, Any]
UNITS: tuple[Unit, ...] = ("year", "quarter", "month", "week", "day", "hour")
ENOUGH = 4  # periods, of which `auto` takes the longest unit that has so many
MIN_ROWS, MIN_OF_A_KIND = 30, 5  # of a period: all rows, and rows of either of two classes
MOST = 100  # periods; more rows are asked of each where there would be more


class Period(NamedTuple):
    """Rows of one calendar period, or of several in a row that have too few each."""

    name: str
    places: Array  # of its rows
    n_merged: int  # calendar periods with rows in it


def start_of(moment: datetime, unit: Unit) -> datetime:
    """Return the first moment of the calendar period, weeks from Monday on."""
    day = datetime(moment.year, moment.month, moment.day)
    return {
        "hour": day + timedelta(hours=moment.hour),
        "day": day,
        "week": day - timedelta(days=moment.weekday() if moment.toordinal() > 7 else 0),
        "month": day.replace(day=1),
        "quarter": day.replace(month=(moment.month - 1) // 3 * 3 + 1, day=1),
        "year": day.replace(month=1, day=1),
    }[unit]


def name_of(start: datetime, unit: Unit) -> str:
    """Return how a period is called: 2013, 2013-Q4, 2013-10, 2013-W40, 2013-10-01, 2013-10-01 09h."""
    if unit == "week":
        year, week, _ = date(start.year, start.month, start.day).isocalendar()
        return f"{year:04d}-W{week:02d}"
    return {
        "hour": f"{start:%Y-%m-%d %H}h",
        "day": f"{start:%Y-%m-%d}",
        "month": f"{start:%Y-%m}",
        "quarter": f"{start:%Y}-Q{(start.month + 2) // 3}",
        "year": f"{start:%Y}",
    }[unit]


def split_by_time(time: Array, y: Array, task: str, unit: Unit) -> tuple[str, list[Period]]:
    """Return the unit, chosen where it is `auto`, and the periods in order; times in seconds since 1970 (UTC).

    A period with too few rows is joined with the next ones until there are enough; what is left at the end goes to the
    last.
    """
    hours, row_of = np.unique(time // 3600, return_inverse=True)
    moments = [datetime(1970, 1, 1) + timedelta(hours=int(hour)) for hour in hours]
    chosen = unit if unit != "auto" else longest_unit(moments)
    starts = [start_of(moment, chosen) for moment in moments]
    known = sorted(set(starts))
    number = np.searchsorted(np.array(known), np.array(starts))[row_of]
    order = np.argsort(number, kind="stable")
    single = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    return chosen, joined(single, [name_of(start, chosen) for start in known], y, task)


def longest_unit(moments: list[datetime]) -> Unit:
    """Return the longest unit with enough periods that have rows, else the shortest."""
    return next((unit for unit in UNITS if len({start_of(at, unit) for at in moments}) >= ENOUGH), UNITS[-1])


def joined(single: list[Array], names: list[str], y: Array, task: str) -> list[Period]:
    """Return the periods, each with enough rows or the only one."""
    n_wanted = max(MIN_ROWS, -(-len(y) // MOST))
    groups: list[list[int]] = []
    waiting: list[int] = []
    for number in range(len(single)):
        waiting.append(number)
        if is_enough(y[np.concatenate([single[i] for i in waiting])], task, n_wanted):
            groups.append(waiting)
            waiting = []
    if waiting and groups:
        groups[-1] += waiting
    elif waiting:
        groups.append(waiting)
    return [
        Period(
            names[group[0]] if len(group) == 1 else f"{names[group[0]]} to {names[group[-1]]}",
            np.sort(np.concatenate([single[i] for i in group])),
            len(group),
        )
        for group in groups
    ]


def is_enough(y: Array, task: str, n_wanted: int) -> bool:
    """Return whether these rows say something by themselves."""
    if task == "binary":
        return len(y) >= n_wanted and min(int((y == 1).sum()), int((y == 0).sum())) >= MIN_OF_A_KIND
    return len(y) >= n_wanted and len(np.unique(y)) > 1


def about_periods(
    task: str,
    rows: Rows,
    predictions: dict[str, tuple[Array, Cut]],
    conf: EvaluationConf,
    seed: int,
    asked: Asked,
) -> dict[str, Any]:
    """Return the unit and, of each period, its rows and what `compare` says of the model and the linear baseline.

    A period's rows are resampled by themselves. Rows without time, where the split is not by time, give {}.
    """
    if rows.time is None:
        return {}
    unit, periods = split_by_time(rows.time, rows.y, task, conf.periods)
    found = []
    for name, places, n_merged in periods:
        own = rows.take(places)
        parts = {which: (predictions[which][0][places], predictions[which][1]) for which in ("model", "linear")}
        with muted():
            measured = measure(task, own, parts, conf.resamples, seed, asked)
        about = {"period": name, "rows": len(own.y), **({"joined": n_merged} if n_merged > 1 else {})}
        found.append({**about, **compare(measured, conf.confidence, units_of(own))})
    return {"unit": unit, "headline": HEADLINE[task], "list": found}


def periods_table(metric: str, periods: list[dict[str, Any]]) -> Table:
    """Return one metric of the model and of the linear baseline by period, with intervals."""
    header = ["period", "rows", "metric", "model", "low", "high", "linear", "linear_low", "linear_high"]
    parts = ("value", "low", "high")
    rows = [
        [
            it["period"],
            it["rows"],
            metric,
            *(it[which][metric][part] for which in ("metrics", "linear") for part in parts),
        ]
        for it in periods
    ]
    return Table(header, rows)
