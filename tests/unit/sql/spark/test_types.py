"""Types between Trino and Spark."""

from __future__ import annotations

import pytest

from queryrun.sql.compile import types as t
from queryrun.sql.spark.types import spark_name, text, trino_type


@pytest.mark.parametrize(
    ("spark", "trino"),
    [
        ("int", "integer"),
        ("decimal(10,2)", "decimal(10,2)"),
        ("timestamp", "timestamp(6) with time zone"),
        ("timestamp_ntz", "timestamp(6)"),
        ("varchar(20)", "varchar"),
        ("array<map<string,bigint>>", "array(map(varchar, bigint))"),
        ("struct<a:int,`b c`:array<double>>", "row(a integer, b c array(double))"),
    ],
)
def test_a_spark_type_is_called_as_trino_calls_it(spark: str, trino: str) -> None:
    assert str(trino_type(spark)) == trino


@pytest.mark.parametrize(
    "spark", ["char(3)", "interval day", "variant", "string collate UNICODE_CI", "array<int", ""]
)
def test_a_type_that_trino_lacks_or_compares_otherwise_is_none(spark: str) -> None:
    assert trino_type(spark) is None


@pytest.mark.parametrize("spark", ["bigint", "array<decimal(5,1)>", "map<string,timestamp_ntz>"])
def test_types_round_trip(spark: str) -> None:
    kind = trino_type(spark)
    assert kind is not None
    assert trino_type(spark_name(kind).lower()) == kind


def test_fields_without_a_name_get_their_number() -> None:
    kind = t.row([t.INTEGER, t.VARCHAR], ["", ""])
    assert spark_name(kind) == "STRUCT<`field0`: INT, `field1`: STRING>"


def test_a_literal_escapes_what_spark_would_read() -> None:
    """Spark reads backslashes, and replaces `${…}` by a session's variable even in a string."""
    assert text("it's \\n ${x}") == "'it\\'s \\\\n \\u0024{x}'"
