"""information_schema and EXPLAIN: what a statement needs to know, and what is refused."""

from __future__ import annotations

import pytest

from queryrun.errors import FailureCode
from queryrun.sql.compile.reading import read
from tests.unit.sql.trino.translation import failure, headings


@pytest.mark.parametrize(
    ("statement", "tables", "every_table", "every_column"),
    [
        ("SELECT * FROM account", {"account"}, False, False),
        ("SELECT * FROM information_schema.schemata", set(), True, False),
        ("SELECT * FROM owl.information_schema.tables, account", {"account"}, True, False),
        ("SELECT (SELECT max(data_type) FROM information_schema.columns)", set(), True, True),
        ("EXPLAIN SELECT * FROM information_schema.columns", set(), True, True),
        ("SHOW TABLES FROM information_schema", set(), True, False),
        ("SHOW CREATE TABLE account", {"account"}, False, False),
        ("SHOW STATS FOR account", {"account"}, False, False),
        ("SELECT * FROM system.jdbc.columns", set(), True, True),
        ("SELECT * FROM system.runtime.nodes", set(), True, False),
    ],
)
def test_the_tables_that_a_statement_needs_are_found(
    statement: str, tables: set[str], every_table: bool, every_column: bool
) -> None:
    needs = read(statement).needs
    assert needs.tables == tables
    assert (needs.every_table, needs.every_column) == (every_table, every_column)


def test_its_tables_have_trinos_columns() -> None:
    assert headings("SELECT * FROM information_schema.tables") == [
        "table_catalog",
        "table_schema",
        "table_name",
        "table_type",
    ]
    assert headings("SELECT * FROM Information_Schema.Schemata") == ["catalog_name", "schema_name"]


def test_an_unknown_table_is_named_with_a_suggestion() -> None:
    found = failure("SELECT *\nFROM information_schema.tabels")
    assert (found.code, found.line, found.column) == (FailureCode.NAME_NOT_FOUND, 2, 6)
    assert "Did you mean 'tables'?" in found.message


def test_a_table_of_information_schema_needs_its_schema() -> None:
    assert failure("SELECT * FROM columns").message.startswith("Table 'columns' does not exist")


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("EXPLAIN SELECT 1", "plan"),
        ("EXPLAIN (FORMAT TEXT) SELECT 1", "plan"),
        ("EXPLAIN (TYPE VALIDATE, FORMAT TEXT) SELECT 1", "validate"),
        ("EXPLAIN (TYPE IO) SELECT 1", "io"),
        ("EXPLAIN (TYPE IO, FORMAT JSON) SELECT 1", "io"),
        ("EXPLAIN (FORMAT JSON, TYPE IO) SELECT 1", "io"),
        ("EXPLAIN ANALYZE SELECT 1", "analyze"),
        ("EXPLAIN ANALYZE VERBOSE WITH a AS (SELECT 1) TABLE a", "analyze"),
        ("SELECT 1", ""),
    ],
)
def test_explain_is_read(statement: str, what: str) -> None:
    assert read(statement).explain == what


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("EXPLAIN SHOW TABLES", 9),
        ("EXPLAIN EXPLAIN SELECT 1", 9),
        ("EXPLAIN DESCRIBE account", 9),
    ],
)
def test_what_explain_cannot_do_is_refused_with_its_position(statement: str, column: int) -> None:
    found = failure(statement)
    assert (found.code, found.line, found.column) == (FailureCode.NOT_SUPPORTED, 1, column)
