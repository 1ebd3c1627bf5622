"""What the machine was short of while a table was read: that says nothing about the table.

Wherever an error of reading becomes a fault of the data, it is asked here first. A fault of the
data is final; a shortage passes, and the run waits for that.
"""

from __future__ import annotations

import re

from queryrun.causes import Cause, cause_of, chain_of
from queryrun.errors import FailureCode, RunFailed

_BY_WORDS = {
    "Too many open files": Cause.NO_DESCRIPTORS,
    "Resource temporarily unavailable": Cause.NO_PROCESSES,
    "thread constructor failed": Cause.NO_PROCESSES,
}
"""How the engine says it."""
_NUMBERED = re.compile(r"\(os error (\d+)\)")
"""How libraries that are written in Rust end what the system has told them."""
_ENGINE = "_duckdb"
"""The module of all its errors."""
_OF_PROCESS = {Cause.NO_DESCRIPTORS, Cause.NO_PROCESSES, Cause.NO_MEMORY}
_ABOUT_THE_STATEMENT = frozenset(
    ["BinderException", "CatalogException", "DataError", "InvalidInputException", "ParserException"]
)
"""Errors of DuckDB that quote the statement and its values: words found in them prove nothing. By
name, because a node reads definitions of tables and loads no engine."""


def raise_if_short(error: BaseException) -> None:
    """Raise `RunFailed` (`engine_unavailable`, which is not charged) when the machine lacked
    descriptors, threads or memory. Returns for every other error."""
    if cause := shortage_of(error):
        raise RunFailed.of(FailureCode.ENGINE_UNAVAILABLE, cause.sentence) from error


def shortage_of(error: BaseException) -> Cause | None:
    """What the machine lacked, by an error or what it was raised from; None: it lacked nothing."""
    found = (_by_words(one) or cause_of(one) for one in chain_of(error))
    return next((cause for cause in found if cause in _OF_PROCESS), None)


def shortage_in(message: str, kind: type[BaseException]) -> Cause | None:
    """The same by the text and class of an error of DuckDB."""
    if is_about_the_statement(kind):
        return None
    return next((cause for words, cause in _BY_WORDS.items() if words in message), None)


def is_about_the_statement(kind: type[BaseException]) -> bool:
    """Whether errors of this class of DuckDB quote what the statement has."""
    return not _ABOUT_THE_STATEMENT.isdisjoint(one.__name__ for one in kind.__mro__)


def _by_words(error: BaseException) -> Cause | None:
    if type(error).__module__ == _ENGINE:
        return shortage_in(str(error), type(error))
    if isinstance(error, OSError) or not (match := _NUMBERED.search(str(error))):
        return None
    return cause_of(OSError(int(match[1]), ""))
