"""What a statement consists of, read from DuckDB's own parse tree: node types, tables, functions.

The tree comes as JSON text from `json_serialize_sql` and is scanned, not built: a statement of
a million characters makes 70 MB of it, and a tree 1,000 deep is more than a recursive reader
takes. Scanning is exact because a quote inside a JSON string is always escaped, so the
patterns below match keys only, never something a statement says in a literal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FACT = re.compile(
    r'"(type|query_location|schema_name|table_name|function_name|show_type|column_names|alias|'
    r'ref_type|column_name_alias)"'
    r':("(?:[^"\\]|\\.)*"|\d+|\[(?:"(?:[^"\\]|\\.)*",?)*\])'
)
_NOWHERE = 18446744073709551615
_STANDS_FOR_COLUMNS = frozenset({"STAR", "SHOW_REF", "POSITIONAL_REFERENCE", "PIVOT"})


class NotSerializableError(Exception):
    """DuckDB parses this statement but gives no tree for it: it is no plain SELECT."""


@dataclass(frozen=True, slots=True)
class Named:
    """Something the statement names, and its byte offset in the statement where known."""

    name: str
    offset: int | None
    schema: str = ""


@dataclass(slots=True)
class Tree:
    """The facts of one parsed statement, in the order of the tree."""

    nodes: set[str] = field(default_factory=set)
    """Every type of node in it, in DuckDB's words."""
    tables: list[Named] = field(default_factory=list)
    """Every relation read by name; common table expressions are among them."""
    table_functions: list[Named] = field(default_factory=list)
    functions: list[Named] = field(default_factory=list)
    """Every scalar, aggregate, window function, macro and operator; each once."""
    columns: set[str] = field(default_factory=set)
    """Every column that is named, without what stands in front of it, in lower case."""
    specials: list[str] = field(default_factory=list)
    """What a SHOW asks for that is no relation: `tables`, `databases`, …"""
    relations: set[str] = field(default_factory=set)
    """What tables are known as in it: their names and aliases, in lower case."""
    has_unnamed: bool = False
    """NATURAL joins, and aliases that rename columns by position."""

    @property
    def means_unnamed_columns(self) -> bool:
        """Whether it can mean columns of tables whose names it does not say: `*`, whole rows."""
        return self.has_unnamed or bool(
            self.nodes & _STANDS_FOR_COLUMNS or self.columns & self.relations
        )


def read_tree(connection: DuckDBPyConnection, statement: str) -> Tree:
    """The facts of one statement that is known to parse. Raises `NotSerializableError`.

    Nothing is bound or executed. Costs about a millisecond for an ordinary statement, and up to
    3 s and 1.2 GB for the largest that is accepted: not for an event loop.
    """
    row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [statement]).fetchone()
    text = str(row[0]) if row else ""
    if not text.startswith('{"error":false'):
        raise NotSerializableError
    return _Scanner().scan(text)


class _Scanner:
    """Reads the facts off the serialized tree. A node's type and position come before its name."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.node = ""
        self.offset: int | None = None
        self.schema = ""
        self.in_table_function = False
        self.functions_seen: set[str] = set()

    def scan(self, text: str) -> Tree:
        readers = {
            "type": self._type,
            "query_location": self._query_location,
            "schema_name": self._schema_name,
            "table_name": self._table_name,
            "function_name": self._function_name,
            "show_type": self._show_type,
            "column_names": self._column_names,
            "alias": self._alias,
            "ref_type": self._ref_type,
            "column_name_alias": self._column_name_alias,
        }
        for key, value in _facts(text):
            readers[key](value)
        return self.tree

    def _type(self, node: str) -> None:
        self.node = node
        self.tree.nodes.add(node)
        self.schema = ""
        if node == "TABLE_FUNCTION":
            self.in_table_function = True

    def _query_location(self, offset: str) -> None:
        known = int(offset) != _NOWHERE
        if known or not self.in_table_function:
            self.offset = int(offset) if known else None

    def _schema_name(self, name: str) -> None:
        self.schema = name

    def _table_name(self, name: str) -> None:
        if self.node == "BASE_TABLE":
            self.tree.tables.append(Named(name, self.offset, self.schema))
            self.tree.relations.add(name.lower())
        elif self.node == "SHOW_REF" and name:
            self.tree.specials.append(name.strip('"').lower())

    def _function_name(self, name: str) -> None:
        if self.in_table_function:
            self.in_table_function = False
            self.tree.table_functions.append(Named(name, self.offset))
        elif name not in self.functions_seen:
            self.functions_seen.add(name)
            self.tree.functions.append(Named(name, self.offset))

    def _column_names(self, names: str) -> None:
        if self.node == "COLUMN_REF":
            self.tree.columns.update(name.lower() for name in json.loads(names)[-1:])

    def _alias(self, alias: str) -> None:
        if alias and self.node == "BASE_TABLE":
            self.tree.relations.add(alias.lower())

    def _ref_type(self, ref_type: str) -> None:
        self.tree.has_unnamed |= ref_type == "NATURAL"

    def _column_name_alias(self, names: str) -> None:
        self.tree.has_unnamed |= self.node == "BASE_TABLE" and names != "[]"

    def _show_type(self, show_type: str) -> None:
        if show_type == "SHOW_FROM":
            self.tree.specials.append("tables")


def _facts(text: str) -> Iterator[tuple[str, str]]:
    for key, value in _FACT.findall(text):
        yield key, json.loads(value) if value[0] == '"' else value
