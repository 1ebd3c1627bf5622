"""Parsing takes steps in proportion to a statement's length, counted and not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from benchmarks.shapes import SHAPES

from queryrun.errors import RunFailed
from queryrun.sql.compile.reading import read
from queryrun.sql.guard.duckdb import check_statement
from queryrun.sql.guard.validate import validate_trino
from queryrun.sql.guard.verdict import Refusal
from queryrun.sql.nesting import MAX_NESTING, TOO_DEEP


def lines_executed(statement: str, handle: Callable[[str], object] = read) -> int:
    """The lines of our own code that run to parse a statement, or to `handle` it otherwise."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace if "queryrun" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        handle(statement)
    except RunFailed:
        pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_the_steps_grow_no_faster_than_the_length(shape: str) -> None:
    shorter, longer = SHAPES[shape](2_000), SHAPES[shape](6_000)
    growth = len(longer) / len(shorter)
    assert lines_executed(longer) <= 1.2 * growth * lines_executed(shorter)


def _many_names(count: int) -> str:
    return f"WITH {', '.join(f'n{number} AS (SELECT 1 x)' for number in range(count))} SELECT 1"


def test_compiling_many_names_takes_steps_in_proportion_to_them() -> None:
    """Each is another name than all before it."""
    fewer, more = (
        lines_executed(_many_names(count), lambda text: validate_trino(text, []))
        for count in (50, 200)
    )
    assert more <= 1.2 * 4 * fewer


@pytest.mark.parametrize(
    ("opening", "closing"), [("(", ")"), ("ARRAY[", "]"), ("CASE WHEN true THEN ", " END")]
)
def test_nesting_is_refused_where_it_begins_to_be_too_deep(opening: str, closing: str) -> None:
    depth = MAX_NESTING + 1
    verdict = check_statement(f"SELECT\n{opening * depth}1{closing * depth}", "trino")
    assert (verdict.refusal, verdict.message) == (Refusal.TOO_COMPLEX, TOO_DEEP)
    column = len(opening) * MAX_NESTING + 1 + opening.find("[") * ("[" in opening)
    assert (verdict.line, verdict.column) == (2, column)


@pytest.mark.parametrize("guard", ["trino", "duckdb"])
@pytest.mark.parametrize("statement", ["SELECT " + "(" * 19_000, "SELECT 1 FROM " + "(" * 19_000])
def test_no_parser_sees_brackets_that_do_not_close(guard: str, statement: str) -> None:
    """DuckDB's parser tries each of them as several things, and ends by overflowing its stack."""
    assert check_statement(statement, guard).refusal is Refusal.TOO_COMPLEX


@pytest.mark.parametrize("guard", ["trino", "duckdb"])
def test_brackets_in_literals_names_and_comments_do_not_nest(guard: str) -> None:
    many = "(" * 1_000
    statement = f"SELECT '{many}' AS \"{many}\" /* {many} */ -- {many}"
    assert check_statement(statement, guard).accepted
