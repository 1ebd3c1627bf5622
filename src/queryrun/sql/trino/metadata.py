"""SHOW and DESCRIBE with the columns that Trino's have; connectors read them by these names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from queryrun.errors import FailureCode
from queryrun.sql.trino import ast
from queryrun.sql.trino import types as t
from queryrun.sql.trino.catalog import trino_functions
from queryrun.sql.trino.compile_calls import known_functions
from queryrun.sql.trino.scope import Output, Schema, TableColumn, did_you_mean
from queryrun.sql.trino.tokens import failure_at
from queryrun.sql.trino.typed import name, text
from queryrun.sql.trino.types import Type

HEADINGS = {
    "tables": ("Table",),
    "columns": ("Column", "Type", "Extra", "Comment"),
    "functions": (
        "Function", "Return Type", "Argument Types", "Function Type", "Deterministic",
        "Description",
    ),
    "schemas": ("Schema",),
    "catalogs": ("Catalog",),
}  # fmt: skip
CATALOG, SCHEMA_NAME = "owl", "data"
"""Where error texts of the contract's system say that tables are (contract F2)."""


def show(node: ast.Show, schema: Schema, statement: str) -> tuple[str, list[Output]]:
    """The statement as rows of constants, in DuckDB's SQL."""
    rows, outputs = rows_of(node, schema, statement, known_functions())
    return _constants(HEADINGS[node.what], rows, outputs), outputs


def rows_of(
    node: ast.Show, schema: Schema, statement: str, functions: Collection[str]
) -> tuple[list[tuple[object, ...]], list[Output]]:
    """What the statement lists, and under which headings. `functions`: those that there are."""
    rows = _rows(node, schema, statement, functions)
    outputs = [
        Output(h, t.BOOLEAN if h == "Deterministic" else t.VARCHAR) for h in HEADINGS[node.what]
    ]
    return [row for row in rows if _is_like(node, str(row[0]))], outputs


def described(table: Iterable[TableColumn]) -> list[tuple[str, str, str, str]]:
    """A table's columns as SHOW COLUMNS lists them: name, type, extra, comment."""
    return [
        (c.name.lower(), printed(c.type) if c.type else c.engine_type.lower(), "", "")
        for c in table
    ]


def printed(kind: Type) -> str:
    """A type as metadata statements print it (contract F1: no precision for zoned timestamps)."""
    return t.TSTZ if kind.name == t.TSTZ else str(kind)


def _rows(
    node: ast.Show, schema: Schema, statement: str, functions: Collection[str]
) -> list[tuple[object, ...]]:
    match node.what:
        case "tables":
            return [(table,) for table in sorted(schema)]
        case "schemas":
            return [(SCHEMA_NAME,)]
        case "catalogs":
            return [(CATALOG,)]
        case "functions":
            return _functions(functions)
    return _columns(node, schema, statement)


def _columns(node: ast.Show, schema: Schema, statement: str) -> list[tuple[object, ...]]:
    parts = node.table.parts if node.table else []
    asked = parts[-1]
    table = schema.get(asked.key)
    if table is None:
        shown = ".".join(part.text for part in parts)
        message = f"Table '{shown}' does not exist{did_you_mean(asked.text, schema)}"
        raise failure_at(FailureCode.NAME_NOT_FOUND, message, statement, asked.at)
    return list(described(table))


def _functions(known: Collection[str]) -> list[tuple[object, ...]]:
    """What Trino says of the functions that we have, and of no others."""
    return [
        (name, *row[:3], row[3].lower() == "true", row[4])
        for name, rows in sorted(trino_functions().items())
        if name in known
        for row in rows
    ]


def _is_like(node: ast.Show, value: str) -> bool:
    if node.like is None:
        return True
    pattern, at = "", 0
    while at < len(node.like):
        character = node.like[at]
        if character == node.escape and at + 1 < len(node.like):
            at += 1
            pattern += re.escape(node.like[at])
        else:
            pattern += {"%": ".*", "_": "."}.get(character, re.escape(character))
        at += 1
    return re.fullmatch(pattern, value, re.S) is not None


def _constants(
    headings: Sequence[str], rows: Sequence[Sequence[object]], outputs: Sequence[Output]
) -> str:
    places = ", ".join(f"c{number}" for number in range(1, len(headings) + 1))
    named = ", ".join(f"c{number} AS {name(h)}" for number, h in enumerate(headings, 1))
    if not rows:
        empty = ", ".join(f"CAST(NULL AS {t.duckdb_name(o.type)})" for o in outputs)
        return f"SELECT {named} FROM (SELECT {empty}) AS r({places}) WHERE false"
    lines = ", ".join(f"({', '.join(_constant(cell) for cell in row)})" for row in rows)
    return f"SELECT {named} FROM (VALUES {lines}) AS r({places})"


def _constant(cell: object) -> str:
    return str(cell).lower() if isinstance(cell, bool) else text(str(cell))
