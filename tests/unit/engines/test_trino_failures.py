"""Each of Trino's errors has its code; messages are about the statement, not servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from trino.exceptions import TrinoConnectionError, TrinoQueryError

from queryrun.engines.trino.failures import CODES, ErrorContext, code_of, failure_of
from queryrun.engines.trino.query import CanceledHereError, HttpRefusal
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.position import SourcePosition

NAMES = dict(
    line.split()
    for line in Path(__file__).with_name("trino_error_codes.txt").read_text("utf-8").splitlines()
)
"""Trino 476's `StandardErrorCode`: every name with its type."""


def failure_from(name: str, kind: str, message: str, **more: Any) -> Failure:
    """The failure that an error of Trino's amounts to."""
    error = {"errorName": name, "errorType": kind, "message": message, **more}
    found = failure_of(TrinoQueryError(error, "20260101_000000_00000_xxxxx"))
    assert isinstance(found, RunFailed)
    return found.failure


def test_every_name_of_trinos_has_a_code_and_no_other() -> None:
    assert CODES.keys() == NAMES.keys()


@pytest.mark.parametrize("name", [name for name, kind in NAMES.items() if kind == "USER_ERROR"])
def test_a_user_error_is_retryable_only_if_the_user_did_not_cause_it(name: str) -> None:
    """Two of Trino's user errors are not the user's: no polling, and an unavailable catalog."""
    excused = {"ABANDONED_QUERY", "CATALOG_UNAVAILABLE", "INVALID_VIEW", "VIEW_IS_STALE",
               "VIEW_IS_RECURSIVE", "TABLE_REDIRECTION_ERROR"}  # fmt: skip
    assert CODES[name].retryable == (name in excused)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("USER_ERROR", FailureCode.STATEMENT_FAILED),
        ("INTERNAL_ERROR", FailureCode.INTERNAL_ERROR),
        ("INSUFFICIENT_RESOURCES", FailureCode.MEMORY_LIMIT_EXCEEDED),
        ("EXTERNAL", FailureCode.DATA_UNREADABLE),
        (None, FailureCode.INTERNAL_ERROR),
    ],
)
def test_a_connectors_own_error_goes_by_its_type(kind: str | None, code: FailureCode) -> None:
    assert code_of("HIVE_SOMETHING_NEW", kind) is code


def test_a_position_refers_to_the_statement_as_submitted() -> None:
    error = {
        "errorName": "COLUMN_NOT_FOUND",
        "errorType": "USER_ERROR",
        "message": "line 3:40: Column 'x' cannot be resolved",
        "errorLocation": {"lineNumber": 3, "columnNumber": 40},
    }
    context = ErrorContext(lambda line, column: SourcePosition(line - 1, column - 30))
    found = failure_of(TrinoQueryError(error), context)
    assert isinstance(found, RunFailed)
    expected = Failure(FailureCode.NAME_NOT_FOUND, "Column 'x' cannot be resolved", 2, 10)
    assert found.failure == expected


def test_without_a_position_the_statement_is_asked() -> None:
    error = {
        "errorName": "DIVISION_BY_ZERO",
        "errorType": "USER_ERROR",
        "message": "Division by zero",
    }
    context = ErrorContext(explained=lambda failure: replace(failure, line=1, column=9))
    found = failure_of(TrinoQueryError(error), context)
    assert isinstance(found, RunFailed)
    assert found.failure == Failure(FailureCode.INVALID_VALUE, "Division by zero", 1, 9)


def test_a_list_of_expected_tokens_is_left_out() -> None:
    message = "line 1:1: mismatched input 'selec'. Expecting: 'ALTER', 'ANALYZE', <query>"
    assert failure_from("SYNTAX_ERROR", "USER_ERROR", message).message == "mismatched input 'selec'"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("PAGE_TRANSPORT_ERROR", "INTERNAL_ERROR"),
        ("GENERIC_INTERNAL_ERROR", "INTERNAL_ERROR"),
        ("HIVE_CANNOT_OPEN_SPLIT", "EXTERNAL"),
        ("JDBC_ERROR", "EXTERNAL"),
        ("EXCEEDED_LOCAL_MEMORY_LIMIT", "INSUFFICIENT_RESOURCES"),
        ("ADMINISTRATIVELY_KILLED", "USER_ERROR"),
        ("INVALID_FUNCTION_ARGUMENT", "USER_ERROR"),
    ],
)
def test_addresses_of_servers_are_never_revealed(name: str, kind: str) -> None:
    message = "Cannot talk to http://w-1.prod.example:8080/v1/task (10.1.2.3:8080, db.example:5432)"
    message = failure_from(name, kind, message).message
    assert "prod" not in message
    assert "10.1" not in message
    assert "db.example" not in message
    assert "5432" not in message


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (HttpRefusal(401), FailureCode.ENGINE_UNAVAILABLE, "credentials"),
        (HttpRefusal(503), FailureCode.ENGINE_UNAVAILABLE, "HTTP 503"),
        (requests.ConnectionError("host"), FailureCode.ENGINE_UNAVAILABLE, "does not answer"),
        (requests.Timeout("host"), FailureCode.ENGINE_UNAVAILABLE, "does not answer"),
        (TrinoConnectionError("host"), FailureCode.ENGINE_UNAVAILABLE, "does not answer"),
        (CanceledHereError(), FailureCode.STATEMENT_FAILED, "interrupted"),
    ],
)
def test_errors_on_the_connection_to_trino_have_codes_too(
    error: Exception, code: FailureCode, words: str
) -> None:
    found = failure_of(error)
    assert isinstance(found, RunFailed)
    assert found.failure.code is code
    assert words in found.failure.message
    assert "host" not in found.failure.message


def test_other_errors_are_returned_unchanged() -> None:
    error = KeyError("ours")
    assert failure_of(error) is error


@pytest.mark.parametrize(
    ("name", "words", "displayed"),
    [
        ("ADMINISTRATIVELY_KILLED", "Query killed. Message: too much for a Monday", ": too much"),
        ("ADMINISTRATIVELY_KILLED", "Query killed. No message provided.", "of the engine"),
        ("ADMINISTRATIVELY_PREEMPTED", "Query preempted. Message: the board asks", "board asks"),
        ("CLUSTER_OUT_OF_MEMORY", "Query killed because the cluster is out of memory", "cluster"),
    ],
)
def test_the_reason_of_a_kill_is_kept(name: str, words: str, displayed: str) -> None:
    """The words of `system.runtime.kill_query`, and of Trino's own killer."""
    kind = "USER_ERROR" if name == "ADMINISTRATIVELY_KILLED" else "INSUFFICIENT_RESOURCES"
    message = failure_from(name, kind, words).message
    assert displayed in message
    assert message.startswith("The ")


def test_the_reason_of_a_kill_names_no_server() -> None:
    words = "Query killed. Message: see http://wiki.prod.example/kills"
    message = failure_from("ADMINISTRATIVELY_KILLED", "USER_ERROR", words).message
    assert message.endswith(": see […]")


@pytest.mark.parametrize(
    ("name", "words", "displayed"),
    [
        (
            "EXCEEDED_LOCAL_MEMORY_LIMIT",
            "Query exceeded per-node memory limit of 20MB [Allocated: 19.9MB, Delta: 1MB, Top "
            "Consumers: {w-1.prod.example=19MB}]",
            "Query exceeded the maximum memory: per-node memory limit of 20MB",
        ),
        (
            "EXCEEDED_GLOBAL_MEMORY_LIMIT",
            "Query exceeded distributed user memory limit of 1.5GB",
            "Query exceeded the maximum memory: distributed user memory limit of 1.5GB",
        ),
        (
            "EXCEEDED_TIME_LIMIT",
            "Query exceeded maximum queued time limit of 5.00m",
            "Query exceeded a time limit of the engine: maximum queued time limit of 5.00m",
        ),
        ("EXCEEDED_TIME_LIMIT", "w-1.prod.example", "Query exceeded a time limit of the engine"),
    ],
)
def test_a_limit_of_trinos_is_named_and_its_servers_are_not(
    name: str, words: str, displayed: str
) -> None:
    assert failure_from(name, "INSUFFICIENT_RESOURCES", words).message == displayed
