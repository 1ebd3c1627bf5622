"""What is wrong with a statement before it runs: the compiler, on the columns that tables have.

Runs in a guard process: nothing here may stall or crash a node. It finds what can be known from the
statement and the names and types of columns; values are read by runs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from queryrun.errors import RunFailed
from queryrun.sql.compile import type_names
from queryrun.sql.compile.reading import read
from queryrun.sql.compile.scope import Schema, TableColumn
from queryrun.sql.compile.typed import UnsupportedCastError
from queryrun.sql.compile.types import Type, signature
from queryrun.sql.duckdb.translate import Request, translate
from queryrun.sql.guard.validation import NamedType, TableColumns, Validation
from queryrun.sql.parameters import Parameter
from queryrun.sql.trino.immediate import opened
from queryrun.sql.trino.markers import values_of
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.walk import records


def validate_trino(
    statement: str,
    tables: Sequence[TableColumns] | None,
    parameters: Sequence[Parameter] = (),
) -> Validation:
    """Compile a statement in Trino's SQL. It is only parsed without tables, and when one that it
    names could not be read or has a column of a type that is not Trino's: then only the engine can
    tell."""
    try:
        found = opened(statement, values_of(parameters))
    except RunFailed as failed:
        return _invalid(failed)
    try:
        parsed = read(found.text, found.values)
        if tables is None or parsed.explain:
            return Validation()
        schema = _schema(tables)
        unread = {table.name for table in tables if table.columns is None}
        named = [column for name in parsed.needs.tables for column in schema.get(name, ())]
        if unread & parsed.needs.tables or any(column.type is None for column in named):
            return Validation()
        _, outputs = translate(parsed, schema, Request())
    except RunFailed as failed:
        return _invalid(found.moved(failed))
    columns = (NamedType(one.heading, signature(one.type)) for one in outputs)
    return Validation(columns=tuple(columns))


def _invalid(failed: RunFailed) -> Validation:
    failure = failed.failure
    return Validation(failure.message, failure.line, failure.column)


def _schema(tables: Sequence[TableColumns]) -> Schema:
    return {
        table.name: [TableColumn(column.name, _type(column.type)) for column in table.columns or ()]
        for table in tables
    }


@lru_cache(maxsize=4096)
def _type(text: str) -> Type | None:
    """The type of that name, by our own parser; None for one that Trino's SQL cannot use."""
    try:
        cast = read(f"SELECT CAST(NULL AS {text})").node
        for item in records(cast):
            if isinstance(item, ast.TypeName):
                return type_names.type_of(item)[0]
    except (RunFailed, UnsupportedCastError):
        return None
    return None
