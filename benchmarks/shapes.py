"""The shapes of statement that cost a parser most for their length, each of any size.

`make bench-parsing` times them; the tests count the steps that parsing them takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

DEEPEST = 140
"""Levels of nesting that are still allowed, with the statement's own."""


def _repeated(before: str, part: str, after: str) -> Callable[[int], str]:
    return lambda chars: before + part * max(1, (chars - len(before + after)) // len(part)) + after


def _nested(opening: str, inside: str, closing: str, by: str = " + ") -> str:
    return opening * DEEPEST + inside + closing * DEEPEST + by


SHAPES: Mapping[str, Callable[[int], str]] = {
    "parentheses, too many": lambda n: f"SELECT {'(' * (n // 2)}1{')' * (n // 2)}",
    "parentheses that do not close": _repeated("SELECT ", "(", ""),
    "parentheses around a relation": lambda n: f"SELECT * FROM {'(' * (n // 2)}t{')' * (n // 2)}",
    "groups of parentheses, as deep as allowed": _repeated("SELECT ", _nested("(", "1", ")"), "1"),
    "subqueries, as deep as allowed": _repeated("SELECT ", _nested("(SELECT ", "1", ")"), "1"),
    "a long query behind many brackets": lambda n: (
        f"SELECT {'(' * DEEPEST}SELECT {'1+' * (n // 2)}1{')' * DEEPEST}"
    ),
    "comments that do not end": _repeated("SELECT 1 ", "/* ", ""),
    "a sum": _repeated("SELECT ", "1+", "1"),
    "conditions": _repeated("SELECT 1 WHERE ", "a=1 OR ", "a=1"),
    "joins of joins": lambda n: f"SELECT 1 FROM a{' JOIN a' * (n // 15)}{' ON true' * (n // 15)}",
    "a comma join": _repeated("SELECT 1 FROM a", ", a", ""),
    "a list of constants": _repeated("SELECT 1 IN (", "1,", "1)"),
    "a name": _repeated("SELECT ", "a", ""),
    "names in WITH": _repeated("WITH ", "a AS (SELECT 1 x), ", "b AS (SELECT 1 x) SELECT 1"),
    "alternatives of a row pattern": _repeated(
        "SELECT 1 FROM a MATCH_RECOGNIZE (PATTERN (", "b | ", "b) DEFINE b AS true)"
    ),
    "subscripts": _repeated("SELECT a", "[1]", ""),
    "CASE, as deep as allowed": _repeated(
        "SELECT ", "CASE WHEN a THEN " * 70 + "1" + " END" * 70 + " + ", "1"
    ),
}
