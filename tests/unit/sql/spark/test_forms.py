"""Forms that Spark's SQL has only in other words."""

from __future__ import annotations

import re

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile.scope import Location
from queryrun.sql.spark.translate import SparkTables, Translated, table_column, to_spark

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


@pytest.mark.parametrize(
    ("expression", "carried"),
    [
        ("TIMESTAMP '2020-05-01 12:34:56.123456789'", "CAST(1588336496123456789000BD AS DECIMAL"),
        ("TIMESTAMP '1960-05-01 12:34:56.123456789'", "CAST(-305119503876543211000BD AS DECIMAL"),
        ("TIME '12:34:56.123456789012'", "45296123456789012L"),
        ("TIME '01:00:00+02:00'", "CAST(82800000000000000 AS BIGINT)"),
    ],
)
def test_what_spark_has_no_type_for_is_carried_in_picoseconds(
    expression: str, carried: str
) -> None:
    found = translated(f"SELECT {expression}")
    assert carried in found.sql
    assert str(found.columns[0].type) == "varchar"


def test_a_moment_in_picoseconds_is_never_cast_as_if_it_were_seconds() -> None:
    moments = (
        "TIMESTAMP '2020-01-01 00:00:00.123 UTC', TIMESTAMP '2020-01-01 00:00:00.123456789 UTC'"
    )
    nested = f"SELECT ARRAY[ROW(a)] || ARRAY[ROW(b)] FROM (VALUES ({moments})) t(a, b)"
    assert refusal(nested).failure.code is FailureCode.NOT_SUPPORTED
    cast = (
        "CAST(ROW(TIMESTAMP '2020-01-01 00:00:00.123 UTC') AS ROW(a timestamp(9) with time zone))"
    )
    assert "unix_micros(CAST((x).`field0`" in translated(f"SELECT {cast}.a").sql


def test_a_column_that_comes_twice_in_a_union_has_two_names_there() -> None:
    sql = translated("SELECT 1, 2 UNION ALL SELECT id, id FROM orders").sql
    assert re.search(r"SELECT (\w+)\.c1, \1\.c2 FROM \(", sql)


def test_nan_is_less_than_any_number_for_max_and_max_by() -> None:
    values = "(VALUES (1, nan())) t(x, y)"
    assert "NOT isnan" in translated(f"SELECT max(y) FROM {values}").sql
    assert "NOT isnan" in translated(f"SELECT max_by(x, y) FROM {values}").sql


def test_looking_for_a_row_with_null_inside_fails() -> None:
    for call in ("contains", "array_position", "array_remove"):
        sql = translated(f"SELECT {call}(ARRAY[ROW(1, 2)], ROW(1, NULL))").sql
        assert "raise_error" in sql


def test_the_date_of_a_text_is_its_cast() -> None:
    sql = translated("SELECT date(note) FROM orders").sql
    assert "RLIKE" in sql
    assert "raise_error('Cannot cast value to date: '" in sql
    assert sql == translated("SELECT CAST(note AS date) FROM orders").sql
    assert "TRY_CAST" in translated("SELECT TRY(date(note)) FROM orders").sql


def test_a_part_of_bytes_is_bytes() -> None:
    found = translated("SELECT substr(X'010203', 2), substr(X'010203', -5)")
    assert [str(column.type) for column in found.columns] == ["varbinary", "varbinary"]
    assert "THEN X''" in found.sql


def test_an_address_is_carried_as_its_bytes_and_read_before_spark_sees_it() -> None:
    found = translated("SELECT contains('10.0.0.0/31', IPADDRESS '10.0.0.1')").sql
    assert (
        "BETWEEN X'00000000000000000000FFFF0A000000' AND X'00000000000000000000FFFF0A000001'"
        in found
    )
    assert str(translated("SELECT CAST('::1' AS ipaddress)").columns[0].type) == "varchar"
    failure = refusal("SELECT contains('10.0.0.1/8', IPADDRESS '10.0.0.1')").failure
    assert "Invalid CIDR" in failure.message


def test_a_position_behind_the_start_is_refused_where_the_pattern_looks_back() -> None:
    assert "split(" in translated("SELECT regexp_position(note, 'a', 3) FROM orders").sql
    for pattern in ("^a", r"\ba", "(?<=x)a"):
        failure = refusal(f"SELECT regexp_position(note, '{pattern}', 3) FROM orders").failure
        assert failure.code is FailureCode.NOT_SUPPORTED
    assert (
        "may match nothing"
        in refusal("SELECT regexp_position(note, 'a*') FROM orders").failure.message
    )


def test_a_text_too_long_for_its_varchar_fails_where_it_was_no_text() -> None:
    assert (
        "cannot be represented as varchar(2)"
        in translated("SELECT CAST(id AS varchar(2)) FROM orders").sql
    )
    assert "raise_error" not in translated("SELECT TRY_CAST(id AS varchar(2)) FROM orders").sql
    assert "substring(" in translated("SELECT CAST(note AS varchar(2)) FROM orders").sql


def test_an_order_by_what_a_subquery_says_is_refused_unless_it_is_selected() -> None:
    found = "EXISTS (SELECT 1 FROM orders o WHERE o.id = orders.id)"
    assert "ORDER BY EXISTS" in refusal(f"SELECT id FROM orders ORDER BY {found}").failure.message
    assert " ORDER BY 2 " in translated(f"SELECT id, {found} x FROM orders ORDER BY x").sql


def test_items_of_json_are_cast_one_by_one() -> None:
    sql = translated("SELECT CAST(JSON '[1, null]' AS array(integer))").sql
    assert "AS ARRAY<VARIANT>), item -> CASE WHEN to_json(item) RLIKE" in sql
    failure = refusal("SELECT TRY_CAST(JSON '[1, null]' AS array(integer))").failure
    assert failure.code is FailureCode.NOT_SUPPORTED


def test_the_sign_of_a_long_decimal_changes_without_rounding_it() -> None:
    long, short = f"DECIMAL '{'1' * 35}'", f"DECIMAL '{'1' * 34}'"
    assert "CAST(0 AS DECIMAL(1,0)) - " in translated(f"SELECT -({long})").sql
    assert "CAST(0 AS DECIMAL(1,0)) - " in translated(f"SELECT abs({long})").sql
    assert "CAST(0 AS DECIMAL(1,0)) - " not in translated(f"SELECT -({short}), abs({short})").sql


def test_grouping_of_plain_keys_is_refused_by_name() -> None:
    failure = refusal("SELECT id, grouping(id) FROM orders GROUP BY id").failure
    assert "grouping without ROLLUP" in failure.message
    assert "grouping(" in translated("SELECT id, grouping(id) FROM orders GROUP BY ROLLUP (id)").sql
