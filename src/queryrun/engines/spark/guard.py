"""What a statement in Spark's own dialect may be: one query over its own tables, or a question.

Queries are sent in parentheses (`SELECT * FROM (…)`), where Spark's grammar lets nothing write.
Refused here besides: functions that run code, and tables of other schemas. This reads a statement
as sqlglot does, which may differ from Spark's reading. So the defence is the rights of Spark's
user, a reader of these tables alone (docs/how-to/spark.md), and this check comes before it.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.nesting import TOO_DEEP, too_deep_at

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # its warnings quote the statement
_DIALECT = "spark"
_RUNS_CODE = re.compile(
    r"\b(?:reflect|try_reflect|java_method|identifier)`?\s*+(?:\(|/\*|--)"
    r"|\busing\s*+(?:r?['\"]|/\*|--)",
    re.I,
)
"""Java methods by name; tables and functions whose names are made up at run time; scripts
(`TRANSFORM(…) USING '…'`). Looked for in the text, so that no reading of it can hide them. A
comment behind such a word counts as the bracket it could hide: to look past comments from every
such word would take time quadratic in the statement."""
_SHOWS_PATHS = frozenset({"_metadata", "input_file_name"})
_WRITES = (exp.Command, exp.DML, exp.DDL, exp.QueryTransform, exp.Set, exp.Drop, exp.Use)
_QUERIES = (exp.Query, exp.Values)
_MAX_TOKENS = 250_000
"""sqlglot takes some 30 µs for each."""
_BRACKETS = frozenset(
    {
        TokenType.L_PAREN, TokenType.R_PAREN, TokenType.L_BRACKET, TokenType.R_BRACKET,
        TokenType.L_BRACE, TokenType.R_BRACE,
    }
)  # fmt: skip
_NAME = r"(?:`[^`]+`|[A-Za-z_]\w*)"
_QUESTIONS = re.compile(
    rf"\s*(?:SHOW\s+(?:TABLES|VIEWS)(?:\s+LIKE\s+'[\w*|%]*')?"
    rf"|SHOW\s+COLUMNS\s+(?:IN|FROM)\s+(?P<columns_of>{_NAME})"
    rf"|DESC(?:RIBE)?\s+(?:TABLE\s+)?(?P<described>{_NAME}))\s*;?\s*",
    re.I,
)
"""What may be asked besides queries: about the tables of the source's own schema."""


class UnreadableError(Exception):
    """sqlglot cannot read it: it is wrong, or newer than sqlglot is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement that may be sent. `tables`: those named without a schema, in lower case.

    `qualified`: those named with it.
    """

    is_query: bool
    tables: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()
    qualified: frozenset[str] = frozenset()


def read_native(statement: str, catalog: str, schema: str) -> Reading:
    """Check a statement. `catalog` and `schema` are the only ones whose tables it may name.

    Raises `RunFailed` for what is not allowed, `UnreadableError` for what Spark must judge.
    """
    if _QUESTIONS.fullmatch(statement):
        return Reading(is_query=False)
    if _RUNS_CODE.search(statement):
        raise _refused("Functions and scripts that run code are not allowed")
    words = _words(statement)
    tree = _only_query(statement)
    if any(word.token_type is TokenType.TABLE for word in words):
        raise _refused("Write SELECT * FROM instead of TABLE")  # sqlglot takes it for a column
    _refuse_what_shows_paths(tree)
    tables = [table for table in tree.find_all(exp.Table) if isinstance(table.this, exp.Identifier)]
    for table in tables:
        _refuse_strangers(table, catalog.lower(), schema.lower())
    plain, full = [t for t in tables if not t.db], [t for t in tables if t.db]
    return Reading(
        is_query=True,
        tables=frozenset(table.name.lower() for table in plain),
        columns=frozenset(column.name.lower() for column in tree.find_all(exp.Column)),
        qualified=frozenset(table.name.lower() for table in full),
    )


def _words(statement: str) -> list[Token]:
    """The tokens, bounded in number and nesting before a parser sees them, sqlglot or Spark."""
    try:
        words = sqlglot.tokenize(statement, read=_DIALECT)
    except SqlglotError as error:
        raise UnreadableError from error
    if len(words) > _MAX_TOKENS:
        raise RunFailed.of(
            FailureCode.NOT_SUPPORTED,
            f"The statement has more than {_MAX_TOKENS:,} words and signs",
        )
    brackets = ((word.start, word.text) for word in words if word.token_type in _BRACKETS)
    if too_deep_at(brackets) is not None:
        raise RunFailed.of(FailureCode.NOT_SUPPORTED, TOO_DEEP)
    return words


def _only_query(statement: str) -> exp.Query | exp.Values:
    try:
        trees = [tree for tree in sqlglot.parse(statement, read=_DIALECT) if tree is not None]
    except (SqlglotError, RecursionError) as error:
        raise UnreadableError from error
    if len(trees) != 1:
        raise _refused("Exactly one statement is allowed")
    (tree,) = trees
    if not isinstance(tree, _QUERIES) or any(tree.find_all(*_WRITES)):
        raise _refused("Only SELECT statements are allowed")
    return tree


def _refuse_what_shows_paths(tree: exp.Query | exp.Values) -> None:
    named = {one.name.lower() for one in tree.find_all(exp.Column, exp.Anonymous, exp.Identifier)}
    if named & _SHOWS_PATHS:
        raise _refused("Where the data lies is not shown")


def _refuse_strangers(table: exp.Table, catalog: str, schema: str) -> None:
    """A table of another schema is not the source's, whatever rights Spark's user has."""
    is_own = not table.db or table.db.lower() == schema
    is_here = not table.catalog or table.catalog.lower() == catalog
    if not (is_own and is_here):
        raise _refused(f"Table '{table.name}' is named in a schema that is not the source's")


def _refused(message: str) -> RunFailed:
    return RunFailed.of(FailureCode.NOT_ALLOWED, message)
