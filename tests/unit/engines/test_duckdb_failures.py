"""The table of DuckDB's errors is complete, and no message reveals our paths."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from queryrun.engines.duckdb.failures import CODES, ErrorContext, failure_of
from queryrun.errors import FailureCode

CONTEXT = ErrorContext("SELECT 1", (), ("/data/entities/one",))


def _kinds(kind: type[duckdb.Error]) -> Iterator[type[duckdb.Error]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def test_every_class_of_error_has_its_own_code() -> None:
    """Looked up by class, not by ancestor: a new class in a new DuckDB needs a decision."""
    assert set(_kinds(duckdb.Error)) == set(CODES)


@pytest.mark.parametrize("kind", list(CODES))
def test_no_class_of_error_reveals_where_the_data_is(kind: type[duckdb.Error]) -> None:
    failure = failure_of(kind("went wrong in /data/entities/one/account.csv"), CONTEXT, 0).failure
    assert "/data/entities" not in failure.message


def test_paths_that_the_caller_wrote_stay_in_the_message() -> None:
    error = duckdb.ConversionException("Could not convert string '/home/me/x' to INT32")
    assert "/home/me/x" in failure_of(error, CONTEXT, 0).failure.message


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": 1}', "[1]", "Error: {broken", '{"exception_message": "x", "position": "y"}'],
)
def test_any_text_of_an_error_makes_a_failure(text: str) -> None:
    failure = failure_of(duckdb.Error(text), CONTEXT, 0).failure
    assert failure.code is FailureCode.STATEMENT_FAILED
    assert failure.line is None


def test_a_position_before_the_statement_is_none() -> None:
    error = duckdb.BinderException('{"exception_message": "x", "position": "3"}')
    assert failure_of(error, CONTEXT, 10).failure.line is None


def test_an_error_of_the_spill_is_the_nodes_and_not_the_datas() -> None:
    context = ErrorContext("SELECT 1", (), ("/data/entities/one", "/spill/1"), "/spill/1")
    spill = duckdb.IOException('Cannot open file "/spill/1/tmp-0": Input/output error')
    found = failure_of(spill, context, 0).failure
    assert (found.code, "/spill" in found.message) == (FailureCode.STORAGE_FAILED, False)
    data = duckdb.IOException('Cannot open file "/data/entities/one/a.csv": Input/output error')
    assert failure_of(data, context, 0).failure.code is FailureCode.DATA_UNREADABLE
