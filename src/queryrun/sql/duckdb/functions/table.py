"""Which functions DuckDB has a form for. The other modules of this folder fill the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from queryrun.sql.compile.functions import Functions, Handler
from queryrun.sql.compile.shared_functions import SHARED
from queryrun.sql.duckdb.functions.plain import PLAIN

SPECIAL: dict[str, Handler] = dict(SHARED)
"""Scalar functions whose translation depends on more than their arguments' types."""
AGGREGATES: dict[str, Handler] = {}
WINDOWS: dict[str, Handler] = {}
DUCKDB = Functions(PLAIN, SPECIAL, AGGREGATES, WINDOWS)


def special(*names: str) -> Callable[[Handler], Handler]:
    """Register a scalar function."""
    return _register(SPECIAL, names)


def aggregate(*names: str) -> Callable[[Handler], Handler]:
    """Register an aggregate function; all of them are window functions too."""
    return _register(AGGREGATES, names)


def window(*names: str) -> Callable[[Handler], Handler]:
    """Register a function that needs OVER."""
    return _register(WINDOWS, names)


def _register(table: dict[str, Handler], names: Sequence[str]) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        table.update(dict.fromkeys(names, handler))
        return handler

    return register
