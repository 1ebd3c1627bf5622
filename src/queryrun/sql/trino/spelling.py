"""How texts and names are written: as in Trino, so in DuckDB."""

from __future__ import annotations


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """A quoted name."""
    return '"' + value.replace('"', '""') + '"'
