"""What Trino does not allow in the queries of WITH RECURSIVE, in its words.

From `StatementAnalyzer.tryProcessRecursiveQuery` of Trino 476.
"""

from __future__ import annotations

from queryrun.sql.trino.records import ast
from queryrun.sql.trino.walk import records, tables_named


def reads_itself(cte: ast.Cte) -> bool:
    """Whether the query names itself, in the second part of its UNION."""
    body = cte.query.body
    return isinstance(body, ast.SetOperation) and bool(tables_named(body.terms, cte.name.key))


def flaw_of(query: ast.Query, step: ast.Body, key: str) -> tuple[str, int] | None:
    """What Trino refuses first in a query that reads itself, by that name, in its last term, and
    where it stands; None: there is nothing."""
    return _clause(query) or _references(step, key)


def _clause(query: ast.Query) -> tuple[str, int] | None:
    if query.ctes:
        return "immediate WITH clause in recursive query", query.ctes[0].at
    if query.order:
        return "immediate ORDER BY clause in recursive query", query.order[0].at
    if query.offset is not None:
        return "immediate OFFSET clause in recursive query", query.at
    if query.limit is not None:
        return "immediate FETCH FIRST / LIMIT clause in recursive query", query.at
    return None


def _references(step: object, key: str) -> tuple[str, int] | None:
    found = tables_named(step, key)
    if len(found) > 1:
        message = "multiple recursive references in the step relation of recursion"
        return message, found[1].at
    for join in (item for item in records(step) if isinstance(item, ast.Join)):
        for side, kinds in ((join.right, {"LEFT", "FULL"}), (join.left, {"RIGHT", "FULL"})):
            if join.kind in kinds and (outer := tables_named(side, key)):
                where = "right" if side is join.right else "left"
                return f"recursive reference in {where} source of {join.kind} join", outer[0].at
    return None
