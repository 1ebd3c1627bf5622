"""A connection that reads a long statement once, and not at each execution.

psycopg replaces the names in a statement by numbers, and keeps what it has replaced unless the
statement is longer than 4,096 characters. Those of ours that change a run are longer: to read them
anew was a third of what a claim, its handle and its end cost a node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import psycopg

Row = tuple[Any, ...]
KEPT_CHARS = 4096
"""Up to this length psycopg keeps them (`psycopg._queries.MAX_CACHED_STATEMENT_LENGTH`)."""
KEPT = 128
"""Texts: ours are twenty, and lists are composed."""
_NAME = re.compile(r"%\((\w+)\)s|%%")


class LongStatements(psycopg.Connection[Row]):
    """An ordinary connection otherwise."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[Row]:
        """As psycopg does; of a long text with `%(name)s` in it, the numbered form is kept."""
        if isinstance(query, str) and isinstance(params, Mapping) and len(query) > KEPT_CHARS:
            numbered, names = _numbered(query)
            values = [params[name] for name in names]
            return psycopg.RawCursor(self).execute(numbered, values, **options)
        return super().execute(query, params, **options)


@lru_cache(maxsize=KEPT)
def _numbered(statement: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with `$1` for the first of its names, and the names."""
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return "%" if found[1] is None else f"${names.setdefault(found[1], len(names) + 1)}"

    return _NAME.sub(number, statement).encode(), tuple(names)
