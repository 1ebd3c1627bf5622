"""The parser's hands: looks at tokens, takes them, says where a statement goes wrong."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.nesting import MAX_NESTING, TOO_DEEP
from queryrun.sql.trino.markers import Markers, Value
from queryrun.sql.trino.records.ast import Ident
from queryrun.sql.trino.tokens import RESERVED, Token, failure_at, tokens_of


@dataclass(frozen=True, slots=True)
class Brackets:
    """Where round brackets lead, by the index of the one that opens.

    Without it each bracket of a run would look through all that follow it.
    """

    inside: Mapping[int, int]
    """The first token behind it that opens no bracket itself."""
    closing: Mapping[int, int]
    """The bracket that closes it; absent where none does."""

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> Brackets:
        """One pass over the tokens."""
        opened: list[int] = []
        closing: dict[int, int] = {}
        for index, token in enumerate(tokens):
            if token.kind == "operator" and token.text == "(":
                opened.append(index)
            elif token.kind == "operator" and token.text == ")" and opened:
                closing[opened.pop()] = index
        return cls(_inside([*opened, *closing]), closing)


def _inside(opening: Iterable[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for index in sorted(opening, reverse=True):
        found[index] = found.get(index + 1, index + 1)
    return found


class Reader:
    """A statement's tokens and the current index."""

    def __init__(self, statement: str, values: Sequence[Value] = ()) -> None:
        self.statement = statement
        self.markers = Markers(values)
        self.tokens = tokens_of(statement)
        self.index = 0
        self.token = self.tokens[0]
        self.depth = 0
        self._brackets_seen: Brackets | None = None

    @property
    def brackets(self) -> Brackets:
        """The round brackets of the statement; looked for once, when they first matter."""
        if self._brackets_seen is None:
            self._brackets_seen = Brackets.of(self.tokens)
        return self._brackets_seen

    def advance(self) -> Token:
        """The token at hand; the next one is at hand afterwards."""
        token = self.token
        if token.kind != "end":
            self.index += 1
            self.token = self.tokens[self.index]
        return token

    def lookahead(self, ahead: int = 1) -> Token:
        """A token further on."""
        return self.tokens[min(self.index + ahead, len(self.tokens) - 1)]

    def at_word(self, *words: str) -> bool:
        """Whether the token at hand is one of these words."""
        return self.token.kind == "word" and self.token.text in words

    def at_words(self, *words: str) -> bool:
        """Whether these words come next, in this order."""
        return all(
            (token := self.lookahead(ahead)).kind == "word" and token.text == word
            for ahead, word in enumerate(words)
        )

    def at_op(self, *operators: str) -> bool:
        """Whether the token at hand is one of these operators."""
        return self.token.kind == "operator" and self.token.text in operators

    def take_word(self, *words: str) -> bool:
        """Take one of these words if it comes next."""
        if self.at_word(*words):
            self.advance()
            return True
        return False

    def take_words(self, *words: str) -> bool:
        """Take all of these words if they come next."""
        if not self.at_words(*words):
            return False
        for _ in words:
            self.advance()
        return True

    def take_op(self, *operators: str) -> bool:
        """Take one of these operators if it comes next."""
        if self.at_op(*operators):
            self.advance()
            return True
        return False

    def expect_word(self, *words: str) -> Token:
        """Take one of these words, or fail."""
        if not self.at_word(*words):
            self.fail(f"expected {' or '.join(words)}")
        return self.advance()

    def expect_op(self, operator: str) -> Token:
        """Take this operator, or fail."""
        if not self.at_op(operator):
            self.fail(f"expected '{operator}'")
        return self.advance()

    def at_name(self) -> bool:
        """Whether the token at hand can be a name."""
        token = self.token
        return token.kind == "quoted" or (token.kind == "word" and token.text not in RESERVED)

    def name(self) -> Ident:
        """Take a name, or fail."""
        token = self.token
        if token.kind == "quoted":
            self.advance()
            return Ident(token.text[1:-1].replace('""', '"'), True, token.at)
        if token.kind == "word" and token.text not in RESERVED:
            self.advance()
            return Ident(token.raw, False, token.at)
        self.fail("expected a name")

    def names_in_brackets(self) -> list[Ident]:
        """`(a, b)` after an alias; nothing when no bracket follows."""
        if not self.take_op("("):
            return []
        names = [self.name()]
        while self.take_op(","):
            names.append(self.name())
        self.expect_op(")")
        return names

    def text(self) -> str:
        """Take a string literal, or fail."""
        if self.token.kind != "string":
            self.fail("expected a string")
        return self.advance().text[1:-1].replace("''", "'")

    def at_marker(self) -> bool:
        """Whether a parameter is at hand: `?`, or `:name` without a blank between."""
        if self.at_op("?"):
            return True
        name = self.lookahead()
        return self.at_op(":") and name.kind == "word" and name.at == self.token.at + 1

    def marker(self) -> tuple[str, int, int]:
        """Take the parameter at hand: its name, empty for `?`, where it stands and its length."""
        at = self.token.at
        if self.advance().text == "?":
            return "", at, 1
        name = self.advance().raw
        return name, at, len(name) + 1

    def enter(self) -> None:
        """One level deeper, some 15 frames. Raises `RunFailed` when that is too deep."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.refuse(TOO_DEEP, self.token.at)

    def leave(self) -> None:
        """One level up again."""
        self.depth -= 1

    def fail(self, expectation: str) -> NoReturn:
        """Say what was expected at the token at hand."""
        raise self.syntax_error(expectation)

    def syntax_error(self, expectation: str) -> RunFailed:
        """The failure for a token that cannot be here."""
        token = self.token
        found = token.text if token.kind == "end" else f"'{token.raw}'"
        message = f"mismatched input at {found}: {expectation}"
        return failure_at(FailureCode.SYNTAX_ERROR, message, self.statement, token.at)

    def refuse(self, message: str, at: int) -> NoReturn:
        """Something of Trino's that we do not offer."""
        raise failure_at(FailureCode.NOT_SUPPORTED, message, self.statement, at)
