"""Names and texts in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Iterable


def quoted_name(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def view_sql(name: str, source: str, condition: str = "") -> str:
    """The statement that offers the rows of `source` under a name, replacing an older view."""
    where = f" WHERE {condition}" if condition else ""
    return f"CREATE OR REPLACE TEMP VIEW {quoted_name(name)} AS SELECT * FROM {source}{where}"


def text_list(texts: Iterable[str]) -> str:
    """Texts as a list of string literals."""
    return "[" + ", ".join(quoted_text(text) for text in texts) + "]"
