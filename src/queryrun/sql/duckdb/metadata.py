"""SHOW and DESCRIBE with the columns that Trino's have; connectors read them by these names."""

from __future__ import annotations

from collections.abc import Sequence

from queryrun.sql.compile.scope import LOCATION, Location, Output, Schema
from queryrun.sql.compile.show import HEADINGS, rows_of
from queryrun.sql.duckdb import types
from queryrun.sql.duckdb.functions.registered import known_functions
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import name, text


def show(
    node: ast.Show, schema: Schema, statement: str, location: Location = LOCATION
) -> tuple[str, list[Output]]:
    """The statement as rows of constants, in DuckDB's SQL."""
    rows, outputs = rows_of(node, schema, statement, known_functions(), location)
    return _constants(HEADINGS[node.what], rows, outputs), outputs


def _constants(
    headings: Sequence[str], rows: Sequence[Sequence[object]], outputs: Sequence[Output]
) -> str:
    """Rows as VALUES: metadata is computed here, and one encoder still writes the file."""
    aliases = ", ".join(f"c{number}" for number in range(1, len(headings) + 1))
    named = ", ".join(f"c{number} AS {name(h)}" for number, h in enumerate(headings, 1))
    if not rows:
        empty = ", ".join(f"CAST(NULL AS {types.duckdb_name(o.type)})" for o in outputs)
        return f"SELECT {named} FROM (SELECT {empty}) AS r({aliases}) WHERE false"
    lines = ", ".join(f"({', '.join(_constant(cell) for cell in row)})" for row in rows)
    return f"SELECT {named} FROM (VALUES {lines}) AS r({aliases})"


def _constant(cell: object) -> str:
    return str(cell).lower() if isinstance(cell, bool) else text(str(cell))
