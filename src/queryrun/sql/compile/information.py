"""What there is, in Trino's words: names, columns' types, and tables about tables to select from.

`information_schema` of the source's catalog, and the catalog `system`: all tables that Trino 476
has, with their columns and types. Those that would tell of other people's queries, of roles or of
properties have no rows. What SHOW and DESCRIBE answer, `metadata.py` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache

from queryrun.sql.compile import jdbc_types, type_names
from queryrun.sql.compile import types as t
from queryrun.sql.compile.catalog import system_tables
from queryrun.sql.compile.scope import LOCATION, Location, Schema, TableColumn
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.grammar.queries import QueryParser
from queryrun.sql.trino.records import ast

INFORMATION = "information_schema"
SYSTEM = "system"
_ALSO = {"live", "revenuelive"}
"""What statements written for the contract's system call its one schema, too."""
_CONNECTOR = "queryrun"
Cell = str | int | bool | None
Rows = Iterator[tuple[Cell, ...]]


def is_information(table: ast.Table) -> bool:
    """Whether it is a table about tables: of `information_schema`, or of the catalog `system`."""
    parts = table.parts
    return len(parts) > 1 and (
        parts[-2].key == INFORMATION or (len(parts) == 3 and parts[0].key == SYSTEM)
    )


def tables_of(schema: str) -> Schema:
    """The tables of one of these schemas; none of a schema that is not of them."""
    return _system().get(schema, {})


def schemas_of_system() -> list[str]:
    """The schemas of the catalog `system`."""
    return sorted(_system())


@cache
def _system() -> Mapping[str, Schema]:
    return {
        schema: {
            table: [TableColumn(name, _type(kind)) for name, kind in columns]
            for table, columns in tables.items()
        }
        for schema, tables in system_tables().items()
    }


def _type(written: str) -> Type:
    kind, _ = type_names.type_of(QueryParser(written).type_name())
    return kind


def needs_columns(table: ast.Table) -> bool:
    """Whether its rows tell of the columns of every table."""
    return is_information(table) and table.parts[-1].key == "columns"


def described(
    table: Iterable[TableColumn], type_text: Callable[[Type], str] = str
) -> list[tuple[str, str, str, str]]:
    """A table's columns as SHOW COLUMNS lists them: name, type, extra, comment."""
    return [
        (c.name.lower(), printed(c.type, type_text) if c.type else c.engine_type.lower(), "", "")
        for c in table
    ]


def printed(kind: Type, type_text: Callable[[Type], str] = str) -> str:
    """A type as metadata statements print it: zoned timestamps without precision (contract F1)."""
    return t.TSTZ if kind.name == t.TSTZ else type_text(kind)


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
    schemas = {location.schema, INFORMATION} | (_ALSO if location == LOCATION else set())
    if len(words) == 2 and words[0] == SYSTEM:
        schemas = set(_system())
    elif len(words) == 2 and words[0] != location.catalog:
        return f"Catalog '{words[0]}' not found"
    if words and words[-1] not in schemas:
        return f"Schema '{words[-1]}' does not exist"
    return ""


# --- rows -----------------------------------------------------------------------------------


def query_of(table: ast.Table, schema: Schema, location: Location) -> ast.Query:
    """The rows of one of these tables. `schema` must have all tables, for `columns` with theirs."""
    catalog = SYSTEM if len(table.parts) == 3 and table.parts[0].key == SYSTEM else location.catalog
    position, name = table.parts[-2].key, table.parts[-1].key
    columns = tables_of(position)[name]
    rows = [
        [_literal(cell) for cell in row] for row in _rows(position, name, catalog, schema, location)
    ]
    names = [f"c{number}" for number in range(1, len(columns) + 1)]
    casts_ = ", ".join(
        f'CAST({c} AS {column.type}) AS "{column.name}"'
        for c, column in zip(names, columns, strict=True)
    )
    some = "" if rows else " WHERE false"
    frame = QueryParser(
        f"WITH r({', '.join(names)}) AS (VALUES 1) SELECT {casts_} FROM r{some}"
    ).query()
    frame.ctes[0].query.body = ast.Values(rows or [[_literal(None) for _ in names]], 0)
    return frame


def _rows(position: str, name: str, catalog: str, schema: Schema, location: Location) -> Rows:
    """`catalog` is the one whose tables `information_schema` tells of; `system.jdbc` of ours."""
    if position == INFORMATION:
        found = _INFORMATION.get(name)
    else:
        found, catalog = _SYSTEM.get(f"{position}.{name}"), location.catalog
    if found is not None:
        yield from found(catalog, _schemas(catalog, schema, location))


def _schemas(catalog: str, schema: Schema, location: Location) -> Mapping[str, Schema]:
    if catalog == SYSTEM:
        return _system()
    return {location.schema: schema, INFORMATION: tables_of(INFORMATION)}


_Maker = Callable[[str, Mapping[str, Schema]], Rows]


def _schemata(catalog: str, schemas: Mapping[str, Schema]) -> Rows:
    return ((catalog, schema) for schema in schemas)


def _tables(catalog: str, schemas: Mapping[str, Schema]) -> Rows:
    for schema, tables in schemas.items():
        yield from ((catalog, schema, table, "BASE TABLE") for table in sorted(tables))


def _columns(catalog: str, schemas: Mapping[str, Schema]) -> Rows:
    for schema, tables in schemas.items():
        for table in sorted(tables):
            for number, (column, kind, *_) in enumerate(described(tables[table]), 1):
                yield (catalog, schema, table, column, number, None, "YES", kind)


def _jdbc_tables(catalog: str, schemas: Mapping[str, Schema]) -> Rows:
    nothing = (None,) * 6
    for row in _tables(catalog, schemas):
        yield (*row[:3], "TABLE", *nothing)


def _jdbc_columns(catalog: str, schemas: Mapping[str, Schema]) -> Rows:
    for schema, tables in schemas.items():
        for table in sorted(tables):
            for number, column in enumerate(tables[table], 1):
                kind = column.type or t.UNKNOWN
                yield (
                    catalog, schema, table, column.name.lower(), *jdbc_types.facts(kind),
                    number, "YES", None, None, None, None, None, None,
                )  # fmt: skip


def _comments(catalog: str, schemas: Mapping[str, Schema]) -> Rows:
    for schema, tables in schemas.items():
        yield from ((catalog, schema, table, None) for table in sorted(tables))


def _one(*cells: Cell) -> _Maker:
    return lambda *_: iter([cells])


_INFORMATION: Mapping[str, _Maker] = {
    "schemata": _schemata,
    "tables": _tables,
    "columns": _columns,
}
_SYSTEM: Mapping[str, _Maker] = {
    "jdbc.catalogs": lambda catalog, _: iter([(catalog,)]),
    "jdbc.schemas": lambda catalog, schemas: ((schema, catalog) for schema in schemas),
    "jdbc.tables": _jdbc_tables,
    "jdbc.columns": _jdbc_columns,
    "jdbc.table_types": lambda *_: iter([("TABLE",), ("VIEW",)]),
    "jdbc.types": lambda *_: jdbc_types.rows(),
    "metadata.catalogs": lambda catalog, _: iter([(catalog, catalog, _CONNECTOR)]),
    "metadata.table_comments": _comments,
    "runtime.nodes": _one(_CONNECTOR, "", "476", True, "active"),
}
"""The tables of `system` that have rows here. A node is none of the installation's: it says that
there is one to run the statement, and of which version's language."""


def _literal(cell: Cell) -> ast.Expr:
    if cell is None:
        return ast.Literal("null", "NULL", 0)
    if isinstance(cell, bool):
        return ast.Literal("boolean", str(cell).lower(), 0)
    return ast.Literal("integer" if isinstance(cell, int) else "string", str(cell), 0)
