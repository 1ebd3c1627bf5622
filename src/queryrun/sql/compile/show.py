"""SHOW and DESCRIBE with the columns that Trino's have; connectors read them by these names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from queryrun.errors import FailureCode
from queryrun.sql.compile import types as t
from queryrun.sql.compile.catalog import trino_functions
from queryrun.sql.compile.information import (
    INFORMATION,
    SYSTEM,
    described,
    is_information,
    misplaced,
    misplaced_schema,
    schemas_of_system,
    tables_of,
)
from queryrun.sql.compile.scope import LOCATION, Location, Output, Schema, TableColumn, did_you_mean
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import name
from queryrun.sql.trino.tokens import RESERVED, failure_at

HEADINGS = {
    "tables": ("Table",),
    "columns": ("Column", "Type", "Extra", "Comment"),
    "functions": (
        "Function", "Return Type", "Argument Types", "Function Type", "Deterministic",
        "Description",
    ),
    "schemas": ("Schema",),
    "catalogs": ("Catalog",),
    "create table": ("Create Table",),
    "create schema": ("Create Schema",),
    "create view": ("Create View",),
    "create materialized view": ("Create Materialized View",),
    "create function": ("Create Function",),
    "session": ("Name", "Value", "Default", "Type", "Description"),
    "roles": ("Role",),
    "role grants": ("Role Grants",),
    "grants": (
        "Grantor", "Grantor Type", "Grantee", "Grantee Type", "Catalog", "Schema", "Table",
        "Privilege", "Grantable", "With Hierarchy",
    ),
}  # fmt: skip


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
    elif node.of is not None and node.what in {"tables", "create schema"}:
        wrong = misplaced_schema(node.of, location)
    elif node.of is not None and node.what in {"schemas", "roles", "role grants"}:
        catalog = node.of.parts[-1]
        known = {location.catalog, SYSTEM}
        wrong = "" if catalog.key in known else f"Catalog '{catalog.text}' not found"
    elif node.of is not None and not node.what.endswith(("function", "functions")):
        wrong = misplaced(node.of, location)
    if wrong and named:
        raise failure_at(FailureCode.NAME_NOT_FOUND, wrong, statement, named.at)


def _rows(
    node: ast.Show, schema: Schema, functions: Collection[str], statement: str, location: Location
) -> list[tuple[object, ...]]:
    match node.what:
        case "tables":
            return [(table,) for table in sorted(_tables_in(node.of, schema))]
        case "schemas":
            if node.of is not None and node.of.parts[-1].key == SYSTEM != location.catalog:
                return [(one,) for one in schemas_of_system()]
            return [(location.schema,), (INFORMATION,)]
        case "catalogs":
            return [(location.catalog,)]
        case "functions":
            return _functions(functions)
        case "session" | "roles" | "role grants":
            return []
        case "grants":
            if node.of is not None:
                _table(node.of, schema, statement)
            return []
        case _ if node.of is not None and node.what.startswith("create "):
            return [(_created(node.what, node.of, schema, statement, location),)]
    columns = _table(node.table, schema, statement) if node.table else ()
    return list(described(columns))


def _tables_in(of: ast.Table | None, schema: Schema) -> Schema:
    """The tables of a schema: ours, unless it is one of tables about tables."""
    if of is None:
        return schema
    is_system = len(of.parts) > 1 and of.parts[0].key == SYSTEM
    return tables_of(of.parts[-1].key) if is_system or of.parts[-1].key == INFORMATION else schema


def _table(named: ast.Table, schema: Schema, statement: str) -> Sequence[TableColumn]:
    parts = named.parts
    known = tables_of(parts[-2].key) if is_information(named) else schema
    table = known.get(parts[-1].key)
    if table is None:
        path = ".".join(part.text for part in parts)
        message = f"Table '{path}' does not exist{did_you_mean(parts[-1].text, known)}"
        raise failure_at(FailureCode.NAME_NOT_FOUND, message, statement, parts[-1].at)
    return table


def _created(
    what: str, named: ast.Table, schema: Schema, statement: str, location: Location
) -> str:
    """The statement that would create it, with the names in full. Nothing here is a view."""
    kind = what.removeprefix("create ")
    words = [part.key for part in named.parts]
    around = [location.catalog, location.schema][: (2 if kind == "schema" else 3) - len(words)]
    path = [*around, *words]
    if kind == "function":
        message = f"Function '{'.'.join(words)}' not found"
        raise failure_at(FailureCode.NAME_NOT_FOUND, message, statement, named.at)
    if kind == "schema":
        return f"CREATE SCHEMA {'.'.join(map(_written, path))}"
    columns = _table(named, schema, statement)
    if kind != "table":
        message = f"Relation '{'.'.join(path)}' is a table, not a {kind}"
        raise failure_at(FailureCode.NOT_SUPPORTED, message, statement, named.at)
    lines = ",\n".join(
        f"   {_written(c.name.lower())} {c.type or c.engine_type.lower()}" for c in columns
    )
    return f"CREATE TABLE {'.'.join(map(_written, path))} (\n{lines}\n)"


def _written(word: str) -> str:
    """A name as a statement has it: quoted unless it can stand as it is."""
    is_plain = re.fullmatch(r"[a-z_][a-z0-9_]*", word) and word.upper() not in RESERVED
    return word if is_plain else name(word)


def _functions(known: Collection[str]) -> list[tuple[object, ...]]:
    """What Trino says of the functions that we have, and of no others."""
    return [
        (name, *row[:3], row[3].lower() == "true", row[4])
        for name, rows in sorted(trino_functions().items())
        if name in known
        for row in rows
    ]


def _is_like(node: ast.Show, value: str) -> bool:
    return node.like is None or _matches(_like_tokens(node.like, node.escape), value)


def _like_tokens(like: str, escape: str | None) -> list[str]:
    """A character that stands for itself has a backslash before it: `%` and `_` do not."""
    tokens, characters = [], iter(like)
    for character in characters:
        if escape and character == escape:
            tokens.append("\\" + next(characters, character))
        else:
            tokens.append(character if character in "%_" else "\\" + character)
    return tokens


def _matches(tokens: Sequence[str], value: str) -> bool:
    """In time of one length times the other: only the last `%` is ever taken back, which is
    enough. A regular expression would try all of them in all ways."""
    at = token = after_any = 0
    any_until = -1
    while at < len(value):
        if token < len(tokens) and tokens[token] == "%":
            token += 1
            after_any, any_until = token, at
        elif token < len(tokens) and tokens[token] in ("_", "\\" + value[at]):
            at, token = at + 1, token + 1
        elif any_until >= 0:
            any_until += 1
            at, token = any_until, after_any
        else:
            return False
    return all(one == "%" for one in tokens[token:])
