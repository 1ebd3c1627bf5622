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
from queryrun.errors import FailureCode, RunFailed

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
        self._has_try = False
        self._refused = ""

    def install(self, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
        """Make known what this statement calls; after the configuration is locked, too. Begins to
        listen for what `raise_refusal` raises."""
        self._has_try, self._refused = "TRY(" in sql, ""
        for function in used_by(sql):
            if function.name not in self._known:
                register_on(connection, function, self._note)
                self._known.add(function.name)

    def raise_refusal(self) -> None:
        """Raise `RunFailed` (`not_supported`) when TRY has made NULL of a value that is not
        supported here: in Trino it may have a result."""
        if self._refused:
            raise RunFailed.of(FailureCode.NOT_SUPPORTED, f"{self._refused} is not supported")

    def _note(self, what: str) -> None:
        # Without TRY the error itself ends the statement, where a row really comes to it.
        if self._has_try:
            self._refused = what


def names() -> list[str]:
    """Every function there is."""
    return sorted(FUNCTIONS)
