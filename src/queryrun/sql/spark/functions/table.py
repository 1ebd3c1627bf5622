"""Which functions Spark has a form for. The other modules of this folder fill the table."""

from __future__ import annotations

from collections.abc import Callable

from queryrun.sql.compile.functions import Functions, Handler
from queryrun.sql.compile.shared_functions import SHARED
from queryrun.sql.spark.functions.plain import PLAIN

SPECIAL: dict[str, Handler] = dict(SHARED)
AGGREGATES: dict[str, Handler] = {}
WINDOWS: dict[str, Handler] = {}
SPARK = Functions(PLAIN, SPECIAL, AGGREGATES, WINDOWS)


def special(*names: str) -> Callable[[Handler], Handler]:
    """Register a scalar function whose form depends on more than its arguments' types."""
    return _register(SPECIAL, names)


def aggregate(*names: str) -> Callable[[Handler], Handler]:
    """Register an aggregate function; all of them are window functions too."""
    return _register(AGGREGATES, names)


def window(*names: str) -> Callable[[Handler], Handler]:
    """Register a function that needs OVER."""
    return _register(WINDOWS, names)


def _register(table: dict[str, Handler], names: tuple[str, ...]) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        table.update(dict.fromkeys(names, handler))
        return handler

    return register
