"""Applies a contract to a table and accounts for every row of it: kept, quarantined or merged.

The source is read once: `checked` holds what is typed and, of the rows at fault only, the record as it came. What is
decided by looking at several rows (equal ones, keys that stand twice) is found among a few candidates afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.runtime.contract import Contract
from stages.runtime.contract_sql import (
    identifier,
    kept_sql,
    literal,
    present_sql,
    rule_sql,
    stripped_sql,
    value_sql,
)
from stages.runtime.expression import columns_of, parse_expression
from stages.runtime.expression_sql import expression_sql, involved_sql
from stages.shared.sides.split import Split, content_sql, side_sql
from stages.shared.table.opened import Table, unreadable
from stages.shared.table.reader import find_rejects
from stages.shared.tables import copy_to_parquet

if TYPE_CHECKING:
    import duckdb

SOUND = "(SELECT * FROM numbered WHERE NOT is_broken AND _row NOT IN (SELECT _row FROM aside))"


class Account:
    """The fate of every row of a table; each method is a step, in their order."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: Table, contract: Contract, split: Split) -> None:
        self.connection, self.table, self.contract, self.split = connection, table, contract, split
        self.places = {name: place for place, name in enumerate(table.columns)}
        self.values = {name: f"v{self.places[name]}" for name in contract.checked}
        self.candidates: dict[str, str] = {}  # tables of hashes that stand twice

    def check(self) -> None:
        """Read the table into `checked`: typed columns v0, v1, ..., side, is_broken, broken ["column or rule: why"].

        `record` holds the texts of a row at fault. `numbered` is the same with each record's number in the source.
        """
        import duckdb

        try:
            self.connection.execute(f"CREATE TABLE checked AS {self._checked_sql()}")
            find_rejects(self.connection, self.table, self._count("checked"))
        except duckdb.Error as error:
            raise unreadable(self.table.source, error) from None
        self._number()
        self._collect_violations()

    def _checked_sql(self) -> str:
        """Return the query of `checked`, level by level: the record as c0, c1, ..., stripped texts s, the same without
        those that mean missing t, typed values v, broken rules of columns r, broken rules between columns x, all by
        the column's place in the source. What is used twice has a level of its own, so that it is computed once.
        """
        contract, columns = self.contract, [(self.places[name], self.contract.columns[name]) for name in self.values]
        record = ", ".join(f"{identifier(name)} AS c{place}" for name, place in self.places.items())
        stripped = [f"{stripped_sql(f'c{p}')} AS s{p}" for p, _ in columns]
        texts = [f"{present_sql(f's{p}', contract.missing + column.missing)} AS t{p}" for p, column in columns]
        values = [f"{value_sql(column, f't{p}')} AS v{p}" for p, column in columns]
        rules = [f"{rule_sql(column, f't{p}', f'v{p}')} AS r{p}" for p, column in columns]
        between = [
            f"CASE WHEN NOT ({expression_sql(contract, name, self.values)}) THEN 'check' END AS x{number}"
            for number, name in enumerate(contract.rules)
        ]
        return f"""SELECT {", ".join([*self.values.values(), *self._verdict()])}
            FROM (SELECT {", ".join(["*", *between])} FROM (SELECT * {self._nulled()}
            FROM (SELECT {", ".join(["*", *rules])} FROM (SELECT {", ".join(["*", *values])}
            FROM (SELECT {", ".join(["*", *texts])} FROM (SELECT {", ".join(["*", *stripped])}
            FROM (SELECT {record}, {content_sql(contract, self.split)} AS content FROM {self.table.relation})))))))"""

    def _nulled(self) -> str:
        """Return the REPLACE clause that empties values at fault, where that is asked or another rule looks at them."""
        checks = [parse_expression(rule.check, self.contract.types) for rule in self.contract.rules.values()]
        looked_at = {name for check in checks for name in columns_of(check)}
        empties = [
            f"{kept_sql(value, f'r{self.places[name]}')} AS {value}"
            for name, value in self.values.items()
            if self.contract.columns[name].on_violation == "null" or name in looked_at
        ]
        return f"REPLACE ({', '.join(empties)})" if empties else ""

    def _verdict(self) -> list[str]:
        """Return the expressions of what is said of a whole row."""
        names = list(self.values)
        emptied = [f"r{self.places[n]}" for n in names if self.contract.columns[n].on_violation == "null"]
        between = [f"x{number}" for number in range(len(self.contract.rules))]
        faults = [*(f"r{self.places[name]}" for name in names), *between]
        refusing = [fault for fault in faults if fault not in emptied]
        times = [self.values[name] for name in self.contract.with_role("time")]
        named = ", ".join(f"'{fault}:' || {fault}" for fault in faults)
        is_faulty = f"coalesce({', '.join(faults)}) IS NOT NULL"
        return [
            f"{side_sql(self.split, 'content', *times or ['NULL'])} AS side",
            f"coalesce({', '.join([*refusing, 'NULL'])}) IS NOT NULL AS is_broken",
            f"CASE WHEN {is_faulty} THEN list_filter([{named}], lambda fault: fault IS NOT NULL) END AS broken",
            f"CASE WHEN {is_faulty} THEN [{', '.join(f'c{place}' for place in self.places.values())}] END AS record",
        ]

    def _number(self) -> None:
        """Create `rejects` and the view `numbered`: the rows that could be read, with the numbers the rejects left."""
        self.connection.execute("CREATE TABLE rejects (_row BIGINT, value VARCHAR, rule VARCHAR)")
        if not self.table.rejects:
            self.connection.execute("CREATE VIEW numbered AS SELECT rowid + 1 AS _row, * FROM checked")
            return
        self.connection.register("found_rejects", self.table.rejects)
        self.connection.execute("INSERT INTO rejects SELECT row, value, rule FROM found_rejects")
        self.connection.execute(
            f"""CREATE TABLE numbers AS SELECT _row FROM range(1, {self.table.n_records} + 1) AS every(_row)
                WHERE _row NOT IN (SELECT _row FROM rejects) ORDER BY _row"""
        )
        self.connection.execute("CREATE VIEW numbered AS SELECT * FROM numbers POSITIONAL JOIN checked")

    def _collect_violations(self) -> None:
        """Create `violations` (_row, column, rule, value, action), `column` being a rule's name for an expression."""
        self.connection.execute("CREATE TABLE aside (_row BIGINT, fate VARCHAR)")
        self.connection.execute(
            'CREATE TABLE violations (_row BIGINT, "column" VARCHAR, rule VARCHAR, value VARCHAR, action VARCHAR)'
        )
        self.connection.execute(
            """CREATE TABLE faults AS
               SELECT _row, record, split_part(fault, ':', 1) AS place, split_part(fault, ':', 2) AS rule
               FROM (SELECT _row, record, unnest(broken) AS fault FROM numbered WHERE broken IS NOT NULL)"""
        )
        for name in self.values:
            place = self.places[name]
            self._add_violations(
                name, f"r{place}", f"record[{place + 1}]", self.contract.columns[name].on_violation or "null"
            )
        for number, (name, rule) in enumerate(self.contract.rules.items()):
            self._add_violations(name, f"x{number}", self._involved(name), rule.on_violation)

    def _add_violations(self, name: str, place: str, value: str, action: str) -> None:
        self.connection.execute(
            f"""INSERT INTO violations SELECT _row, {literal(name)}, rule, {value}, {literal(action)}
                FROM faults WHERE place = {literal(place)}"""
        )

    def _involved(self, rule: str) -> str:
        return involved_sql(self.contract, rule, {name: f"record[{place + 1}]" for name, place in self.places.items()})

    def set_aside(self, *, merges_duplicates: bool) -> None:
        """Put into `aside` the later ones of equal sound rows (merged) and of repeated unique values (quarantined)."""
        if merges_duplicates:
            key = self.contract.with_role("key") or list(self.values)
            every = ", ".join(self.values.values())
            self._set_later_aside(key, every, "merged")
        for name, value in self.values.items():
            column = self.contract.columns[name]
            if column.unique:
                self._set_later_aside([name], value, "quarantined", f"{value} IS NOT NULL", column=name)

    def _set_later_aside(
        self, among: list[str], equal: str, fate: str, condition: str = "true", column: str | None = None
    ) -> None:
        """Set aside all but the first of the sound rows that agree in `equal`, looking where `among` stands twice.

        `column` is the one whose rule `unique` they break.
        """
        self.connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE later AS SELECT _row, of FROM (
                SELECT _row, {self.values[column] if column else "NULL"}::VARCHAR AS of,
                       row_number() OVER (PARTITION BY {equal} ORDER BY _row) AS nth
                FROM {SOUND} WHERE {condition} AND {self._stands_twice(among)}) WHERE nth > 1"""
        )
        self.connection.execute(f"INSERT INTO aside SELECT _row, {literal(fate)} FROM later")
        if column:
            action = self.contract.columns[column].on_violation or "null"
            self.connection.execute(
                f"""INSERT INTO violations SELECT _row, {literal(column)}, 'unique', of, {literal(action)} FROM later"""
            )

    def _stands_twice(self, among: list[str]) -> str:
        """Return the condition that a row's values of `among` may stand in another row: a hash says where to look."""
        hashed = f"hash({', '.join(self.values[name] for name in among)})"
        table = self.candidates.setdefault(hashed, f"twice{len(self.candidates)}")
        self.connection.execute(
            f"""CREATE TABLE IF NOT EXISTS {table} AS SELECT {hashed} AS hashed FROM numbered WHERE NOT is_broken
                GROUP BY 1 HAVING count(*) > 1"""
        )
        return f"{hashed} IN (SELECT hashed FROM {table})"

    def write_kept(self, path: Path) -> int:
        """Write the kept rows (_row, _split, typed columns) in the source's order; return how many."""
        typed = ", ".join(f"{value} AS {identifier(name)}" for name, value in self.values.items())
        return copy_to_parquet(
            self.connection, f"SELECT _row, side AS _split, {typed} FROM {SOUND} ORDER BY _row", path
        )

    def count_quarantined(self) -> tuple[int, int]:
        """Return (rows set aside, rows of the source)."""
        query = """SELECT (SELECT count(*) FROM rejects) + (SELECT count(*) FROM checked WHERE is_broken)
            + (SELECT count(*) FROM aside WHERE fate = 'quarantined')"""
        [(n_aside,)] = self.connection.execute(query).fetchall()
        return n_aside, self.table.n_records

    def count_fates(self, n_kept: int) -> dict[str, int]:
        """Return the number of rows by fate, each counted by itself; it is our fault if they do not add up."""
        quarantined, n_rows = self.count_quarantined()
        [(merged,)] = self.connection.execute("SELECT count(*) FROM aside WHERE fate = 'merged'").fetchall()
        if n_kept + merged + quarantined != n_rows:
            raise RuntimeError(f"{n_rows} rows in, but {n_kept} kept + {quarantined} quarantined + {merged} merged")
        return {"in": n_rows, "kept": n_kept, "merged": merged, "quarantined": quarantined}

    def write_quarantine(self, path: Path) -> None:
        """Write every broken rule: source, line, column, rule, value, action and the record (JSON, or the line itself).

        The record of a row that is sound by itself (a unique value stands in an earlier row) is what was read of it.
        """
        self._place_rows()
        packed = ", ".join(f"{identifier(name)} := record[{place + 1}]" for name, place in self.places.items())
        read = ", ".join(f"{identifier(name)} := {value}::VARCHAR" for name, value in self.values.items())
        record = f"""CASE WHEN record IS NULL THEN to_json(struct_pack({read}))::VARCHAR
            ELSE to_json(struct_pack({packed}))::VARCHAR END"""
        copy_to_parquet(
            self.connection,
            f"""SELECT source, line, "column", rule, value, action, record FROM placed JOIN (
                    SELECT _row, "column", rule, violations.value, action, {record} AS record
                    FROM violations JOIN numbered USING (_row)
                    UNION ALL SELECT _row, NULL, rule, NULL, 'quarantine', value FROM rejects) USING (_row)
                ORDER BY _row, "column" NULLS FIRST, rule""",
            path,
        )

    def _place_rows(self) -> None:
        """Create `placed` (_row, source, line) of the rows in quarantine."""
        rows = self.connection.execute(
            "SELECT _row FROM violations UNION SELECT _row FROM rejects ORDER BY _row"
        ).fetchnumpy()["_row"]
        numbers, lines = self.table.place(rows)
        self.connection.register("found_places", {"_row": rows, "number": numbers, "line": lines})
        files = ", ".join(literal(str(part.path)) for part in self.table.parts)
        self.connection.execute(
            f"CREATE TABLE placed AS SELECT _row, ([{files}])[number + 1] AS source, line FROM found_places"
        )

    def count_broken_rules(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return {action: {column: {rule: rows}}} of what was set aside or made missing; `row` for unreadable lines."""
        counts: dict[str, dict[str, dict[str, int]]] = {"quarantine": {}, "null": {}}
        query = """SELECT action, "column", rule, count(*) FROM violations GROUP BY ALL
            UNION ALL SELECT 'quarantine', 'row', rule, count(*) FROM rejects GROUP BY rule"""
        for action, column, rule, n in self.connection.execute(query).fetchall():
            counts[action].setdefault(column, {})[rule] = n
        return counts

    def _count(self, table: str) -> int:
        found = self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found[0]) if found else 0
