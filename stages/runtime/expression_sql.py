"""Rules over several columns as DuckDB expressions: `expression.py` for a whole table at once."""

from __future__ import annotations

from collections.abc import Mapping

from .contract import Contract
from .contract_sql import literal
from .expression import MICROSECONDS_A_DAY, Node, columns_of, parse_expression


def expression_sql(contract: Contract, name: str, values: Mapping[str, str]) -> str:
    """Return the expression of a rule over several columns: TRUE, FALSE where the row breaks it, NULL for unknown.

    `values` are the expressions of the columns' typed values, NULL where one breaks a rule of its own column.
    """
    return _node_sql(parse_expression(contract.rules[name].check, contract.types), values)


def involved_sql(contract: Contract, name: str, texts: Mapping[str, str]) -> str:
    """Return the expression of what `quarantine` says of a broken rule: `a=1, b=2`, from the texts as they came."""
    node = parse_expression(contract.rules[name].check, contract.types)
    parts = [f"{literal(column + '=')} || coalesce({texts[column]}, '')" for column in columns_of(node)]
    return " || ', ' || ".join(parts)


def _node_sql(node: Node, values: Mapping[str, str]) -> str:
    """Return the expression of a part, in parentheses."""
    if node.op == "column":
        sql_type = {"number": "::DOUBLE", "date": "::TIMESTAMP"}.get(node.kind, "")
        return f"({values[node.value]}){sql_type}"
    if node.op == "literal":
        return _literal_sql(node)
    parts = [_node_sql(part, values) for part in node.parts]
    if node.kind == "boolean" and node.op not in ("and", "or", "not"):
        parts = [_finite_sql(of, sql) for of, sql in zip(node.parts, parts, strict=True)]
    if node.op in ("and", "or"):
        return f"({f' {node.op} '.join(parts)})"
    first, rest = parts[0], parts[1:]
    forms = {"not": f"(NOT {first})", "negative": f"(- {first})", "missing": f"({first} IS NULL)"}
    if node.op in forms:
        return forms[node.op]
    if node.op == "in":
        return f"({first} IN ({', '.join(rest)}))"
    if node.op == "days":
        return f"((epoch_us({rest[0]}) - epoch_us({first}))::DOUBLE / {MICROSECONDS_A_DAY!r}::DOUBLE)"
    if node.op == "/":
        return f"({first} / nullif({rest[0]}, 0::DOUBLE))"
    return f"({first} {'=' if node.op == '==' else node.op} {rest[0]})"


def _literal_sql(node: Node) -> str:
    if node.kind == "number":
        return f"({node.value!r}::DOUBLE)"
    if node.kind == "date":
        return f"TIMESTAMP {literal(str(node.value))}"
    return literal(node.value) if node.kind == "text" else str(node.value)


def _finite_sql(node: Node, sql: str) -> str:
    """Arithmetic may leave the numbers; what it then gives counts as missing."""
    is_computed = node.op in ("+", "-", "*", "/", "negative")
    return f"CASE WHEN isfinite({sql}) THEN {sql} END" if is_computed else sql
