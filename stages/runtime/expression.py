"""Rules over several columns of a row, such as `to_date >= from_date`: a tiny language, checked before any row is read.

conf/data/REFERENCE.md describes it. This module parses a rule, with the types of its columns, and evaluates it on a
row; `contract_sql.expression_sql` writes the same as SQL for a table. A comparison with a missing value is unknown, and
only what is false breaks a rule, as with CHECK in SQL.
"""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Literal

LONGEST = 1000  # characters; Python's parser is not asked to nest deeper than that can
MICROSECONDS_A_DAY = 86400e6
KINDS = {
    "integer": "number", "number": "number", "money": "number", "percent": "number", "boolean": "boolean",
    "category": "text", "text": "text", "date": "date", "timestamp": "date",
}  # fmt: skip
COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
QUOTED = re.compile(r"""'[^'\\\n]*'|"[^"\\\n]*"|`[^`\n]+`""")
ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?"


@dataclass(frozen=True)
class Rule:
    """What must hold between the columns of a row."""

    check: str = field(metadata={"doc": "The expression that must not be false; see Expressions."})
    on_violation: Literal["quarantine", "fail"] = field(
        default="quarantine",
        metadata={"doc": "`quarantine` sets a row that breaks it aside, `fail` stops the stage. A request is refused."},
    )
    description: str | None = field(default=None, metadata={"doc": "Why it must hold, for people."})


@dataclass(frozen=True)
class Node:
    """A part of an expression: what it does, the kind of its value, its parts, a column's name or literal's value."""

    op: str
    kind: str
    parts: tuple[Node, ...] = ()
    value: Any = None


class ExpressionFault(ValueError):
    """A rule that cannot be read; `unknown` is the column that it names and nobody knows."""

    def __init__(self, what: str, unknown: str | None = None) -> None:
        self.unknown = unknown
        super().__init__(what)


def parse_expression(check: str, types: Mapping[str, str]) -> Node:
    """Return the rule for columns of these types. Raises ExpressionFault where it is none."""
    return _parse(check, tuple(types.items()))


@cache
def _parse(check: str, types: tuple[tuple[str, str], ...]) -> Node:
    if len(check) > LONGEST:
        raise ExpressionFault(f"should have at most {LONGEST} characters")
    prefix = "q_"
    while prefix in check:
        prefix += "_"
    quoted: list[str] = []

    def keep(found: re.Match[str]) -> str:
        quoted.append(found[0])
        return f" {prefix}{len(quoted) - 1} "

    text = QUOTED.sub(keep, check).strip()
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ExpressionFault("is not an expression") from None
    names = {f"{prefix}{place}": item for place, item in enumerate(quoted)}
    node = _Reader(dict(types), names).condition(tree)
    if not list(columns_of(node)):
        raise ExpressionFault("names no column")
    return node


class _Reader:
    """Turns Python's syntax tree into nodes; anything outside the language is a fault."""

    def __init__(self, types: dict[str, str], quoted: dict[str, str]) -> None:
        self.types = types
        self.quoted = quoted

    def condition(self, tree: ast.expr) -> Node:
        """Return a part that is true, false or unknown."""
        if isinstance(tree, ast.BoolOp):
            op = "and" if isinstance(tree.op, ast.And) else "or"
            return Node(op, "boolean", tuple(self.condition(part) for part in tree.values))
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            return Node("not", "boolean", (self.condition(tree.operand),))
        if isinstance(tree, ast.Compare):
            return self._comparison(tree)
        node = self.operand(tree)
        if node.kind != "boolean":
            raise ExpressionFault(f"{self._show(tree)} is a {node.kind}, not a condition")
        return node

    def operand(self, tree: ast.expr) -> Node:
        """Return a part that has a value: a column, a literal, arithmetic, days(a, b)."""
        if isinstance(tree, ast.Name):
            return self._name(tree.id)
        if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float) and not isinstance(tree.value, bool):
            return _number(tree.value)
        if isinstance(tree, ast.BinOp) and type(tree.op) in ARITHMETIC:
            parts = (self._of_kind("number", tree.left), self._of_kind("number", tree.right))
            return Node(ARITHMETIC[type(tree.op)], "number", parts)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            part = self._of_kind("number", tree.operand)
            return _number(-part.value) if part.op == "literal" else Node("negative", "number", (part,))
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "days":
            if len(tree.args) != 2 or tree.keywords:
                raise ExpressionFault("days(a, b) takes two dates")
            return Node("days", "number", tuple(self._of_kind("date", part) for part in tree.args))
        raise ExpressionFault(f"{self._show(tree)} is not part of the language here")

    def _comparison(self, tree: ast.Compare) -> Node:
        sides = [tree.left, *tree.comparators]
        pairs = [self._pair(op, *sides[i : i + 2]) for i, op in enumerate(tree.ops)]
        return pairs[0] if len(pairs) == 1 else Node("and", "boolean", tuple(pairs))

    def _pair(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Node:
        if isinstance(op, ast.Is | ast.IsNot):
            if not (isinstance(right, ast.Name) and right.id == "missing"):
                raise ExpressionFault(f"{self._show(right)} after is: should be missing or not missing")
            node = Node("missing", "boolean", (self.operand(left),))
            return node if isinstance(op, ast.Is) else Node("not", "boolean", (node,))
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List) or not right.elts:
                raise ExpressionFault("after in: should be a list of literals, such as ['a', 'b']")
            parts = [self._alike("==", left, item).parts for item in right.elts]
            if any(item.op != "literal" for _, item in parts):
                raise ExpressionFault("after in: should be a list of literals, such as ['a', 'b']")
            node = Node("in", "boolean", (parts[0][0], *(item for _, item in parts)))
            return node if isinstance(op, ast.In) else Node("not", "boolean", (node,))
        return self._alike(COMPARISONS[type(op)], left, right)

    def _alike(self, op: str, left: ast.expr, right: ast.expr) -> Node:
        """Return a comparison of two values of one kind; a text beside a date is read as a date."""
        a, b = self.operand(left), self.operand(right)
        if a.kind == "date":
            b = _as_date(b)
        elif b.kind == "date":
            a = _as_date(a)
        if a.kind != b.kind:
            shown = f"{self._show(left)} is a {a.kind}, {self._show(right)} a {b.kind}"
            raise ExpressionFault(f"{shown}: they cannot be compared")
        if a.kind == "boolean" and op not in ("==", "!="):
            raise ExpressionFault(f"{self._show(left)} is a boolean: only == and != compare it")
        return Node(op, "boolean", (a, b))

    def _of_kind(self, kind: str, tree: ast.expr) -> Node:
        node = self.operand(tree)
        node = _as_date(node) if kind == "date" else node
        if node.kind != kind:
            raise ExpressionFault(f"{self._show(tree)} should be a {kind}, it is a {node.kind}")
        return node

    def _name(self, name: str) -> Node:
        given = self.quoted.get(name, name)
        if given[0] in "'\"":
            return Node("literal", "text", value=given[1:-1])
        if given in ("true", "false"):
            return Node("literal", "boolean", value=given == "true")
        column = given.strip("`")
        if column not in self.types:
            raise ExpressionFault(f"no column {column!r}", column)
        return Node("column", KINDS[self.types[column]], value=column)

    def _show(self, tree: ast.expr) -> str:
        return re.sub(r"\w+", lambda found: self.quoted.get(found[0], found[0]), ast.unparse(tree))


def _number(value: float) -> Node:
    if abs(value) > sys.float_info.max:
        raise ExpressionFault(f"{str(value)[:20]}: too large a number")
    return Node("literal", "number", value=float(value))


def _as_date(node: Node) -> Node:
    """Return a literal text as the moment it says; any other node as it is."""
    if node.op != "literal" or node.kind != "text":
        return node
    try:
        if not re.fullmatch(ISO, node.value):
            raise ValueError
        return Node("literal", "date", value=datetime.fromisoformat(node.value))
    except ValueError:
        raise ExpressionFault(f"{node.value!r} should be a date, such as '2013-10-01'") from None


def columns_of(node: Node) -> Iterator[str]:
    """Yield the names of the columns, in the order of their first places."""
    yield from dict.fromkeys(_columns(node))


def _columns(node: Node) -> Iterator[str]:
    if node.op == "column":
        yield node.value
    for part in node.parts:
        yield from _columns(part)


def breaks(check: str, types: Mapping[str, str], values: Mapping[str, Any]) -> list[str]:
    """Return the columns of a rule that a row breaks; none where it holds, is unknown, or names more than `values`."""
    node = parse_expression(check, types)
    names = list(columns_of(node))
    applies = all(name in values for name in names)
    return names if applies and evaluate(node, values) is False else []


def evaluate(node: Node, values: Mapping[str, Any]) -> Any:
    """Return the value of a part on a row; None for missing and for unknown."""
    if node.op == "literal":
        return node.value
    if node.op == "column":
        return _of_column(node, values[node.value])
    parts = [evaluate(part, values) for part in node.parts]
    if node.op == "and":
        return False if False in parts else None if None in parts else True
    if node.op == "or":
        return True if True in parts else None if None in parts else False
    if node.kind == "boolean":
        parts = [_finite(part) for part in parts]
    if node.op == "missing":
        return parts[0] is None
    if None in parts:
        return None
    return _apply(node.op, *parts)


def _of_column(node: Node, value: Any) -> Any:
    if value is None:
        return None
    if node.kind == "number":
        return float(value)
    if node.kind == "date" and not isinstance(value, datetime):
        return datetime.combine(value, datetime.min.time()) if isinstance(value, date) else value
    return value


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _apply(op: str, a: Any, *others: Any) -> Any:
    """Return the result of an operation on values of which none is missing."""
    if op == "not":
        return not a
    if op == "negative":
        return -a
    if op == "in":
        return a in others
    [b] = others
    if op in ("+", "-", "*", "/"):
        return _calculate(op, a, b)
    if op == "days":
        return float((b - a) // timedelta(microseconds=1)) / MICROSECONDS_A_DAY
    return {"==": a == b, "!=": a != b}[op] if op in ("==", "!=") else _in_order(op, a, b)


def _calculate(op: str, a: float, b: float) -> float | None:
    if op == "/":
        return a / b if b else None
    return a + b if op == "+" else a - b if op == "-" else a * b


def _in_order(op: str, a: Any, b: Any) -> bool:
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op])
