"""The guard's interface: whether a statement is accepted when it is submitted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

MAX_STATEMENT_CHARS = 1_000_000
"""The length of SQL that the API accepts (contract F7)."""

GuardName = Literal["trino", "duckdb", "session"]
"""Who checks a statement: our parser of Trino's SQL, DuckDB's parser, or only the engine's own
session, when the statement runs."""

BEYOND_THE_CONTRACT = ("values", "explain", "schemas", "catalogs", "create", "stats", "session")
"""Kinds of statement that Trino has and the contract does not name: VALUES and TABLE, EXPLAIN,
SHOW SCHEMAS, SHOW CATALOGS, SHOW CREATE, SHOW STATS, SHOW SESSION and of roles and grants. A
setting allows them (contract H9)."""


class Refusal(StrEnum):
    """Why a statement is refused at submit."""

    BLANK = "blank"
    TOO_LONG = "too_long"
    BAD_CHARACTER = "bad_character"
    SEVERAL_STATEMENTS = "several_statements"
    NOT_READ_ONLY = "not_read_only"
    NOT_ALLOWED = "not_allowed"
    TOO_COMPLEX = "too_complex"
    BAD_PARAMETERS = "bad_parameters"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The guard's decision. `statement` is what a worker will run: one statement, no semicolon.

    `refusal` is None when the statement is accepted. A statement that does not parse is
    accepted (contract H8): its run fails with the engine's message, line and column.
    `kind` is one of `BEYOND_THE_CONTRACT`, with its position, for a statement of such a kind.
    """

    statement: str
    refusal: Refusal | None = None
    message: str = ""
    line: int | None = None
    column: int | None = None
    kind: str = ""

    @property
    def accepted(self) -> bool:
        """Whether a run may be made of it."""
        return self.refusal is None


def within(verdict: Verdict, taken: Collection[str]) -> Verdict:
    """The verdict where only those of `BEYOND_THE_CONTRACT` are taken that `taken` names."""
    if not verdict.accepted or not verdict.kind or verdict.kind in taken:
        return verdict
    message = f"{_WORDS[verdict.kind]} statements are not allowed here"
    return replace(verdict, statement="", refusal=Refusal.NOT_ALLOWED, message=message)


_WORDS = {
    "values": "VALUES",
    "explain": "EXPLAIN",
    "schemas": "SHOW SCHEMAS",
    "catalogs": "SHOW CATALOGS",
    "create": "SHOW CREATE",
    "stats": "SHOW STATS",
    "session": "SHOW SESSION, SHOW ROLES and SHOW GRANTS",
}
