"""DuckDB's type names, read into a tree: `STRUCT(a INTEGER, b DECIMAL(18,6)[])` and the like."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

_TOKEN = re.compile(r"""\s*("(?:[^"]|"")*"|'(?:[^']|'')*'|[^\s"'(),\[\]]+|[(),\[\]])""")
_T = TypeVar("_T")
_NESTED = frozenset({"LIST", "ARRAY", "STRUCT", "TUPLE", "MAP", "UNION"})


@dataclass(frozen=True, slots=True)
class Type:
    """A type. `children` of a struct or union are its members in order, `names` their names."""

    name: str
    children: tuple[Type, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def is_nested(self) -> bool:
        """Whether a value has parts."""
        return self.name in _NESTED


def parse_type(text: str) -> Type:
    """The type that DuckDB calls `text`. Unknown syntax gives a plain type of that name."""
    reader = _Reader(_TOKEN.findall(text))
    try:
        found = reader.type()
    except (IndexError, ValueError):
        return Type(text)
    return found if reader.is_done else Type(text)


class _Reader:
    """Parses tokens from left to right. Raises IndexError or ValueError for other texts."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def is_done(self) -> bool:
        return self._at == len(self._tokens)

    def type(self) -> Type:
        found = self._with_arguments(self._name())
        while self._next_is("["):
            self._take("[")
            is_list = self._next_is("]")
            if not is_list:
                self._any()
            self._take("]")
            found = Type("LIST" if is_list else "ARRAY", (found,))
        return found

    def _name(self) -> str:
        words = [self._any().strip('"')]
        while not self.is_done and self._tokens[self._at] not in "(),[]":
            words.append(self._any())
        return " ".join(words).upper()

    def _with_arguments(self, name: str) -> Type:
        """Only arguments of nested types matter; those of others do not affect formatting."""
        if not self._next_is("("):
            return Type(name)
        if name in {"STRUCT", "UNION"}:
            members = self._between_brackets(self._member)
            return Type(name, tuple(kind for _, kind in members), tuple(n for n, _ in members))
        if name in {"MAP", "TUPLE"}:
            return Type(name, tuple(self._between_brackets(self.type)))
        self._between_brackets(self._any)
        return Type(name)

    def _member(self) -> tuple[str, Type]:
        name = self._any()
        if name.startswith('"'):
            name = name[1:-1].replace('""', '"')
        return name, self.type()

    def _between_brackets(self, read: Callable[[], _T]) -> list[_T]:
        """Takes the reader of one item: members of `STRUCT` have names, other items do not."""
        self._take("(")
        parts = [read()]
        while self._next_is(","):
            self._take(",")
            parts.append(read())
        self._take(")")
        return parts

    def _next_is(self, token: str) -> bool:
        return not self.is_done and self._tokens[self._at] == token

    def _take(self, token: str) -> None:
        if self._any() != token:
            raise ValueError(token)

    def _any(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]
