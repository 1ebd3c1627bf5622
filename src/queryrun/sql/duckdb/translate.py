"""A statement in Trino's SQL in, one in DuckDB's out. Pure; a millisecond for an ordinary one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from queryrun.errors import Failure, FailureCode
from queryrun.sql.compile.calls import DUCKDB
from queryrun.sql.compile.grouping import grouping_problem
from queryrun.sql.compile.information import is_information, needs_columns
from queryrun.sql.compile.queries import QueryCompiler
from queryrun.sql.compile.scope import LOCATION, Location, Output, Schema, Scope
from queryrun.sql.digits import TOO_MANY_DIGITS, has_too_many_digits
from queryrun.sql.duckdb import metadata, stats
from queryrun.sql.duckdb.evaluation import explained
from queryrun.sql.duckdb.printing import varies, with_text
from queryrun.sql.nesting import TOO_DEEP
from queryrun.sql.trino.grammar.queries import parse
from queryrun.sql.trino.markers import Mark, Value
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import failure_at
from queryrun.sql.trino.walk import records

MAX_TRANSLATED_CHARS = 16_000_000
"""The maximum size of a translation."""
_FRAMES = 12_000
"""Python's own limit would end at some 40 levels of nesting; `MAX_NESTING` comes first."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a translation depends on besides the statement. `deleted`: exclude, include, only."""

    zone: str = "UTC"
    deleted: str = "exclude"
    location: Location = LOCATION


@dataclass(frozen=True, slots=True)
class Needs:
    """Which tables' columns a statement can only be translated with."""

    tables: frozenset[str]
    every_table: bool
    """It asks which tables there are."""
    every_column: bool = False
    """It asks for the columns of all of them."""
    names: frozenset[str] | None = None
    """Every name that it spells, in lower case, so every column that it can read; None: it may
    read columns that it does not spell."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement that has been read but not been understood yet."""

    text: str
    node: ast.Query | ast.Show
    needs: Needs
    explain: str = ""
    """`plan`, `analyze`, `validate`, `io`, `json` or `graphviz`: EXPLAIN, which returns a plan and
    no rows."""
    marks: Sequence[Mark] = ()
    """Where `?` and `:name` stand; `node` has their values there."""
    is_stats: bool = False
    """SHOW STATS, which tells what the rows of the query are like."""


def read(statement: str, values: Sequence[Value] = ()) -> Parsed:
    """Parse. `values` are those of `?` and `:name`.

    Raises `RunFailed` for a syntax error, what of Trino's SQL we do not offer, and (as
    `ParameterMismatchError`) values that do not fit the statement.
    """
    with bounded(statement):
        found, marks = parse(statement, values)
    if isinstance(found, ast.Explain):
        return Parsed(statement, found.query, _needs(found.query), found.what, marks)
    if isinstance(found, ast.Stats):
        return Parsed(statement, found.query, _needs(found.query), marks=marks, is_stats=True)
    return Parsed(statement, found, _needs(found), marks=marks)


def _needs(node: ast.Query | ast.Show) -> Needs:
    """Reading columns costs time per table, so only what a statement names is looked up."""
    tables = list(_tables(_named(node) if isinstance(node, ast.Show) else node))
    about = [table for table in tables if is_information(table)]
    return Needs(
        frozenset(table.parts[-1].key for table in tables if not is_information(table)),
        every_table=bool(about) or (isinstance(node, ast.Show) and node.what == "tables"),
        every_column=not isinstance(node, ast.Show) and any(map(needs_columns, about)),
        names=None if isinstance(node, ast.Show) else _names(node),
    )


def _named(node: ast.Show) -> ast.Table | None:
    """The table that a statement shows; what else is named is a schema or a catalog."""
    is_about_one = node.what.startswith("create ") or node.what == "grants"
    return node.of if is_about_one and node.what != "create schema" else node.table


def _names(node: ast.Query) -> frozenset[str] | None:
    """A star, a bare table and names given by position mean columns that are not spelled."""
    found = set()
    for item in records(node):
        if isinstance(item, ast.Star):
            return None
        if isinstance(item, ast.Query) and isinstance(item.body, ast.Table):
            return None
        if isinstance(item, ast.SetOperation) and any(isinstance(t, ast.Table) for t in item.terms):
            return None
        if isinstance(item, ast.Aliased) and item.columns and not _is_unnest(item.relation):
            return None
        if isinstance(item, ast.Ident):
            found.add(item.key)
    return frozenset(found)


def _is_unnest(relation: ast.Relation) -> bool:
    return isinstance(relation, ast.Unnest)


def translate(parsed: Parsed, schema: Schema, request: Request) -> tuple[str, list[Output]]:
    """The statement in DuckDB's SQL and the columns it returns, of Trino's types.

    `schema` has the tables there are; those that `parsed.needs` names must have their columns.
    Raises `RunFailed` with line and column in the statement as submitted: for names that mean
    nothing, types that do not go together, and everything that would not mean in DuckDB what
    it means in Trino.
    """
    if isinstance(parsed.node, ast.Show):
        return metadata.show(parsed.node, schema, parsed.text, request.location)
    compiler = QueryCompiler(parsed.text, request.zone, schema, request.deleted, request.location)
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


def named(outputs: Sequence[Output]) -> list[Output]:
    """The columns of a whole statement: those without a name get one."""
    return [replace(output, heading=output.name_at(n)) for n, output in enumerate(outputs)]


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


@contextmanager
def bounded(statement: str) -> Iterator[None]:
    """Room for what is nested as deeply as is allowed. A chain that needs more is refused, and so
    is a text with more digits than Python reads at once (intervals, zones, patterns)."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    except RecursionError as error:
        raise failure_at(FailureCode.NOT_SUPPORTED, TOO_DEEP, statement, 0) from error
    except ValueError as error:
        if not has_too_many_digits(error):
            raise
        raise failure_at(FailureCode.INVALID_VALUE, TOO_MANY_DIGITS, statement, 0) from error
    finally:
        sys.setrecursionlimit(before)


def _tables(node: object) -> Iterator[ast.Table]:
    """All tables, common table expressions among them."""
    return (item for item in records(node) if isinstance(item, ast.Table))
