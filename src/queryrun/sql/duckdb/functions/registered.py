"""All functions that DuckDB has a form for: importing this module is what makes them known."""

from __future__ import annotations

from queryrun.sql.duckdb.functions import (
    aggregate,
    char,
    checksum,
    format,
    iso,
    json,
    lambdas,
    nested,
    patterns,
    sketches,
    special,
    text,
    time,
    worker,
)
from queryrun.sql.duckdb.functions.table import DUCKDB

REGISTERED = (
    aggregate,
    char,
    checksum,
    format,
    iso,
    json,
    lambdas,
    nested,
    patterns,
    sketches,
    special,
    text,
    time,
    worker,
)
"""The modules that fill the table."""


def known_functions() -> set[str]:
    """Every function that can be called."""
    return DUCKDB.names()
