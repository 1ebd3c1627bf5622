"""`EXECUTE IMMEDIATE '…' USING …`: the statement inside, its values, and where it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.trino.grammar.queries import QueryParser
from queryrun.sql.trino.markers import Value, moved_to
from queryrun.sql.trino.tokens import failure_at, statements_in, tokens_of


@dataclass(frozen=True, slots=True)
class Opened:
    """The statement that is to be compiled, and how its positions map to the submitted text."""

    text: str = field(repr=False)
    values: tuple[Value, ...] = field(default=(), repr=False)
    _submitted: str = field(default="", repr=False)
    _starts_at: int | None = None
    """Where the text inside begins; None: the statement is as submitted."""

    def position(self, line: int, column: int) -> tuple[int, int]:
        """The position in the submitted text of one in `text`; both count from 1."""
        if self._starts_at is None:
            return line, column
        lines = self.text.split("\n")
        inside = sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
        at = self._starts_at + inside + self.text.count("'", 0, inside)  # each is written twice
        before = self._submitted[:at]
        return before.count("\n") + 1, at - before.rfind("\n")

    def moved(self, failed: RunFailed) -> RunFailed:
        """A failure of the statement with the position in the submitted text."""
        failure = failed.failure
        if self._starts_at is None or failure.line is None or failure.column is None:
            return failed
        line, column = self.position(failure.line, failure.column)
        return type(failed)(replace(failure, line=line, column=column))


_BEGINS = re.compile(r"(?:\s|;|--[^\n]*\n|/\*.*?\*/)*+EXECUTE\b", re.I | re.S)
"""Gives nothing back: comments that could end at any later `*/` would take exponential time."""


def is_immediate(statement: str) -> bool:
    """Whether the statement begins with EXECUTE IMMEDIATE; a quick no for all others."""
    if not _BEGINS.match(statement):
        return False
    try:
        words = [token for token in tokens_of(statement) if token.text != ";"][:2]
    except RunFailed:
        return False
    return [token.text for token in words if token.kind == "word"] == ["EXECUTE", "IMMEDIATE"]


def opened(statement: str, values: Sequence[Value] = ()) -> Opened:
    """What is to be compiled: the statement itself, or the one that EXECUTE IMMEDIATE has inside.

    Raises `RunFailed` with the position in the statement as submitted.
    """
    if not is_immediate(statement):
        return Opened(statement, tuple(values))
    return _ImmediateParser(statement, values).opened()


class _ImmediateParser(QueryParser):
    """Reads EXECUTE IMMEDIATE, and no statement inside."""

    def opened(self) -> Opened:
        if statements_in(self.tokens) > 1:
            message = "Only one statement is allowed"
            raise failure_at(FailureCode.NOT_ALLOWED, message, self.statement, 0)
        while self.take_op(";"):
            pass
        self.expect_word("EXECUTE")
        self.expect_word("IMMEDIATE")
        starts_at = self.token.at + 1
        text = self.text()
        values = self._using()
        while self.take_op(";"):
            pass
        if self.token.kind != "end":
            self.fail("expected USING, or the end of the statement")
        self.markers.check_all_used(self.statement)
        if is_immediate(text):
            self.refuse("EXECUTE IMMEDIATE within EXECUTE IMMEDIATE is not supported", starts_at)
        return Opened(text, values, self.statement, starts_at)

    def _using(self) -> tuple[Value, ...]:
        if not self.take_word("USING"):
            return ()
        values = [self._value()]
        while self.take_op(","):
            values.append(self._value())
        return tuple(values)

    def _value(self) -> Value:
        """One value. A query or a call here could read rows that the statement may not see."""
        at = self.token.at
        expr = self.expression()
        try:
            return Value("", moved_to(expr, 0))
        except TypeError:
            self.refuse("USING takes literals, with a sign, in CAST, ARRAY or ROW, alone", at)
