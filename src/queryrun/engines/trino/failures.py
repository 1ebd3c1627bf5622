"""Trino's errors in our words: which failure each is, where it is, and what it may say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import requests
from trino.exceptions import Error as LibraryError
from trino.exceptions import TrinoQueryError

from queryrun.engines.trino.endpoint import (
    CERTIFICATE_REFUSED,
    ForeignAddressError,
    UnencryptedError,
)
from queryrun.engines.trino.query import CanceledHereError, HttpRefusal
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.position import SourcePosition

_NAMES = FailureCode.NAME_NOT_FOUND
_TYPES = FailureCode.TYPE_MISMATCH
_FORBIDDEN = FailureCode.NOT_ALLOWED
_LACKING = FailureCode.NOT_SUPPORTED
_VALUE = FailureCode.INVALID_VALUE
_FAILED = FailureCode.STATEMENT_FAILED
_MEMORY = FailureCode.MEMORY_LIMIT_EXCEEDED
_TIME = FailureCode.TIME_LIMIT_EXCEEDED
_AWAY = FailureCode.ENGINE_UNAVAILABLE
_DATA = FailureCode.DATA_UNREADABLE
_BROKEN = FailureCode.INTERNAL_ERROR

CODES: dict[str, FailureCode] = {
    # the user's
    "GENERIC_USER_ERROR": _FAILED,
    "SYNTAX_ERROR": FailureCode.SYNTAX_ERROR,
    "ABANDONED_QUERY": _AWAY,  # nobody asked for five minutes: we, or the network, were away
    "USER_CANCELED": _FAILED,
    "PERMISSION_DENIED": _FORBIDDEN,
    "NOT_FOUND": _NAMES,
    "FUNCTION_NOT_FOUND": _NAMES,
    "INVALID_FUNCTION_ARGUMENT": _VALUE,
    "DIVISION_BY_ZERO": _VALUE,
    "INVALID_CAST_ARGUMENT": _VALUE,
    "OPERATOR_NOT_FOUND": _TYPES,
    "INVALID_VIEW": _DATA,
    "ALREADY_EXISTS": _FAILED,
    "NOT_SUPPORTED": _LACKING,
    "INVALID_SESSION_PROPERTY": _BROKEN,
    "INVALID_WINDOW_FRAME": _VALUE,
    "CONSTRAINT_VIOLATION": _FAILED,
    "TRANSACTION_CONFLICT": _FAILED,
    "INVALID_TABLE_PROPERTY": _VALUE,
    "NUMERIC_VALUE_OUT_OF_RANGE": _VALUE,
    "UNKNOWN_TRANSACTION": _BROKEN,
    "NOT_IN_TRANSACTION": _BROKEN,
    "TRANSACTION_ALREADY_ABORTED": _BROKEN,
    "READ_ONLY_VIOLATION": _FORBIDDEN,
    "MULTI_CATALOG_WRITE_CONFLICT": _FORBIDDEN,
    "AUTOCOMMIT_WRITE_CONFLICT": _FORBIDDEN,
    "UNSUPPORTED_ISOLATION_LEVEL": _BROKEN,
    "INCOMPATIBLE_CLIENT": _BROKEN,
    "SUBQUERY_MULTIPLE_ROWS": _VALUE,
    "PROCEDURE_NOT_FOUND": _NAMES,
    "INVALID_PROCEDURE_ARGUMENT": _VALUE,
    "QUERY_REJECTED": _FORBIDDEN,
    "AMBIGUOUS_FUNCTION_CALL": _TYPES,
    "INVALID_SCHEMA_PROPERTY": _VALUE,
    "SCHEMA_NOT_EMPTY": _FAILED,
    "QUERY_TEXT_TOO_LARGE": _LACKING,
    "UNSUPPORTED_SUBQUERY": _LACKING,
    "EXCEEDED_FUNCTION_MEMORY_LIMIT": _MEMORY,
    "ADMINISTRATIVELY_KILLED": _FAILED,
    "INVALID_COLUMN_PROPERTY": _VALUE,
    "QUERY_HAS_TOO_MANY_STAGES": _LACKING,
    "INVALID_SPATIAL_PARTITIONING": _VALUE,
    "INVALID_ANALYZE_PROPERTY": _VALUE,
    "TYPE_NOT_FOUND": _NAMES,
    "CATALOG_NOT_FOUND": _NAMES,
    "SCHEMA_NOT_FOUND": _NAMES,
    "TABLE_NOT_FOUND": _NAMES,
    "COLUMN_NOT_FOUND": _NAMES,
    "ROLE_NOT_FOUND": _NAMES,
    "SCHEMA_ALREADY_EXISTS": _FAILED,
    "TABLE_ALREADY_EXISTS": _FAILED,
    "COLUMN_ALREADY_EXISTS": _FAILED,
    "ROLE_ALREADY_EXISTS": _FAILED,
    "DUPLICATE_NAMED_QUERY": _TYPES,
    "DUPLICATE_COLUMN_NAME": _TYPES,
    "MISSING_COLUMN_NAME": _TYPES,
    "MISSING_CATALOG_NAME": _NAMES,
    "MISSING_SCHEMA_NAME": _NAMES,
    "TYPE_MISMATCH": _TYPES,
    "INVALID_LITERAL": _VALUE,
    "COLUMN_TYPE_UNKNOWN": _TYPES,
    "MISMATCHED_COLUMN_ALIASES": _TYPES,
    "AMBIGUOUS_NAME": FailureCode.AMBIGUOUS_NAME,
    "INVALID_COLUMN_REFERENCE": _TYPES,
    "MISSING_GROUP_BY": _TYPES,
    "MISSING_ORDER_BY": _TYPES,
    "MISSING_OVER": _TYPES,
    "NESTED_AGGREGATION": _TYPES,
    "NESTED_WINDOW": _TYPES,
    "EXPRESSION_NOT_IN_DISTINCT": _TYPES,
    "TOO_MANY_GROUPING_SETS": _LACKING,
    "FUNCTION_NOT_WINDOW": _TYPES,
    "FUNCTION_NOT_AGGREGATE": _TYPES,
    "EXPRESSION_NOT_AGGREGATE": _TYPES,
    "EXPRESSION_NOT_SCALAR": _TYPES,
    "EXPRESSION_NOT_CONSTANT": _TYPES,
    "INVALID_ARGUMENTS": _TYPES,
    "TOO_MANY_ARGUMENTS": _LACKING,
    "INVALID_PRIVILEGE": _FORBIDDEN,
    "DUPLICATE_PROPERTY": _VALUE,
    "INVALID_PARAMETER_USAGE": FailureCode.SYNTAX_ERROR,
    "VIEW_IS_STALE": _DATA,
    "VIEW_IS_RECURSIVE": _DATA,
    "NULL_TREATMENT_NOT_ALLOWED": _TYPES,
    "INVALID_ROW_FILTER": _BROKEN,
    "INVALID_COLUMN_MASK": _BROKEN,
    "MISSING_TABLE": _NAMES,
    "INVALID_RECURSIVE_REFERENCE": _TYPES,
    "MISSING_COLUMN_ALIASES": _TYPES,
    "NESTED_RECURSIVE": _LACKING,
    "INVALID_LIMIT_CLAUSE": _VALUE,
    "INVALID_ORDER_BY": _TYPES,
    "DUPLICATE_WINDOW_NAME": _TYPES,
    "INVALID_WINDOW_REFERENCE": _TYPES,
    "INVALID_PARTITION_BY": _TYPES,
    "INVALID_MATERIALIZED_VIEW_PROPERTY": _VALUE,
    "INVALID_LABEL": _TYPES,
    "INVALID_PROCESSING_MODE": _TYPES,
    "INVALID_NAVIGATION_NESTING": _TYPES,
    "INVALID_ROW_PATTERN": _TYPES,
    "NESTED_ROW_PATTERN_RECOGNITION": _LACKING,
    "TABLE_HAS_NO_COLUMNS": _TYPES,
    "INVALID_RANGE": _VALUE,
    "INVALID_PATTERN_RECOGNITION_FUNCTION": _TYPES,
    "TABLE_REDIRECTION_ERROR": _DATA,
    "MISSING_VARIABLE_DEFINITIONS": _TYPES,
    "MISSING_ROW_PATTERN": _TYPES,
    "INVALID_WINDOW_MEASURE": _TYPES,
    "STACK_OVERFLOW": _LACKING,
    "MISSING_RETURN_TYPE": _TYPES,
    "AMBIGUOUS_RETURN_TYPE": _TYPES,
    "MISSING_ARGUMENT": _TYPES,
    "DUPLICATE_PARAMETER_NAME": _TYPES,
    "INVALID_PATH": _VALUE,
    "JSON_INPUT_CONVERSION_ERROR": _VALUE,
    "JSON_OUTPUT_CONVERSION_ERROR": _VALUE,
    "PATH_EVALUATION_ERROR": _VALUE,
    "INVALID_JSON_LITERAL": _VALUE,
    "JSON_VALUE_RESULT_ERROR": _VALUE,
    "MERGE_TARGET_ROW_MULTIPLE_MATCHES": _FAILED,
    "INVALID_COPARTITIONING": _TYPES,
    "INVALID_TABLE_FUNCTION_INVOCATION": _TYPES,
    "DUPLICATE_RANGE_VARIABLE": _TYPES,
    "INVALID_CHECK_CONSTRAINT": _FAILED,
    "INVALID_CATALOG_PROPERTY": _BROKEN,
    "CATALOG_UNAVAILABLE": _DATA,
    "MISSING_RETURN": _TYPES,
    "DUPLICATE_COLUMN_OR_PATH_NAME": _TYPES,
    "MISSING_PATH_NAME": _TYPES,
    "INVALID_PLAN": _FAILED,
    "INVALID_VIEW_PROPERTY": _VALUE,
    "INVALID_ENTITY_KIND": _VALUE,
    "QUERY_EXCEEDED_COMPILER_LIMIT": _LACKING,
    "INVALID_FUNCTION_PROPERTY": _VALUE,
    # Trino's own
    "GENERIC_INTERNAL_ERROR": _BROKEN,
    "TOO_MANY_REQUESTS_FAILED": _AWAY,
    "PAGE_TOO_LARGE": _LACKING,
    "PAGE_TRANSPORT_ERROR": _AWAY,
    "PAGE_TRANSPORT_TIMEOUT": _AWAY,
    "NO_NODES_AVAILABLE": _AWAY,
    "REMOTE_TASK_ERROR": _AWAY,
    "COMPILER_ERROR": _LACKING,
    "REMOTE_TASK_MISMATCH": _AWAY,
    "SERVER_SHUTTING_DOWN": _AWAY,
    "FUNCTION_IMPLEMENTATION_MISSING": _BROKEN,
    "REMOTE_BUFFER_CLOSE_FAILED": _AWAY,
    "SERVER_STARTING_UP": _AWAY,
    "FUNCTION_IMPLEMENTATION_ERROR": _BROKEN,
    "INVALID_PROCEDURE_DEFINITION": _BROKEN,
    "PROCEDURE_CALL_FAILED": _BROKEN,
    "AMBIGUOUS_FUNCTION_IMPLEMENTATION": _BROKEN,
    "ABANDONED_TASK": _AWAY,
    "CORRUPT_SERIALIZED_IDENTITY": _BROKEN,
    "CORRUPT_PAGE": _AWAY,
    "OPTIMIZER_TIMEOUT": _TIME,
    "OUT_OF_SPILL_SPACE": _MEMORY,
    "REMOTE_HOST_GONE": _AWAY,
    "CONFIGURATION_INVALID": _BROKEN,
    "CONFIGURATION_UNAVAILABLE": _AWAY,
    "INVALID_RESOURCE_GROUP": _BROKEN,
    "SERIALIZATION_ERROR": _BROKEN,
    "REMOTE_TASK_FAILED": _AWAY,
    "EXCHANGE_MANAGER_NOT_CONFIGURED": _BROKEN,
    "CATALOG_NOT_AVAILABLE": _DATA,
    "CATALOG_STORE_ERROR": _DATA,
    # what there is not enough of
    "GENERIC_INSUFFICIENT_RESOURCES": _MEMORY,
    "EXCEEDED_GLOBAL_MEMORY_LIMIT": _MEMORY,
    "QUERY_QUEUE_FULL": _AWAY,
    "EXCEEDED_TIME_LIMIT": _TIME,
    "CLUSTER_OUT_OF_MEMORY": _MEMORY,  # Trino ends the largest: again would be the same again
    "EXCEEDED_CPU_LIMIT": _TIME,
    "EXCEEDED_SPILL_LIMIT": _MEMORY,
    "EXCEEDED_LOCAL_MEMORY_LIMIT": _MEMORY,
    "ADMINISTRATIVELY_PREEMPTED": _AWAY,
    "EXCEEDED_SCAN_LIMIT": _FAILED,
    "EXCEEDED_TASK_DESCRIPTOR_STORAGE_CAPACITY": _LACKING,
    # others'
    "UNSUPPORTED_TABLE_TYPE": _LACKING,
}
"""One code per name in Trino 476's `StandardErrorCode`, none left out (a test compares)."""

_BY_TYPE = {
    "USER_ERROR": _FAILED,
    "INTERNAL_ERROR": _BROKEN,
    "INSUFFICIENT_RESOURCES": _MEMORY,
    "EXTERNAL": _DATA,
}
"""For names that are not Trino's own: each connector has its errors."""

_FIXED_MESSAGES = {
    _BROKEN: "The engine had an internal error",
    _AWAY: "The engine is not available",
    _DATA: "A table's data could not be read",
    _MEMORY: "Query exceeded the maximum memory",
    _TIME: "Query exceeded a time limit of the engine",
}
"""Codes whose own text stays inside: it is about servers, not about the statement."""
_SPOKEN_FOR_BY_NAME = {
    "CLUSTER_OUT_OF_MEMORY": "The engine killed the query because its cluster had no memory left",
    "USER_CANCELED": "The query was canceled in the engine",
    "ADMINISTRATIVELY_KILLED": "The query was killed by an administrator of the engine",
    "EXCEEDED_SCAN_LIMIT": "Query exceeded the engine's limit of data to be read",
    "PERMISSION_DENIED": "The statement reaches for something that is not allowed",
    "QUERY_REJECTED": "The engine rejected the query",
}
_BY_ADMINISTRATORS = {"ADMINISTRATIVELY_KILLED", "ADMINISTRATIVELY_PREEMPTED"}
_KILLED = re.compile(r"^Query (?:killed|preempted)\. Message: (.*)", re.S)
_LIMIT = re.compile(r"^(?:Query )?exceeded (?:the )?((?:[\w-]+ )*limit of [\d.]+ ?\w*)", re.I)
"""The limit and its value. What Trino writes behind it is of its operators and servers."""
_REFUSED = {401, 403}
_MAX_MESSAGE_CHARS = 2_000
_POSITION = re.compile(r"^line \d+:\d+: ")
_EXPECTING = re.compile(r"\. Expecting: .*", re.S)
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://\S+|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\b[\w-]+(?:\.[\w-]+)+:\d{2,5}\b",
    re.I,
)
"""URLs, IP addresses, hosts with their port: no message names where servers are."""

PositionMapping = Callable[[int, int], SourcePosition]
"""Maps a line and column of the SQL as sent to the statement as submitted."""


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """How positions in the SQL as sent map to the statement as submitted.

    `explained`: what that statement tells of a failure for which Trino has no position.
    """

    position: PositionMapping = SourcePosition
    explained: Callable[[Failure], Failure] = lambda failure: failure


_FOREIGN = (
    "The engine's answer leads to an address that is not the source's. If Trino spools results to "
    "an object store, the operator names it in sources.NAME.spool_url"
)


def failure_of(error: BaseException, context: ErrorContext | None = None) -> BaseException:
    """What an error of Trino, of its library or of the way there amounts to; others untouched."""
    match error:
        case TrinoQueryError():
            return _of_statement(error, context or ErrorContext())
        case HttpRefusal():
            return RunFailed.of(_AWAY, _refusal(error.status))
        case CanceledHereError():
            return RunFailed.of(_FAILED, "The statement was interrupted.")
        case UnencryptedError():
            return RunFailed.of(_AWAY, "The engine's answer leads to an unencrypted address")
        case ForeignAddressError():
            return RunFailed.of(_AWAY, _FOREIGN)
        case requests.exceptions.SSLError():
            return RunFailed.of(_AWAY, "The engine's certificate is not trusted")
        case requests.RequestException() | LibraryError():
            return RunFailed.of(_AWAY, "The engine does not answer")
        case orjson.JSONDecodeError():
            return RunFailed.of(_AWAY, "The engine's answer could not be read")
    return error


def code_of(name: str | None, kind: str | None) -> FailureCode:
    """The failure for an error of that name and of that one of Trino's four types."""
    return CODES.get(name or "") or _BY_TYPE.get(kind or "", _BROKEN)


def _of_statement(error: TrinoQueryError, context: ErrorContext) -> RunFailed:
    """Trino reports positions in the SQL as sent, which was rewritten."""
    code = code_of(error.error_name, error.error_type)
    location = error.error_location
    message = _message(code, error)
    if location is None:
        return RunFailed(context.explained(Failure(code, message)))
    position = context.position(*location)
    return RunFailed(Failure(code, message, position.line, position.column))


def _message(code: FailureCode, error: TrinoQueryError) -> str:
    spoken = _SPOKEN_FOR_BY_NAME.get(error.error_name or "") or _FIXED_MESSAGES.get(code)
    if spoken:
        reason = _reason_of_kill(error) or _limit_exceeded(error)
        return f"{spoken}: {reason}" if reason else spoken
    return _displayed(_EXPECTING.sub("", _POSITION.sub("", error.message)))


def _displayed(text: str) -> str:
    """A text of Trino's without addresses of servers, and of bounded length."""
    return _ADDRESS.sub("[…]", text)[:_MAX_MESSAGE_CHARS].strip()


def _reason_of_kill(error: TrinoQueryError) -> str:
    """What the administrator wrote for whoever submitted the query (`kill_query`'s `message`)."""
    found = _KILLED.search(error.message) if error.error_name in _BY_ADMINISTRATORS else None
    return "" if found is None else _displayed(found[1])


def _limit_exceeded(error: TrinoQueryError) -> str:
    """Which of Trino's own limits it was: there are several for time, and for memory."""
    is_limit = (error.error_name or "").startswith("EXCEEDED_")
    found = _LIMIT.search(error.message) if is_limit else None
    return "" if found is None else found[1]


def _refusal(status: int) -> str:
    if status == CERTIFICATE_REFUSED:
        return "The engine's certificate is not trusted"
    if status in _REFUSED:
        return "The engine does not accept the source's credentials"
    return f"The engine does not take statements now (HTTP {status})"
