"""A statement that has been read: what it needs to know before it can be given a meaning."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from queryrun.errors import FailureCode
from queryrun.sql.compile.information import is_information, needs_columns
from queryrun.sql.compile.scope import Output
from queryrun.sql.digits import TOO_MANY_DIGITS, has_too_many_digits
from queryrun.sql.nesting import TOO_DEEP
from queryrun.sql.trino.grammar.queries import parse
from queryrun.sql.trino.markers import Mark, Value
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import failure_at
from queryrun.sql.trino.walk import records

_FRAMES = 12_000
"""Python's own limit would end at some 40 levels of nesting; `MAX_NESTING` comes first."""


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


def named(outputs: Sequence[Output]) -> list[Output]:
    """The columns of a whole statement: those without a name get one."""
    return [replace(output, heading=output.name_at(n)) for n, output in enumerate(outputs)]


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
