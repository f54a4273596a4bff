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
AT_ONCE = 200  # features: planning a query takes more than twice as long for twice as many


@dataclass(frozen=True)
class Useless:
    """The names of features that say nothing."""

    constant: list[str]
    duplicate: dict[str, str]  # and which earlier feature each equals in every training row


def find_useless(connection: duckdb.DuckDBPyConnection, features: list[Feature], source: str) -> Useless:
    """Return the features that say nothing of the rows of `source`, a view of the training rows."""
    found: list[Any] = []
    for start in range(0, len(features), AT_ONCE):
        some = features[start : start + AT_ONCE]
        facts = ", ".join(FACTS.format(identifier(feature["name"])) for feature in some)
        made = table_sql(some, source, "t._row::UBIGINT AS r")
        found += connection.execute(f"SELECT {facts} FROM ({made})").fetchall()[0]
    names = [feature["name"] for feature in features]
    constant = [name for name, is_constant in zip(names, found[::2], strict=True) if is_constant]
    alike = defaultdict(list)
    for feature, digest in zip(features, found[1::2], strict=True):
        if feature["name"] not in set(constant):
            alike[digest].append(feature)
    return Useless(constant, _equal(connection, [group for group in alike.values() if len(group) > 1], source))


def _equal(connection: duckdb.DuckDBPyConnection, groups: list[list[Feature]], source: str) -> dict[str, str]:
    """Return {feature: the first of its group} where they are equal in every row: a digest alone proves nothing."""
    pairs = [(first["name"], other["name"]) for first, *others in groups for other in others]
    if not pairs:
        return {}
    made = table_sql([feature for group in groups for feature in group], source)
    tests = ", ".join(f"bool_and({identifier(a)} IS NOT DISTINCT FROM {identifier(b)})" for a, b in pairs)
    [found] = connection.execute(f"SELECT {tests} FROM ({made})").fetchall()
    return {other: first for (first, other), is_equal in zip(pairs, found, strict=True) if is_equal}
