"""How deep a statement may nest, counted in its tokens before any parser sees them.

Parsers recurse and backtrack: on 40,000 open parentheses DuckDB's takes minutes or overflows its
stack, sqlglot's fails, and Spark's runs in somebody else's process. Counting costs one pass.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_NESTING = 150
"""Brackets of any kind, and CASE … END, that are open at once."""
TOO_DEEP = f"The statement is nested too deeply: more than {MAX_NESTING} levels"
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")


def too_deep_at(operators: Iterable[tuple[int, str]]) -> int | None:
    """Where a statement opens one bracket too many; None when it never does.

    `operators` are the operator tokens in their order, each with its offset. Brackets that do not
    match are no concern here: the parser reports them.
    """
    depth = 0
    for at, operator in operators:
        if operator in _OPENING:
            depth += 1
            if depth > MAX_NESTING:
                return at
        elif operator in _CLOSING:
            depth -= 1
    return None
