"""What the translation for Spark promises beyond the suite's results."""

from __future__ import annotations

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile.reading import Needs
from queryrun.sql.duckdb.functions.registered import known_functions
from queryrun.sql.spark.functions.table import SPARK
from queryrun.sql.spark.translate import SparkTables, Translated, names, table_column, to_spark

TABLES = SparkTables(
    {
        "orders": [
            table_column("id", "bigint"),
            table_column("Total", "decimal(12,2)"),
            table_column("at", "timestamp"),
            table_column("code", "char(3)"),
        ]
    },
    {"orders": "`lake`.`sales`.`orders`"},
)


def translated(statement: str, zone: str = "UTC") -> Translated:
    return to_spark(statement, lambda _: TABLES, zone)


def refusal(statement: str) -> RunFailed:
    with pytest.raises(RunFailed) as caught:
        translated(statement)
    return caught.value


def test_columns_have_the_names_and_types_that_trino_gives_them() -> None:
    found = translated("SELECT id, total / 3, 'x' AS \"Label\", NULL FROM orders")
    formatted = [(column.heading, str(column.type)) for column in found.columns]
    assert formatted == [
        ("id", "bigint"),
        ("_col1", "decimal(12,2)"),
        ("Label", "varchar"),
        ("_col3", "integer"),
    ]


def test_a_table_is_named_in_full() -> None:
    assert "FROM `lake`.`sales`.`orders` AS" in translated("SELECT id FROM orders").sql


def test_only_the_tables_that_are_named_are_requested() -> None:
    requests: list[Needs] = []

    def tables(needs: Needs) -> SparkTables:
        requests.append(needs)
        return TABLES

    to_spark("SELECT id FROM ORDERS", tables)
    assert requests[0].tables == {"orders"}


def test_a_refusal_names_the_construct_and_its_position() -> None:
    failure = refusal("SELECT id,\n  checksum(id) FROM orders").failure
    assert (failure.code, failure.line, failure.column) == (FailureCode.NOT_SUPPORTED, 2, 3)
    assert "checksum" in failure.message


def test_a_column_that_trino_has_no_type_for_cannot_be_named() -> None:
    failure = refusal("SELECT code FROM orders").failure
    assert failure.code is FailureCode.NOT_SUPPORTED
    assert "char(3)" in failure.message


def test_an_unknown_column_gets_a_suggestion() -> None:
    assert "Did you mean 'total'?" in refusal("SELECT totl FROM orders").failure.message


def test_incompatible_types_are_refused_as_in_trino() -> None:
    assert refusal("SELECT id = '1' FROM orders").failure.code is FailureCode.TYPE_MISMATCH


def test_a_time_zone_is_set_in_the_statement() -> None:
    """The session's zone is always UTC: the statement itself has the zone it is read in."""
    sql = translated("SELECT hour(at) FROM orders", "Europe/Berlin").sql
    assert "convert_timezone('UTC', 'Europe/Berlin'" in sql


def test_try_around_a_null_tolerant_function_is_refused() -> None:
    """Spark has no TRY: `coalesce` would turn the failure, written as NULL, into a 5."""
    assert "TRY around" in refusal("SELECT try(coalesce(1 / id, 5)) FROM orders").failure.message


def test_a_name_that_spark_would_replace_is_refused() -> None:
    assert refusal('SELECT id AS "${x}" FROM orders').failure.code is FailureCode.NOT_SUPPORTED


def test_a_quoted_name_cannot_leave_its_quotes() -> None:
    assert "AS `a``b`" in translated('SELECT 1 AS "a`b"').sql


def test_show_tables_needs_no_columns() -> None:
    found = to_spark("SHOW TABLES", lambda _: SparkTables(names(["b", "A"])))
    assert found.sql == "SELECT c1 AS `Table` FROM (VALUES ('a'), ('b')) AS r(c1)"


def test_show_functions_lists_what_spark_has_a_form_for() -> None:
    sql = to_spark("SHOW FUNCTIONS", lambda _: SparkTables({})).sql
    assert "('abs', " in sql
    assert "('xxhash64', " not in sql


def test_describe_prints_trinos_types() -> None:
    sql = translated("DESCRIBE orders").sql
    assert "('total', 'decimal(12,2)', '', '')" in sql
    assert "('at', 'timestamp with time zone', '', '')" in sql


@pytest.mark.parametrize(
    "expression",
    [
        "timestamp '2020-01-02 00:00:00' - date '2020-01-01'",
        "ARRAY[1] IS DISTINCT FROM ARRAY[1.5]",
        "(SELECT count(*) FROM (VALUES ROW(ROW(1, 2))) AS t(r) WHERE r IN (SELECT 1, 2))",
    ],
)
def test_no_form_of_another_engine_is_inherited(expression: str) -> None:
    """DuckDB's were, where nobody had thought of Spark's."""
    sql = translated(f"SELECT {expression}").sql
    for of_duckdb in ("epoch_us", "[]", "struct_extract_at", "//", "to_milliseconds"):
        assert of_duckdb not in sql


def test_spark_claims_no_function_that_the_parser_does_not_know() -> None:
    assert not SPARK.names() - known_functions()


@pytest.mark.slow
def test_what_is_nested_too_deeply_is_refused_and_does_not_crash() -> None:
    statement = "SELECT " + "(" * 10_000 + "1" + ")" * 10_000
    assert "nested too deeply" in refusal(statement).failure.message


def test_a_statement_that_would_grow_without_end_is_refused() -> None:
    """Templates repeat their arguments."""
    nested = "floor(" * 40 + "1e0" + ")" * 40
    assert "So complex an expression" in refusal(f"SELECT {nested}").failure.message


def test_explain_validate_reports_a_valid_query_or_its_error() -> None:
    found = translated("EXPLAIN (TYPE VALIDATE) SELECT id FROM orders")
    assert [(c.heading, str(c.type)) for c in found.columns] == [("Valid", "boolean")]
    assert refusal("EXPLAIN (TYPE VALIDATE) SELECT x FROM orders").failure.line == 1


def test_an_explain_plan_is_refused() -> None:
    failure = refusal("EXPLAIN SELECT id FROM orders").failure
    assert failure.code is FailureCode.NOT_SUPPORTED
