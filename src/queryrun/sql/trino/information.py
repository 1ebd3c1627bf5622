"""What there is, in Trino's words: names, columns' types, and `information_schema` to select from.

Of `information_schema` the tables that have something to tell here; their columns and types are
those of version 476. What SHOW and DESCRIBE answer, `metadata.py` knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from queryrun.sql.trino import ast
from queryrun.sql.trino import types as t
from queryrun.sql.trino.queries import QueryParser
from queryrun.sql.trino.scope import LOCATION, Location, Schema, TableColumn
from queryrun.sql.trino.types import Type

INFORMATION = "information_schema"
_ALSO = {"live", "revenuelive"}
"""What statements written for the contract's system call its one schema, too."""
Cell = str | int | None

_TABLE = ("table_catalog", "table_schema", "table_name")
_COLUMNS: dict[str, tuple[str, ...]] = {
    "columns": (
        *_TABLE, "column_name", "ordinal_position", "column_default", "is_nullable", "data_type",
    ),
    "schemata": ("catalog_name", "schema_name"),
    "tables": (*_TABLE, "table_type"),
    "views": (*_TABLE, "view_definition"),
}  # fmt: skip
_NUMBERS = {"ordinal_position"}
TABLES: Schema = {
    name: [TableColumn(c, t.BIGINT if c in _NUMBERS else t.VARCHAR) for c in columns]
    for name, columns in _COLUMNS.items()
}
"""Its own tables."""


def is_information(table: ast.Table) -> bool:
    """Whether it is a table of `information_schema`."""
    return len(table.parts) > 1 and table.parts[-2].key == INFORMATION


def described(table: Iterable[TableColumn]) -> list[tuple[str, str, str, str]]:
    """A table's columns as SHOW COLUMNS lists them: name, type, extra, comment."""
    return [
        (c.name.lower(), printed(c.type) if c.type else c.engine_type.lower(), "", "")
        for c in table
    ]


def printed(kind: Type) -> str:
    """A type as metadata statements print it: zoned timestamps without precision (contract F1)."""
    return t.TSTZ if kind.name == t.TSTZ else str(kind)


def misplaced(table: ast.Table, location: Location) -> str:
    """What is wrong with the words in front of a table's name; empty when nothing is."""
    words = [part.key for part in table.parts[:-1]]
    if len(words) > 2:
        return f"Too many dots in table name: {'.'.join(part.text for part in table.parts)}"
    return _misplaced(words, location)


def misplaced_schema(name: ast.Table, location: Location) -> str:
    """The same of a schema's name, which may have a catalog's in front."""
    return _misplaced([part.key for part in name.parts], location)


def _misplaced(words: Sequence[str], location: Location) -> str:
    if len(words) == 2 and words[0] != location.catalog:
        return f"Catalog '{words[0]}' not found"
    schemas = {location.schema, INFORMATION} | (_ALSO if location == LOCATION else set())
    if words and words[-1] not in schemas:
        return f"Schema '{words[-1]}' does not exist"
    return ""


def query_of(name: str, schema: Schema, location: Location) -> ast.Query:
    """The rows of one of its tables. `schema` must have all tables, for `columns` with theirs."""
    rows = [[_literal(cell) for cell in row] for row in _rows(name, schema, location)]
    names = _COLUMNS[name]
    casts = ", ".join(f"CAST({c} AS {_type_of(c)}) AS {c}" for c in names)
    some = "" if rows else " WHERE false"
    frame = QueryParser(
        f"WITH r({', '.join(names)}) AS (VALUES 1) SELECT {casts} FROM r{some}"
    ).query()
    frame.ctes[0].query.body = ast.Values(rows or [[_literal(None) for _ in names]], 0)
    return frame


def _rows(name: str, schema: Schema, location: Location) -> Iterator[tuple[Cell, ...]]:
    schemas = ((location.schema, schema), (INFORMATION, TABLES))
    if name == "schemata":
        yield from ((location.catalog, position) for position, _ in schemas)
    elif name != "views":
        for position, tables in schemas:
            for table in sorted(tables):
                if name == "tables":
                    yield (location.catalog, position, table, "BASE TABLE")
                else:
                    yield from _columns_of(Location(location.catalog, position), table, tables)


def _columns_of(location: Location, table: str, tables: Schema) -> Iterator[tuple[Cell, ...]]:
    for number, (column, kind, *_) in enumerate(described(tables[table]), 1):
        yield (location.catalog, location.schema, table, column, number, None, "YES", kind)


def _type_of(column: str) -> str:
    return "bigint" if column in _NUMBERS else "varchar"


def _literal(cell: Cell) -> ast.Expr:
    if cell is None:
        return ast.Literal("null", "NULL", 0)
    return ast.Literal("integer" if isinstance(cell, int) else "string", str(cell), 0)
