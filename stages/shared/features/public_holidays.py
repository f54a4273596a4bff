"""Features of public holidays: whether a date is one, days to the next one and since the last one.

The days come from the library `holidays` while fitting. The plan keeps them as plain dates, so that a packaged model
needs no library and does not change with its version.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from stages.runtime.contract_sql import identifier
from stages.runtime.moments import HOLIDAYS
from stages.runtime.operation import Feature
from stages.shared.errors import did_you_mean
from stages.shared.features.schema import Dates, Settings

if TYPE_CHECKING:
    from datetime import date

    import duckdb

AHEAD = 10  # years after the latest training year


def holiday_features(connection: duckdb.DuckDBPyConnection, name: str, conf: Dates) -> list[Feature]:
    """Return the features of one date; none where no training row has a date, or none of its years is known."""
    if not conf.holidays:
        return []
    year = f"year({identifier(name)})"
    [(earliest, latest)] = connection.execute(f"SELECT min({year}), max({year}) FROM train").fetchall()
    if earliest is None:
        return []
    known = holidays_by_year(conf.holidays, earliest - 1, latest + AHEAD + 1)
    years = [year for year in known if earliest <= year <= latest + AHEAD]
    if not years:
        return []
    days = sorted(day.isoformat() for found in known.values() for day in found)
    kept = {"column": name, "first_year": years[0], "last_year": years[-1], "days": days}
    return [{"name": f"{name}.{op}", "op": op, **kept} for op in HOLIDAYS]


def holidays_by_year(code: str, first: int, last: int) -> dict[int, list[date]]:
    """Return {year: public holidays, observed ones too}, without years that the library does not cover or warns of."""
    from holidays import country_holidays

    country, _, subdivision = code.partition("-")
    covered = country_holidays(country, subdivision or None)
    found = {}
    for year in range(max(first, covered.start_year), min(last, covered.end_year) + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            try:
                found[year] = sorted(country_holidays(country, subdivision or None, years=year, expand=False))
            except UserWarning:
                continue
    return found


def holiday_faults(wanted: dict[str, Settings]) -> list[str]:
    """Return a fault for each code that is no country and no subdivision, naming the columns that ask for it."""
    asked: dict[str, list[str]] = {}
    for name, own in wanted.items():
        if isinstance(own, Dates) and own.holidays:
            asked.setdefault(own.holidays, []).append(name)
    if not asked:
        return []
    known, codes = _known(), _by_other_names()
    wrong = {code: names for code, names in asked.items() if code not in known}
    rule = "should be a country such as IT, or a country and a part of it such as DE-BY"
    return [
        f"dates.holidays of {', '.join(names)}: {rule}, got {code!r}"
        f"{did_you_mean(codes.get(code.lower().replace(' ', '_'), code.upper()), known)}"
        for code, names in wrong.items()
    ]


def _known() -> list[str]:
    """Return the codes of all countries (ISO 3166-1), and each with the code of each subdivision (ISO 3166-2)."""
    from holidays import list_supported_countries

    found = list_supported_countries(include_aliases=False)
    return [*found, *(f"{country}-{part}" for country, parts in found.items() for part in parts)]


def _by_other_names() -> dict[str, str]:
    """Return {a country's name, or its code of three letters, in small letters: its code}."""
    from holidays.registry import COUNTRIES

    found: dict[str, str] = {}
    for name, (_, code, *others) in COUNTRIES.items():
        found |= dict.fromkeys([name, *(other.lower() for other in others)], code)
    return found
