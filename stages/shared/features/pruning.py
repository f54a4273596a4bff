"""Which features say nothing: those with one value in all training rows, and those that repeat another one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.runtime.contract_sql import identifier
from stages.runtime.operation import Feature
from stages.runtime.plan import table_sql

if TYPE_CHECKING:
    import duckdb

# Of a feature in the training rows: whether it has one value, or none at all; a digest of its values by row.
FACTS = "min({0}) IS NOT DISTINCT FROM max({0}) AND count({0}) IN (0, count(*)), bit_xor(hash(xor(hash({0}), r)))"
FIRST_ROWS = 20_000
AT_ONCE = 200  # features: planning a query takes more than twice as long for twice as many


@dataclass(frozen=True)
class Useless:
    """The names of features that say nothing."""

    constant: list[str]
    duplicate: dict[str, str]  # and which earlier feature each equals in every training row


def find_useless(connection: duckdb.DuckDBPyConnection, features: list[Feature], source: str) -> Useless:
    """Return the features that say nothing of the rows of `source`, a view of the training rows.

    What differs in the first rows differs in all, so that only what is alike there is looked at as a whole.
    """
    first = f"(SELECT * FROM {source} LIMIT {FIRST_ROWS})"
    constant, alike = _alike(connection, features, first)
    suspects = {*constant, *(feature["name"] for group in alike for feature in group)}
    if suspects:
        some = [feature for feature in features if feature["name"] in suspects]
        constant, alike = _alike(connection, some, source)
    return Useless(constant, _equal(connection, alike, source))


def _alike(
    connection: duckdb.DuckDBPyConnection, features: list[Feature], source: str
) -> tuple[list[str], list[list[Feature]]]:
    """Return the names of the constant features, and the groups of others with one digest."""
    found: list[Any] = []
    for start in range(0, len(features), AT_ONCE):
        some = features[start : start + AT_ONCE]
        facts = ", ".join(FACTS.format(identifier(feature["name"])) for feature in some)
        made = table_sql(some, source, "t._row::UBIGINT AS r")
        found += connection.execute(f"SELECT {facts} FROM ({made})").fetchall()[0]
    constant, alike = [], defaultdict(list)
    for feature, is_constant, digest in zip(features, found[::2], found[1::2], strict=True):
        if is_constant:
            constant.append(feature["name"])
        else:
            alike[digest].append(feature)
    return constant, [group for group in alike.values() if len(group) > 1]


def _equal(connection: duckdb.DuckDBPyConnection, groups: list[list[Feature]], source: str) -> dict[str, str]:
    """Return {feature: the first of its group} where they are equal in every row: a digest alone proves nothing."""
    pairs = [(first["name"], other["name"]) for first, *others in groups for other in others]
    if not pairs:
        return {}
    made = table_sql([feature for group in groups for feature in group], source)
    tests = ", ".join(f"bool_and({identifier(a)} IS NOT DISTINCT FROM {identifier(b)})" for a, b in pairs)
    [found] = connection.execute(f"SELECT {tests} FROM ({made})").fetchall()
    return {other: first for (first, other), is_equal in zip(pairs, found, strict=True) if is_equal}
