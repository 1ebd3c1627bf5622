"""The statements that are made of columns and a format."""

from __future__ import annotations

import pytest

from queryrun.engines.base import Column
from queryrun.results.encode import FileLayout, copy_sql, select_sql
from queryrun.results.formats import ContentType

PLAIN = [Column("id", "BIGINT"), Column("name", "VARCHAR"), Column("amount", "DECIMAL(18,6)")]


@pytest.mark.parametrize("content_type", ["json", "csv", "tsv", "parquet"])
def test_columns_that_need_no_conversion_cost_nothing(content_type: str) -> None:
    query = select_sql("FROM t", PLAIN, FileLayout(ContentType(content_type)))
    assert query.text == "SELECT * FROM (\nFROM t\n)"


def test_only_what_needs_it_is_converted() -> None:
    query = select_sql("FROM t", [*PLAIN, Column("b", "BLOB")], FileLayout(ContentType.CSV))
    assert query.text.startswith(
        'SELECT field_0 AS "id", field_1 AS "name", field_2 AS "amount", base64(field_3) AS "b"'
    )


@pytest.mark.parametrize("columns", [PLAIN, [Column("é", "BLOB")]])
def test_the_relation_begins_at_its_reported_offset(columns: list[Column]) -> None:
    """Line and column of an error are counted from there, in bytes."""
    form = FileLayout(ContentType.CSV)
    query = select_sql("SELECT 'é' -- end", columns, form)
    for sql in (query, copy_sql(query, form, "/spill/o'ut")):
        assert sql.text.encode()[sql.relation_at :].startswith("SELECT 'é' -- end\n)".encode())


def test_the_path_is_quoted() -> None:
    form = FileLayout(ContentType.JSON)
    sql = copy_sql(select_sql("FROM t", PLAIN, form), form, "/spill/o'ut")
    assert "TO '/spill/o''ut' (" in sql.text
