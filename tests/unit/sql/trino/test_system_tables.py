"""SHOW CREATE, SHOW STATS, roles, and the tables about tables."""

from __future__ import annotations

import pytest

from queryrun.errors import FailureCode
from queryrun.sql.compile.catalog import system_tables
from tests.unit.sql.trino.translation import failure, headings, translated


@pytest.mark.parametrize(
    ("schema", "table"),
    [(schema, table) for schema, tables in system_tables().items() for table in tables],
)
def test_every_table_of_the_catalog_system_has_trinos_columns(schema: str, table: str) -> None:
    columns = [name for name, _ in system_tables()[schema][table]]
    assert headings(f"SELECT * FROM system.{schema}.{table}") == columns


def test_a_schema_that_the_catalog_system_lacks_is_not_found() -> None:
    found = failure("SELECT * FROM system.nosuch.nodes")
    assert (found.code, found.message) == (
        FailureCode.NAME_NOT_FOUND,
        "Schema 'nosuch' does not exist",
    )


def test_a_tables_columns_are_told_with_their_jdbc_types() -> None:
    sql = translated("SELECT column_name, data_type, type_name FROM system.jdbc.columns")
    assert "'balance', 3::INTEGER, 'decimal(18,6)'" in sql


def test_show_create_table_writes_the_names_in_full() -> None:
    sql = translated("SHOW CREATE TABLE account")
    assert "CREATE TABLE owl.data.account (\n   id bigint,\n" in sql


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SHOW CREATE TABLE nosuch", "Table 'nosuch' does not exist"),
        ("SHOW CREATE VIEW account", "Relation 'owl.data.account' is a table, not a view"),
        ("SHOW CREATE SCHEMA nosuch", "Schema 'nosuch' does not exist"),
        ("SHOW CREATE FUNCTION f", "Function 'f' not found"),
        ("SHOW GRANTS ON nosuch", "Table 'nosuch' does not exist"),
        ("SHOW STATS FOR nosuch", "Table 'nosuch' does not exist"),
    ],
)
def test_what_is_not_there_is_not_shown(statement: str, message: str) -> None:
    assert failure(statement).message == message


@pytest.mark.parametrize("what", ["SESSION", "ROLES", "CURRENT ROLES", "ROLE GRANTS", "GRANTS"])
def test_there_are_no_session_properties_and_no_roles(what: str) -> None:
    assert translated(f"SHOW {what}").endswith("WHERE false")


def test_show_stats_has_trinos_columns() -> None:
    assert headings("SHOW STATS FOR (SELECT balance, accountnumber FROM account)") == [
        "column_name", "data_size", "distinct_values_count", "nulls_fraction", "row_count",
        "low_value", "high_value",
    ]  # fmt: skip
