"""What to do next, behind an error of the server's: it does not know how it was asked."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun_client import (
    ClientError,
    NotFound,
    Refused,
    RunFailed,
    Unauthorized,
    Unreachable,
)

_UNREACHABLE = (
    "Does it run? `queryrun serve` starts a home's server; `queryrun config` prints which server "
    "is used, and where that is set"
)
_UNAUTHORIZED = (
    "`queryrun config` prints which credentials are used, and where they are set; `queryrun login` "
    "keeps new ones"
)
_RUNS = "`queryrun ls` lists the runs"


@dataclass(frozen=True, slots=True)
class Words:
    """How a command line or the shell calls what helps."""

    tables: str
    parameters: str


COMMAND = Words("`queryrun tables` lists the tables", "`-p NAME=VALUE` gives a value")
SHELL = Words("`\\d` lists the tables", "`\\set NAME=VALUE` gives a value")


def hint(error: ClientError, words: Words = COMMAND) -> str:
    """One sentence; empty where the error itself says all there is."""
    if isinstance(error, Unreachable):
        return _UNREACHABLE
    if isinstance(error, Unauthorized):
        return _UNAUTHORIZED
    if not isinstance(error, Refused | RunFailed):
        return ""
    if error.message.startswith("Table '") and _is_about_a_name(error):
        return words.tables
    if error.message.startswith("The statement has the parameter"):
        return words.parameters
    return _RUNS if isinstance(error, NotFound) and error.message.startswith("Query run") else ""


def _is_about_a_name(error: Refused | RunFailed) -> bool:
    return isinstance(error, NotFound) or error.code == "name_not_found"
