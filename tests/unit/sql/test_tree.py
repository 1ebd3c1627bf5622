"""The facts that are read off a statement's tree."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from queryrun.sql.guard.tree import NotSerializableError, read_tree


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        yield connection


def test_tables_come_with_their_schema_and_position(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    tree = read_tree(connection, "SELECT 'é' FROM a JOIN b.c AS d ON true, \"e f\" TABLESAMPLE 5 %")
    found = [(table.schema, table.name, table.offset) for table in tree.tables]
    assert found == [("", "a", 17), ("b", "c", 24), ("", "e f", 42)]


def test_a_name_may_hold_every_character(connection: duckdb.DuckDBPyConnection) -> None:
    tree = read_tree(connection, 'SELECT * FROM "a""b\\c,[ü"')
    assert [table.name for table in tree.tables] == ['a"b\\c,[ü']


def test_table_functions_and_their_arguments_are_distinguished(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    tree = read_tree(connection, "SELECT abs(x) FROM f(lower('a'), (SELECT g(1) FROM h())) LIMIT 1")
    assert {function.name for function in tree.table_functions} == {"f", "h"}
    assert {function.name for function in tree.functions} == {"abs", "lower", "g"}


def test_a_statement_without_a_tree_is_not_serializable(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(NotSerializableError):
        read_tree(connection, "PIVOT t ON a USING sum(b)")
