"""Which functions a statement in DuckDB's SQL may call, by name.

Table functions are an allow-list: one that is not listed is refused. Scalar functions are a
deny-list, because they cannot access files or the network; those that reveal the server's
settings, its paths or the text of our own SQL are listed here.
"""

from __future__ import annotations

ALLOWED_TABLE_FUNCTIONS = frozenset(
    {
        "generate_series",
        "histogram",
        "histogram_values",
        "json_each",
        "json_tree",
        "range",
        "repeat",
        "repeat_row",
        "unnest",
    }
)
"""Table functions that compute from their arguments alone."""

DENIED_SCALAR_FUNCTIONS = frozenset(
    {
        "current_query",
        "current_setting",
        "currval",
        "getenv",
        "getvariable",
        "json_serialize_plan",
        "nextval",
        "pg_get_viewdef",
        "setval",
        "write_log",
    }
)
"""Scalar functions that reveal settings, paths or our own SQL, or that write somewhere."""


def may_read_from(table_function: str) -> bool:
    """Whether a statement may have this table function in its FROM clause."""
    return table_function.lower() in ALLOWED_TABLE_FUNCTIONS


def may_call(scalar_function: str) -> bool:
    """Whether a statement may call this scalar, aggregate or window function or macro."""
    return scalar_function.lower() not in DENIED_SCALAR_FUNCTIONS
