"""A grouping error that DuckDB gives without a position gets one, in Trino's words."""

from __future__ import annotations

import pytest

from queryrun.errors import Failure, FailureCode
from queryrun.sql.compile.reading import read
from queryrun.sql.duckdb.translate import placed
from tests.unit.sql.trino.translation import failure

UNGROUPED = 'column "x" must appear in the GROUP BY clause or must be part of an aggregate'
NESTED = "aggregate function calls cannot be nested"
IN_WHERE = "WHERE clause cannot contain aggregates!"
IN_GROUP_BY = "GROUP BY clause cannot contain window functions!"
NO_CHILD = 'GROUPING child "x" must be a grouping column'


@pytest.mark.parametrize(
    ("statement", "refusal", "words", "position"),
    [
        ("SELECT id, count(*) FROM account GROUP BY balance", UNGROUPED, "'id' must be", (1, 8)),
        ("SELECT count(*)\nFROM account a ORDER BY a.id", UNGROUPED, "'a.id' must be", (2, 25)),
        ("SELECT balance FROM account GROUP BY 1 HAVING id > 1", UNGROUPED, "'id'", (1, 47)),
        ("SELECT upper(accountnumber), lower(id) FROM account GROUP BY upper(accountnumber)",
         UNGROUPED, "'id'", (1, 36)),
        ("WITH a AS (SELECT id, sum(balance) FROM account) SELECT id FROM a", UNGROUPED, "'id'",
         (1, 19)),
        ("SELECT 1, sum(count(*)) FROM account", NESTED, "inside aggregation 'sum'", (1, 11)),
        ("SELECT id FROM account WHERE sum(id) > 1", IN_WHERE, "WHERE clause cannot", (1, 30)),
        ("SELECT 1 FROM account GROUP BY rank() OVER ()", IN_GROUP_BY, "GROUP BY clause", (1, 32)),
        ("SELECT id, grouping(balance) FROM account GROUP BY id", NO_CHILD, "GROUPING", (1, 12)),
    ],
)  # fmt: skip
def test_a_grouping_error_has_its_position(
    statement: str, refusal: str, words: str, position: tuple[int, int]
) -> None:
    bare = Failure(FailureCode.TYPE_MISMATCH, refusal)
    found = placed(read(statement), bare)
    assert words in found.message
    assert (found.code, found.line, found.column) == (FailureCode.TYPE_MISMATCH, *position)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("SELECT id FROM account", "Out of Range Error"),
        ("SELECT id FROM account GROUP BY id", "No function matches the given name"),
    ],
)
def test_what_only_the_engine_cannot_bind_is_not_supported(statement: str, refusal: str) -> None:
    found = placed(read(statement), Failure(FailureCode.TYPE_MISMATCH, refusal))
    assert found.code is FailureCode.NOT_SUPPORTED
    assert refusal not in found.message


def test_a_refusal_of_a_value_has_no_advice_on_the_engines_settings() -> None:
    advice = "Division of 1 by 0 failed\nUse TRY or SET error_on_division_by_zero = false"
    found = placed(read("SELECT id FROM account"), Failure(FailureCode.INVALID_VALUE, advice))
    assert found.message == "Division of 1 by 0 failed"


def test_a_metadata_statement_keeps_its_failure() -> None:
    bare = Failure(FailureCode.TYPE_MISMATCH, UNGROUPED)
    assert placed(read("SHOW TABLES"), bare) is bare


@pytest.mark.parametrize("order", ["id", "upper(accountnumber)", "accountnumber || 'x'"])
def test_distinct_rows_are_ordered_by_what_is_selected(order: str) -> None:
    """DuckDB would order by any column, which has no single result."""
    found = failure(f"SELECT DISTINCT accountnumber FROM account ORDER BY {order}")
    assert "must appear in select list" in found.message
    assert (found.line, found.column) == (1, 53)
