"""Forms that Spark's SQL has only in other words."""

from __future__ import annotations

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.spark.translate import SparkTables, Translated, table_column, to_spark
from queryrun.sql.trino.scope import Location

TABLES = SparkTables(
    {"orders": [table_column("id", "bigint"), table_column("note", "string")]},
    {"orders": "`lake`.`sales`.`orders`"},
    Location("lake", "sales"),
)


def translated(statement: str) -> Translated:
    return to_spark(statement, lambda _: TABLES)


def refusal(statement: str) -> RunFailed:
    with pytest.raises(RunFailed) as caught:
        translated(statement)
    return caught.value


def test_a_table_of_another_catalog_is_not_ours() -> None:
    assert "`lake`.`sales`.`orders`" in translated("SELECT id FROM lake.sales.orders").sql
    assert "nosuch" in refusal("SELECT id FROM nosuch.sales.orders").failure.message
    assert "other" in refusal("SHOW TABLES FROM lake.other").failure.message


def test_rows_with_a_lambda_are_no_values_for_spark() -> None:
    sql = translated("SELECT * FROM (VALUES CAST(1e0 + 2e0 AS varchar), 'b') t(x)").sql
    assert " UNION ALL " in sql
    assert "VALUES" not in sql
    assert "VALUES" in translated("SELECT * FROM (VALUES 1, 2) t(x)").sql


def test_a_time_is_a_number_until_it_is_a_result() -> None:
    assert "AS TIME(3)" in translated("SELECT TIME '10:11:12.345'").sql
    assert "AS TIME" not in translated("SELECT hour(TIME '10:11:12.345')").sql
    assert "AS TIME(" not in translated("SELECT TIME '10:11:12.1234567'").sql


def test_an_open_range_of_a_number_is_refused() -> None:
    frame = "RANGE BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING"
    failure = refusal(f"SELECT sum(id) OVER (ORDER BY id {frame}) FROM orders").failure
    assert failure.code is FailureCode.NOT_SUPPORTED


@pytest.mark.parametrize(
    "call",
    [
        "JSON_VALUE(note, 'lax $.a ? (@ > 1)')",
        "JSON_OBJECT(note: 1)",
        "format(note, 1)",
        "format('%q', 1)",
        "split_to_map(note, note, '=')",
        "xxhash64(to_utf8(note))",
    ],
)
def test_what_spark_would_answer_otherwise_is_refused_by_name(call: str) -> None:
    assert refusal(f"SELECT {call} FROM orders").failure.code is FailureCode.NOT_SUPPORTED
