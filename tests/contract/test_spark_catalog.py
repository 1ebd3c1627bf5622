"""What a source on Spark reports of its tables, without reading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from queryrun.engines.base import ColumnInfo
from queryrun.engines.spark.catalog import SparkCatalog, open_catalog
from queryrun.errors import FailureCode, RunFailed
from tests.spark_server import SparkServer, sql

SCHEMA = f"catalog_{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def catalog(spark_server: SparkServer) -> Iterator[SparkCatalog]:
    """The tables of a schema that has two."""
    sql(
        spark_server,
        f"CREATE SCHEMA {SCHEMA}",
        f"CREATE TABLE {SCHEMA}.Account USING parquet AS "
        "SELECT 1L AS Id, CAST(1 AS DECIMAL(18, 6)) AS balance, array('a') AS tags",
        f"CREATE TABLE {SCHEMA}.invoice USING parquet AS SELECT current_timestamp() AS at",
    )
    options = {"url": spark_server.url, "schema": SCHEMA, "user": "ann"}
    with closing(open_catalog(options, None)) as found:
        yield found


def test_tables_are_listed_by_lower_case_names(catalog: SparkCatalog) -> None:
    assert catalog.tables() == ["account", "invoice"]


def test_columns_have_trinos_types(catalog: SparkCatalog) -> None:
    assert catalog.columns("ACCOUNT") == [
        ColumnInfo("id", "bigint"),
        ColumnInfo("balance", "decimal(18,6)"),
        ColumnInfo("tags", "array(varchar)"),
    ]
    assert catalog.columns("invoice") == [ColumnInfo("at", "timestamp with time zone")]


def test_a_table_that_is_not_there_has_no_columns(catalog: SparkCatalog) -> None:
    assert catalog.columns("nowhere") is None


def test_an_unreachable_server_is_a_failure() -> None:
    with pytest.raises(RunFailed) as failed:
        open_catalog({"url": "sc://127.0.0.1:1", "schema": "default", "user": "ann"}, None)
    assert failed.value.failure.code is FailureCode.ENGINE_UNAVAILABLE
