"""A statement in Trino's SQL in, one in DuckDB's out. Pure; a millisecond for an ordinary one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from queryrun.errors import Failure, FailureCode
from queryrun.sql.compile.grouping import grouping_problem
from queryrun.sql.compile.reading import Parsed, bounded, named
from queryrun.sql.compile.scope import LOCATION, Location, Output, Schema, Scope
from queryrun.sql.duckdb import metadata, stats
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.evaluation import explained
from queryrun.sql.duckdb.functions.table import DUCKDB
from queryrun.sql.duckdb.printing import varies, with_text
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import failure_at

MAX_TRANSLATED_CHARS = 16_000_000
"""The maximum size of a translation."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a translation depends on besides the statement. `deleted`: exclude, include, only."""

    zone: str = "UTC"
    deleted: str = "exclude"
    location: Location = LOCATION


def translate(parsed: Parsed, schema: Schema, request: Request) -> tuple[str, list[Output]]:
    """The statement in DuckDB's SQL and the columns it returns, of Trino's types.

    `schema` has the tables there are; those that `parsed.needs` names must have their columns.
    Raises `RunFailed` with line and column in the statement as submitted: for names that mean
    nothing, types that do not go together, and everything that would not mean in DuckDB what
    it means in Trino.
    """
    if isinstance(parsed.node, ast.Show):
        return metadata.show(parsed.node, schema, parsed.text, request.location)
    compiler = DuckDBCompiler(parsed.text, request.zone, schema, request.deleted, request.location)
    with bounded(parsed.text):
        sql, outputs = compiler.query(parsed.node, Scope())
    _refuse_several_zones(parsed, outputs)
    if parsed.is_stats:
        sql, outputs = stats.relation(sql, outputs)
    sql, outputs = with_text(sql, outputs, request.zone)
    if len(sql) > MAX_TRANSLATED_CHARS:
        raise failure_at(
            FailureCode.NOT_SUPPORTED,
            "The statement is too complex to be translated",
            parsed.text,
            0,
        )
    return sql, named(outputs)


def _refuse_several_zones(parsed: Parsed, outputs: Sequence[Output]) -> None:
    """A file's column has one zone: another's values would lose theirs."""
    for number, output in enumerate(outputs):
        if varies(output.type):
            message = "A result column of several time zones is not supported"
            at = _item_at(parsed.node, number)
            raise failure_at(FailureCode.NOT_SUPPORTED, message, parsed.text, at)


def _item_at(node: ast.Query | ast.Show, number: int) -> int:
    """Where that column of the result is written, if the statement has one item for each."""
    body = node.body if isinstance(node, ast.Query) else None
    if not isinstance(body, ast.Select) or any(isinstance(i.expr, ast.Star) for i in body.items):
        return 0
    return body.items[number].expr.at


def placed(parsed: Parsed, failure: Failure) -> Failure:
    """DuckDB's refusal of a translation, with a position and Trino's message where known."""
    if failure.line is not None or isinstance(parsed.node, ast.Show):
        return failure
    with bounded(parsed.text):
        problem = grouping_problem(parsed.node, failure.message, DUCKDB.aggregates)
        if problem is not None:
            return failure_at(failure.code, problem.message, parsed.text, problem.at).failure
        found = explained(parsed.node, failure.message)
    if found is None:
        return _without_engine_words(failure)
    if failure.code is FailureCode.STATEMENT_FAILED:
        failure = replace(failure, code=FailureCode.INVALID_VALUE)
    if found.at is None:
        return replace(failure, message=found.message)
    return failure_at(failure.code, found.message, parsed.text, found.at).failure


def explained_at_engine(parsed: Parsed, failure: Failure) -> Failure:
    """A remote engine's refusal of a value, in Trino's words.

    With a position only where the statement names no tables: one may be a view, whose own
    expressions fail in the same words.
    """
    if failure.code is not FailureCode.INVALID_VALUE or failure.line is not None:
        return failure
    with bounded(parsed.text):
        found = explained(parsed.node, failure.message)
    if found is None:
        return failure
    if found.at is None or parsed.needs.tables:
        return replace(failure, message=found.message)
    return failure_at(failure.code, found.message, parsed.text, found.at).failure


_BOUND = {
    FailureCode.TYPE_MISMATCH, FailureCode.SYNTAX_ERROR, FailureCode.NAME_NOT_FOUND,
    FailureCode.AMBIGUOUS_NAME,
}  # fmt: skip
"""What a translation can only be refused for when it was wrong: names and types are Trino's."""
_IS_ABOUT_GROUPS = re.compile(
    r"must appear in the GROUP BY clause|cannot contain|cannot be nested|not allowed in FILTER"
    r"|In a DISTINCT aggregate"
)
_GROUPS = (
    "An expression must be an aggregate expression or appear in GROUP BY clause, and aggregations "
    "cannot stand in WHERE, ON, FILTER or in each other"
)
_ADVICE = re.compile(
    r"(?<!\s)\s*+(SET |PRAGMA |\bUse TRY|\bDid you mean|error_on_|HINT|LINE \d).*", re.S
)


def _without_engine_words(failure: Failure) -> Failure:
    """A refusal that has no words of Trino's.

    What the engine cannot bind is not supported, whatever its own reason was. What it says of a
    value stays, without advice on its own settings.
    """
    if failure.code in _BOUND and _IS_ABOUT_GROUPS.search(failure.message):
        return replace(failure, message=_GROUPS)
    if failure.code in _BOUND:
        message = "A part of this statement is not supported by the embedded engine"
        return replace(failure, code=FailureCode.NOT_SUPPORTED, message=message)
    return replace(failure, message=_ADVICE.sub("", failure.message) or "The value is not valid")
