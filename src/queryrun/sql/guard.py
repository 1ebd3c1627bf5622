"""The guard's interface: may this statement be accepted? The sandbox is the wall."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_STATEMENT_CHARS = 1_000_000
"""Contract F7: SQL length for API submissions."""


class Refusal(StrEnum):
    """Why a statement is refused at submit."""

    BLANK = "blank"
    TOO_LONG = "too_long"
    BAD_CHARACTER = "bad_character"
    SEVERAL_STATEMENTS = "several_statements"
    NOT_READ_ONLY = "not_read_only"
    NOT_ALLOWED = "not_allowed"
    TOO_COMPLEX = "too_complex"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The guard's answer. `statement` is what a worker will run: one statement, no semicolon.

    `refusal` is None when the statement is accepted. A statement that does not parse is
    accepted (contract H8): its run fails with the engine's own words, line and column.
    """

    statement: str
    refusal: Refusal | None = None
    message: str = ""
    line: int | None = None
    column: int | None = None

    @property
    def accepted(self) -> bool:
        """Whether a run may be made of it."""
        return self.refusal is None
