"""Makes the worker's functions known to an instance, those that a statement calls."""

from __future__ import annotations

import duckdb

from queryrun.engines.duckdb.functions import (
    addresses,
    binary,
    documents,
    formatting,
    histograms,
    json_sql,
    numbers,
    patterns,
    row_patterns,
    stems,
    words,
)
from queryrun.engines.duckdb.functions.registry import FUNCTIONS, register_on, used_by

MODULES = (
    addresses,
    binary,
    documents,
    formatting,
    histograms,
    json_sql,
    numbers,
    patterns,
    row_patterns,
    stems,
    words,
)
"""Each registers its functions when it is imported."""


class InstalledFunctions:
    """What one instance knows already: a function is made known once."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def install(self, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
        """Make known what this statement calls; after the configuration is locked, too."""
        for function in used_by(sql):
            if function.name not in self._known:
                register_on(connection, function)
                self._known.add(function.name)


def names() -> list[str]:
    """Every function there is."""
    return sorted(FUNCTIONS)
