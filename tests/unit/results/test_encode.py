"""The statements that are made of columns and a format."""

from __future__ import annotations

import pytest

from queryrun.engines.base import Column
from queryrun.results.encode import Format, checked_separator, copy_sql, select_sql

PLAIN = [Column("id", "BIGINT"), Column("name", "VARCHAR"), Column("amount", "DECIMAL(18,6)")]


@pytest.mark.parametrize("content_type", ["json", "csv", "tsv", "parquet"])
def test_columns_that_need_no_conversion_cost_nothing(content_type: str) -> None:
    query = select_sql("FROM t", PLAIN, Format(content_type))
    assert query.text == "SELECT * FROM (\nFROM t\n)"


def test_only_what_needs_it_is_converted() -> None:
    query = select_sql("FROM t", [*PLAIN, Column("b", "BLOB")], Format("csv"))
    assert query.text.startswith(
        'SELECT field_0 AS "id", field_1 AS "name", field_2 AS "amount", base64(field_3) AS "b"'
    )


@pytest.mark.parametrize("columns", [PLAIN, [Column("é", "BLOB")]])
def test_the_relation_is_where_it_is_said_to_be(columns: list[Column]) -> None:
    """Line and column of an error are counted from there, in bytes."""
    form = Format("csv")
    query = select_sql("SELECT 'é' -- end", columns, form)
    for sql in (query, copy_sql(query, form, "/spill/o'ut")):
        assert sql.text.encode()[sql.relation_at :].startswith("SELECT 'é' -- end\n)".encode())


def test_the_path_is_quoted() -> None:
    form = Format("json")
    sql = copy_sql(select_sql("FROM t", PLAIN, form), form, "/spill/o'ut")
    assert "TO '/spill/o''ut' (" in sql.text


@pytest.mark.parametrize(("given", "meant"), [(";", ";"), ("\\t", "\t"), ("§", "§"), (" ", " ")])
def test_a_separator_is_one_character(given: str, meant: str) -> None:
    assert checked_separator(given) == meant


@pytest.mark.parametrize("separator", [None, "", "||", '"', "\n", "\r", "\0"])
def test_no_other_separator_is_taken(separator: str | None) -> None:
    with pytest.raises(ValueError, match="column_separator"):
        checked_separator(separator)
