"""A statement as submitted in, the text that Trino gets out: one query with its restrictions.

Nothing is sent that our own parser has not read: it knows no statement that writes. What Trino
could read differently (comments, semicolons, odd spaces) is blanked, so that it sees the tokens
that we have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from queryrun.engines.trino.name_scope import INFORMATION, NameScope
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.compile.reading import Parsed, read
from queryrun.sql.compile.show import HEADINGS
from queryrun.sql.duckdb.translate import explained_at_engine
from queryrun.sql.guard.restrict import Facts, RowRules, restricted
from queryrun.sql.guard.trino import check_trino
from queryrun.sql.guard.verdict import Refusal
from queryrun.sql.position import SourcePosition
from queryrun.sql.trino.markers import ParameterMismatchError, Value
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import name, text
from queryrun.sql.trino.tokens import failure_at, statements_in, tokens_of

_PASSED_ON = {"tables", "columns", "functions", "schemas", "catalogs"}
"""What SHOW lists there. More would tell of other people's sessions and roles, and of where tables
are kept."""
Columns = Callable[[Sequence[ast.Table]], Sequence[dict[str, str]]]
"""The columns of these tables and their types, as the engine reports them."""

BARRIER = f" LIMIT {2**63 - 1}"
"""A predicate above a LIMIT may not be moved below it, because fewer rows would come through: so
Trino evaluates nothing of the caller's before the restriction. No table has as many rows. What it
costs: rows that pass come together on one node, and are divided anew from there."""


@dataclass(frozen=True, slots=True)
class PreparedStatement:
    """What is sent, how its positions map to the statement as submitted, and what the statement
    tells of a failure."""

    text: str = field(repr=False)
    position: Callable[[int, int], SourcePosition]
    explained: Callable[[Failure], Failure] = lambda failure: failure


def prepare(
    statement: str,
    rules: RowRules,
    name_scope: NameScope,
    columns: Columns,
    values: Sequence[Value] = (),
) -> PreparedStatement:
    """Read, check and rewrite one statement; the values of `?` and `:name` become literals.

    Raises `RunFailed` with line and column: a syntax error, a statement that is no query, names
    out of reach.
    """
    blanked = _without_comments(statement)
    parsed = _read(blanked, values)
    node = parsed.node
    if parsed.is_stats or (isinstance(node, ast.Show) and node.what not in _PASSED_ON):
        what = "STATS" if parsed.is_stats or isinstance(node, ast.Query) else node.what.upper()
        message = f"SHOW {what} of a remote engine is not supported"
        raise failure_at(FailureCode.NOT_SUPPORTED, message, statement, 0)
    if isinstance(node, ast.Show):
        return _show(node, name_scope, statement)

    def describe(tables: Sequence[ast.Table]) -> list[Facts]:
        return _facts(tables, statement, rules, name_scope, columns)

    rewritten = restricted(blanked, node, rules, describe, parsed.marks)
    return PreparedStatement(
        rewritten.text, rewritten.position, partial(explained_at_engine, parsed)
    )


def _facts(
    tables: Sequence[ast.Table],
    statement: str,
    rules: RowRules,
    name_scope: NameScope,
    columns: Columns,
) -> list[Facts]:
    """A description of tables needs no columns looked up: it gets the scope's condition instead."""
    conditions = [name_scope.condition(table, statement) for table in tables]
    ordinary = [t for t, c in zip(tables, conditions, strict=True) if c is None]
    restricted_tables = [] if rules.restrict_nothing else ordinary
    known = iter(columns(restricted_tables) if restricted_tables else [{} for _ in ordinary])
    return [Facts(next(known)) if c is None else Facts({}, c) for c in conditions]


# --- reading --------------------------------------------------------------------------------


def _without_comments(statement: str) -> str:
    """The same positions, with blanks where Trino should see nothing.

    Trino ends a comment at a carriage return, we at a line end: so none is left.
    """
    tokens = tokens_of(statement)
    if statements_in(tokens) > 1:
        raise RunFailed.of(FailureCode.NOT_ALLOWED, "Only one statement is allowed")
    kept = [" " if character != "\n" else "\n" for character in statement]
    for token in tokens[:-1]:
        if token.kind != "operator" or token.text != ";":
            kept[token.at : token.at + len(token.raw)] = token.raw
    return "".join(kept)


def _read(statement: str, values: Sequence[Value]) -> Parsed:
    """Parsed; for a statement that does more than ask, the guard's words say so."""
    try:
        return read(statement, values)
    except ParameterMismatchError:
        raise
    except RunFailed:
        verdict = check_trino(statement)
        if verdict.accepted or verdict.refusal is Refusal.BAD_PARAMETERS:
            raise
        failure = Failure(FailureCode.NOT_ALLOWED, verdict.message, verdict.line, verdict.column)
        raise RunFailed(failure) from None


# --- metadata -------------------------------------------------------------------------------


def _show(node: ast.Show, name_scope: NameScope, statement: str) -> PreparedStatement:
    """Written anew from the syntax tree; positions are those of the table, or of SHOW."""
    at = node.table.at if node.table else node.at
    before = statement[:at]
    position = SourcePosition(before.count("\n") + 1, at - before.rfind("\n"))
    return PreparedStatement(
        _show_text(node, name_scope, statement), lambda _line, _column: position
    )


def _show_text(node: ast.Show, name_scope: NameScope, statement: str) -> str:
    """SHOW would list schemas and catalogs of others, so the only ones in scope are constants."""
    like = f" LIKE {text(node.like)}" if node.like is not None else ""
    like += f" ESCAPE {text(node.escape)}" if node.escape is not None else ""
    own = _own(node.what, name_scope)
    if own:
        heading = name(HEADINGS[node.what][0])
        rows = ", ".join(f"CAST({text(word)} AS varchar)" for word in own)
        condition = f" WHERE {heading}{like}" if like else ""
        return f"SELECT * FROM (VALUES {rows}) AS t ({heading}){condition} ORDER BY 1"
    return f"SHOW {node.what.upper()}{_from(node, name_scope, statement)}{like}"


def _own(what: str, name_scope: NameScope) -> list[str]:
    """The complete list when the source has only one; empty when Trino has to list them."""
    if what == "schemas" and name_scope.schema:
        return [name_scope.schema, INFORMATION]
    return [name_scope.catalog] if what == "catalogs" and name_scope.catalog else []


def _from(node: ast.Show, name_scope: NameScope, statement: str) -> str:
    """Of which table or schema. With one schema of ours any name means it, as everywhere."""
    named = node.table or node.of
    if named is None or node.what == "functions":
        return ""
    if node.table is None:
        if node.what == "tables" and name_scope.schema and named.parts[-1].key != INFORMATION:
            return ""
        levels = 3 if node.what == "schemas" else len(named.parts) + 1
        name_scope.check(
            ast.Table([*named.parts, *[_SOME] * (levels - len(named.parts))], named.at), statement
        )
    else:
        name_scope.check(named, statement)
    return " FROM " + ".".join(name(part.text) for part in named.parts)


_SOME = ast.Ident(INFORMATION, False, 0)
"""Stands for what was not named: it is everywhere."""
