"""Spark's errors in our words: which failure each is, where it is, and what it may say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from queryrun.engines.duckdb.arrow_encoder import INTERRUPTED
from queryrun.engines.spark.error_details import SparkErrorDetails
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.position import SourcePosition, position_after

BY_SQL_STATE: Mapping[str, FailureCode] = {
    "02": FailureCode.STATEMENT_FAILED,
    "07": FailureCode.SYNTAX_ERROR,
    "0A": FailureCode.NOT_SUPPORTED,
    "21": FailureCode.STATEMENT_FAILED,
    "22": FailureCode.INVALID_VALUE,
    "22KD1": FailureCode.NAME_NOT_FOUND,
    "23": FailureCode.STATEMENT_FAILED,
    "24": FailureCode.STATEMENT_FAILED,
    "2B": FailureCode.STATEMENT_FAILED,
    "38": FailureCode.STATEMENT_FAILED,
    "39": FailureCode.STATEMENT_FAILED,
    "3F": FailureCode.NAME_NOT_FOUND,
    "40": FailureCode.ENGINE_UNAVAILABLE,
    "42": FailureCode.TYPE_MISMATCH,
    "42501": FailureCode.NOT_ALLOWED,
    "42601": FailureCode.SYNTAX_ERROR,
    "42602": FailureCode.SYNTAX_ERROR,
    "42604": FailureCode.SYNTAX_ERROR,
    "42617": FailureCode.SYNTAX_ERROR,
    "42702": FailureCode.AMBIGUOUS_NAME,
    "42703": FailureCode.NAME_NOT_FOUND,
    "42704": FailureCode.NAME_NOT_FOUND,
    "42883": FailureCode.NAME_NOT_FOUND,
    "42K02": FailureCode.NAME_NOT_FOUND,
    "42K03": FailureCode.DATA_UNREADABLE,
    "42KD9": FailureCode.DATA_UNREADABLE,
    "42P01": FailureCode.NAME_NOT_FOUND,
    "42P02": FailureCode.SYNTAX_ERROR,
    "42P08": FailureCode.NAME_NOT_FOUND,
    "46": FailureCode.NOT_SUPPORTED,
    "51": FailureCode.DATA_UNREADABLE,
    "53": FailureCode.MEMORY_LIMIT_EXCEEDED,
    "54": FailureCode.STATEMENT_FAILED,
    "55": FailureCode.STATEMENT_FAILED,
    "56": FailureCode.NOT_SUPPORTED,
    "58": FailureCode.DATA_UNREADABLE,
    "82": FailureCode.MEMORY_LIMIT_EXCEEDED,
    "F0": FailureCode.INTERNAL_ERROR,
    "HV": FailureCode.DATA_UNREADABLE,
    "HY": FailureCode.ENGINE_UNAVAILABLE,
    "HY008": FailureCode.STATEMENT_FAILED,
    "KD": FailureCode.DATA_UNREADABLE,
    "P0": FailureCode.INVALID_VALUE,
    "XX": FailureCode.INTERNAL_ERROR,
    "XXKDA": FailureCode.STATEMENT_FAILED,
}
"""By SQLSTATE, or by its class, the first two characters. A test compares with Spark's own list.

HY: a session or an operation that Spark does not know any more, or another one in its place.
P0: `raise_error`, by which translated statements refuse values.
"""

BY_STATUS: Mapping[str, FailureCode] = {
    "CANCELLED": FailureCode.STATEMENT_FAILED,
    "DATA_LOSS": FailureCode.ENGINE_UNAVAILABLE,
    "DEADLINE_EXCEEDED": FailureCode.ENGINE_UNAVAILABLE,
    "PERMISSION_DENIED": FailureCode.ENGINE_UNAVAILABLE,
    "RESOURCE_EXHAUSTED": FailureCode.ENGINE_UNAVAILABLE,
    "UNAUTHENTICATED": FailureCode.ENGINE_UNAVAILABLE,
    "UNAVAILABLE": FailureCode.ENGINE_UNAVAILABLE,
    "UNKNOWN": FailureCode.ENGINE_UNAVAILABLE,
}
"""By gRPC's status, for what never got as far as a SQLSTATE."""

_BY_EXCEPTION: tuple[tuple[str, FailureCode], ...] = (
    ("OutOfMemoryError", FailureCode.MEMORY_LIMIT_EXCEEDED),
    ("AccessControlException", FailureCode.NOT_ALLOWED),
    ("AuthorizationException", FailureCode.NOT_ALLOWED),
    ("org.apache.spark.sql.AnalysisException", FailureCode.STATEMENT_FAILED),
    ("java.lang.StackOverflowError", FailureCode.STATEMENT_FAILED),
    ("java.io.IOException", FailureCode.DATA_UNREADABLE),
    ("org.apache.spark.SparkException", FailureCode.ENGINE_UNAVAILABLE),
    ("java.lang.IllegalStateException", FailureCode.ENGINE_UNAVAILABLE),
)
"""By the end of a Java class's name, for errors without a SQLSTATE; the first that fits.

A bare SparkException is a job that lost its executors, an IllegalStateException a context that
has been stopped.
"""

_COMPILED = frozenset(
    [
        FailureCode.NAME_NOT_FOUND,
        FailureCode.AMBIGUOUS_NAME,
        FailureCode.SYNTAX_ERROR,
        FailureCode.TYPE_MISMATCH,
    ]
)
"""What is not wrong with a translated statement: our compiler has found its names and types and
written its syntax. Spark refuses what it lacks, an older one functions for example."""
_BY_ZERO = frozenset(["DIVIDE_BY_ZERO", "INTERVAL_DIVIDED_BY_ZERO", "REMAINDER_BY_ZERO"])
"""One error in Trino, which advises nothing."""
_ABOUT_TABLES = frozenset(["42P01", "42P08", "SCHEMA_NOT_FOUND"])
"""But a table may have gone since the compiler saw it."""
_LEFT_TO_SPARK = frozenset(
    [
        *("42607", "42803", "42903", "UNSUPPORTED_GROUPING_EXPRESSION"),
        *("WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE",),
        "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE",
    ]
)
"""And the compiler does not check what may stand where there are groups and windows."""

_FIXED_MESSAGES = {
    FailureCode.DATA_UNREADABLE: "The source's data could not be read",
    FailureCode.ENGINE_UNAVAILABLE: "Spark cannot be reached, or has lost the statement",
    FailureCode.INTERNAL_ERROR: "The engine had an internal error",
    FailureCode.MEMORY_LIMIT_EXCEEDED: "Query exceeded the maximum memory",
    FailureCode.NOT_ALLOWED: "The statement reaches for something that is not allowed",
}
"""Codes whose own text stays inside: it is about the cluster, its paths and its hosts."""
_NOT_ACCEPTED = "Spark does not accept the source's credentials"
_REFUSALS = frozenset(["PERMISSION_DENIED", "UNAUTHENTICATED"])
"""gRPC's words for a call that never reached a session: its token was missing or wrong."""
_FAILED = "Spark could not run the statement"
_LACKING = "Spark cannot run this statement"
_OUR_ALIAS = re.compile(r"q_[a-z]+\d+")
_OUR_COLUMN = re.compile(r"c\d+")
"""How the compiler calls tables and columns for itself."""
_MAX_MESSAGE_CHARS = 2_000
_HEAD = re.compile(r"^\s*(?:\[[A-Z0-9_.]+\]\s*)+")
_TAIL = re.compile(
    r"(?<!\s)(?:\s*+SQLSTATE: \w{5}|\s*\n(?:== SQL|[ \t]+at |Driver stacktrace)).*", re.S
)
_ADVICE_ON_SETTINGS = re.compile(
    r"(?<![^.\n])[^.\n]*(?:\bset \"spark\.|\bspark\.sql\.)[^\n]*?(?:\.(?=\s|$)|$)"
)
_PARSED_AT = re.compile(r"\(?line (\d+), pos (\d+)\)?")
_RUNNING_AT = re.compile(r"\(line (\d+), position (\d+)\)")


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """What an error is read against. `sent` is the statement with `before` in front of it.

    `is_translated`: positions in what was sent are none in the statement as submitted, which
    `explained` looks at instead.
    """

    statement: str = field(default="", repr=False)
    before: str = ""
    is_translated: bool = False
    explained: Callable[[Failure], Failure] = lambda failure: failure


def failure_of(details: SparkErrorDetails, context: ErrorContext) -> RunFailed:
    """The failure that an error of Spark amounts to, with its position in the statement."""
    code = code_of(details)
    if context.is_translated and code in _COMPILED:
        return _of_translation(code, details)
    position = _position(details, context)
    line, column = (position.line, position.column) if position else (None, None)
    return RunFailed(context.explained(Failure(code, _message(code, details), line, column)))


def code_of(details: SparkErrorDetails) -> FailureCode:
    """Which failure it is: by SQLSTATE, else by exception, else by gRPC's status."""
    state = details.sql_state
    for known in (state, state[:2]):
        if known in BY_SQL_STATE:
            return BY_SQL_STATE[known]
    for ending, code in _BY_EXCEPTION:
        if any(name.endswith(ending) for name in details.hierarchy):
            return code
    return BY_STATUS.get(details.status, FailureCode.STATEMENT_FAILED)


def _message(code: FailureCode, details: SparkErrorDetails) -> str:
    """Some messages are fixed, because those of Spark name hosts, paths and settings."""
    if details.status == "CANCELLED":
        return INTERRUPTED
    if details.status in _REFUSALS:
        return _NOT_ACCEPTED
    if code in _FIXED_MESSAGES:
        return _FIXED_MESSAGES[code]
    if not details.error_class:
        return _FAILED
    return (_short_message(details) or _cleaned(details.message) or _FAILED)[:_MAX_MESSAGE_CHARS]


def _short_message(details: SparkErrorDetails) -> str:
    """What users of this service know, in the words that they know from other engines."""
    parameters = details.parameters
    if details.error_class.startswith("UNRESOLVED_COLUMN") and "objectName" in parameters:
        return f"Column '{_bare(parameters['objectName'])}' cannot be resolved" + _close(details)
    if details.error_class == "TABLE_OR_VIEW_NOT_FOUND" and "relationName" in parameters:
        return f"Table '{_bare(parameters['relationName'])}' does not exist"
    if details.error_class in _BY_ZERO:
        return "Division by zero"
    if details.error_class == "UNRESOLVED_ROUTINE" and "routineName" in parameters:
        return f"Function '{_bare(parameters['routineName'])}' does not exist"
    return ""


def _of_translation(code: FailureCode, details: SparkErrorDetails) -> RunFailed:
    """The compiler has resolved the names, so what Spark refuses is a limit of Spark."""
    words = {details.error_class, details.sql_state}
    if words & _ABOUT_TABLES:
        return RunFailed.of(code, _message(code, details))
    if words & _LEFT_TO_SPARK:
        return RunFailed.of(FailureCode.TYPE_MISMATCH, _message(code, details))
    message = f"{_LACKING}: {_limitation(details)}"
    return RunFailed.of(FailureCode.NOT_SUPPORTED, message[:_MAX_MESSAGE_CHARS])


def _limitation(details: SparkErrorDetails) -> str:
    """What Spark cannot do for a translated statement, without names of the compiler's own."""
    parameters = details.parameters
    if details.error_class.startswith("UNRESOLVED_COLUMN"):
        name = _submitted(parameters.get("objectName", ""))
        column = f"column '{name}'" if name else "a column"
        return f"{column} cannot be used in this place. Is it grouped?"
    if details.error_class == "UNRESOLVED_ROUTINE" and "routineName" in parameters:
        return f"it has no function '{_bare(parameters['routineName'])}'"
    return _cleaned(details.message) or details.error_class


def _submitted(name: str) -> str:
    """What of a translated name was in the statement as submitted; nothing for our own columns."""
    alias, _, rest = _bare(name).partition(".")
    column = rest if _OUR_ALIAS.fullmatch(alias) else _bare(name)
    return "" if _OUR_COLUMN.fullmatch(column) else column


def _close(details: SparkErrorDetails) -> str:
    names = [_bare(name) for name in details.parameters.get("proposal", "").split(", ") if name]
    return f". Did you mean {', '.join(names[:3])}?" if names else ""


def _bare(name: str) -> str:
    return ".".join(part.strip("`") for part in name.split("`.`"))


def _cleaned(message: str) -> str:
    """Spark's text without its class, its state, plans, traces, and advice on settings."""
    text = _TAIL.sub("", _HEAD.sub("", message))
    return _ADVICE_ON_SETTINGS.sub("", text).strip()


def _position(details: SparkErrorDetails, context: ErrorContext) -> SourcePosition | None:
    """Where in the statement as submitted; None when that is not known, or not in it."""
    if context.is_translated:
        return None
    for offset in details.offsets:
        at = offset - len(context.before)
        if 0 <= at <= len(context.statement):
            return position_after(context.statement[:at].encode())
    return _position_in_message(details.message, context)


def _position_in_message(message: str, context: ErrorContext) -> SourcePosition | None:
    """Some errors carry their position only in the text; the parser counts columns from 0."""
    parsed, running = _PARSED_AT.search(message), _RUNNING_AT.search(message)
    found = parsed or running
    if found is None:
        return None
    line = int(found[1]) - context.before.count("\n")
    column = int(found[2]) + (1 if parsed else 0)
    is_inside = 1 <= line <= context.statement.count("\n") + 1
    return SourcePosition(line, column) if is_inside else None
