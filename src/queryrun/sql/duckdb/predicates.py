"""Predicates in DuckDB's SQL whose rules are not Trino's: LIKE with an escape, and numbers compared
with all or any rows of a subquery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryrun.sql.compile import types as t
from queryrun.sql.compile.comparisons import negated
from queryrun.sql.compile.typed import Typed
from queryrun.sql.trino.records import ast

if TYPE_CHECKING:
    from queryrun.sql.compile.compiler import Compiler

_AFTER_ESCAPE = "Escape character must be followed by '%', '_' or the escape character itself"


def like(c: Compiler, node: ast.Like) -> Typed:
    """LIKE, and NOT LIKE."""
    value, pattern = c.expr(node.operand), c.expr(node.pattern)
    value, pattern = (
        c.cast_to(v, t.VARCHAR) if v.type.name == "char" else v for v in (value, pattern)
    )
    if {value.type.name, pattern.type.name} - {"varchar", "unknown"}:
        c.mismatch(f"LIKE needs varchar, not {value.type} and {pattern.type}", node.at)
    if node.escape is None:
        return negated(f"({value.sql} LIKE {pattern.sql})", is_negated=node.is_negated)
    escape = c.expr(node.escape)
    if wrong := _wrong_escape(pattern.constant, escape.constant):
        sql = c.fails(wrong, t.BOOLEAN, [value, pattern]).sql
        return negated(sql, is_negated=node.is_negated)
    sql = f"({value.sql} LIKE {pattern.sql} ESCAPE {escape.sql})"
    if unfit := _unfit_escape(pattern, escape):
        sql = f"(CASE WHEN {unfit} THEN {c.failing(_AFTER_ESCAPE)} ELSE {sql} END)"
    return negated(sql, is_negated=node.is_negated)


def _wrong_escape(pattern: object, escape: object) -> str:
    """What Trino says of constants that do not go together; empty if they do."""
    if isinstance(escape, str) and len(escape) != 1:
        return "Escape string must be a single character"
    if isinstance(escape, str) and isinstance(pattern, str):
        return "" if _is_escaped_well(pattern, escape) else _AFTER_ESCAPE
    return ""


def _unfit_escape(pattern: Typed, escape: Typed) -> str:
    """A condition for patterns that Trino refuses; empty if this one is known to be right."""
    if escape.type == t.UNKNOWN or pattern.type == t.UNKNOWN:
        return ""
    if isinstance(escape.constant, str) and isinstance(pattern.constant, str):
        return ""
    rest = pattern.sql  # a pair of escapes is none of the two that follow it: they go first
    for follower in (escape.sql, "'%'", "'_'"):
        rest = f"replace({rest}, {escape.sql} || {follower}, ' ')"
    return f"contains({rest}, {escape.sql})"


def _is_escaped_well(pattern: str, escape: str) -> bool:
    """Whether after each escape something stands that it is for."""
    at = 0
    while (at := pattern.find(escape, at)) >= 0:
        if pattern[at + 1 : at + 2] not in {"%", "_", escape}:
            return False
        at += 2
    return True


def quantified_number(c: Compiler, value: str, node: ast.Quantified, query: str) -> str:
    """As in Trino, which compares with the least or the greatest of the rows: a NaN among
    them counts only where there is nothing else, and compares with nothing."""
    alias = c.fresh("q")
    least = "CAST('-Infinity' AS DOUBLE)"
    row = f"{alias}.c1"
    if "<" in node.op:
        row = f"CASE WHEN isnan({row}) THEN {least} ELSE {row} END"
    numbers = f"count(*) FILTER (WHERE NOT isnan({alias}.c1)) OVER ()"
    chosen = f"NOT isnan({alias}.c1) OR {alias}.c1 IS NULL OR {numbers} = 0"
    rows = f"SELECT {row} FROM ({query}) AS {alias}(c1) QUALIFY {chosen}"
    found = f"{value} {node.op} {node.quantifier} ({rows})"
    if "<" in node.op:
        return f"({found})"
    none = f"{least} > {node.quantifier} ({rows})"
    return f"(CASE WHEN isnan({value}) THEN {none} ELSE {found} END)"
