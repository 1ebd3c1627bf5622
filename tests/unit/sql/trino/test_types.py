"""Types as DuckDB and as Trino call them, and which of two fits both."""

from __future__ import annotations

import pytest

from queryrun.sql.compile import types as t
from queryrun.sql.compile.types import Type, common, signature
from queryrun.sql.duckdb.types import duckdb_name, from_duckdb


@pytest.mark.parametrize(
    ("engine", "trino"),
    [
        ("BIGINT", "bigint"),
        ("FLOAT", "real"),
        ("DECIMAL(18,6)", "decimal(18,6)"),
        ("VARCHAR", "varchar"),
        ("BLOB", "varbinary"),
        ("TIMESTAMP", "timestamp(6)"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp(6) with time zone"),
        ("INTEGER[]", "array(integer)"),
        ("VARCHAR[][]", "array(array(varchar))"),
        ("MAP(VARCHAR, DECIMAL(10,2))", "map(varchar, decimal(10,2))"),
        ('STRUCT(a INTEGER, "b c" VARCHAR[])', "row(a integer, b c array(varchar))"),
        ("TUPLE(INTEGER, VARCHAR)", "row(integer, varchar)"),
        ("JSON", "json"),
        ("UUID", "uuid"),
    ],
)
def test_engine_types_have_a_name_in_trino_and_come_back(engine: str, trino: str) -> None:
    found = from_duckdb(engine)
    assert found is not None
    kind, is_converted = found
    assert (str(kind), is_converted) == (trino, False)
    assert from_duckdb(duckdb_name(kind)) == found


def test_a_type_that_is_read_back_has_the_names_of_its_fields_quoted() -> None:
    found = from_duckdb('STRUCT(a INTEGER, "b c" STRUCT("D""" TUPLE(BIGINT))[])')
    assert found is not None
    expected = 'row("a" integer, "b c" array(row("D""" row(bigint))))'
    assert signature(found[0]) == expected


@pytest.mark.parametrize(
    ("engine", "trino"),
    [
        ("UTINYINT", "smallint"),
        ("UBIGINT", "decimal(20,0)"),
        ("HUGEINT", "decimal(38,0)"),
        ("ENUM('a', 'b')", "varchar"),
        ("INTEGER[3]", "array(integer)"),
        ("DECIMAL(2,2)", "decimal(2,2)"),
    ],
)
def test_types_that_trino_lacks_are_converted(engine: str, trino: str) -> None:
    found = from_duckdb(engine)
    assert found is not None
    assert (str(found[0]), found[1]) == (trino, True)


@pytest.mark.parametrize("engine", ["BIT", "UNION(a INTEGER)", "nonsense(", "TIME WITH TIME ZONE"])
def test_a_value_without_a_trino_type_is_reported_as_such(engine: str) -> None:
    assert from_duckdb(engine) is None


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        (t.INTEGER, t.BIGINT, t.BIGINT),
        (t.BIGINT, t.decimal(5, 2), t.decimal(21, 2)),
        (t.decimal(10, 2), t.decimal(5, 4), t.decimal(12, 4)),
        (t.decimal(10, 2), t.REAL, t.REAL),
        (t.UNKNOWN, t.VARCHAR, t.VARCHAR),
        (t.DATE, t.timestamp(3), t.timestamp(3)),
        (t.timestamp(0), t.timestamp_tz(3, "UTC"), t.timestamp_tz(3, t.VARIES)),
        (t.array(t.INTEGER), t.array(t.UNKNOWN), t.array(t.INTEGER)),
        (t.VARCHAR, t.INTEGER, None),
        (t.BOOLEAN, t.INTEGER, None),
        (t.array(t.INTEGER), t.INTEGER, None),
    ],
)
def test_two_types_have_the_common_type_of_trino(a: Type, b: Type, both: Type | None) -> None:
    assert common(a, b) == both
    assert common(b, a) == both
