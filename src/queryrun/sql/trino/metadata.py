"""SHOW and DESCRIBE with the columns that Trino's have; connectors read them by these names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from queryrun.errors import FailureCode
from queryrun.sql.trino import ast
from queryrun.sql.trino import types as t
from queryrun.sql.trino.catalog import trino_functions
from queryrun.sql.trino.compile_calls import known_functions
from queryrun.sql.trino.information import (
    INFORMATION,
    TABLES,
    described,
    is_information,
    misplaced,
    misplaced_schema,
)
from queryrun.sql.trino.scope import LOCATION, Location, Output, Schema, did_you_mean
from queryrun.sql.trino.tokens import failure_at
from queryrun.sql.trino.typed import name, text

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


def show(
    node: ast.Show, schema: Schema, statement: str, location: Location = LOCATION
) -> tuple[str, list[Output]]:
    """The statement as rows of constants, in DuckDB's SQL."""
    rows, outputs = rows_of(node, schema, statement, known_functions(), location)
    return _constants(HEADINGS[node.what], rows, outputs), outputs


def rows_of(
    node: ast.Show,
    schema: Schema,
    statement: str,
    functions: Collection[str],
    location: Location | None = LOCATION,
) -> tuple[list[tuple[object, ...]], list[Output]]:
    """What the statement lists, and under which headings.

    `functions`: those that there are. Where the tables are is not checked without a `location`.
    """
    if node.escape is not None and len(node.escape) != 1:
        message = "Escape string must be a single character"
        raise failure_at(FailureCode.INVALID_VALUE, message, statement, node.at)
    if location:
        _check_location(node, statement, location)
    rows = _rows(node, schema, functions, statement, location or LOCATION)
    outputs = [
        Output(h, t.BOOLEAN if h == "Deterministic" else t.VARCHAR) for h in HEADINGS[node.what]
    ]
    return [row for row in rows if _is_like(node, str(row[0]))], outputs


def _check_location(node: ast.Show, statement: str, location: Location) -> None:
    wrong, named = "", node.table or node.of
    if node.table is not None:
        wrong = misplaced(node.table, location)
    elif node.of is not None and node.what == "tables":
        wrong = misplaced_schema(node.of, location)
    elif node.of is not None and node.what == "schemas":
        catalog = node.of.parts[-1]
        wrong = "" if catalog.key == location.catalog else f"Catalog '{catalog.text}' not found"
    if wrong and named:
        raise failure_at(FailureCode.NAME_NOT_FOUND, wrong, statement, named.at)


def _rows(
    node: ast.Show, schema: Schema, functions: Collection[str], statement: str, location: Location
) -> list[tuple[object, ...]]:
    match node.what:
        case "tables":
            is_about = node.of is not None and node.of.parts[-1].key == INFORMATION
            return [(table,) for table in sorted(TABLES if is_about else schema)]
        case "schemas":
            return [(location.schema,), (INFORMATION,)]
        case "catalogs":
            return [(location.catalog,)]
        case "functions":
            return _functions(functions)
    return _columns(node, schema, statement)


def _columns(node: ast.Show, schema: Schema, statement: str) -> list[tuple[object, ...]]:
    parts = node.table.parts if node.table else []
    named = parts[-1]
    table = (TABLES if node.table and is_information(node.table) else schema).get(named.key)
    if table is None:
        path = ".".join(part.text for part in parts)
        message = f"Table '{path}' does not exist{did_you_mean(named.text, schema)}"
        raise failure_at(FailureCode.NAME_NOT_FOUND, message, statement, named.at)
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
    """LIKE has an escape character that `fnmatch` does not know."""
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
    """Rows as VALUES: metadata is computed here, and one encoder still writes the file."""
    aliases = ", ".join(f"c{number}" for number in range(1, len(headings) + 1))
    named = ", ".join(f"c{number} AS {name(h)}" for number, h in enumerate(headings, 1))
    if not rows:
        empty = ", ".join(f"CAST(NULL AS {t.duckdb_name(o.type)})" for o in outputs)
        return f"SELECT {named} FROM (SELECT {empty}) AS r({aliases}) WHERE false"
    lines = ", ".join(f"({', '.join(_constant(cell) for cell in row)})" for row in rows)
    return f"SELECT {named} FROM (VALUES {lines}) AS r({aliases})"


def _constant(cell: object) -> str:
    return str(cell).lower() if isinstance(cell, bool) else text(str(cell))
