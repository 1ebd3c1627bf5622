"""Statements as tokens, by Trino's lexical rules. Nothing here knows grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.nesting import MAX_NESTING, TOO_DEEP

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|--[^\n]*|/\*.*?\*/)
    |(?P<double>(?:\d[\d_]*(?:\.\d*)?|\.\d+)[eE][+-]?\d+)
    |(?P<decimal>\d[\d_]*\.\d*|\.\d+)
    |(?P<radix>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+)(?!\w)
    |(?P<name_of_digits>\d\w*[A-Za-z]\w*)
    |(?P<integer>\d[\d_]*)
    |(?P<binary>[xX]'(?:[^']|'')*')
    |(?P<unicode>[uU]&'(?:[^']|'')*')
    |(?P<string>'(?:[^']|'')*')
    |(?P<dollars>\$\$.*?\$\$)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<operator><>|!=|<=|>=|\|\||->|=>|/(?!\*)|[-+*%=<>(),.\[\];:?|{}^$])
    """,
    re.X | re.S,
)

RESERVED = frozenset(
    [
        "ALTER",
        "AND",
        "AS",
        "AUTO",
        "BETWEEN",
        "BY",
        "CASE",
        "CAST",
        "CONSTRAINT",
        "CREATE",
        "CROSS",
        "CUBE",
        "CURRENT_CATALOG",
        "CURRENT_DATE",
        "CURRENT_PATH",
        "CURRENT_ROLE",
        "CURRENT_SCHEMA",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "CURRENT_USER",
        "DEALLOCATE",
        "DELETE",
        "DESCRIBE",
        "DISTINCT",
        "DROP",
        "ELSE",
        "END",
        "ESCAPE",
        "EXCEPT",
        "EXISTS",
        "EXTRACT",
        "FALSE",
        "FOR",
        "FROM",
        "FULL",
        "GROUP",
        "GROUPING",
        "HAVING",
        "IN",
        "INNER",
        "INSERT",
        "INTERSECT",
        "INTO",
        "IS",
        "JOIN",
        "JSON_ARRAY",
        "JSON_EXISTS",
        "JSON_OBJECT",
        "JSON_QUERY",
        "JSON_TABLE",
        "JSON_VALUE",
        "LEFT",
        "LIKE",
        "LISTAGG",
        "LOCALTIME",
        "LOCALTIMESTAMP",
        "NATURAL",
        "NORMALIZE",
        "NOT",
        "NULL",
        "ON",
        "OR",
        "ORDER",
        "OUTER",
        "PREPARE",
        "RECURSIVE",
        "RIGHT",
        "ROLLUP",
        "SELECT",
        "SKIP",
        "TABLE",
        "THEN",
        "TRIM",
        "TRUE",
        "UESCAPE",
        "UNION",
        "UNNEST",
        "USING",
        "VALUES",
        "WHEN",
        "WHERE",
        "WITH",
    ]
)
"""Words that are no names unless quoted (Trino 476, `SqlBase.g4`)."""
MAX_NUMBER_CHARS = 1_000
"""Of a number in a statement: every type of Trino's has fewer digits, and reading many is slow."""
_DIGITS_FIRST = (
    "identifiers must not start with a digit; surround the identifier with double quotes"
)
_NESTING = {"(": 1, "[": 1, "CASE": 1, ")": -1, "]": -1, "END": -1}
_NUMBERS = frozenset({"integer", "radix", "decimal", "double"})


@dataclass(slots=True)
class Token:
    """One token, never changed (a frozen one takes three times as long to make).

    `text` of a word is in upper case; `raw` is what was written."""

    kind: str
    text: str
    at: int
    raw: str = ""


def tokens_of(statement: str) -> list[Token]:
    """The statement's tokens, closed by one of kind `end`. Offsets are in characters.

    Raises `RunFailed`: a syntax error with its position for what is no token of Trino's, and
    `TOO_DEEP` where more is open at once than is allowed.
    """
    found: list[Token] = []
    at, end, depth = 0, len(statement), 0
    match = _TOKEN.match
    while at < end:
        token = match(statement, at)
        if token is None:
            _fail(statement, at)
        kind, text = token.lastgroup or "", token.group()
        if kind == "word":
            found.append(Token(kind, text := text.upper(), at, token.group()))
        elif kind in _NUMBERS and len(text) > MAX_NUMBER_CHARS:
            message = f"Invalid numeric literal: {text[:40]}… ({len(text)} characters)"
            raise failure_at(FailureCode.INVALID_VALUE, message, statement, at)
        elif kind == "radix":
            found.append(Token("integer", str(int(text.replace("_", ""), 0)), at, text))
        elif kind == "name_of_digits":
            raise failure_at(FailureCode.SYNTAX_ERROR, _DIGITS_FIRST, statement, at)
        elif kind != "space":
            found.append(Token(kind, text, at, text))
        if text in _NESTING and (depth := depth + _NESTING[text]) > MAX_NESTING:
            raise failure_at(FailureCode.NOT_SUPPORTED, TOO_DEEP, statement, at)
        at = token.end()
    found.append(Token("end", "the end of the statement", end))
    return found


def statements_in(tokens: list[Token]) -> int:
    """How many statements there are; semicolons at the end do not begin another."""
    count, is_open = 0, False
    for token in tokens[:-1]:
        if token.text == ";" and token.kind == "operator":
            is_open = False
        elif not is_open:
            count, is_open = count + 1, True
    return count


def failure_at(code: FailureCode, message: str, statement: str, at: int) -> RunFailed:
    """A failure with the line and column of the character at `at`, both from 1."""
    line_start = statement.rfind("\n", 0, at) + 1
    line = statement.count("\n", 0, at) + 1
    return RunFailed(Failure(code, message, line, at - line_start + 1))


def _fail(statement: str, at: int) -> NoReturn:
    character = statement[at]
    message = {
        "'": "The string that begins here does not end",
        '"': "The quoted name that begins here does not end",
        "/": "The comment that begins here does not end",
        "`": "Names are quoted with double quotes, not with backquotes",
    }.get(character, f"Unexpected character {character!r}")
    raise failure_at(FailureCode.SYNTAX_ERROR, message, statement, at)
