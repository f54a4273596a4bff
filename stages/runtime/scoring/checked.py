"""The contract applied to a table that is to be answered: `check_row` of every record, as one DuckDB query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..contract import Contract
from ..contract_sql import identifier, kept_sql, literal, present_sql, rule_sql, stripped_sql, value_sql
from ..expression import columns_of, parse_expression
from ..expression_sql import expression_sql, involved_sql
from ..physical import direct_value, physical_text


class Check:
    """The query of one kind of table: `kinds` gives the type of each of its columns, VARCHAR for all of a CSV."""

    def __init__(self, contract: Contract, kinds: Mapping[str, str]) -> None:
        self.contract, self.kinds = contract, kinds
        self.places = {name: place for place, name in enumerate(contract.inputs)}
        self.values = {name: f"v{place}" for name, place in self.places.items()}
        self.rules = [name for name in contract.rules if set(self._involved(name)) <= set(self.places)]

    def query(self, source: str, kept: Sequence[str]) -> str:
        """Return the query of (_row, typed input columns, `kept` columns as they are, _broken, _nulled, _texts).

        `source` has them all and `_row`. The lists hold "place:rule" of each rule that refuses the row, or only empties
        a value, and the inputs' texts; NULL where nothing is broken. What is used twice has a level of its own, so that
        it is computed once.
        """
        columns = self.contract.columns
        base = ["_row", *kept]
        stripped, present, values = [], [], []
        for name, place in self.places.items():
            direct, words = self._direct(name), self.contract.missing + columns[name].missing
            text = identifier(name) if direct else physical_text(name, self.kinds[name], columns[name])
            base.append(f"{text} AS c{place}")
            if direct is None:
                can_have_spaces = self.kinds[name] == "VARCHAR"
                stripped.append(f"{stripped_sql(f'c{place}') if can_have_spaces else f'c{place}'} AS s{place}")
            has_value, value = direct or (present_sql(f"s{place}", words), value_sql(columns[name], f"t{place}"))
            present.append(f"{has_value} AS t{place}")
            values.append(f"{value} AS v{place}")
        rules = [f"{rule_sql(columns[n], f't{p}', f'v{p}')} AS r{p}" for n, p in self.places.items()]
        between = [
            f"CASE WHEN NOT ({expression_sql(self.contract, name, self.values)}) THEN 'check' END AS x{number}"
            for number, name in enumerate(self.rules)
        ]
        own = [f"{value} AS {identifier(name)}" for name, value in self.values.items()]
        return f"""SELECT {", ".join(["_row", *own, *kept, *self._verdict()])}
            FROM (SELECT {", ".join(["*", *between])} FROM (SELECT * {self._nulled()}
            FROM (SELECT {", ".join(["*", *rules])} FROM (SELECT {", ".join(["*", *values])}
            FROM (SELECT {", ".join(["*", *present])} FROM (SELECT {", ".join(["*", *stripped])}
            FROM (SELECT {", ".join(base)} FROM {source})))))))"""

    def violations(self, table: str) -> str:
        """Return the query of (row, column, rule, value, _number) of each rule that refuses a row of `query`'s answer.

        `_number` has the order of a row's rules: that of the columns, then that of the rules between them.
        """
        arms = [f"WHEN 'r{p}' THEN {literal(name)}" for name, p in self.places.items()]
        values = [f"WHEN 'r{p}' THEN _texts[{p + 1}]" for p in self.places.values()]
        texts = {name: f"_texts[{place + 1}]" for name, place in self.places.items()}
        for number, name in enumerate(self.rules):
            arms.append(f"WHEN 'x{number}' THEN {literal(name)}")
            values.append(f"WHEN 'x{number}' THEN {involved_sql(self.contract, name, texts)}")
        return f"""SELECT _row AS "row", CASE _place {" ".join(arms)} END AS "column", _rule AS rule,
                CASE _place {" ".join(values)} END AS value, _number
            FROM (SELECT *, split_part(_fault, ':', 1) AS _place, split_part(_fault, ':', 2) AS _rule
            FROM (SELECT _row, _texts, unnest(_broken) AS _fault, generate_subscripts(_broken, 1) AS _number
            FROM {table} WHERE _broken IS NOT NULL))"""

    def nulled(self, table: str) -> str:
        """Return the query of (column, rule, number of values that were made missing)."""
        arms = " ".join(f"WHEN 'r{p}' THEN {literal(name)}" for name, p in self.places.items())
        return f"""SELECT CASE split_part(_fault, ':', 1) {arms} END, split_part(_fault, ':', 2), count(*)
            FROM (SELECT unnest(_nulled) AS _fault FROM {table} WHERE _broken IS NULL) GROUP BY ALL ORDER BY ALL"""

    def _direct(self, name: str) -> tuple[str, str] | None:
        column = self.contract.columns[name]
        place = f"c{self.places[name]}"
        return direct_value(place, self.kinds[name], column, self.contract.missing + column.missing)

    def _text(self, name: str) -> str:
        """Return the expression of the text as it came, in the levels of `query`."""
        place = f"c{self.places[name]}"
        return physical_text(place, self.kinds[name], self.contract.columns[name]) if self._direct(name) else place

    def _involved(self, rule: str) -> list[str]:
        return list(columns_of(parse_expression(self.contract.rules[rule].check, self.contract.types)))

    def _empties(self, name: str) -> bool:
        return self.contract.columns[name].on_violation == "null"

    def _nulled(self) -> str:
        """Return the REPLACE clause of values at fault: each is missing to the model and to other rules."""
        looked_at = {column for rule in self.rules for column in self._involved(rule)}
        empties = [
            f"{kept_sql(value, f'r{self.places[name]}')} AS {value}"
            for name, value in self.values.items()
            if self._empties(name) or name in looked_at
        ]
        return f"REPLACE ({', '.join(empties)})" if empties else ""

    def _verdict(self) -> list[str]:
        rules = {name: f"r{place}" for name, place in self.places.items()}
        emptied = [rule for name, rule in rules.items() if self._empties(name)]
        every = [*rules.values(), *(f"x{number}" for number in range(len(self.rules)))]
        refusing = [fault for fault in every if fault not in emptied]
        texts = ", ".join(map(self._text, self.places))
        return [
            f"{_listed(refusing)} AS _broken",
            f"{_listed(emptied)} AS _nulled",
            f"CASE WHEN {_any(refusing)} THEN [{texts}] END AS _texts",
        ]


def _any(faults: list[str]) -> str:
    return f"coalesce({', '.join(faults)}) IS NOT NULL" if faults else "false"


def _listed(faults: list[str]) -> str:
    named = ", ".join(f"'{fault}:' || {fault}" for fault in faults)
    return f"CASE WHEN {_any(faults)} THEN list_filter([{named}]::VARCHAR[], lambda fault: fault IS NOT NULL) END"
