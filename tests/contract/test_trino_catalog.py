"""The catalog process lists a Trino source's tables as its statements see them."""

from __future__ import annotations

import pytest

from queryrun.engines.base import ColumnInfo
from queryrun.engines.trino.catalog import TrinoCatalog, open_catalog
from queryrun.errors import FailureCode, RunFailed
from tests.trino_server import TrinoServer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def catalog(trino_server: TrinoServer) -> TrinoCatalog:
    """A schema of two tables."""
    schema = trino_server.new_schema()
    trino_server.make(f"CREATE TABLE memory.{schema}.second (id bigint COMMENT 'which', t time(3))")
    trino_server.make(f"CREATE TABLE memory.{schema}.first (x varchar)")
    return open_catalog(trino_server.options(schema=schema), None)


def test_tables_are_sorted(catalog: TrinoCatalog) -> None:
    assert catalog.tables() == ["first", "second"]


def test_columns_have_trinos_types(catalog: TrinoCatalog) -> None:
    expected = [ColumnInfo("id", "bigint", "", "which"), ColumnInfo("t", "time(3)")]
    assert catalog.columns("SECOND") == expected


@pytest.mark.parametrize("name", ["third", 'first" WHERE "', "first; DROP TABLE first"])
def test_a_table_that_is_not_there_has_no_columns(catalog: TrinoCatalog, name: str) -> None:
    assert catalog.columns(name) is None


def test_an_unreachable_server_is_a_failure() -> None:
    catalog = open_catalog({"url": "http://127.0.0.1:1", "schema": "s"}, None)
    with pytest.raises(RunFailed) as failed:
        catalog.tables()
    assert failed.value.failure.code is FailureCode.ENGINE_UNAVAILABLE
