"""The statements of a script: where one ends, without understanding any."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*(?:'|\Z)        # a text
    | "(?:[^"]|"")*(?:"|\Z)      # a name
    | --[^\n]*                   # a comment to the end of the line
    | /\*.*?(?:\*/|\Z)           # a comment
    | ;
    """,
    re.VERBOSE | re.DOTALL,
)
_TOKEN_OR_WORD = re.compile(rf"{_TOKEN.pattern} | [A-Za-z_]\w*", _TOKEN.flags)


@dataclass(frozen=True, slots=True)
class Part:
    """A statement or a command, and the line of the text in which it begins."""

    text: str
    line: int


def statements_of(script: str) -> list[Part]:
    """The statements, without the semicolons between them and without empty ones.

    A semicolon in a text, a quoted name, a comment or a routine (WITH FUNCTION … BEGIN … END)
    separates nothing.
    """
    found, rest = split_statements(script)
    return list(numbered([*found, rest.strip()] if has_content(rest) else found, script))


def numbered(statements: list[str], chunk: str, first: int = 1) -> Iterator[Part]:
    """The statements of a chunk of the text, which begins in line `first`."""
    at = 0
    for one in statements:
        at = chunk.index(one, at)
        yield Part(one, first + chunk.count("\n", 0, at))
        at += len(one)


def split_statements(script: str) -> tuple[list[str], str]:
    """The statements that end with a semicolon, and what follows the last one, as it is."""
    found, start = [], 0
    words: list[str] = []
    for token in _TOKEN_OR_WORD.finditer(script):
        if token[0] == ";" and not _is_in_routine(words):
            found.append(script[start : token.start()])
            start, words = token.end(), []
        elif token[0] == ";" or token[0].isidentifier():
            words.append(token[0].upper())
    return [text.strip() for text in found if has_content(text)], script[start:]


def _is_in_routine(words: list[str]) -> bool:
    """Whether these words have begun a routine, which has semicolons of its own."""
    if words[:2] != ["WITH", "FUNCTION"]:
        return False
    depth = 0
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if word == "BEGIN" or (word == "CASE" and before != "END"):
            depth += 1
        elif word == "END" and after not in {"IF", "LOOP", "WHILE", "REPEAT"}:
            depth -= 1
    return depth > 0


_PARAMETER = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")


def with_used(parameters: Mapping[str, T], sql: str) -> dict[str, T]:
    """Those of a script's parameters that this statement names, whatever their case."""
    plain = _TOKEN.sub(lambda token: token[0] if token[0] == ";" else " ", sql)
    names = {name.lower() for name in _PARAMETER.findall(plain)}
    return {name: value for name, value in parameters.items() if name.lower() in names}


def has_content(text: str) -> bool:
    """Whether there is more than blanks and comments."""
    return bool(without_comments(text).strip())


def is_open(text: str) -> bool:
    """Whether the text ends within a text, a quoted name or a comment between /* and */."""
    tokens = [token[0] for token in _TOKEN.finditer(text)]
    return bool(tokens) and text.endswith(tokens[-1]) and not _is_closed(tokens[-1])


def _is_closed(token: str) -> bool:
    if token.startswith("/*"):
        return len(token) > 3 and token.endswith("*/")
    if token[0] in "'\"":
        return len(token) > 1 and token.count(token[0]) % 2 == 0
    return True


def without_comments(text: str) -> str:
    """The statements alone: on one line, a comment would seem to go on to its end."""
    return _TOKEN.sub(lambda token: " " if token[0].startswith(("--", "/*")) else token[0], text)
