"""What the machine was short of while a table was read, by the errors of engine and libraries."""

from __future__ import annotations

import duckdb
import pytest

from queryrun.causes import Cause
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.shortage import raise_if_short, shortage_of


def test_what_a_statement_quotes_is_no_shortage() -> None:
    for words in ("Too many open files", "thread constructor failed", "(os error 24)"):
        with pytest.raises(duckdb.Error) as raised:
            duckdb.execute(f"SELECT CAST('{words}' AS integer)")
        assert shortage_of(raised.value) is None
        with pytest.raises(duckdb.Error) as raised:
            duckdb.execute(f"SELECT error('{words}')").fetchall()
        assert shortage_of(raised.value) is None


def test_a_shortage_is_found_behind_the_error_of_a_library() -> None:
    error = ValueError("a broken log")
    error.__cause__ = RuntimeError("LocalFileSystem error: Too many open files (os error 24)")
    assert shortage_of(error) is Cause.NO_DESCRIPTORS
    with pytest.raises(RunFailed) as raised:
        raise_if_short(error)
    assert raised.value.failure.code is FailureCode.ENGINE_UNAVAILABLE
