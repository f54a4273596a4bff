"""What was broken, for people: the errors that stop prepare, and reports/prepare/quarantine.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.runtime.contract import Contract
from stages.shared.errors import InputError

if TYPE_CHECKING:
    import duckdb

REASONS_SHOWN = 20
LONGEST_VALUE = 60  # characters of a value that are shown
PRIVATE = ("key", "id", "group")  # roles whose values stay out of reports, which Git keeps for ever


class Reason(NamedTuple):
    """One rule that was broken in one column; `row` stands for lines that could not be read."""

    column: str
    rule: str
    action: str
    n_rows: int
    source: str  # file, line and value of the first example
    line: int
    value: str | None


@dataclass
class Reasons:
    """The reasons in one quarantine.parquet."""

    connection: duckdb.DuckDBPyConnection
    path: Path
    contract: Contract
    source: str

    def check_actions(self) -> None:
        """Raise InputError naming what broke a rule whose `on_violation` is `fail`."""
        faults = self._sentences("action = 'fail'")
        if faults:
            raise InputError(f"{self.source}: rows break rules that allow none (on_violation: fail)", faults)

    def check_quarantine(self, n_aside: int, n_rows: int, limit: float) -> None:
        """Raise InputError with the table of reasons when more rows are set aside than the contract allows."""
        if n_aside > limit * n_rows:
            what = f"{n_aside} of {n_rows} rows ({n_aside / n_rows:.1%}) break the contract"
            faults = self._sentences("action <> 'null'")
            raise InputError(f"{self.source}: {what}, limit {limit:.1%} (limits.quarantine)", faults)

    def check_nulled(self, n_rows: int, limit: float) -> None:
        """Raise InputError naming the columns of which `on_violation: null` would empty more than the limit."""
        query = f"""SELECT "column", count(*) FROM '{self.path}' WHERE action = 'null' GROUP BY 1
            HAVING count(*) > {limit * n_rows} ORDER BY 1"""
        faults = [f"{column}: {n} of {n_rows} values" for column, n in self.connection.execute(query).fetchall()]
        if faults:
            what = f"on_violation: null would make more than {limit:.1%} of a column missing (limits.nulled)"
            raise InputError(f"{self.source}: {what}", faults)

    def page(self, counts: dict[str, int]) -> str:
        """Return reports/prepare/quarantine.md: rows by fate, then what was broken with the first example of each."""
        lines = [
            "# Rows set aside and values made missing",
            "",
            f"{counts['in']} rows = {counts['kept']} kept + {counts['quarantined']} quarantined + {counts['merged']} "
            "merged (equal to an earlier row). Every broken rule: `data/prepare/quarantine.parquet`.",
            "",
        ]
        found = self._find("true")
        if not found:
            return "\n".join([*lines, "No rule was broken.", ""])
        lines += ["| column | rule | rows | what was done | first at | value there |", "|---|---|---|---|---|---|"]
        return "\n".join([*lines, *map(self._row, found), ""])

    def _find(self, condition: str) -> list[Reason]:
        """Return the reasons with the most rows, each with its first example."""
        found = self.connection.execute(
            f"""SELECT coalesce("column", 'row'), rule, action, count(*),
                first(source ORDER BY n), first(line ORDER BY n),
                first(coalesce(value, CASE WHEN "column" IS NULL THEN record END) ORDER BY n)
                FROM (SELECT *, file_row_number AS n FROM read_parquet('{self.path}', file_row_number = true))
                WHERE {condition} GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2 LIMIT {REASONS_SHOWN}"""
        ).fetchall()
        return [Reason(*row) for row in found]

    def _sentences(self, condition: str) -> list[str]:
        return [
            f"{each.column}: {each.n_rows} x {each.rule}{self._declared(each)}    first at "
            f"{'' if each.source == self.source else f'{each.source} '}line {each.line}: {_short(each.value)!r}"
            for each in self._find(condition)
        ]

    def _declared(self, reason: Reason) -> str:
        if reason.rule == "check":
            return f" {self.contract.rules[reason.column].check}"
        declared: Any = getattr(self.contract.columns.get(reason.column), reason.rule, None)
        return "" if declared is None or declared is True else f" {declared}"

    def _row(self, reason: Reason) -> str:
        done = "made missing" if reason.action == "null" else "set aside"
        rule, column = _cell(f"{reason.rule}{self._declared(reason)}"), _cell(reason.column)
        first = f"{_cell(reason.source)}:{reason.line} | {self._shown(reason)}"
        return f"| {column} | {rule} | {reason.n_rows} | {done} | {first} |"

    def _shown(self, reason: Reason) -> str:
        """Return a value for a report that Git keeps: shortened, or hidden where it could say who somebody is."""
        columns = self.contract.columns
        involved = [columns[reason.column]] if reason.column in columns else list(columns.values())
        if reason.value is None:
            return ""
        if any(column.sensitive or column.role in PRIVATE for column in involved):
            return "(not shown: it may tell who somebody is)"
        return f"`{_cell(_short(reason.value)).replace('`', chr(39))}`"


def _short(value: str | None) -> str | None:
    return value[:LONGEST_VALUE] + "..." if value and len(value) > LONGEST_VALUE else value


def _cell(text: str | None) -> str:
    """Return a text for a table of Markdown: on one line, its bars no ends of cells."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text or "").replace("|", "\\|")
