"""docs/reference/sample-data.md matches the tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queryrun.demo import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAGE = (Path(__file__).parents[3] / "docs/reference/sample-data.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)
COMMON = {"id", "createddate", "updateddate", "deleted"}


def columns_named_for(table: str) -> set[str]:
    """Return the column names in the table's line of the page: what is neither type nor remark."""
    line = re.search(rf"^\| {table} \|(.*)\|$", PAGE, flags=re.MULTILINE)
    assert line is not None, f"the page has no line for {table}"
    cell = re.sub(r"\(`.*?\)|`.*?`", "", line[1].split("|")[-1])
    return set(re.findall(r"[a-z][a-z_]*", cell))


def test_the_page_has_three_queries() -> None:
    assert len(QUERIES) == 3


@pytest.mark.parametrize("sql", QUERIES)
def test_an_example_query_runs_and_finds_something(tables: DuckDBPyConnection, sql: str) -> None:
    assert len(tables.execute(sql).fetchall()) > 1


@pytest.mark.parametrize("table", TABLES)
def test_the_page_lists_every_column(tables: DuckDBPyConnection, table: str) -> None:
    actual = {row[0] for row in tables.execute(f"DESCRIBE {table}").fetchall()}
    common = COMMON if "deleted" in actual else set()
    assert columns_named_for(table) == actual - common
