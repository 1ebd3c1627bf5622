"""DuckDB's errors in our words: which failure each is, where it is, and what it may say."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.position import position_after
from queryrun.tables.shortage import is_about_the_statement, shortage_in

CODES: dict[type[duckdb.Error], FailureCode] = {
    duckdb.BinderException: FailureCode.TYPE_MISMATCH,
    duckdb.CatalogException: FailureCode.NAME_NOT_FOUND,
    duckdb.ConnectionException: FailureCode.INTERNAL_ERROR,
    duckdb.ConstraintException: FailureCode.STATEMENT_FAILED,
    duckdb.ConversionException: FailureCode.INVALID_VALUE,
    duckdb.DataError: FailureCode.INVALID_VALUE,
    duckdb.DatabaseError: FailureCode.STATEMENT_FAILED,
    duckdb.DependencyException: FailureCode.INTERNAL_ERROR,
    duckdb.Error: FailureCode.STATEMENT_FAILED,
    duckdb.FatalException: FailureCode.INTERNAL_ERROR,
    duckdb.HTTPException: FailureCode.NOT_ALLOWED,
    duckdb.IntegrityError: FailureCode.STATEMENT_FAILED,
    duckdb.InternalError: FailureCode.INTERNAL_ERROR,
    duckdb.InternalException: FailureCode.INTERNAL_ERROR,
    duckdb.InterruptException: FailureCode.STATEMENT_FAILED,
    duckdb.InvalidInputException: FailureCode.INVALID_VALUE,
    duckdb.InvalidTypeException: FailureCode.TYPE_MISMATCH,
    duckdb.IOException: FailureCode.DATA_UNREADABLE,
    duckdb.NotImplementedException: FailureCode.STATEMENT_FAILED,
    duckdb.NotSupportedError: FailureCode.STATEMENT_FAILED,
    duckdb.OperationalError: FailureCode.STATEMENT_FAILED,
    duckdb.OutOfMemoryException: FailureCode.MEMORY_LIMIT_EXCEEDED,
    duckdb.OutOfRangeException: FailureCode.INVALID_VALUE,
    duckdb.ParserException: FailureCode.SYNTAX_ERROR,
    duckdb.PermissionException: FailureCode.NOT_ALLOWED,
    duckdb.ProgrammingError: FailureCode.STATEMENT_FAILED,
    duckdb.ResourceInUseException: FailureCode.INTERNAL_ERROR,
    duckdb.SequenceException: FailureCode.STATEMENT_FAILED,
    duckdb.SerializationException: FailureCode.DATA_UNREADABLE,
    duckdb.SyntaxException: FailureCode.SYNTAX_ERROR,
    duckdb.TransactionException: FailureCode.INTERNAL_ERROR,
    duckdb.TypeMismatchException: FailureCode.TYPE_MISMATCH,
}
"""One code per class, none left out (a test compares with `duckdb.Error`'s subclasses)."""

_BY_NAME = {kind.__name__.lower(): kind for kind in CODES}

_FIXED_MESSAGES = {
    FailureCode.NOT_ALLOWED: "The statement reaches for something that is not allowed",
    FailureCode.INTERNAL_ERROR: "The engine had an internal error",
    FailureCode.ENGINE_UNAVAILABLE: "the limit of threads or of open files is reached",
}
"""Codes whose own text stays inside: it is about our server, not about the statement."""

OUT_OF_MEMORY = "Query exceeded the maximum memory"
_MAX_MESSAGE_CHARS = 2_000
_ADVICE_ON_SETTINGS = re.compile(
    r"(?<!\n)\n++(?:Use|Possible solutions:?|You can|\* )[^\n]*(?:SET|PRAGMA).*", re.S
)
_NO_COLUMN = re.compile(
    r'does not have a column named "(?P<name>(?:[^"]|"")*)"'
    r"|Cannot extract field '(?P<field>[^']*)' from expression"
)
_CANDIDATE_FUNCTIONS = re.compile(r"\s*Candidate functions:.*", re.S)
_IN_A_FUNCTION = re.compile(
    r"(?:Invalid Input Error: )?Python exception occurred while executing the UDF: "
    r"(?P<kind>\w+)(?:: (?P<text>.*))?",
    re.S,
)
"""What a worker's function raised: `functions.registry` lets through what may be shown."""
_IS_ABOUT_PARAMETERS = "Values were not provided for the following parameters"
_AMBIGUOUS = ("Ambiguous reference to column name", "Ambiguous reference to table")
_DISK_IS_FULL = ("No space left on device", "Disk quota exceeded")
"""The spill's disk: it is the only thing that a session writes to, beside the pipe."""
_SPILL_IS_FULL = ("max_temp_directory_size", "failed to offload data block")


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """What an error is read against: the statement as submitted, and the tables there are."""

    statement: str
    table_names: Sequence[str]
    secret_paths: Sequence[str]
    """Directories of ours that no message may name."""
    spill_path: str = ""
    """The one of them for intermediate results: an error about it is the node's, not the data's."""


def failure_of(error: duckdb.Error, context: ErrorContext, relation_at: int) -> RunFailed:
    """The failure that an error of DuckDB amounts to, with its position in the statement."""
    details = _ErrorDetails.by(error)
    if match := _IN_A_FUNCTION.match(details.message):
        return _failure_in_function(match)
    code = _code_of(error, details, context)
    message = _FIXED_MESSAGES.get(code) or _message_of(code, details, context)
    line, column = _position(details, context, relation_at)
    return RunFailed(Failure(code, message, line, column))


def _failure_in_function(match: re.Match[str]) -> RunFailed:
    """A worker's function refused a value: of its errors only ours have words for the caller."""
    text = (match["text"] or "").strip()
    if match["kind"] == "InputError":
        return RunFailed.of(FailureCode.INVALID_VALUE, text[:_MAX_MESSAGE_CHARS])
    if match["kind"] == "UnsupportedError":
        return RunFailed.of(FailureCode.NOT_SUPPORTED, f"{text} is not supported")
    if match["kind"] == "MemoryError":
        return RunFailed.of(FailureCode.MEMORY_LIMIT_EXCEEDED, OUT_OF_MEMORY)
    message = _FIXED_MESSAGES[FailureCode.INTERNAL_ERROR]
    return RunFailed.of(FailureCode.INTERNAL_ERROR, message)


@dataclass(frozen=True, slots=True)
class _ErrorDetails:
    """An error of DuckDB, parsed. `fields` is what `errors_as_json` tells."""

    message: str
    fields: dict[str, Any]

    @classmethod
    def by(cls, error: duckdb.Error) -> _ErrorDetails:
        text = str(error)
        start = text.find("{")
        try:
            fields = json.loads(text[start:]) if start >= 0 else {}
        except ValueError:
            fields = {}
        if not isinstance(fields, dict) or "exception_message" not in fields:
            return cls(text.split("\n\nLINE ")[0].strip(), {})
        return cls(str(fields["exception_message"]).strip(), fields)

    def kind(self, error: duckdb.Error) -> type[duckdb.Error]:
        """The error's class, also when it came through Arrow, which keeps only its text."""
        name = str(self.fields.get("exception_type", "")).replace(" ", "").lower() + "exception"
        return _BY_NAME.get(name, type(error))

    @property
    def offset(self) -> int | None:
        position = str(self.fields.get("position", ""))
        return int(position) if position.isdecimal() else None

    @property
    def subtype(self) -> str:
        return str(self.fields.get("error_subtype", ""))

    @property
    def name(self) -> str:
        return str(self.fields.get("name", ""))

    @property
    def candidates(self) -> list[str]:
        return [c for c in str(self.fields.get("candidates", "")).split(",") if c]


def _code_of(error: duckdb.Error, details: _ErrorDetails, context: ErrorContext) -> FailureCode:
    """The class of an error is the last resort: DuckDB raises one class for several causes."""
    kind = details.kind(error)
    if _is_spill_full(details) and not is_about_the_statement(kind):
        return FailureCode.MEMORY_LIMIT_EXCEEDED
    if isinstance(error, duckdb.IOException) and any(w in details.message for w in _DISK_IS_FULL):
        return FailureCode.STORAGE_FULL
    if shortage_in(details.message, kind):
        return FailureCode.ENGINE_UNAVAILABLE
    if context.spill_path and context.spill_path in details.message and _is_io(error, details):
        return FailureCode.STORAGE_FAILED
    names_our_files = any(path in details.message for path in context.secret_paths)
    if names_our_files and not isinstance(error, duckdb.PermissionException):
        return FailureCode.DATA_UNREADABLE
    if details.subtype == "COLUMN_NOT_FOUND" or _NO_COLUMN.search(details.message):
        return FailureCode.NAME_NOT_FOUND
    if _IS_ABOUT_PARAMETERS in details.message:
        return FailureCode.SYNTAX_ERROR
    if details.message.endswith(" is not supported") and "\n" not in details.message:
        return FailureCode.NOT_SUPPORTED  # raised by a translation, for a value it cannot take
    if details.message.startswith(_AMBIGUOUS):
        return FailureCode.AMBIGUOUS_NAME
    return next(CODES[kind] for kind in details.kind(error).__mro__ if kind in CODES)


def _is_spill_full(details: _ErrorDetails) -> bool:
    return any(words in details.message for words in _SPILL_IS_FULL)


def _is_io(error: duckdb.Error, details: _ErrorDetails) -> bool:
    return issubclass(details.kind(error), duckdb.IOException)


def _message_of(code: FailureCode, details: _ErrorDetails, context: ErrorContext) -> str:
    """Some messages are replaced, because they would name files or settings of the server."""
    if code is FailureCode.MEMORY_LIMIT_EXCEEDED:
        return _out_of_memory(details)
    if code is FailureCode.STORAGE_FULL:
        return "There is no space left for intermediate results"
    if code is FailureCode.STORAGE_FAILED:
        return "Intermediate results could not be written or read"
    if code is FailureCode.NAME_NOT_FOUND:
        return _not_found(details, context)
    if code is FailureCode.DATA_UNREADABLE:
        return "A table's data could not be read"
    if _IS_ABOUT_PARAMETERS in details.message:
        return "Parameters (?, $1) are not supported in a statement"
    return _without_internals(details.message, context)


def _out_of_memory(details: _ErrorDetails) -> str:
    if _is_spill_full(details):
        return "Query exceeded the maximum space for intermediate results"
    return OUT_OF_MEMORY


def _not_found(details: _ErrorDetails, context: ErrorContext) -> str:
    """Worded like Trino, so that clients see the same message on every engine."""
    column = _NO_COLUMN.search(details.message)
    if column:
        return f"Column '{column['name'] or column['field']}' cannot be resolved"
    if details.subtype == "COLUMN_NOT_FOUND":
        return f"Column '{details.name}' cannot be resolved" + _did_you_mean(
            _bare(details.candidates)
        )
    if details.fields.get("type") == "Table":
        close = difflib.get_close_matches(
            details.name.lower(), context.table_names, n=3, cutoff=0.6
        )
        return f"Table '{details.name}' does not exist" + _did_you_mean(close)
    if str(details.fields.get("type", "")).endswith("Function"):
        return f"Function '{details.name}' does not exist" + _did_you_mean(
            _bare(details.candidates)
        )
    return _without_internals(details.message, context)


def _bare(candidates: Iterable[str]) -> list[str]:
    return [candidate.strip().strip('"') for candidate in candidates][:3]


def _did_you_mean(names: Sequence[str]) -> str:
    if not names:
        return ""
    return ". Did you mean " + " or ".join(f"'{name}'" for name in names) + "?"


def _without_internals(message: str, context: ErrorContext) -> str:
    """The engine's words without our paths and without advice on settings nobody may change."""
    text = _CANDIDATE_FUNCTIONS.sub("", _ADVICE_ON_SETTINGS.sub("", message))
    for path in context.secret_paths:
        text = text.replace(path, "[data]")
    return text[:_MAX_MESSAGE_CHARS].strip()


def _position(
    details: _ErrorDetails, context: ErrorContext, relation_at: int
) -> tuple[int | None, int | None]:
    """Offsets before the relation point into SQL of ours, so they get no position."""
    if details.offset is None or details.offset < relation_at:
        return None, None
    data = context.statement.encode()
    position = position_after(data[: min(details.offset - relation_at, len(data))])
    return position.line, position.column
